"""Every fault that strikes through the API or an exec, as tests build it, and what can spoil it."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from fake_api import processes
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from fake_api.stores import Stores

from acpchaos.faults import process, redis_faults, scaling, services, sql_faults, workloads
from acpchaos.faults.fault import Fault
from acpchaos.faults.pods import PodLoss
from acpchaos.faults.session import Session

QUICK_S = 8.0
POD = r"DELETE /api/v1/namespaces/[^/]+/pods/[^/]+$"
FIELD = r"PATCH /apis/apps/v1/namespaces/[^/]+/(deployments|statefulsets)/[^/]+$"
HELPER = r"POST /api/v1/namespaces/kube-system/pods$"
EXEC = r"GET /api/v1/namespaces/[^/]+/pods/[^/]+/exec$"


def allowing_all(session: Session) -> Session:
    """The same session; its profile lets everything be disrupted, signals from node pods, too."""
    words = ("acp", "nodes", "redis", "sql", "analytics", "dns", "metrics", "ingress")
    experiments = session.profile.experiments.model_copy(update={"may_disrupt": words})
    signals = session.profile.signals.model_copy(update={"node_pods": True})
    return replace(
        session,
        profile=session.profile.model_copy(update={"signals": signals, "experiments": experiments}),
    )


class Case(NamedTuple):
    """`change` is the pattern of the calls that strike; `decoy` and `elsewhere` the paths that an
    injector with a wrong selector or namespace would have called; `overtaken` is someone else who
    does the same between set-up and injection."""

    build: Callable[[Session], Fault]
    change: str
    decoy: str
    elsewhere: str
    overtaken: Callable[[FakeApi, Stores, Fault], None]


def _pods_die(api: FakeApi, stores: Stores, fault: Fault) -> None:
    with api.store.lock:
        for pod in getattr(fault, "victims", None) or getattr(fault, "pods", []):
            meta = pod["metadata"]
            api.store.drop(("pods", meta["namespace"], meta["name"]))
        api.store.reconcile()


def _scaled(api: FakeApi, stores: Stores, fault: Fault) -> None:
    assert isinstance(fault, scaling.ScaledDown)
    plural = "statefulsets" if fault.where.kind == "StatefulSet" else "deployments"
    with api.store.lock:
        found = api.store.get((plural, fault.where.namespace, fault.where.name))
        found["spec"]["replicas"] = fault.keep
        api.store.terminate_s = 0.0
        api.store.reconcile()


def _flushed(api: FakeApi, stores: Stores, fault: Fault) -> None:
    for pod in stores.keys:
        stores.answer(pod, ["sh", "-c", "FLUSHALL"])


def _moved(api: FakeApi, stores: Stores, fault: Fault) -> None:
    assert isinstance(fault, sql_faults.SqlSwitchover)
    name = fault.store.workload.name
    stores.lead(name, f"{name}-2")


def _restarted(api: FakeApi, stores: Stores, fault: Fault) -> None:
    assert isinstance(fault, process.ProcessSignal)
    with api.store.lock:
        for pod in fault.victims:
            now = api.store.get(("pods", NAMESPACE, pod["metadata"]["name"]))
            processes.kill(now["status"]["containerStatuses"][0])


def _killing(build: Callable[[Session], Fault]) -> Case:
    other = f"/api/v1/namespaces/{NAMESPACE}/pods/postgresql-2"  # leads nothing
    return Case(build, POD, other, "/api/v1/namespaces/elsewhere/pods/acp-0", _pods_die)


def _held_down(what: str) -> Case:
    def build(session: Session) -> Fault:
        return scaling.held_down(session, what, QUICK_S, QUICK_S)

    spared = "postgresql" if what == "analytics" else "timescaledb"
    other = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets/{spared}"
    elsewhere = "/apis/apps/v1/namespaces/elsewhere/deployments/coredns"
    return Case(build, FIELD, other, elsewhere, _scaled)


def _restart(session: Session) -> Fault:
    where = workloads.of_workload(session, "acp")
    return scaling.RollingRestart(session, where, QUICK_S, QUICK_S)


def _redis(role: redis_faults.Role) -> Case:
    return _killing(lambda session: redis_faults.RedisKill(session, role, 1, QUICK_S))


CASES: dict[str, Case] = {
    "pod_loss": _killing(lambda s: PodLoss(s, "acp", 2, 0.0, 0, 1, QUICK_S)),
    "workers_loss": _killing(lambda s: PodLoss(s, "workers", 1, 1.0, 0, 1, QUICK_S)),
    "ingress_kill": _killing(lambda s: services.ServiceKill(s, "ingress", 1, 1, QUICK_S)),
    "redis_kill_master": _redis("master"),
    "redis_kill_replica": _redis("replica"),
    "redis_kill_shard": _redis("shard"),
    "redis_kill_majority": _redis("majority"),
    "sql_kill_leader": _killing(lambda s: sql_faults.SqlKill(s, "sql", QUICK_S)),
    "analytics_kill_leader": _killing(lambda s: sql_faults.SqlKill(s, "analytics", QUICK_S)),
    "rolling_restart": Case(
        _restart, FIELD, f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/acp-workers",
        "/apis/apps/v1/namespaces/elsewhere/deployments/acp", _pods_die,
    ),
    "sql_minority": _held_down("sql"),
    "analytics_minority": _held_down("analytics"),
    "dns_gone": _held_down("dns"),
    "metrics_gone": _held_down("metrics"),
    "redis_flush": Case(lambda s: redis_faults.RedisFlush(s, QUICK_S), "", "", "", _flushed),
    "sql_switchover": Case(
        lambda s: sql_faults.SqlSwitchover(s, "sql", 1, QUICK_S), "", "", "", _moved
    ),
    "analytics_switchover": Case(
        lambda s: sql_faults.SqlSwitchover(s, "analytics", 1, QUICK_S), "", "", "", _moved
    ),
    "process_kill": Case(
        lambda s: process.ProcessKill(s, "acp", 1, 1, QUICK_S), HELPER, "", "", _restarted
    ),
    "process_freeze": Case(
        lambda s: process.ProcessFreeze(s, "acp", 1, 1, 20, QUICK_S), HELPER, "", "", _restarted
    ),
}  # fmt: skip
BY_EXEC = ("redis_flush", "sql_switchover", "analytics_switchover")
BY_HELPER = ("process_kill", "process_freeze")
SEEN_BY_API = ("pod_loss", "workers_loss", "ingress_kill")  # and nothing of them is undone
SEVERAL = ("pod_loss", "workers_loss", "redis_kill_shard", "redis_kill_majority")
