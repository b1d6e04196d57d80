"""One snapshot from everything, through the command too; and a large one stays small."""

import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.cli import main
from acpchaos.errors import GuardRefused
from acpchaos.posture.answers import TENANTS
from acpchaos.posture.take import take
from acpchaos.record import snapshot
from acpchaos.target.profile import Profile, load_profile
from tests.posture import building_objects as building
from tests.posture import large
from tests.posture.acp_api import SECRET, AcpApi

CHANGING = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def acp() -> Iterator[AcpApi]:
    with AcpApi() as found:
        yield found


@pytest.fixture
def path(api: FakeApi, acp: AcpApi, tmp_path: Path) -> Path:
    """A profile file of the scene whose ACP is the small API."""
    data = {"config.yaml": building.encoded(f"system: {{secret: {SECRET}}}")}
    meta = {"name": "acp-secret", "namespace": scene.NAMESPACE}
    api.store.put("secrets", {"metadata": meta, "type": "Opaque", "data": data})
    found = scene.write_profile(api, tmp_path)
    text = found.read_text().replace("https://localhost:8443", acp.base_url)
    reference = f"secret:{scene.NAMESPACE}/system/secret"
    client = f'[credentials.system]\nid = "system"\nsecret = "{reference}"\n'
    held = {"metadata": {**meta, "name": "system"}, "data": {"secret": building.encoded(SECRET)}}
    api.store.put("secrets", held)
    found.write_text(text + client)
    return found


def test_a_live_snapshot_holds_all_parts_and_changes_nothing(api: FakeApi, path: Path) -> None:
    said: list[str] = []
    found = take(load_profile(path), said.append)
    assert found.source == "live" and found.objects["Deployment"] and not found.probes
    assert found.answers[TENANTS].status == 200
    unseen = next(each for each in found.served if each.error)
    assert unseen.where.startswith("ingress http://")
    assert len([each for each in found.served if each.where.startswith("pod ")]) == 6
    assert found.scope.workloads["redis"].name == "redis-cluster"
    assert [line.partition(":")[0] for line in said] == [
        "objects", "answers of ACP", "certificates",
    ]  # fmt: skip
    assert [call for call in api.store.calls if call.startswith(CHANGING)] == []


def test_the_opt_in_labels_are_not_needed_for_reading(api: FakeApi, path: Path) -> None:
    api.store.get(("namespaces", "", scene.NAMESPACE))["metadata"]["labels"].clear()
    assert take(load_profile(path)).objects["Node"]


@pytest.mark.parametrize(
    ("pin", "calls"), [("api_host", 0), ("kube_system_uid", 1)], ids=["host", "identity"]
)
def test_another_cluster_is_not_read(api: FakeApi, path: Path, pin: str, calls: int) -> None:
    profile: Profile = load_profile(path)
    section = profile.cluster.model_copy(update={pin: "another"})
    with pytest.raises(GuardRefused, match="pinned another"):
        take(profile.model_copy(update={"cluster": section}))
    assert len(api.store.calls) == calls


def test_probes_run_last_and_only_when_allowed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    outcome = snapshot.Probe(outcome="refused")

    def run(cluster: object, profile: object, say: object, answers: object) -> object:
        asked.append(answers)
        return {"secret docs": outcome}

    monkeypatch.setattr("acpchaos.posture.take.run", run)
    assert take(load_profile(path)).probes == {} and not asked
    found = take(load_profile(path), allow_probes=True)
    assert found.probes == {"secret docs": outcome} and asked == [found.answers]


def test_the_command_writes_a_folder_without_a_secret(
    api: FakeApi, path: Path, tmp_path: Path
) -> None:
    api.store.forbidden = [r"GET /api/v1/nodes$"]
    out = tmp_path / "taken"
    result = CliRunner().invoke(main, ["snapshot", "--target", str(path), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "not read: Node: HTTP 403" in result.output
    assert result.output.rstrip().endswith(str(out))
    found = snapshot.read(out)
    assert found.unread["Node"].startswith("HTTP 403") and "Node" not in found.objects
    assert SECRET not in "".join(each.read_text() for each in out.rglob("*.json"))
    assert all(each.stat().st_mode & 0o77 == 0 for each in [out, *out.rglob("*.json")])


def test_a_folder_in_use_is_refused_before_anything_is_read(
    api: FakeApi, path: Path, tmp_path: Path
) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "a").touch()
    for used in ("used", "used/a"):
        words = ["snapshot", "--target", str(path), "--out", str(tmp_path / used)]
        result = CliRunner().invoke(main, words)
        assert result.exit_code == 4
        assert "name a new folder" in result.output
    assert api.store.calls == []


def test_a_large_snapshot_takes_its_share_of_memory(tmp_path: Path) -> None:
    """5,000 pods and 500 policies may take 300 MB beside the interpreter; so a tenth of it here."""
    folder = large.write(large.bare(), tmp_path / "large", large.PODS // 10, large.POLICIES // 10)
    tracemalloc.start()
    try:
        found = snapshot.read(folder)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(found.objects["Pod"]), len(found.objects["NetworkPolicy"])) == (500, 50)
    assert peak < 20e6
    held = found.objects["Pod"][0]["spec"]["containers"][0]["env"][-1]
    assert held["name"] == "REDIS_PASSWORD" and held["value"].startswith("sealed:")
