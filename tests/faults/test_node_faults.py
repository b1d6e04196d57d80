"""Nodes and control plane disturbed from beneath: seen only where it happened, undone by whoever is
left, and ended by itself where nobody is.

The engine is a program without containers; its nodes run our scripts for real (fake_engine).
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_api.server import FakeApi
from fake_api.stores import Stores
from fake_engine.nodes import LAB, Nodes
from safety import reaping, target

from acpchaos.errors import AcpchaosError, GuardRefused, PreconditionUnmet, UsageError
from acpchaos.faults import (
    control_plane,
    network_cut,
    node_changes,
    node_fault,
    node_records,
    nodes,
    watchdog,
    witness_control_plane,
    witness_nodes,
)
from acpchaos.faults.fault import Act, Sight
from acpchaos.faults.node_drain import NodeDrain
from acpchaos.faults.nodes import Beneath
from acpchaos.faults.session import Session
from acpchaos.faults.undo import undo_run
from acpchaos.target.profile import Profile, load_profile
from acpchaos.wait import eventually
from faults.node_cases import FAULTS, REST, Build
from faults.spoiling import overdue, spoiled
from faults.told import cordoned, undo_records, witnesses


@pytest.fixture
def profile_path(profile_path: Path, tmp_path: Path) -> Path:
    text = profile_path.read_text()
    text = text.replace('context = "fake"', f'context = "fake"\nlab = "{LAB}"')
    text = text.replace('"ingress"]', '"ingress", "control-plane"]')
    text += f'[nodes]\nmechanism = "engine"\nengine = "{tmp_path}/engine/podman"\n'
    text += f'[nodes.environment]\nFAKE_ENGINE = "{tmp_path}/engine"\n'
    profile_path.write_text(text)
    return profile_path


@pytest.fixture
def living(
    api: FakeApi, stores: Stores, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Nodes]:
    """Nodes with kubelets that live; waits are short."""
    for module, name, value in (
        (nodes, "EFFECT_S", 0.5), (node_fault, "NOTICE_S", 1.5), (node_fault, "STRIKE_S", 20.0),
        (control_plane, "EFFECT_S", 0.5), (witness_nodes, "STILL_S", 0.2),
        (witness_control_plane, "STILL_S", 0.2), (witness_control_plane, "LOOKS", 2),
    ):  # fmt: skip
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr("acpchaos.faults.undo.VERIFY_S", 10.0)
    monkeypatch.setattr(node_fault, "PARTS", ("sql",))  # what else is looked at is not at stake
    monkeypatch.setenv("ACPCHAOS_STATE", str(tmp_path / "state"))
    with api.store.lock:
        words = {
            "node-role.kubernetes.io/control-plane": "",
            "acpchaos.io/allowed": "control-plane",
        }
        api.store.get(("nodes", "", "control-plane"))["metadata"]["labels"] = words
    with target.impatient(0.05), Nodes(api, tmp_path / "engine").living() as made:
        yield made


def files(tmp_path: Path) -> list[str]:
    """What is left on this machine, once dogs have seen that they are no longer needed."""
    state = tmp_path / "state"

    def ended() -> bool:
        return not [p for p in state.rglob("*") if p.is_file()]

    with suppress(AcpchaosError):
        eventually("watchdogs to end", ended, 2.0, 0.05)
    return sorted(p.name for p in state.rglob("*") if p.is_file())


def with_experiments(session: Session, **changes: Any) -> Session:
    experiments = session.profile.experiments.model_copy(update=changes)
    profile = session.profile.model_copy(update={"experiments": experiments})
    return replace(session, profile=profile)


def told(session: Session) -> list[str]:
    return [outcome for outcome, _ in witnesses(session)]


@pytest.mark.parametrize("name", [name for name in FAULTS if name != "zone_power_off"])
def test_seen_where_it_happened_and_undone(
    api: FakeApi, session: Session, living: Nodes, tmp_path: Path, name: str
) -> None:
    act = Act(FAULTS[name](session))
    seen = act.strike()
    assert seen["witness"] == "installed", seen["saw"]
    assert act.fault.name == name
    act.heal()
    assert session.undo.outstanding() == {} and files(tmp_path) == []
    assert [each for node in ("worker-b", "control-plane") for each in living.timers(node)] == []
    assert living.status("worker-b") == "running"
    assert living.word("worker-b", "address") == "10.9.0.12"
    assert len(living.manifests("control-plane")) == 4


def struck(session: Session, build: Build, spoil: Callable[[Beneath], None]) -> list[str]:
    """Outcomes of all looks, the fault being spoiled once its targets are frozen."""
    fault = build(session)
    return spoiled(fault, lambda: spoil(fault))


def deaf(living: Nodes) -> Callable[[Beneath], None]:
    """Every change is answered as done, and none is."""

    def spoil(fault: Beneath) -> None:
        living.spoil(deaf=["pause", "stop"])
        for node in fault.nodes:
            (living.home / node / "deaf").touch()
            fault.word = fault.word and "other.yaml"
            if fault.kind == "node-manifest":
                (living.home / node / "root/etc/kubernetes/manifests/other.yaml").touch()

    return spoil


def wrong_container(living: Nodes) -> Callable[[Beneath], None]:
    """Another node than the chosen one is hit; its record names the chosen one."""

    def spoil(fault: Beneath) -> None:
        living.spoil(instead=dict.fromkeys(fault.nodes, "worker-c"))
        (living.home / "worker-c/root/etc/kubernetes/manifests" / (fault.word or "x")).touch()

    return spoil


def failing(living: Nodes) -> Callable[[Beneath], None]:
    def spoil(fault: Beneath) -> None:
        living.spoil(failing=["pause", "stop"])
        for node in fault.nodes:
            (living.home / node / "no-timers").touch()

    return spoil


def off_already(living: Nodes) -> Callable[[Beneath], None]:
    """Somebody else stops the node between set-up and injection."""

    def spoil(fault: Beneath) -> None:
        for node in fault.nodes:
            living.write(node, status="exited")

    return spoil


SABOTAGES = {
    "no-op": deaf, "wrong container": wrong_container, "engine refuses": failing,
    "already off": off_already,
}  # fmt: skip


SPOILED = [
    *((name, "no-op") for name in ("kubelet_stop", "node_freeze", "node_power_off", "node_cut",
                                   "node_cut_inbound", "api_server_stop", "etcd_member_stop",
                                   "scheduler_stop")),
    ("node_power_off", "wrong container"), ("kubelet_stop", "wrong container"),
    ("node_cut", "wrong container"), ("node_freeze", "engine refuses"),
    ("kubelet_stop", "engine refuses"), ("node_freeze", "already off"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "sabotage"), SPOILED)
def test_sabotaged_is_never_installed(
    api: FakeApi, session: Session, living: Nodes, name: str, sabotage: str
) -> None:
    outcomes = struck(session, FAULTS[name], SABOTAGES[sabotage](living))
    assert outcomes and "installed" not in outcomes, witnesses(session)
    if sabotage != "already off":
        assert outcomes[0] == "not installed", witnesses(session)


@pytest.mark.parametrize("name", ["kubelet_stop", "node_freeze", "node_cut"])
def test_dumb_engine_makes_it_indeterminate(
    session: Session, living: Nodes, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The injector's engine works and the witness's own calls do not."""
    monkeypatch.setattr(witness_nodes, "_ask", lambda profile, *words: None)
    fault = FAULTS[name](session)
    monkeypatch.setattr(type(fault), "setup", _setup_of(type(fault)))
    Act(fault).strike()
    assert told(session) == ["indeterminate"]


def _setup_of(kind: type[Beneath]) -> Callable[[Any], tuple[str, ...]]:
    """Without what set-up asks of the witness beforehand."""

    def setup(self: Any) -> tuple[str, ...]:
        names = Beneath.setup(self)
        self.peer, self.addresses = "worker-c", {"worker-b": "10.9.0.12", "worker-c": "10.9.0.13"}
        return names

    return setup


def test_half_of_a_zone_is_partial(api: FakeApi, session: Session, living: Nodes) -> None:
    with api.store.lock:
        labels = api.store.get(("nodes", "", "worker-c"))["metadata"]["labels"]
        labels["topology.kubernetes.io/zone"] = "zone-b"

    def spoil(fault: Beneath) -> None:
        living.spoil(instead={"worker-c": "worker-a"})

    assert struck(session, FAULTS["zone_power_off"], spoil) == ["partial"]


def test_one_way_cut_that_cuts_both_ways_is_partial(session: Session, living: Nodes) -> None:
    fault = FAULTS["node_cut_inbound"](session)
    fault.word = "both"
    assert Act(fault).strike()["witness"] == "partial"


def test_connection_that_was_not_there_is_not_cut(session: Session, living: Nodes) -> None:
    (living.home / "worker-b" / "nft-ip").write_text("incoming")
    (living.home / "worker-b" / "kubelet").touch()
    session.cluster.get("Node", "worker-b")
    fault = FAULTS["node_cut"](session)
    with pytest.raises(PreconditionUnmet, match=r"no connection that could be cut|not ready"):
        Act(fault).strike()
    assert undo_records_of(session) == []


def undo_records_of(session: Session) -> list[str]:
    return sorted(session.undo.outstanding())


@pytest.mark.parametrize("name", ["kubelet_stop", "node_freeze", "node_power_off"])
def test_node_that_is_off_already_is_refused(session: Session, living: Nodes, name: str) -> None:
    living.write("worker-b", status="exited")
    with pytest.raises(PreconditionUnmet, match=r"exited|not ready"):
        Act(FAULTS[name](session)).strike()
    assert living.changes() == [] and undo_records_of(session) == []


@pytest.mark.parametrize("name", ["node_freeze", "zone_cut", "api_server_stop"])
def test_container_of_another_cluster_is_never_touched(
    session: Session, living: Nodes, name: str
) -> None:
    for node in ("worker-b", "control-plane"):
        living.write(node, label="somebody-elses")
    with pytest.raises(PreconditionUnmet, match="no node of the pinned cluster"):
        Act(FAULTS[name](session)).strike()
    assert living.changes() == [] and undo_records_of(session) == []
    assert set(living.calls()) == {"inspect"}


@pytest.mark.parametrize("name", ["node_freeze", "zone_cut", "api_server_stop"])
def test_without_a_mechanism_it_does_not_apply(session: Session, living: Nodes, name: str) -> None:
    none = session.profile.nodes.model_copy(update={"mechanism": "none"})
    other = replace(session, profile=session.profile.model_copy(update={"nodes": none}))
    assert "not applicable: the profile names no mechanism" in FAULTS[name](other).available()
    nameless = session.profile.cluster.model_copy(update={"lab": ""})
    other = replace(session, profile=session.profile.model_copy(update={"cluster": nameless}))
    assert "[cluster] lab names no kind cluster" in FAULTS[name](other).available()
    other = with_experiments(session, may_disrupt=())
    assert "may_disrupt has no" in FAULTS[name](other).available()
    assert living.calls() == []


def test_one_of_three_control_plane_nodes_needs_three(
    api: FakeApi, session: Session, living: Nodes
) -> None:
    fault = control_plane.ControlPlaneNodeOff(session, 1, 30.0, 8.0)
    assert fault.available() == (
        "not applicable: 1 control-plane node, three are needed to lose one"
    )
    with api.store.lock:
        first = api.store.get(("nodes", "", "control-plane"))
        for name in ("control-plane2", "control-plane3"):
            meta = {"name": name, "labels": dict(first["metadata"]["labels"])}
            api.store.put("nodes", {"metadata": meta, "spec": {}, "status": first["status"]})
            living._make(name, f"10.9.0.{len(name) + int(name[-1])}")
    eventually("three", lambda: len(control_plane.control_plane(fault)) == 3, 1.0, 0.05)
    assert fault.available() == ""
    act = Act(fault)
    assert act.strike()["witness"] == "installed"
    assert fault.blast is not None and fault.blast.loses == ()  # two of three are a majority
    act.heal()


@pytest.mark.parametrize(
    ("lost", "members", "etcd", "loses"),
    [(1, 3, True, ()), (1, 1, True, ("quorum",)), (1, 2, True, ("quorum",)),
     (2, 3, True, ("quorum",)), (1, 1, False, ("workload",)), (1, 3, False, ())],
)  # fmt: skip
def test_what_a_lost_member_takes_away(
    lost: int, members: int, etcd: bool, loses: tuple[str, ...]
) -> None:
    assert control_plane.of_members(lost, members, etcd).loses == loses


def test_what_goes_with_a_node_is_reckoned_before(
    session: Session, living: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node with both copies of some slots, or a majority of a store, needs consent."""
    monkeypatch.setattr(node_fault, "PARTS", ("acp", "workers", "redis", "sql", "analytics"))
    moved = ("postgresql-0", "postgresql-1", "redis-cluster-0", "redis-cluster-3")
    for pod in session.cluster.list("Pod", session.namespace):
        name = pod["metadata"]["name"]
        if name.startswith(("postgresql", "redis")):
            body = {"spec": {"nodeName": "worker-b" if name in moved else "worker-c"}}
            session.cluster.patch("Pod", name, body, session.namespace)
    fault = FAULTS["node_freeze"](session)
    fault.setup()
    assert fault.blast is not None and set(fault.blast.loses) == {"quorum", "shard"}
    assert (fault.blast.zones, fault.blast.of_zones) == (1, 3)
    other = with_experiments(session, may_lose=("workload", "shard"))
    with pytest.raises(PreconditionUnmet, match=r"sql: 1 of 3 members left, 2 are a majority"):
        Act(FAULTS["node_freeze"](other)).strike()
    assert living.changes() == []


def test_nodes_need_the_word_that_allows_them(
    api: FakeApi, session: Session, living: Nodes
) -> None:
    with api.store.lock:
        api.store.get(("nodes", "", "control-plane"))["metadata"]["labels"].pop(
            "acpchaos.io/allowed"
        )
        spared = {"name": "worker-b2", "labels": {"topology.kubernetes.io/zone": "zone-b"}}
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        api.store.put("nodes", {"metadata": spared, "spec": {}, "status": status})
    with pytest.raises(GuardRefused, match=r"allowed=control-plane on control-plane"):
        Act(FAULTS["scheduler_stop"](session)).strike()
    with pytest.raises(GuardRefused, match=r"allowed=true on worker-b2"):
        Act(FAULTS["zone_power_off"](session)).strike()
    with pytest.raises(PreconditionUnmet, match="disturb node control-plane"):
        Act(nodes.NodeFreeze(session, "node", "control-plane", 1, 30.0, 8.0)).strike()
    assert living.changes() == []


@pytest.mark.parametrize("name", ["kubelet_stop", "node_power_off", "node_cut", "api_server_stop"])
def test_another_process_undoes_what_a_dead_runner_left(
    api: FakeApi, session: Session, living: Nodes, profile_path: Path, tmp_path: Path, name: str
) -> None:
    """With the API server dead, too: this machine has its own record of it."""
    Act(FAULTS[name](session)).strike()
    undone = undo_run(load_profile(profile_path), "all")
    assert len(undone) == 1 and undone[0].startswith("node-"), undone
    assert living.status("worker-b") == "running"
    assert not (living.home / "worker-b" / "nft-ip").exists()
    assert (living.home / "worker-b" / "kubelet").exists()
    assert len(living.manifests("control-plane")) == 4
    assert undo_records(api) == [] and files(tmp_path) == []
    assert undo_run(load_profile(profile_path), "all") == []


@pytest.mark.parametrize("name", ["node_cut", "api_server_stop"])
def test_timer_of_the_node_ends_it_alone(
    api: FakeApi, session: Session, living: Nodes, tmp_path: Path, name: str
) -> None:
    act = Act(FAULTS[name](session))
    act.strike()
    [node] = act.targets
    living.fire(node)
    [change] = node_records.of_run(session.cluster, "run-1")
    assert not node_changes.disturbed(session.cluster, change)
    act.heal()
    assert session.undo.outstanding() == {} and files(tmp_path) == []


@pytest.mark.parametrize("verb", ["GET", "PATCH"])
@pytest.mark.parametrize("way", ["heal", "undo"])
def test_an_api_server_that_has_just_begun_forbids_for_a_while(
    api: FakeApi, session: Session, living: Nodes, tmp_path: Path, way: str, verb: str
) -> None:
    """It has not read its own roles yet; the way back goes on when it has."""
    act = Act(FAULTS["api_server_stop"](session))
    act.strike()
    with api.store.lock:
        api.store.forbidden.append(f"{verb} .*/configmaps")
        asked = len(api.store.calls)

    def learns() -> None:
        def refused() -> bool:
            forbidden = [c for c in api.store.calls[asked:] if c.startswith(verb)]
            return sum("/configmaps" in call for call in forbidden) >= 3

        eventually("three refusals", refused, 8.0, 0.02)
        with api.store.lock:
            api.store.forbidden.clear()

    with ThreadPoolExecutor(1) as reader:
        learnt = reader.submit(learns)
        if way == "heal":
            act.heal()
        else:
            session.undo.revert_all()
        learnt.result()
    assert session.undo.outstanding() == {} and files(tmp_path) == []


def test_who_is_forbidden_for_another_reason_is_told_at_once(
    api: FakeApi, session: Session
) -> None:
    api.store.forbidden.append("GET .*/configmaps")
    with pytest.raises(AcpchaosError, match="403"):
        session.undo.revert_all()
    assert sum("/configmaps" in call for call in api.store.calls) == 1


@pytest.mark.parametrize("name", ["node_freeze", "node_power_off"])
def test_watchdog_ends_it_alone(
    api: FakeApi, session: Session, living: Nodes, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fault = FAULTS[name](session)
    fault.setup()
    fault.inject()
    assert living.status("worker-b") != "running"
    other = overdue(session, monkeypatch)
    living.spoil(failing=["unpause", "start"])
    assert watchdog.main(str(other)) == 1
    living.spoil()
    assert watchdog.main(str(other)) == 0
    assert living.status("worker-b") == "running"
    assert living.word("worker-b", "address") == "10.9.0.12"
    other.unlink()
    session.undo.revert_all()
    assert undo_records(api) == []


@pytest.mark.parametrize("name", ["node_freeze", "kubelet_stop"])
def test_nothing_is_done_before_its_end_is_seen_armed(
    session: Session, living: Nodes, monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    monkeypatch.setattr(node_changes, "ARMED_S", 0.3)
    (living.home / "worker-b" / "deaf-timers").touch()
    dead = tmp_path / "dead.py"
    dead.write_text("")
    monkeypatch.setattr(node_records, "SCRIPT", dead)
    with pytest.raises(AcpchaosError, match="arm"):
        Act(FAULTS[name](session)).strike()
    assert living.changes() == [] and (living.home / "worker-b" / "kubelet").exists()
    assert told(session) == ["not installed"]


def test_record_that_was_altered_goes_into_no_command(session: Session, living: Nodes) -> None:
    Act(FAULTS["kubelet_stop"](session)).strike()
    [change] = session.undo.outstanding().values()
    for key, value in (("container", "x; reboot"), ("unit", "$(reboot)"), ("word", "../../x"),
                       ("id", "--all"), ("address", "-v")):  # fmt: skip
        with pytest.raises(PreconditionUnmet, match="no plain name"):
            node_changes.settled(session.cluster, "run-1", change | {key: value})
    session.undo.revert_all()


def test_undo_elsewhere_does_not_take_the_absence_of_the_engine_for_the_end(
    api: FakeApi,
    session: Session,
    living: Nodes,
    profile_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Act(FAULTS["node_freeze"](session)).strike()
    text = profile_path.read_text()
    profile_path.write_text(text.replace("/engine/podman", "/engine/none"))
    monkeypatch.setattr("acpchaos.faults.undo.VERIFY_S", 0.3)
    with pytest.raises(AcpchaosError, match="node-frozen worker-b"):
        undo_run(load_profile(profile_path), "all")
    assert undo_records(api) != []
    (living.home / "worker-b" / "status").unlink()  # an engine that has no such container
    profile_path.write_text(text)
    with pytest.raises(AcpchaosError, match="is on this machine"):
        undo_run(load_profile(profile_path), "all")
    living.write("worker-b", status="paused")
    session.undo.revert_all()
    assert living.status("worker-b") == "running" and undo_records(api) == []


def test_record_of_another_cluster_is_not_looked_at(session: Session, living: Nodes) -> None:
    Act(FAULTS["node_freeze"](session)).strike()
    pins = session.profile.cluster.model_copy(update={"kube_system_uid": "another"})
    other: Profile = session.profile.model_copy(update={"cluster": pins})
    cluster = session.cluster.hooked(None)
    cluster.profile = other
    assert node_records.of_run(cluster, "all") == []
    assert len(node_records.of_run(session.cluster, "all")) == 1
    session.undo.revert_all()


def test_container_made_anew_is_left_alone(api: FakeApi, session: Session, living: Nodes) -> None:
    Act(FAULTS["node_freeze"](session)).strike()
    living.write("worker-b", id="id-of-another")
    with api.store.lock:
        api.store.get(("nodes", "", "worker-b"))["metadata"]["uid"] = "reborn"
    session.undo.revert_all()
    assert living.status("worker-b") == "paused"
    assert "unpause" not in living.changes()


def test_reaper_waits_until_it_has_ended_by_itself(
    api: FakeApi, session: Session, living: Nodes
) -> None:
    Act(FAULTS["node_freeze"](session)).strike()
    reaper = reaping.start(api, "run-1", once=True)
    time.sleep(0.8)  # noqa: TID251
    assert reaper.poll() is None and undo_records(api) != []
    [(key, change)] = session.undo.outstanding().items()
    body = {"data": {key: json.dumps(change | {"due": time.time() - 1})}}
    session.cluster.patch("ConfigMap", "acpchaos-undo-run-1", body, session.namespace)
    time.sleep(0.7)  # noqa: TID251  # its time has come, and the node is not ready yet
    assert reaper.poll() is None
    living.write("worker-b", status="running")
    assert reaper.wait(30) == 0
    reaper.communicate()
    assert undo_records(api) == []
    node_records.forget(session.cluster, "run-1", change)


def test_rehearsal_changes_nothing(session: Session, living: Nodes, tmp_path: Path) -> None:
    from acpchaos.faults import rehearsal
    from acpchaos.target.profile import PROJECT

    for file, settings in (("node-power-off.yaml", {"name": "worker-b"}), ("kubelet-stop.yaml", {}),
                           ("control-plane-stop.yaml", {}), ("node-cut.yaml", {})):  # fmt: skip
        plan = rehearsal.rehearse(PROJECT / "experiments" / file, session.profile, settings)
        assert plan.refused == "" and plan.targets, plan
        assert plan.undo and len(plan.changes) == 1 and plan.changes[0].startswith("ENGINE ")
    assert living.changes() == [] and files(tmp_path) == []
    assert living.timers("control-plane") == [] and len(living.manifests("control-plane")) == 4


def test_one_node_is_drained_and_freed(api: FakeApi, session: Session, living: Nodes) -> None:
    act = Act(NodeDrain(session, "worker-b", 1, 8.0, 2.0, 8.0))
    assert act.strike()["witness"] == "installed"
    assert act.targets == ("worker-b",) and cordoned(api) == ["worker-b"]
    act.heal()
    assert cordoned(api) == []
    with pytest.raises(GuardRefused):
        Act(NodeDrain(session, "control-plane", 1, 1.0, 1.0, 1.0)).strike()
    seeded = NodeDrain(session, "", 5, 1.0, 1.0, 1.0)
    assert seeded.choose() == seeded.choose() and seeded.node in (
        "worker-a",
        "worker-b",
        "worker-c",
    )


@pytest.mark.parametrize(
    "build",
    [lambda s: nodes.NodeOff(s, "rack", *REST), lambda s: network_cut.NetworkCut(s, "node", "up",
     *REST), lambda s: control_plane.StaticPodStop(s, "kubelet", 1, 1.0, 1.0)],
)  # fmt: skip
def test_unknown_words_are_refused(session: Session, build: Build) -> None:
    with pytest.raises(UsageError):
        build(session)


def test_held_for_too_long_is_refused(session: Session, living: Nodes) -> None:
    with pytest.raises(PreconditionUnmet, match="600 s is the longest"):
        Act(nodes.NodeFreeze(session, "node", "", 1, 601.0, 8.0)).strike()


def test_witness_of_nothing_sees_nothing(session: Session, living: Nodes) -> None:
    seen = witness_nodes.lost(session.cluster, session.profile, [], ("exited",))
    assert seen.outcome == "not installed"
    assert isinstance(seen, Sight) and os.environ["ACPCHAOS_STATE"]
