"""What healthy means, part by part: read only, never raising for an unhealthy target.

Room: faults. Used as gate before a fault, as the goal of recovery, and as the look afterwards. Pod
counts are compared with generations and UIDs, since a status may be stale just after a change.
"""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from acpchaos.errors import AcpchaosError, DeadlinePassed
from acpchaos.record.events import Clock, Health
from acpchaos.record.journal import Journal
from acpchaos.stores import postgres, redis_cluster
from acpchaos.stores.exec import inside
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.guard import OPT_IN
from acpchaos.target.profile import Profile, Workload
from acpchaos.wait import eventually

PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure")


@dataclass(frozen=True)
class Part:
    """State of one part of the target."""

    what: str
    ok: bool
    saw: str


def look(cluster: Cluster, profile: Profile, what: str) -> Part:
    """Look at one part: acp, workers, redis, sql, analytics, nodes or autoscaler."""
    try:
        return _LOOKS[what](cluster, profile)
    except AcpchaosError as error:  # what cannot be seen is not healthy
        return Part(what, False, f"could not look: {error.seen}")


def settle(
    cluster: Cluster, profile: Profile, names: Iterable[str], budget_s: float
) -> dict[str, Part]:
    """Look until all named parts are healthy in one round or `budget_s` is over; each part's last
    look. One that was well a while ago may have failed since."""
    seen: dict[str, Part] = {}
    wanted = tuple(names)

    def whole() -> bool:
        unwell = [name for name in wanted if name not in seen or not seen[name].ok]
        seen.update({name: look(cluster, profile, name) for name in unwell})
        if not all(part.ok for part in seen.values()):
            return False
        older = [name for name in wanted if name not in unwell]
        seen.update({name: look(cluster, profile, name) for name in older})
        return all(part.ok for part in seen.values())

    with suppress(DeadlinePassed):  # the last looks tell what was not healthy
        eventually(f"healthy {', '.join(wanted)}", whole, budget_s, 1.0)
    return seen


def awaited(
    cluster: Cluster, profile: Profile, what: str, told: str, budget_s: float,
    every_s: float = 1.0,
) -> str:  # fmt: skip
    """Wait until a part is healthy; what was seen of it then. DeadlinePassed speaks of `told`."""

    def well() -> Part | None:
        part = look(cluster, profile, what)
        return part if part.ok else None

    return eventually(told, well, budget_s, every_s).saw


def tell(
    parts: Mapping[str, Part], whens: Mapping[str, str], journal: Journal, clock: Clock
) -> None:
    """One Health event per part; `whens` says per part whether it was before or after."""
    for name, part in parts.items():
        journal.write(
            Health(t_ns=clock.now_ns(), when=whens[name], what=name, ok=part.ok, saw=part.saw)
        )


def _workload(what: str) -> Callable[[Cluster, Profile], Part]:
    def of(cluster: Cluster, profile: Profile) -> Part:
        workload: Workload = getattr(profile.workloads, what)
        return workload_ready(cluster, profile.namespaces.acp, workload, what)

    return of


def workload_ready(cluster: Cluster, namespace: str, workload: Workload, what: str) -> Part:
    """All wanted replicas updated, ready and settled, and at least one of them."""
    found = cluster.find(workload.kind, workload.name, namespace)
    if found is None:
        return Part(what, False, f"no {workload.kind} {workload.name}")
    status, wanted = found.get("status") or {}, found["spec"].get("replicas", 1)
    current = status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
    counts = {key: status.get(key, 0) for key in ("replicas", "readyReplicas", "availableReplicas")}
    pods = cluster.list("Pod", namespace, workload.selector)
    ready = [pod for pod in pods if is_ready(pod)]
    ok = current and wanted > 0 and all(count == wanted for count in counts.values())
    ok = ok and len(ready) == wanted == len(pods)
    saw = f"{len(ready)} of {wanted} pods ready, {len(pods)} present"
    return Part(what, ok, saw if current else saw + ", status is stale")


def is_ready(pod: Object) -> bool:
    """Ready by its condition and not being deleted."""
    conditions = pod.get("status", {}).get("conditions") or []
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and "deletionTimestamp" not in pod["metadata"]


def redis_views(cluster: Cluster, profile: Profile) -> tuple[redis_cluster.NodeView, ...]:
    """Every Redis node's own view."""
    workload, namespace = profile.workloads.redis, profile.namespaces.acp
    names = _pod_names(cluster, namespace, workload)
    return redis_cluster.look(inside(cluster, namespace, reads=True), names, workload.container)


def _pod_names(cluster: Cluster, namespace: str, workload: Workload) -> list[str]:
    pods = cluster.list("Pod", namespace, workload.selector)
    return sorted(pod["metadata"]["name"] for pod in pods)


def _redis(cluster: Cluster, profile: Profile) -> Part:
    """Pods ready, and the nodes agree on one whole cluster with every replica linked."""
    part = _workload("redis")(cluster, profile)
    if not part.ok or not profile.experiments.redis_cluster:
        return part
    return Part("redis", *redis_cluster.healthy(redis_views(cluster, profile)))


def _database(what: str) -> Callable[[Cluster, Profile], Part]:
    """Pods ready, and where Patroni answers, one leader with every other member streaming."""

    def of(cluster: Cluster, profile: Profile) -> Part:
        part = _workload(what)(cluster, profile)
        if not part.ok or profile.experiments.sql_manager != "patroni":
            return part
        workload: Workload = getattr(profile.workloads, what)
        names = _pod_names(cluster, profile.namespaces.acp, workload)
        run = inside(cluster, profile.namespaces.acp, reads=True)
        table = postgres.members(run, names, workload.container)
        return Part(what, *postgres.healthy(table, len(names)))

    return of


def _nodes(cluster: Cluster, profile: Profile) -> Part:
    """Every node that may be disrupted is Ready and schedulable, and none is full: the kubelet of
    one under pressure takes no pod and evicts its own."""
    nodes = cluster.list("Node", selector=f"{OPT_IN}=true")
    bad = [
        node["metadata"]["name"]
        for node in nodes
        if node["spec"].get("unschedulable") or not is_ready(node) or _pressed(node)
    ]
    saw = f"{len(nodes) - len(bad)} of {len(nodes)} schedulable and ready"
    return Part("nodes", bool(nodes) and not bad, saw + (f", not {', '.join(bad)}" if bad else ""))


def _pressed(node: Object) -> bool:
    conditions = node.get("status", {}).get("conditions") or []
    return any(each["type"] in PRESSURES and each["status"] == "True" for each in conditions)


def _autoscaler(cluster: Cluster, profile: Profile) -> Part:
    """The HPA can scale and reads its metric."""
    name = profile.workloads.acp.name
    found = cluster.find("HorizontalPodAutoscaler", name, profile.namespaces.acp)
    if found is None:
        return Part("autoscaler", False, f"no HorizontalPodAutoscaler {name}")
    conditions = found.get("status", {}).get("conditions") or []
    states = {each["type"]: each["status"] for each in conditions}
    ok = states.get("AbleToScale") == states.get("ScalingActive") == "True"
    return Part("autoscaler", ok, ", ".join(f"{key}={value}" for key, value in states.items()))


_LOOKS: dict[str, Callable[[Cluster, Profile], Part]] = {
    "acp": _workload("acp"),
    "workers": _workload("workers"),
    "redis": _redis,
    "sql": _database("sql"),
    "analytics": _database("analytics"),
    "nodes": _nodes,
    "autoscaler": _autoscaler,
}
PARTS = tuple(_LOOKS)
