"""The way back of a stopped process: it is continued, or its pod is replaced.

Room: faults. The pod that stopped it continues it by itself when its time is over, when it is
asked, or when it is deleted, and says so as its last word. Where nobody can say that the process
runs again, the stopped pod is deleted by UID: SIGKILL reaches a stopped process, and its controller
makes another. So the way back needs nothing but the API server.
"""

from typing import Any

from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.execute import execute

Change = dict[str, Any]
HELPER = "signal"  # the container of the pod that sends signals
FLAG = "/tmp/thaw"


def stop_process(pod: Object, container: str, helper: str, helper_namespace: str) -> Change:
    """The first process of this container will be stopped by the pod `helper`."""
    meta = pod["metadata"]
    return {
        "kind": "frozen", "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"],
        "container": container, "container_id": container_id(pod, container),
        "helper": helper, "helper_namespace": helper_namespace,
    }  # fmt: skip


def thaw(cluster: Cluster, run_id: str, change: Change) -> None:
    """Ask the helper to continue the process; without one, replace the pod."""
    if not _same(cluster, change):
        return
    helper = cluster.find("Pod", change["helper"], change["helper_namespace"])
    phase = (helper or {}).get("status", {}).get("phase")
    if helper and phase == "Running":
        execute(cluster, change["helper_namespace"], change["helper"], HELPER, ["touch", FLAG])
    elif phase != "Pending" and not _continued(helper):  # a pending one is asked when it runs
        cluster.delete("Pod", change["name"], change["namespace"], uid=change["uid"], grace_s=0)


def thawed(cluster: Cluster, run_id: str, change: Change) -> bool:
    """Whether the helper's last word is that the process runs, or the container is another, or the
    helper never began; should it yet, its removal, which is undone next, continues the process."""
    if not _same(cluster, change):
        return True
    helper = cluster.find("Pod", change["helper"], change["helper_namespace"])
    return _continued(helper) or _stuck(helper)


def _same(cluster: Cluster, change: Change) -> bool:
    """Whether the container that was to be stopped still is there."""
    found = cluster.find("Pod", change["name"], change["namespace"])
    if found is None or found["metadata"]["uid"] != change["uid"]:
        return False
    return bool(container_id(found, change["container"]) == change["container_id"])


def _stuck(helper: Object | None) -> bool:
    """It waits for something that does not come, such as its image."""
    status = (helper or {}).get("status", {})
    statuses = status.get("containerStatuses") or [] if status.get("phase") == "Pending" else []
    waiting = [each.get("state", {}).get("waiting", {}).get("reason", "") for each in statuses]
    return any("Err" in reason or "BackOff" in reason for reason in waiting)


def _continued(helper: Object | None) -> bool:
    return last_word(helper).startswith("continued")


def last_word(helper: Object | None) -> str:
    """What the helper's script wrote, once it has ended."""
    statuses = (helper or {}).get("status", {}).get("containerStatuses") or []
    ended = [each.get("state", {}).get("terminated") or {} for each in statuses]
    return next((str(each.get("message", "")).strip() for each in ended if each), "")


def container_id(pod: Object, container: str) -> str:
    """Id of the running container, as the container runtime knows it; empty when there is none."""
    for status in pod.get("status", {}).get("containerStatuses") or []:
        if status["name"] == container:
            return str(status.get("containerID", "")).rpartition("/")[2]
    return ""
