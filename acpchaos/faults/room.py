"""Whether pods that are evicted have a way out: budgets that let one go, and nodes that take them.

Room: faults. Asked before a drain: one that cannot move its pods proves nothing and leaves them
waiting. It refuses only what is sure to fail; spread and affinity are the scheduler's own matter.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from kubernetes.utils import parse_quantity

from acpchaos.errors import DeadlinePassed, PreconditionUnmet
from acpchaos.faults import health
from acpchaos.target.cluster import Cluster, Object
from acpchaos.wait import eventually

BUDGETS_S = 5.0  # the controller counts pods that have just become ready
KINDS = ("cpu", "memory", "pods")
Amounts = dict[str, float]  # cores, bytes, a count


def require_way_out(
    cluster: Cluster, what: str, nodes: Collection[str], pods: Sequence[Object]
) -> None:
    """PreconditionUnmet where these pods of `nodes` cannot leave. `what` is for people."""
    shut: list[str] = []

    def open_again() -> bool:
        shut[:] = _shut(cluster, pods)
        return not shut

    with suppress(DeadlinePassed):  # told below
        eventually("budgets that allow an eviction", open_again, BUDGETS_S)
    if shut:
        raise PreconditionUnmet(
            f"drain {what}", f"disruption budgets that allow no eviction: {', '.join(shut)}",
            "see why: a pod of theirs is not ready, or they never allow one",
        )  # fmt: skip
    if why := _crowded(cluster, nodes, pods):
        raise PreconditionUnmet(
            f"drain {what}", why, "the other nodes must have room for what runs there"
        )


def _shut(cluster: Cluster, pods: Sequence[Object]) -> list[str]:
    """Budgets that select one of these pods and allow no eviction."""
    found = []
    for space in sorted({pod["metadata"]["namespace"] for pod in pods}):
        labels = [
            pod["metadata"].get("labels") or {}
            for pod in pods
            if pod["metadata"]["namespace"] == space
        ]
        for budget in cluster.list("PodDisruptionBudget", space):
            allowed = (budget.get("status") or {}).get("disruptionsAllowed", 0)
            selector = budget["spec"].get("selector") or {}
            if allowed < 1 and any(_selects(selector, each) for each in labels):
                found.append(f"{space}/{budget['metadata']['name']}")
    return found


def _selects(selector: Object, labels: Mapping[str, str]) -> bool:
    """By its exact labels; expressions are left to the eviction API."""
    wanted = selector.get("matchLabels") or {}
    return (
        bool(wanted) and not selector.get("matchExpressions") and wanted.items() <= labels.items()
    )


def _crowded(cluster: Cluster, nodes: Collection[str], pods: Sequence[Object]) -> str:
    """Why the other nodes cannot take these pods; empty where they may. Pods with volumes may have
    to wait for their node, and need no room elsewhere."""
    moving = [pod for pod in pods if not any(map(_claim, pod["spec"].get("volumes") or []))]
    free = [
        _free(node, cluster.list("Pod", fields=f"spec.nodeName={node['metadata']['name']}"))
        for node in cluster.list("Node")
        if node["metadata"]["name"] not in nodes and _takes(node, moving)
    ]
    if not moving or not all(free):
        return ""  # a node that does not say how much it has may have room
    for kind in KINDS:
        needed = [_asked(pod)[kind] for pod in moving]
        left = [each[kind] for each in free]
        if sum(needed) > sum(left) or max(needed) > max(left, default=0.0):
            return (
                f"its {len(moving)} pods ask for {sum(needed):g} of {kind}, "
                f"{len(left)} other nodes have {sum(left):g} left"
            )
    return ""


def _claim(volume: Object) -> bool:
    return "persistentVolumeClaim" in volume


def _takes(node: Object, pods: Iterable[Object]) -> bool:
    """Whether any of these pods may be put on the node, as far as taints tell."""
    if node["spec"].get("unschedulable") or not health.is_ready(node):
        return False
    taints = [t for t in node["spec"].get("taints") or [] if t["effect"] != "PreferNoSchedule"]
    keys = {taint["key"] for taint in taints}
    return not keys or any(
        not toleration.get("key") or toleration["key"] in keys
        for pod in pods
        for toleration in pod["spec"].get("tolerations") or []
    )


def _free(node: Object, pods: Iterable[Object]) -> Amounts:
    """What pods that run there leave of a node; empty where it does not say what it has."""
    has = (node.get("status") or {}).get("allocatable") or {}
    if any(kind not in has for kind in KINDS):
        return {}
    taken = [_asked(pod) for pod in pods
             if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")]  # fmt: skip
    return {
        kind: float(parse_quantity(has[kind])) - sum(each[kind] for each in taken) for kind in KINDS
    }


def _asked(pod: Object) -> Amounts:
    """Requests of a pod as the scheduler counts them, without overhead."""
    spec = pod["spec"]
    amounts = {
        kind: max(
            sum(_request(each, kind) for each in spec.get("containers") or []),
            max((_request(each, kind) for each in spec.get("initContainers") or []), default=0.0),
        )
        for kind in ("cpu", "memory")
    }
    return amounts | {"pods": 1.0}


def _request(container: Object, kind: str) -> float:
    requests = (container.get("resources") or {}).get("requests") or {}
    return float(parse_quantity(requests.get(kind, 0)))
