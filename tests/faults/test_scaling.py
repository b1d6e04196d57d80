"""Workloads held down and restarted: the right number, the right pods, and back as it was."""

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.errors import DeadlinePassed, PreconditionUnmet
from acpchaos.faults import fields, scaling, witness, workloads
from acpchaos.faults.fault import Act
from acpchaos.faults.session import Session
from acpchaos.target.cluster import Object
from faults.told import undo_records, witnesses

pytestmark = pytest.mark.usefixtures("stores")


def held(session: Session, what: str, effect_s: float = 8.0) -> scaling.ScaledDown:
    return scaling.held_down(session, what, effect_s, 8.0)


def replicas(session: Session, kind: str, namespace: str, name: str) -> int:
    return int(session.cluster.get(kind, name, namespace)["spec"]["replicas"])


def test_sql_keeps_the_largest_minority_and_comes_back(api: FakeApi, session: Session) -> None:
    act = Act(held(session, "sql"))
    act.strike()
    pods = session.cluster.list("Pod", NAMESPACE, "app.kubernetes.io/name=postgresql")
    assert [pod["metadata"]["name"] for pod in pods] == ["postgresql-0"]
    assert undo_records(api) == ["acpchaos-undo-run-1"]
    act.heal()
    assert replicas(session, "StatefulSet", NAMESPACE, "postgresql") == 3


@pytest.mark.parametrize(("count", "keep"), [(2, 1), (3, 1), (4, 2), (5, 2)])
def test_minority_by_size(api: FakeApi, session: Session, count: int, keep: int) -> None:
    with api.store.lock:
        api.store.get(("statefulsets", NAMESPACE, "postgresql"))["spec"]["replicas"] = count
        for _ in range(3):
            api.store.reconcile()
    fault = held(session, "sql")
    fault.setup()
    assert fault.keep == keep
    assert fault.blast is not None and fault.blast.loses == ("quorum",)


def test_single_member_has_no_minority_to_keep(api: FakeApi, session: Session) -> None:
    with api.store.lock:
        api.store.get(("statefulsets", NAMESPACE, "postgresql"))["spec"]["replicas"] = 1
        api.store.terminate_s = 0.0
        for _ in range(3):
            api.store.reconcile()
    fault = held(session, "sql")
    fault.setup()
    assert fault.blast is not None and "workload" in fault.blast.loses


def test_store_whose_volumes_would_go_is_refused(api: FakeApi, session: Session) -> None:
    policy = {"whenScaled": "Delete", "whenDeleted": "Retain"}
    with api.store.lock:
        spec = api.store.get(("statefulsets", NAMESPACE, "postgresql"))["spec"]
        spec["persistentVolumeClaimRetentionPolicy"] = policy
    with pytest.raises(PreconditionUnmet, match="could not be undone"):
        Act(held(session, "sql")).strike()
    assert replicas(session, "StatefulSet", NAMESPACE, "postgresql") == 3


def test_workload_that_is_not_whole_or_not_there_is_refused(api: FakeApi, session: Session) -> None:
    with api.store.lock:
        api.store.get(("deployments", "kube-system", "coredns"))["spec"]["replicas"] = 0
        api.store.terminate_s = 0.0
        for _ in range(2):
            api.store.reconcile()
    with pytest.raises(PreconditionUnmet, match="it must be whole before"):
        Act(held(session, "dns")).strike()
    fault = held(session, "metrics")
    fault.where = fault.where._replace(name="elsewhere")
    with pytest.raises(PreconditionUnmet, match="it must be whole before"):
        Act(fault).strike()


def test_operator_who_scales_back_makes_it_partial(
    api: FakeApi, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "SEEN_S", 0.3)
    fault = held(session, "dns")
    done = fault.effective

    def then_operator() -> dict[str, object]:
        seen = done()
        session.cluster.patch("Deployment", "coredns", {"spec": {"replicas": 1}}, "kube-system")
        return seen

    fault.effective = then_operator  # type: ignore[method-assign]
    assert Act(fault).strike()["witness"] == "partial"
    session.undo.revert_all()
    assert replicas(session, "Deployment", "kube-system", "coredns") == 1  # the operator's word


def test_service_that_still_has_endpoints_is_partial(api: FakeApi, session: Session) -> None:
    found = session.cluster.get("Deployment", "coredns", "kube-system")
    pods = workloads.pods_of(session.cluster, found)
    before = {p["metadata"]["uid"]: p["metadata"]["ownerReferences"][0]["uid"] for p in pods}
    with api.store.lock:
        found = api.store.get(("deployments", "kube-system", "coredns"))
        found["spec"]["replicas"] = 0
        api.store.terminate_s = 0.0
        for _ in range(2):
            api.store.reconcile()
        other = api.store.get(("endpointslices", "kube-system", "kube-dns-x"))
        other.pop("_selector")
        other["endpoints"] = [{"conditions": {"ready": True}}]
    sight = witness.scaled_down(session.cluster, "kube-system", before, 0, "kube-dns")
    assert sight.outcome == "partial" and "1 endpoints of kube-dns" in sight.saw
    other["endpoints"] = [{"conditions": {"ready": False}}]
    sight = witness.scaled_down(session.cluster, "kube-system", before, 0, "kube-dns")
    assert sight.outcome == "installed"


def test_restart_goes_there_and_back_and_leaves_no_annotation(
    api: FakeApi, session: Session
) -> None:
    where = workloads.of_workload(session, "acp")
    before = session.cluster.get("Deployment", "acp", NAMESPACE)["spec"]
    act = Act(scaling.RollingRestart(session, where, 20.0, 20.0))
    act.strike()
    assert fields.value_at(
        session.cluster.get("Deployment", "acp", NAMESPACE), fields.RESTARTED_AT
    ).endswith("-run-1")
    act.heal()
    after = session.cluster.get("Deployment", "acp", NAMESPACE)["spec"]
    assert fields.value_at({"spec": after}, fields.RESTARTED_AT) is None
    assert after["replicas"] == before["replicas"]


def test_restart_never_takes_more_than_one_pod_of_the_fake(api: FakeApi, session: Session) -> None:
    least = 3
    real = api.store.reconcile

    def watched() -> None:
        nonlocal least
        real()
        status = api.store.get(("deployments", NAMESPACE, "acp")).get("status") or {}
        least = min(least, status.get("readyReplicas", 3))

    api.store.reconcile = watched  # type: ignore[method-assign]
    Act(scaling.RollingRestart(session, workloads.of_workload(session, "acp"), 20.0, 20.0)).strike()
    assert least >= 2


def test_restart_that_hangs_is_taken_back(
    api: FakeApi, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No node takes new pods: the template goes back to what it was."""
    monkeypatch.setattr(scaling, "SEEN_S", 0.3)
    fault = scaling.RollingRestart(session, workloads.of_workload(session, "acp"), 1.5, 20.0)
    inject = fault.inject

    def and_no_room() -> None:
        with api.store.lock:
            for node in api.store.items("nodes", "", "", ""):
                node["spec"]["unschedulable"] = True
        inject()

    fault.inject = and_no_room  # type: ignore[method-assign]
    with pytest.raises(DeadlinePassed, match="the change of acp in force"):
        Act(fault).strike()
    assert [outcome for outcome, _ in witnesses(session)] == ["partial"]
    found = session.cluster.get("Deployment", "acp", NAMESPACE)
    assert fields.value_at(found, fields.RESTARTED_AT) is None and undo_records(api) == []


@pytest.mark.parametrize(
    ("status", "ok"),
    [
        ({"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}, True),
        ({"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2}, False),
        ({"observedGeneration": 2, "replicas": 3, "readyReplicas": 2, "updatedReplicas": 2}, False),
        ({"observedGeneration": 2, "replicas": 2, "readyReplicas": 1, "updatedReplicas": 2}, False),
        ({"observedGeneration": 2, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 1}, False),
        ({}, False),
    ],
)
def test_settled(status: Object, ok: bool) -> None:
    found = {"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": status}
    assert workloads.settled(found) is ok


def test_order_in_which_a_stateful_set_ends_its_pods() -> None:
    pods = [{"metadata": {"name": f"s-{n}"}} for n in (10, 2, 0)]
    assert [p["metadata"]["name"] for p in sorted(pods, key=workloads.ordinal)] == [
        "s-0", "s-2", "s-10",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("strategy", "replicas", "taken"),
    [
        ({}, 3, 1),
        ({}, 8, 2),
        ({"type": "Recreate"}, 3, 3),
        ({"rollingUpdate": {"maxUnavailable": 2}}, 3, 2),
        ({"rollingUpdate": {"maxUnavailable": "50%"}}, 3, 1),
        ({"rollingUpdate": {"maxUnavailable": "100%"}}, 3, 3),
        ({"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}, 3, 1),
        ({"rollingUpdate": {"maxUnavailable": 9}}, 3, 3),
    ],
)
def test_pods_that_a_restart_takes_at_once(strategy: Object, replicas: int, taken: int) -> None:
    assert scaling.at_once({"spec": {"replicas": replicas, "strategy": strategy}}) == taken


def test_restart_of_all_pods_at_once_needs_that_consent(api: FakeApi, session: Session) -> None:
    with api.store.lock:
        api.store.get(("deployments", NAMESPACE, "acp"))["spec"]["strategy"] = {"type": "Recreate"}
    fault = scaling.RollingRestart(session, workloads.of_workload(session, "acp"), 8.0, 8.0)
    fault.setup()
    assert fault.blast is not None and fault.blast.loses == ("workload",)


def test_metrics_are_back_when_the_autoscaler_sees_again(api: FakeApi, session: Session) -> None:
    def sees() -> bool:
        found = session.cluster.get("HorizontalPodAutoscaler", "acp", NAMESPACE)
        return bool(found["status"]["conditions"][1]["status"] == "True")

    act = Act(held(session, "metrics"))
    act.strike()
    assert not sees()
    assert act.heal()["saw"] == "AbleToScale=True, ScalingActive=True"
