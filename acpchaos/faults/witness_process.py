"""Looks at containers whose first process was killed or stopped; shares no code with the injectors.

Room: faults. The kubelet tells: which container runs, how the one before it ended, whether it is
ready. Pods are read without a selector, by UID.
"""

from collections.abc import Mapping
from typing import Any

from acpchaos.faults.fault import Sight
from acpchaos.target.cluster import Cluster, Object

Identities = Mapping[str, tuple[str, int]]  # container id and number of restarts by UID of the pod
SIGKILLED = 137  # 128 + SIGKILL
OOM_KILLED = f"OOMKilled {SIGKILLED}"


def identity(pod: Object, container: str) -> tuple[str, int]:
    """Id of the container without its scheme, and how often it was restarted."""
    status = _status(pod, container)
    return str(status.get("containerID", "")).rpartition("/")[2], int(status.get("restartCount", 0))


def killed(cluster: Cluster, namespace: str, container: str, before: Identities) -> Sight:
    """Installed: in the same pods, every container of before ended by SIGKILL, not for memory."""
    found = {pod["metadata"]["uid"]: pod for pod in cluster.list("Pod", namespace)}
    ends = {uid: _end(found.get(uid, {}), container, was[0]) for uid, was in before.items()}
    hit = [uid for uid, end in ends.items() if end == "killed"]
    changed = [uid for uid, end in ends.items() if end]
    words = ", ".join(sorted({end for end in ends.values() if end})) or "none ended"
    saw = f"{len(hit)} of {len(before)} containers ended by SIGKILL in their pods ({words})"
    return Sight(_outcome(hit, changed, before), saw, {"ends": ends})


def out_of_memory(cluster: Cluster, namespace: str, container: str, before: Identities) -> Sight:
    """Installed: in the same pods, the kubelet says of every container of before that the kernel
    ended it for want of memory."""
    found = {pod["metadata"]["uid"]: pod for pod in cluster.list("Pod", namespace)}
    ends = {uid: _end(found.get(uid, {}), container, was[0]) for uid, was in before.items()}
    hit = [uid for uid, end in ends.items() if end == OOM_KILLED]
    changed = [uid for uid, end in ends.items() if end]
    words = ", ".join(sorted({end for end in ends.values() if end})) or "none ended"
    saw = f"{len(hit)} of {len(before)} containers ended for want of memory ({words})"
    return Sight(_outcome(hit, changed, before), saw, {"ends": ends})


def stopped(cluster: Cluster, namespace: str, container: str, before: Identities) -> Sight:
    """Installed: every container of before still runs, restarted by nobody, and is not ready."""
    found = {pod["metadata"]["uid"]: pod for pod in cluster.list("Pod", namespace)}
    same = [uid for uid, was in before.items() if identity(found.get(uid, {}), container) == was]
    dumb = [uid for uid in same if not _ready(found[uid])]
    saw = f"{len(dumb)} of {len(before)} containers run on and no longer answer their probe"
    changed = [uid for uid in before if uid not in same or uid in dumb]
    return Sight(_outcome(dumb, changed, before), saw, {"silent": dumb})


def _outcome(hit: list[str], changed: list[str], before: Identities) -> str:
    if before and len(hit) == len(before):
        return "installed"
    return "partial" if changed else "not installed"


def _end(pod: Object, container: str, was: str) -> str:
    """How the container `was` ended: empty while it runs."""
    if not pod:
        return "pod replaced"
    status = _status(pod, container)
    ended: list[dict[str, Any]] = [
        (status.get(key) or {}).get("terminated") or {} for key in ("state", "lastState")
    ]
    for each in ended:
        if str(each.get("containerID", "")).rpartition("/")[2] == was:
            plain = each.get("exitCode") == SIGKILLED and each.get("reason") != "OOMKilled"
            return "killed" if plain else f"{each.get('reason')} {each.get('exitCode')}"
    return "" if identity(pod, container)[0] == was else "another container"


def _status(pod: Object, container: str) -> dict[str, Any]:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return next((each for each in statuses if each["name"] == container), {})


def _ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
