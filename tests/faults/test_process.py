"""SIGKILL and SIGSTOP: who may send them, what proves them, and that a stop always ends."""

from pathlib import Path
from typing import Any

import pytest
from fake_api import processes
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from fake_api.stores import Stores

from acpchaos.errors import AcpchaosError, GuardRefused, PreconditionUnmet, TargetLeftDirty
from acpchaos.faults import process, witness_process
from acpchaos.faults.fault import Act
from acpchaos.faults.process import ProcessFreeze, ProcessKill
from acpchaos.faults.session import Session
from acpchaos.faults.undo import undo_run
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.profile import load_profile
from faults.told import undo_records, witnesses

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
def ready(session: Session) -> Session:
    signals = session.profile.signals.model_copy(update={"node_pods": True})
    profile = session.profile.model_copy(update={"signals": signals})
    return Session(profile, session.cluster, "run-1", session.journal, session.clock, session.undo)


def freeze(session: Session, hold_s: int = 30) -> ProcessFreeze:
    return ProcessFreeze(session, "acp", 1, 1, hold_s, 10.0)


def kill(session: Session) -> ProcessKill:
    return ProcessKill(session, "acp", 1, 1, 10.0)


def helpers(api: FakeApi) -> list[Object]:
    with api.store.lock:
        return [p for p in api.store.items("pods", "", "", "") if p["spec"].get("hostPID")]


def not_ready(session: Session) -> list[str]:
    pods = session.cluster.list("Pod", NAMESPACE, "app.kubernetes.io/name=acp")
    return [p["metadata"]["name"] for p in pods if not witness_process._ready(p)]


def share_namespace(api: FakeApi) -> None:
    with api.store.lock:
        for pod in api.store.items("pods", NAMESPACE, "app.kubernetes.io/name=acp", ""):
            pod["spec"]["shareProcessNamespace"] = True


def test_without_node_pods_the_missing_capability_is_named(session: Session) -> None:
    for fault in (freeze(session), kill(session)):
        assert "[signals] node_pods = true" in fault.available()


def test_without_an_image_it_is_named(api: FakeApi, ready: Session) -> None:
    with api.store.lock:
        del api.store.get(("statefulsets", NAMESPACE, "redis-cluster"))["spec"]["template"]
    assert "[signals] image" in kill(ready).available()


def test_shared_namespace_needs_a_shell_and_no_node_pod(
    api: FakeApi, session: Session, stores: Stores
) -> None:
    share_namespace(api)
    assert kill(session).available() == ""
    assert "node_pods" in freeze(session).available()  # its way back is not left to an exec
    api.on_exec = lambda pod, argv: ("no such file", 127)
    assert "no shell that answers" in kill(session).available()


def test_by_exec_where_the_namespace_is_shared(
    api: FakeApi, session: Session, stores: Stores
) -> None:
    share_namespace(api)

    def on_exec(pod: str, argv: list[str]) -> tuple[str, int]:
        if "SIGNAL=KILL" in argv:
            with api.store.lock:
                found = api.store.get(("pods", NAMESPACE, pod))
                processes.kill(found["status"]["containerStatuses"][0])
        return "", 0

    api.on_exec = on_exec
    told = Act(kill(session)).strike()
    assert (told["witness"], told["by"]) == ("installed", "exec")
    assert helpers(api) == []


def test_sender_may_kill_and_nothing_else(ready: Session) -> None:
    fault = kill(ready)
    fault.setup()
    body = fault.manifest(fault.victims[0])
    [container] = body["spec"]["containers"]
    context = container["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"], "add": ["KILL"]}
    assert context["readOnlyRootFilesystem"] and not context["allowPrivilegeEscalation"]
    assert "privileged" not in context and "hostNetwork" not in body["spec"]
    assert body["spec"]["automountServiceAccountToken"] is False
    assert body["spec"]["nodeName"] == fault.victims[0]["spec"]["nodeName"]
    assert container["image"] == "lab/redis:1"


def test_node_without_opt_in_is_refused(api: FakeApi, ready: Session) -> None:
    with api.store.lock:
        for node in api.store.items("nodes", "", "", ""):
            node["metadata"]["labels"].pop("acpchaos.io/allowed", None)
    with pytest.raises(GuardRefused, match="no label acpchaos"):
        Act(kill(ready)).strike()
    assert helpers(api) == []


def test_stop_too_short_to_be_noticed_is_refused(api: FakeApi, ready: Session) -> None:
    with pytest.raises(PreconditionUnmet, match="readiness tells after 3 s"):
        Act(freeze(ready, 3)).strike()
    assert helpers(api) == [] and undo_records(api) == []


def test_workload_nobody_probes_is_not_stopped(api: FakeApi, ready: Session) -> None:
    with api.store.lock:
        for pod in api.store.items("pods", NAMESPACE, "app.kubernetes.io/name=acp", ""):
            del pod["spec"]["containers"][0]["readinessProbe"]
    with pytest.raises(PreconditionUnmet, match="no readiness probe"):
        Act(freeze(ready)).strike()


def test_sender_that_finds_nothing_says_so(
    api: FakeApi, ready: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "NEW_S", 0.3)
    fault = kill(ready)
    real = fault.manifest
    monkeypatch.setattr(fault, "manifest", lambda pod: renamed(real(pod)))
    with pytest.raises(AcpchaosError, match="no first process of the container found"):
        Act(fault).strike()
    assert [outcome for outcome, _ in witnesses(ready)] == ["not installed"]
    assert helpers(api) == []


def renamed(body: Object) -> Object:
    for word in body["spec"]["containers"][0]["env"]:
        if word["name"] == "CONTAINER":
            word["value"] = "0" * 64
    return body


@pytest.mark.parametrize(
    ("code", "reason", "outcome"),
    [(137, "Error", "installed"), (137, "OOMKilled", "partial"), (0, "Completed", "partial"),
     (143, "Error", "partial")],
)  # fmt: skip
def test_only_sigkill_counts(
    api: FakeApi, session: Session, code: int, reason: str, outcome: str
) -> None:
    pod = session.cluster.list("Pod", NAMESPACE, "app.kubernetes.io/name=acp")[0]
    before = {pod["metadata"]["uid"]: witness_process.identity(pod, "acp")}
    assert sight(session, before).outcome == "not installed"
    with api.store.lock:
        found = api.store.get(("pods", NAMESPACE, pod["metadata"]["name"]))
        processes.kill(found["status"]["containerStatuses"][0], code, reason)
    assert sight(session, before).outcome == outcome


def sight(session: Session, before: dict[str, tuple[str, int]]) -> Any:
    return witness_process.killed(session.cluster, NAMESPACE, "acp", before)


def test_replaced_pod_is_no_killed_process(api: FakeApi, session: Session) -> None:
    pod = session.cluster.list("Pod", NAMESPACE, "app.kubernetes.io/name=acp")[0]
    before = {pod["metadata"]["uid"]: witness_process.identity(pod, "acp")}
    session.cluster.delete("Pod", pod["metadata"]["name"], NAMESPACE, grace_s=0)
    assert sight(session, before).outcome == "partial"
    stopped = witness_process.stopped(session.cluster, NAMESPACE, "acp", before)
    assert stopped.outcome == "partial"


def test_stopped_pod_is_continued_not_replaced(api: FakeApi, ready: Session) -> None:
    act = Act(freeze(ready))
    [name] = act.strike()["targets"]
    uid = ready.cluster.get("Pod", name, NAMESPACE)["metadata"]["uid"]
    assert not_ready(ready) == [name]
    act.heal()
    assert not_ready(ready) == [] and helpers(api) == []
    assert ready.cluster.get("Pod", name, NAMESPACE)["metadata"]["uid"] == uid


def test_another_process_continues_what_a_dead_runner_stopped(
    api: FakeApi, ready: Session, profile_path: Path
) -> None:
    Act(freeze(ready)).strike()
    undone = undo_run(load_profile(profile_path), "all")
    assert sorted(each.split()[0] for each in undone) == ["created", "frozen"]
    assert not_ready(ready) == [] and helpers(api) == [] and undo_records(api) == []


def test_stop_ends_by_itself(api: FakeApi, ready: Session) -> None:
    act = Act(freeze(ready, 5))
    act.strike()
    with api.store.lock:
        helpers(api)[0]["_due"] = 0.0
        api.store.reconcile()
    assert not_ready(ready) == []
    act.heal()
    assert helpers(api) == []


def test_pod_that_nobody_continues_is_replaced(
    api: FakeApi, ready: Session, stores: Stores
) -> None:
    act = Act(freeze(ready))
    [name] = act.strike()["targets"]
    with api.store.lock:  # the node lost the sender without a word
        [helper] = helpers(api)
        del api.store.objects[("pods", "kube-system", helper["metadata"]["name"])]
    act.heal()
    assert ready.cluster.find("Pod", name, NAMESPACE) is None
    assert not_ready(ready) == [] and ready.undo.outstanding() == {}


def test_stop_that_does_not_end_when_asked_is_told_and_costs_the_pod(
    api: FakeApi, ready: Session, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acpchaos.faults.undo.VERIFY_S", 0.5)
    act = Act(freeze(ready))
    [name] = act.strike()["targets"]
    stores.deaf = True  # asked to continue it, the sender does nothing
    with pytest.raises(TargetLeftDirty, match="frozen acp-"):
        act.heal()
    assert ready.cluster.find("Pod", name, NAMESPACE) is None
    assert not_ready(ready) == [] and helpers(api) == [] and undo_records(api) == []


def test_stuck_sender_leaves_no_record(
    api: FakeApi, ready: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its image cannot be had: nothing was stopped, and the way back does not wait for it."""
    monkeypatch.setattr(process, "SENT_S", 0.3)
    monkeypatch.setattr(ProcessFreeze, "_notice_s", lambda self, pod: 1)
    waiting = {"waiting": {"reason": "ImagePullBackOff"}}
    status = {"phase": "Pending", "containerStatuses": [{"name": "signal", "state": waiting}]}

    def stuck(self: Cluster, kind: str, body: Object, namespace: str = "") -> Object:
        if kind == "Pod":
            api.store.put("pods", body | {"metadata": body["metadata"] | {"namespace": namespace},
                                          "spec": body["spec"] | {"hostPID": False},
                                          "status": status})  # fmt: skip
            return body
        return original(self, kind, body, namespace)

    original = Cluster.create
    monkeypatch.setattr(Cluster, "create", stuck)
    fault = freeze(ready)
    with pytest.raises(AcpchaosError, match="SIGSTOP to be sent"):
        Act(fault).strike()
    assert undo_records(api) == [] and not_ready(ready) == []
    [victim] = fault.victims
    assert ready.cluster.find("Pod", victim["metadata"]["name"], NAMESPACE) is not None
