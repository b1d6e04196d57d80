"""Processes of the fake cluster: pods that see those of their node, and what they do to them."""

import time
import uuid
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fake_api.store import Store

Object = dict[str, Any]


def new_id() -> str:
    return f"containerd://{uuid.uuid4().hex}{uuid.uuid4().hex}"


def run_helpers(store: "Store") -> None:
    """Start and end pods with hostPID as their node would run the script in them."""
    for pod in store.items("pods", "", "", ""):
        if not pod["spec"].get("hostPID"):
            continue
        pod.setdefault("status", {"phase": "Pending"})
        phase, words = pod["status"]["phase"], _words(pod)
        if phase == "Pending":
            _begin(store, pod, words)
        elif phase == "Running" and time.monotonic() > pod["_due"]:
            continue_stopped(store, pod)
        if "deletionTimestamp" in pod["metadata"]:
            continue_stopped(store, pod)


def _words(pod: Object) -> dict[str, str]:
    return {each["name"]: each["value"] for each in pod["spec"]["containers"][0]["env"]}


def _begin(store: "Store", helper: Object, words: dict[str, str]) -> None:
    found = _container(store, words["CONTAINER"], helper["spec"]["nodeName"])
    if found is None:
        _ended(helper, "Failed", "no first process of the container found", 3)
    elif words["SIGNAL"] == "KILL":
        kill(found[1])
        _ended(helper, "Succeeded", "killed 7", 0)
    else:
        found[0]["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
        statuses = [{"name": "signal", "state": {"running": {}}}]
        helper["status"] = {"phase": "Running", "containerStatuses": statuses}
        helper["_due"] = time.monotonic() + float(words["HOLD_S"])


def kill(status: Object, code: int = 137, reason: str = "Error") -> None:
    """The container ends with this code and its kubelet starts another."""
    ended = {"containerID": status["containerID"], "exitCode": code, "reason": reason}
    status |= {
        "lastState": {"terminated": ended}, "containerID": new_id(),
        "restartCount": status["restartCount"] + 1,
    }  # fmt: skip


def continue_stopped(store: "Store", helper: Object) -> None:
    """The stopped process runs on, and the helper says so as its last word."""
    if helper["status"]["phase"] != "Running":
        return
    found = _container(store, _words(helper)["CONTAINER"], helper["spec"]["nodeName"])
    if found is not None:
        found[0]["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    _ended(helper, "Succeeded", "continued 7", 0)


def _ended(helper: Object, phase: str, said: str, code: int) -> None:
    state = {"terminated": {"exitCode": code, "message": said}}
    helper["status"] = {"phase": phase, "containerStatuses": [{"name": "signal", "state": state}]}


def _container(store: "Store", wanted: str, node: str) -> tuple[Object, Object] | None:
    for pod in store.items("pods", "", "", ""):
        for status in pod.get("status", {}).get("containerStatuses") or []:
            here = pod["spec"].get("nodeName") == node
            if here and str(status.get("containerID", "")).endswith(wanted):
                return pod, status
    return None
