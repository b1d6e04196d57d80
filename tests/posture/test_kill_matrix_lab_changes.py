"""Live changes that take their time or lie outside of the API server: certificates, the file of
encryption providers, the probes' own namespace. Made, shown, undone, and undone by a later process.
"""

import base64
import copy
import datetime as dt
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import yaml
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from fake_api.server import FakeApi

from acpchaos.check.posture.x509 import chains_to, left_days, names, parsed, published
from acpchaos.check.verdict import Outcome
from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import files
from acpchaos.faults.undo import UndoLog, undo_run
from acpchaos.posture.probes import attempts, network, scratch
from acpchaos.record.events import Clock
from acpchaos.record.snapshot import Probe, Snapshot
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import Profile
from lab.certificates import issue, load_or_make_ca
from lab.kindconfig import write_control_plane_files
from lab.paths import State
from posture import kill_matrix_lab
from posture.building_lab import ACP, hardened
from posture.building_target import Network, profile_of, shut
from posture.kill_matrix_lab import outcomes, play
from posture.kill_matrix_lab_changes import ENCRYPTION, Lab, _ways_back, make
from posture.kill_matrix_lab_look import AT_REST, NETWORK, OF_ROW, Look, _asking, _probes
from posture.sabotage import Misses, Sabotage, load

RELOADS = "--encryption-provider-config-automatic-reload=true"


def file_of(row: str) -> Sabotage:
    return next(each for _, each in load() if each.row == row and each.live)


@pytest.fixture
def profile(api: FakeApi, tmp_path: Path) -> Profile:
    return profile_of(api, tmp_path, image="probe:1", outside="198.51.100.7:443")


@pytest.fixture
def lab(api: FakeApi, profile: Profile, tmp_path: Path) -> Lab:
    cluster, state = Cluster.from_profile(profile), State(tmp_path / "lab")
    state.root.mkdir()
    authority = load_or_make_ca(state.root)
    for name, services in (("acp-tls", ["acp.acp-system.svc"]), ("acp-ingress-tls", [])):
        leaf = issue(authority, state.root / "tls" / name, services)
        data = {"tls.crt": leaf.certificate, "tls.key": leaf.key, "ca.crt": authority.certificate}
        data = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
        meta = {"name": name, "namespace": ACP}
        api.store.put("secrets", {"metadata": meta, "type": "kubernetes.io/tls", "data": data})
    write_control_plane_files(state.root / ENCRYPTION.parent)
    log = UndoLog(cluster, ACP, "run-1", None, Clock())
    return Lab(cluster, profile, log, lambda look: hardened(), lambda line: None, state)


def api_server(api: FakeApi, *words: str) -> None:
    meta = {"name": "kube-apiserver-x", "namespace": "kube-system",
            "labels": {"component": "kube-apiserver"}}  # fmt: skip
    container = {"name": "kube-apiserver", "command": ["kube-apiserver", *words]}
    api.store.put("pods", {"metadata": meta, "spec": {"containers": [container]}})


def data_of(api: FakeApi, name: str) -> dict[str, str]:
    with api.store.lock:
        held = copy.deepcopy(api.store.objects[("secrets", ACP, name)]["data"])
    return {key: base64.b64decode(text).decode() for key, text in held.items()}


# certificates


def test_a_certificate_that_ends_soon_is_still_one_that_clients_take(
    api: FakeApi, lab: Lab
) -> None:
    before = data_of(api, "acp-ingress-tls")
    make(lab, file_of("HARD-27").changes[0])
    after = data_of(api, "acp-ingress-tls")
    (held, *_), chain = (parsed([each["tls.crt"]], "") for each in (before, after))
    days = left_days(chain[0], dt.datetime.now(dt.UTC))
    assert 4 < days < 6 and "localhost" in names(chain[0]) and "localhost" in names(held)
    assert chains_to(chain, parsed([before["ca.crt"]], "")) == ""
    assert _public(after["tls.key"]) == chain[0].public_key()
    lab.log.revert_all()
    assert data_of(api, "acp-ingress-tls") == before


def test_the_published_certificate_comes_with_its_published_key(api: FakeApi, lab: Lab) -> None:
    before = data_of(api, "acp-tls")
    make(lab, file_of("HARD-25").changes[0])
    after = data_of(api, "acp-tls")
    (leaf,) = parsed([after["tls.crt"]], "")
    assert published(leaf) == "the chart's mock" and _public(after["tls.key"]) == leaf.public_key()
    assert after["ca.crt"] == before["ca.crt"], "the stores are still verified by the lab's CA"
    assert len(undo_run(lab.profile, "all")) == 1  # by a later process
    assert data_of(api, "acp-tls") == before


def _public(key: str) -> object:
    return load_pem_private_key(key.encode(), None).public_key()


@pytest.mark.parametrize(
    ("place", "how"), [("acp-tls", "sha1"), ("acp-secret", "mock"), ("acp-tls", "")]
)
def test_a_certificate_that_cannot_be_had_is_a_mistake(
    api: FakeApi, lab: Lab, place: str, how: str
) -> None:
    meta = {"name": "acp-secret", "namespace": ACP}
    api.store.put("secrets", {"metadata": meta, "data": {"config.yaml": ""}})
    with pytest.raises(Misses):
        make(lab, {"certificate": f"{ACP}/{place}", "with": how, "served": "pod"})
    assert lab.log.outstanding() == {}


# encryption at rest


def test_the_order_of_providers_is_turned_round_and_put_back(api: FakeApi, lab: Lab) -> None:
    api_server(api, RELOADS)
    path = lab.state.root / ENCRYPTION
    before = path.read_text()
    make(lab, {"at_rest": "plain"})
    providers = yaml.safe_load(path.read_text())["resources"][0]["providers"]
    assert [next(iter(each)) for each in providers] == ["identity", "secretbox"]
    assert path.stat().st_mode & 0o777 == 0o600
    lab.log.revert_all()
    assert path.read_text() == before and path.stat().st_mode & 0o777 == 0o600
    assert sorted(each.name for each in path.parent.iterdir()) == [
        "audit-policy.yaml", "encryption.yaml",
    ]  # fmt: skip


def test_a_later_process_puts_the_file_back_and_only_on_its_machine(
    api: FakeApi, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    api_server(api, RELOADS)
    before = (lab.state.root / ENCRYPTION).read_text()
    make(lab, {"at_rest": "plain"})
    (change,) = lab.log.outstanding().values()
    assert yaml.safe_load(before)["resources"][0]["providers"][0]["secretbox"]["keys"][0][
        "secret"
    ] not in str(change), "no key in the record"
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("socket.gethostname", lambda: "another")
        with pytest.raises(PreconditionUnmet, match="this is another"):
            files.file_restored(lab.cluster, "run-1", change)
    undo_run(lab.profile, "all")
    assert (lab.state.root / ENCRYPTION).read_text() == before


def test_two_writes_of_a_file_are_undone_to_the_first_content(tmp_path: Path, lab: Lab) -> None:
    path = tmp_path / "some.yaml"
    path.write_text("first")
    change = files.change_file(path)
    for text in ("second", "third"):
        files.write_file(change, text)
    assert path.read_text() == "third" and not files.file_restored(lab.cluster, "", change)
    files.restore_file(lab.cluster, "", change)
    assert path.read_text() == "first" and files.file_restored(lab.cluster, "", change)


@pytest.mark.parametrize("words", [(), ("--anonymous-auth=false",)])
def test_an_api_server_that_does_not_read_the_file_again_is_left_alone(
    api: FakeApi, lab: Lab, words: tuple[str, ...]
) -> None:
    if words:
        api_server(api, *words)
    kill = play(lab, file_of("HARD-19"), outcomes(lab))
    assert "lab down, then up" in kill.wrong and lab.log.outstanding() == {}


# slow changes


def slowly(lab: Lab, *shown: bool) -> Lab:
    """A lab whose looks show the broken certificate or not, one after another, then not."""
    left = list(shown)

    def look(wanted: Look) -> Snapshot:
        seen = hardened()
        if left.pop(0) if left else False:
            seen.served[-1] = msgspec.structs.replace(seen.served[-1], chain=MOCK)
        return seen

    return replace(lab, look=look)


MOCK = ((Path(__file__).parent / "data" / "mock-certificate.pem").read_text(),)
SLOW = Sabotage(
    row="HARD-25", says="test", companions=("HARD-27",), live=True,
    changes=[{"certificate": f"{ACP}/acp-tls", "with": "mock", "served": "ingress"}],
)  # fmt: skip


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_matrix_lab, "SEEN_S", 0.0)


def test_a_slow_change_is_waited_for_both_ways(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_matrix_lab, "LOOK_AGAIN_S", 0.0)
    kill = play(slowly(lab, False, True, True, False), SLOW, outcomes(lab))
    assert not kill.survived and kill.failed == ("HARD-25", "HARD-27"), kill


@pytest.mark.usefixtures("_impatient")
def test_a_slow_change_that_never_shows_survives(lab: Lab) -> None:
    assert play(slowly(lab), SLOW, outcomes(lab)).wrong == "HARD-25 stays passed"


@pytest.mark.usefixtures("_impatient")
def test_a_slow_change_that_stays_after_its_undo_is_told(lab: Lab) -> None:
    kill = play(slowly(lab, True, True), SLOW, outcomes(lab))
    assert kill.wrong == "undone, but HARD-25, HARD-27 still fail"


# looks


def test_only_what_a_row_needs_is_probed() -> None:
    rows = {each.row for _, each in load() if each.live}
    assert OF_ROW.keys() <= rows
    look = kill_matrix_lab._look_of(file_of("HARD-47"), with_change=True)
    assert look.probes == {NETWORK} and look.scratch[0]["kind"] == "NetworkPolicy"
    assert kill_matrix_lab._look_of(file_of("HARD-47"), with_change=False) == Look({NETWORK})  # type: ignore[arg-type]
    assert kill_matrix_lab._look_of(file_of("HARD-30"), with_change=True) == Look()
    assert kill_matrix_lab._look_of(file_of("HARD-13"), with_change=True).secret


def test_the_secret_of_a_look_is_known_to_that_look_alone(lab: Lab) -> None:
    client = {"id": "system", "secret": "env:NOT_SET"}
    given = type(lab.profile).model_validate(
        lab.profile.model_dump() | {"credentials": {"system": client}}
    )
    asking = _asking(given, "published").credentials.system
    assert asking is not None and asking.account().secret == "published"
    assert given.credentials.system is not None
    assert given.credentials.system.secret == "env:NOT_SET"


@pytest.fixture
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "BETWEEN_S", 0.0)
    monkeypatch.setattr(network, "DENY_S", 0.3)
    monkeypatch.setattr(scratch, "START_S", 0.6)
    monkeypatch.setattr(scratch, "LOOK_S", 0.05)
    monkeypatch.setattr("acpchaos.posture.probes.published.from_here", shut)


@pytest.mark.usefixtures("_fast")
def test_a_policy_in_the_scratch_namespace_lets_the_pair_through_and_goes_with_it(
    api: FakeApi, lab: Lab
) -> None:
    Network(api)
    there = set(api.store.objects)
    policy = file_of("HARD-47").changes[0]["scratch"]
    seen = {}
    for manifests in ((), (policy,)):
        look = Look(frozenset({NETWORK}), manifests)
        seen[len(manifests)] = _probes(lab.cluster, lab.profile, lab.log, hardened(), look)
    assert seen[0]["cni deny"].outcome == "blocked" and seen[0]["cni control"].outcome == "open"
    assert seen[1]["cni deny"].outcome == "open" and seen[1]["cni control"].outcome == "open"
    (change,) = lab.log.outstanding().values()
    assert change["name"] == policy["metadata"]["name"]
    lab.log.revert_all()
    assert set(api.store.objects) == there


def test_a_probed_row_is_probed_before_with_and_after_its_change(lab: Lab) -> None:
    looks: list[Look] = []

    def look(wanted: Look) -> Snapshot:
        looks.append(wanted)
        seen = hardened()
        if wanted.scratch:
            broken = seen.probes | {"cni deny": Probe(outcome="open", saw="x")}
            return msgspec.structs.replace(seen, probes=broken)
        return seen

    kills = list(kill_matrix_lab.matrix(replace(lab, look=look), [file_of("HARD-47")]))
    assert [kill.wrong for kill in kills] == [""], kills
    assert [each.probes for each in looks] == [{NETWORK}] * 3
    assert [bool(each.scratch) for each in looks] == [False, True, False]
    assert AT_REST not in looks[0].probes


# ACP's records: how they go again (what ACP does with them: tests/standin/test_sabotage.py)


def test_what_is_in_a_new_workspace_goes_with_it() -> None:
    for row, paths in (
        ("HARD-04", ["/api/admin/acme/servers/admin/idps/default"]),
        ("HARD-05", ["/api/admin/acme/servers/partners"]),
        ("HARD-08", ["/api/admin/acme/servers/partners"]),
        ("HARD-10", ["/api/admin/acme/clients/developer-developer"]),
    ):
        ways = _ways_back(file_of(row).changes[0]["configure"])
        assert [each[3] for each in ways] == paths
    tenant = {"tenants": [{"id": "t"}], "servers": [{"tenant_id": "t", "id": "w"}]}
    assert _ways_back(tenant) == [("/api/system/tenants", "tenants", "t", "/api/system/tenants/t")]
    user = {"tenant_id": "acme", "server_id": "main", "idp_id": "p", "id": "u"}
    with pytest.raises(Misses, match="could not be deleted"):
        _ways_back({"users": [user]})


def test_without_a_client_system_acp_is_not_changed(lab: Lab) -> None:
    kill = play(lab, file_of("HARD-04"), outcomes(lab))
    assert "[credentials.system]" in kill.wrong and lab.log.outstanding() == {}


def test_a_survivor_of_another_run_is_undone_first(api: FakeApi, lab: Lab) -> None:
    left = UndoLog(lab.cluster, ACP, "20260101t000000-kill-matrix", None, Clock())
    make(replace(lab, log=left), file_of("HARD-25").changes[0])
    UndoLog(lab.cluster, ACP, "somebody-else", None, Clock()).record(
        {"kind": "created", "object": "Role", "namespace": ACP, "name": "x"}
    )
    assert kill_matrix_lab._left_behind(lab.cluster, ACP) == [left.run_id]


def test_the_lab_of_these_tests_holds(lab: Lab) -> None:
    assert Outcome.FAILED not in outcomes(lab).values()
