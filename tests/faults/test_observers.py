"""Log agent and Prometheus gone: no pod left and none made anew, and the object as it was."""

import pytest
from fake_api import scene
from fake_api.server import FakeApi
from fake_api.stores import Stores
from safety.rbac import missing, unused, used

from acpchaos.faults import observers, scaling
from acpchaos.faults.fault import Act, Need
from acpchaos.faults.observers import ObserverGone
from acpchaos.faults.rights import of_fault, of_play, of_undo
from acpchaos.faults.session import Session
from acpchaos.target.profile import ClusterService
from faults.cases import allowing_all
from faults.spoiling import hasten, struck
from faults.told import witnesses

SPACE = "monitoring"
KEY = ("daemonsets", SPACE, "agent")
PATCH = r"PATCH /apis/apps/v1/namespaces/monitoring/"
WHATS = ("logs", "prometheus")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    hasten(monkeypatch, scaling, most_s=8.0 if "unspoiled" in request.node.name else 0.4)


@pytest.fixture
def ready(api: FakeApi, session: Session, stores: Stores) -> Session:
    scene.service(api, SPACE, "prometheus", 2)
    meta = {"name": KEY[2], "namespace": SPACE, "generation": 1}
    spec = {"template": {"spec": {}}, "selector": {"matchLabels": {"app": "agent"}}}
    api.store.put("daemonsets", {"kind": "DaemonSet", "metadata": meta, "spec": spec})
    reconcile = api.store.reconcile

    def also() -> None:
        reconcile()
        run_agents(api)

    api.store.reconcile = also  # type: ignore[method-assign]
    for _ in range(3):
        with api.store.lock:
            also()
    services = session.profile.services.model_copy(update={
        "logs": ClusterService(kind="DaemonSet", namespace=SPACE, name="agent"),
        "prometheus": ClusterService(namespace=SPACE, name="prometheus", service="prometheus"),
    })  # fmt: skip
    own = allowing_all(session)
    experiments = own.profile.experiments.model_copy(update={"may_disrupt": WHATS})
    profile = own.profile.model_copy(update={"services": services, "experiments": experiments})
    return Session(profile, own.cluster, own.run_id, own.journal, own.clock, own.undo)


def run_agents(api: FakeApi) -> None:
    """One pod on each worker that the template lets it run on."""
    found = api.store.get(KEY)
    wanted = list(scene.NODES) if not found["spec"]["template"]["spec"].get("nodeSelector") else []
    reference = {"kind": "DaemonSet", "uid": found["metadata"]["uid"], "controller": True}
    for node in scene.NODES:
        key = ("pods", SPACE, f"agent-{node}")
        if node in wanted and key not in api.store.objects:
            meta = {"name": key[2], "namespace": SPACE, "ownerReferences": [reference],
                    "labels": {"app": "agent"}}  # fmt: skip
            ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
            api.store.put("pods", {"metadata": meta, "spec": {"nodeName": node}, "status": ready})
        elif node not in wanted and key in api.store.objects:
            api.store.drop(key)
    count = len(wanted)
    found["status"] = {"observedGeneration": 99, "numberReady": count,
                       "desiredNumberScheduled": count}  # fmt: skip


def build(session: Session, what: observers.What) -> ObserverGone:
    return ObserverGone(session, what, 8.0, 8.0)


@pytest.mark.parametrize("what", WHATS)
def test_unspoiled_is_installed_and_healed_within_its_rights(
    api: FakeApi, ready: Session, what: observers.What
) -> None:
    fault = build(ready, what)
    api.store.asked.clear()
    act = Act(fault)
    assert act.strike()["witness"] == "installed", witnesses(ready)
    act.heal()
    selector = api.store.get(KEY)["spec"]["template"]["spec"].get("nodeSelector")
    assert not selector and ready.undo.outstanding() == {}
    called, granted = used(api), of_fault(fault)
    assert missing(granted | of_play(ready.profile) | of_undo(ready.profile), called) == []
    listed = {Need("list", "ReplicaSet", SPACE)}  # of a Deployment only
    assert unused(granted - listed, called) == []


@pytest.mark.parametrize("what", WHATS)
@pytest.mark.parametrize("sabotage", ["swallowed", "forbidden", "stays"])
def test_sabotaged_is_never_installed(
    api: FakeApi, ready: Session, what: observers.What, sabotage: str
) -> None:
    fault = build(ready, what)

    def spoil() -> None:
        if sabotage == "stays":  # an operator puts it back at once
            fault.effective = dict  # type: ignore[method-assign]
        if sabotage in ("swallowed", "stays"):
            api.store.swallowed = [PATCH]
        else:
            api.store.forbidden = [PATCH]

    def heal() -> None:
        api.store.swallowed = api.store.forbidden = []

    assert struck(fault, spoil, heal) == ["not installed"], witnesses(ready)


@pytest.mark.parametrize("what", WHATS)
def test_target_without_one_is_not_applicable(session: Session, what: observers.What) -> None:
    assert f"names no [services.{what}]" in build(session, what).available()
