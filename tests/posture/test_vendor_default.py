"""The default install fails exactly the rows that its chart's defaults break, and the assertion
itself can fail."""

from pathlib import Path

import msgspec
import pytest
import yaml

from acpchaos.check.posture.judge import judge
from acpchaos.check.verdict import Outcome
from acpchaos.errors import UsageError
from acpchaos.posture.manifests import from_manifests
from acpchaos.record import snapshot as store
from acpchaos.record.snapshot import Object, Snapshot
from acpchaos.target.profile import load_profile
from posture import building_vendor, vendor_default
from posture.building_lab import ACP, PROJECT, documents, hardened
from posture.building_vendor import _merge, rendered
from posture.vendor_default import BROKEN, UNSAID, hardened_rows, main, wrong

# what a pull request shows at least: without Secrets, answers and probes
BY_MANIFESTS = {
    "HARD-41", "HARD-42", "HARD-43", "HARD-46", "HARD-48", "HARD-49", "HARD-50",
    "HARD-51",
}  # fmt: skip


@pytest.fixture(scope="module")
def made() -> Snapshot:
    return building_vendor.vendor_default()


def copied(found: Snapshot) -> Snapshot:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(found), type=Snapshot)


def one(found: list[Object], kind: str, name: str) -> Object:
    return next(e for e in found if e["kind"] == kind and e["metadata"]["name"] == name)


def test_exactly_the_rows_of_the_chart_s_defaults_fail(
    made: Snapshot, capsys: pytest.CaptureFixture[str]
) -> None:
    assert wrong(judge(made)) == []
    failed = {each.row for each in judge(made) if each.verdict.outcome is Outcome.FAILED}
    assert failed == BROKEN.keys() | UNSAID and len(failed) == 25
    assert main([]) == 0
    told = capsys.readouterr().out
    assert all(f"{row}  " in told for row in BROKEN) and "23 of 53 rows differ" in told
    assert "passed -> failed" in told and "(--demo)" in told and "WRONG" not in told


def test_the_hardened_lab_fails_only_what_nobody_has_said() -> None:
    found = {each.row: each.verdict.outcome for each in hardened_rows()}
    assert {row for row, outcome in found.items() if outcome is Outcome.FAILED} == UNSAID
    assert [line.partition(" ")[0] for line in wrong(hardened_rows())] == list(BROKEN)


def test_a_default_that_is_mended_is_told(made: Snapshot, tmp_path: Path) -> None:
    mended = copied(made)
    (pods,) = [e for e in mended.objects["Deployment"] if e["metadata"]["name"] == "acp"]
    pods["spec"]["template"]["spec"]["containers"][0]["args"].remove("--create-default-workspaces")
    (line,) = wrong(judge(mended))
    assert line == "HARD-43 is passed, though --create-default-workspaces"
    assert main([str(store.write(mended, tmp_path / "s"))]) == 1


def test_a_row_too_many_and_a_row_undecided_are_told(made: Snapshot) -> None:
    more = copied(made)
    (pods,) = [e for e in more.objects["Deployment"] if e["metadata"]["name"] == "acp"]
    pods["spec"]["template"]["spec"]["containers"][0]["args"].append("--dev")
    (line,) = wrong(judge(more))
    assert line.startswith("HARD-39 is failed: ")
    fewer = copied(made)
    del fewer.probes["cni control"], fewer.probes["cni deny"]
    assert any(line.startswith("HARD-47 is inconclusive: ") for line in wrong(judge(fewer)))


def test_rendered_manifests_of_the_overlay_show_their_share(tmp_path: Path) -> None:
    profile = load_profile(PROJECT / "targets" / "kind.toml")
    failed = {}
    for name, objects in (("hardened", documents()), ("vendor-default", rendered())):
        (tmp_path / name).mkdir()
        (tmp_path / name / "all.yaml").write_text(yaml.safe_dump_all(objects))
        rows = judge(from_manifests(tmp_path / name, profile, "2026-11-24T12:00:00+00:00"))
        failed[name] = {each.row for each in rows if each.verdict.outcome is Outcome.FAILED}
    assert failed["hardened"] <= UNSAID
    assert BY_MANIFESTS <= failed["vendor-default"] - failed["hardened"] <= BROKEN.keys()


# the overlay as it is rendered here


def test_the_overlay_is_rendered_by_its_own_patches() -> None:
    before, after = documents(), rendered()
    container = one(after, "Deployment", "acp")["spec"]["template"]["spec"]["containers"][0]
    assert container["args"][:3] == ["server", "start", "--demo"] and "resources" not in container
    env = {each["name"]: each["value"] for each in container["env"]}
    assert env["SQL_MIGRATIONS_DISABLE"] == "false" and env["STANDIN_SQL_START_WAIT_S"] == "80"
    template = one(after, "Deployment", "acp")["spec"]["template"]["spec"]
    assert "automountServiceAccountToken" not in template and "volumes" in template
    gone = {(e["kind"], e["metadata"]["name"]) for e in before} - {
        (e["kind"], e["metadata"]["name"]) for e in after
    }
    assert gone == {
        ("Deployment", "acp-workers"), ("Service", "acp-workers"), ("Job", "acp-migrate"),
        ("Job", "acp-import"), ("HorizontalPodAutoscaler", "acp"), ("PodDisruptionBudget", "acp"),
        ("PodDisruptionBudget", "acp-workers"), ("NetworkPolicy", "acp"),
        ("NetworkPolicy", "acp-workers"), ("NetworkPolicy", "acp-jobs"),
        ("NetworkPolicy", "postgresql"), ("NetworkPolicy", "timescaledb"),
    }  # fmt: skip
    assert [e["metadata"].get("namespace") for e in after if e["kind"] == "Ingress"] == [ACP]


def test_a_merge_is_by_name_and_null_takes_away() -> None:
    into: Object = {"a": {"b": 1, "c": 2}, "l": [{"name": "x", "v": 1}], "args": ["1", "2"]}
    patch = {"a": {"b": None}, "l": [{"name": "x", "w": 2}, {"name": "y"}], "args": ["3"]}
    _merge(into, patch)
    assert into == {"a": {"c": 2}, "l": [{"name": "x", "v": 1, "w": 2}, {"name": "y"}],
                    "args": ["3"]}  # fmt: skip


def test_a_patch_that_finds_nothing_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch = {"target": {"kind": "Deployment", "name": "none"}, "patch": "[]"}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"patches": [patch]}))
    monkeypatch.setattr(building_vendor, "PUBLISHED", tmp_path)
    with pytest.raises(ValueError, match="finds nothing"):
        rendered()


# live, as far as it can be without a lab


def test_a_lab_that_was_made_hardened_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hardened:
        @classmethod
        def from_profile(cls, profile: object) -> "Hardened":
            return cls()

        def get(self, kind: str, name: str, namespace: str) -> Object:
            return one(hardened().objects[kind], kind, name)

    monkeypatch.setattr(vendor_default, "Cluster", Hardened)
    with pytest.raises(UsageError, match="this lab was made hardened"):
        main(["live"])
