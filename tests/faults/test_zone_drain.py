"""Zone drain: budgets are respected, the right pods move, and only our cordons are taken back."""

from typing import Any

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.errors import DeadlinePassed, GuardRefused, PreconditionUnmet
from acpchaos.faults import room
from acpchaos.faults.fault import Act
from acpchaos.faults.session import Session
from acpchaos.faults.zone_drain import ZoneDrain, evictable
from acpchaos.target.cluster import ApiRefused, Cluster
from faults.told import cordoned, undo_records, verbs, witnesses


def drain(session: Session, zone: str = "zone-a", deadline_s: float = 8.0) -> ZoneDrain:
    return ZoneDrain(session, zone, 1, deadline_s, 2.0, 15.0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acpchaos.faults.zone_drain.EVERY_S", 0.1)


def move(api: FakeApi, pod: str) -> None:
    api.store.get(("pods", NAMESPACE, pod))["spec"]["nodeName"] = "worker-a"


def names_on(session: Session, node: str) -> list[str]:
    pods = session.cluster.list("Pod", fields=f"spec.nodeName={node}")
    return sorted(pod["metadata"]["name"] for pod in pods)


def test_zone_is_emptied_and_brought_back(api: FakeApi, session: Session) -> None:
    act = Act(drain(session))
    told = act.strike()
    assert told["targets"] == ["worker-a"]
    assert cordoned(api) == ["worker-a"]
    assert names_on(session, "worker-a") == ["agent-worker-a", "bare-worker-a", "mirror-worker-a"]
    assert told["witness"] == "installed"
    act.heal()
    assert cordoned(api) == []
    assert session.cluster.get("Node", "worker-a")["metadata"]["annotations"] == {}
    assert [verb for verb, ok in verbs(session) if ok][-1] == "cleanup"


def test_budget_that_refuses_is_asked_again_until_it_allows(api: FakeApi, session: Session) -> None:
    """Two ACP pods on one node, one allowed at a time: the second eviction is refused first."""
    pods = session.cluster.list("Pod", NAMESPACE, "app.kubernetes.io/name=acp")
    with api.store.lock:
        for pod in pods[:2]:
            move(api, pod["metadata"]["name"])
    api.store.terminate_s = 0.3
    refused: list[str] = []
    original = Cluster.evict

    def spy(self: Cluster, name: str, namespace: str, *, uid: str) -> None:
        try:
            original(self, name, namespace, uid=uid)
        except ApiRefused as error:
            refused.append(f"{name} {error.status}")
            raise

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Cluster, "evict", spy)
        told = Act(drain(session)).strike()
    assert any(line.startswith("acp-") and line.endswith("429") for line in refused)
    assert told["witness"] == "installed"
    assert not [name for name in names_on(session, "worker-a") if name.startswith("acp-")]


def shut(api: FakeApi) -> None:
    with api.store.lock:
        budget = api.store.get(("poddisruptionbudgets", NAMESPACE, "acp"))
        budget["spec"]["maxUnavailable"] = 0


def test_budget_that_allows_none_beforehand_is_refused(
    api: FakeApi, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "BUDGETS_S", 0.2)
    shut(api)
    with pytest.raises(PreconditionUnmet, match="allow no eviction: acp-system/acp"):
        Act(drain(session)).strike()
    assert cordoned(api) == [] and undo_records(api) == []


def having(api: FakeApi, cores: str, *, asked: str = "200m", taint: str = "") -> None:
    """Every node has so much, and every pod of a workload asks for some of it."""
    with api.store.lock:
        for name in ("worker-a", "worker-b", "worker-c", "control-plane"):
            node = api.store.get(("nodes", "", name))
            amounts = {"cpu": cores, "memory": "8Gi", "pods": "110"}
            node["status"] = node["status"] | {"allocatable": amounts}
            if taint in name:
                node["spec"]["taints"] = [{"key": "own", "effect": "NoSchedule"}]
        for pod in api.store.items("pods", NAMESPACE, "", ""):
            pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": asked}}


# 3 of 15 pods ask for 200m each on each of three nodes, beside those of stores, which may wait
@pytest.mark.parametrize(
    ("cores", "taint", "why"),
    [("4", "none", ""), ("1", "control-plane", "2 other nodes have 0 left"),
     ("1", "none", ""), ("1100m", "control-plane", "2 other nodes have 0.2 left")],
)  # fmt: skip
def test_other_nodes_must_have_room(
    api: FakeApi, session: Session, cores: str, taint: str, why: str
) -> None:
    having(api, cores, taint=taint)
    if not why:
        assert Act(drain(session)).strike()["witness"] == "installed"
        return
    with pytest.raises(PreconditionUnmet, match=why):
        Act(drain(session)).strike()
    assert cordoned(api) == [] and undo_records(api) == []


def test_budget_that_never_allows_is_reported_and_partial(
    api: FakeApi, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject = ZoneDrain.inject

    def then_shut(self: ZoneDrain) -> None:
        inject(self)
        shut(api)

    monkeypatch.setattr(ZoneDrain, "inject", then_shut)
    told = Act(drain(session, deadline_s=3.0)).strike()
    assert list(told["blocked"].values()) == [
        "Cannot evict pod as it would violate the pod's disruption budget. "
        "(The disruption budget acp needs more healthy pods)"
    ]
    assert told["witness"] == "partial"


def test_pods_tied_to_the_zone_by_volume_and_budget_do_not_block_for_ever(
    api: FakeApi, session: Session
) -> None:
    """A second Redis pod of the zone waits for the first, which waits for the zone."""
    with api.store.lock:
        for number in (0, 1):
            move(api, f"redis-cluster-{number}")
        for volume in api.store.items("persistentvolumes", "", "", ""):
            if "nodeAffinity" in volume["spec"]:
                volume["spec"]["nodeAffinity"]["required"]["node"] = "worker-a"
    told = Act(drain(session)).strike()
    assert len(told["blocked"]) == 1
    assert told["witness"] == "installed"
    assert "1 stay, tied to their volume" in told["saw"]


def test_eviction_that_does_nothing_is_not_installed_and_is_undone(
    api: FakeApi, session: Session
) -> None:
    api.store.evict_is_noop = True
    with pytest.raises(DeadlinePassed, match="zone zone-a to be empty"):
        Act(drain(session, deadline_s=1.0)).strike()
    [(outcome, saw)] = witnesses(session)
    assert outcome == "not installed"
    assert saw.startswith("1 of 1 nodes unschedulable, 0 of")
    assert cordoned(api) == []
    assert undo_records(api) == []


def test_cordon_that_did_not_happen_is_not_installed(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ZoneDrain, "inject", lambda self: None)
    monkeypatch.setattr(ZoneDrain, "effective", lambda self: {})
    assert Act(drain(session)).strike()["witness"] == "not installed"


@pytest.mark.parametrize("denied", ["PATCH .*/nodes/", "POST .*/eviction"])
def test_denied_calls_leave_nothing_behind(api: FakeApi, session: Session, denied: str) -> None:
    api.store.forbidden.append(denied)
    with pytest.raises(ApiRefused, match="403"):
        Act(drain(session)).strike()
    assert [outcome for outcome, _ in witnesses(session)] == ["not installed"]
    assert cordoned(api) == []
    assert undo_records(api) == []


def test_no_record_no_change(api: FakeApi, session: Session) -> None:
    api.store.forbidden.append("POST .*/configmaps")
    with pytest.raises(ApiRefused):
        Act(drain(session)).strike()
    assert not [call for call in api.store.calls if call.startswith("PATCH")]


def test_node_cordoned_by_an_operator_refuses_the_drain(api: FakeApi, session: Session) -> None:
    session.cluster.patch("Node", "worker-a", {"spec": {"unschedulable": True}})
    with pytest.raises(PreconditionUnmet, match="already cordoned worker-a"):
        Act(drain(session)).strike()
    assert cordoned(api) == ["worker-a"]


def test_unlabelled_node_and_unknown_zone_are_refused(api: FakeApi, session: Session) -> None:
    with api.store.lock:
        del api.store.get(("nodes", "", "worker-b"))["metadata"]["labels"]["acpchaos.io/allowed"]
    with pytest.raises(GuardRefused, match="worker-b"):
        Act(drain(session, "zone-b")).strike()
    with pytest.raises(PreconditionUnmet, match="zones seen"):
        Act(drain(session, "zone-x")).strike()
    assert cordoned(api) == []


def test_interrupt_in_the_middle_uncordons(
    api: FakeApi, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: ZoneDrain) -> dict[str, Any]:
        assert cordoned(api) == ["worker-a"]
        raise KeyboardInterrupt

    monkeypatch.setattr(ZoneDrain, "effective", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Act(drain(session)).strike()
    assert cordoned(api) == []


def test_seed_decides_the_zone(session: Session) -> None:
    fault = drain(session, zone="")
    fault.setup()
    again = drain(session, zone="")
    again.setup()
    assert fault.zone == again.zone != ""


@pytest.mark.parametrize(
    ("owners", "annotations", "phase", "expected"),
    [
        ([{"kind": "ReplicaSet", "controller": True}], {}, "Running", True),
        ([{"kind": "StatefulSet", "controller": True}], {}, "Pending", True),
        ([{"kind": "DaemonSet", "controller": True}], {}, "Running", False),
        ([{"kind": "Node", "controller": True}], {}, "Running", False),
        ([], {}, "Running", False),
        ([{"kind": "Job", "controller": True}], {}, "Succeeded", False),
        (
            [{"kind": "ReplicaSet", "controller": True}],
            {"kubernetes.io/config.mirror": "x"}, "Running", False,
        ),
    ],
)  # fmt: skip
def test_which_pods_a_drain_moves(
    owners: list[dict[str, Any]], annotations: dict[str, str], phase: str, expected: bool
) -> None:
    """Neither volumes nor their absence matter, so the pods here have no such key at all."""
    meta = {"name": "p", "ownerReferences": owners, "annotations": annotations}
    assert evictable({"metadata": meta, "spec": {}, "status": {"phase": phase}}) is expected
