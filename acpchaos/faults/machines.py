"""Machines beneath nodes, switched off and on by an extension of the Chaos Toolkit.

Room: faults. The profile names module, functions and arguments; of a record in the cluster only the
node's providerID is used, and only as far as the profile's pattern finds words in it. An extension
answers before its machines do, so whether one is off or back is read from its node alone. Nothing
in the cluster can switch one on: a process on this machine does at the deadline, and any machine
with the extension and its credentials may by `acpchaos undo`.
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from acpchaos.errors import AcpchaosError, PreconditionUnmet
from acpchaos.faults import extension_call, node_records
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.profile import Extension, Profile
from acpchaos.wait import eventually

Change = dict[str, Any]
KIND = "node-machine"
SCRIPT = Path(extension_call.__file__)
CALL_S = 180.0  # some extensions wait until the machine is off
OFF_S = 90.0  # an orderly shutdown, which takes a minute or so, comes before its node falls silent
ARMED_S = 30.0
BACK_S = 300.0  # from the call until its node is ready: boot, kubelet, network
AGAIN_S = 15.0  # a machine that is still going off cannot be switched on yet
_PLAIN = re.compile(r"[\w./:-]+")
# chaosaws terminates what is "spot", others may lose it, and nobody switches that on again
_SPOT = {
    "eks.amazonaws.com/capacityType": "SPOT",
    "karpenter.sh/capacity-type": "spot",
    "cloud.google.com/gke-spot": "true",
    "kubernetes.azure.com/scalesetpriority": "spot",
}


class MachineRefused(AcpchaosError):
    """The extension did not do what it was asked for."""


def unsuited(profile: Profile) -> str:
    """Why no machine can be switched from here; empty where one can. Loads the extension, aside."""
    wanted = profile.nodes.extension
    if profile.nodes.power != "extension" or wanted is None:
        return "not applicable: [nodes] power of the profile names no extension"
    for function, arguments in ((wanted.off, _off(wanted)), (wanted.on, wanted.arguments)):
        try:
            _run("look", wanted, function, arguments)
        except MachineRefused as error:
            return (
                f"not applicable: {wanted.module}.{function} of [nodes.extension] is of no use "
                f"here: {error.seen}"
            )
    return ""


def why_not(profile: Profile, node: Object) -> str:
    """Why this node's machine cannot be switched off; empty where it can."""
    name, given = node["metadata"]["name"], str(node["spec"].get("providerID") or "")
    if not given:
        return f"node {name} has no providerID"
    if profile.nodes.extension is None or _found(profile.nodes.extension, given) is None:
        return f"providerID {given!r} of node {name} does not match [nodes.extension] provider_id"
    words = (node["metadata"].get("labels") or {}).items()
    if spot := [f"{key}={value}" for key, value in words if _SPOT.get(key) == value]:
        return f"node {name} is {', '.join(spot)}, which would not come back"
    return ""


def switched_off(node: Object, due_s: float) -> Change:
    """This node's machine will be off until `due_s` (time.time) at the latest."""
    meta = node["metadata"]
    return {
        "kind": KIND, "name": meta["name"], "uid": meta["uid"], "container": meta["name"],
        "provider_id": node["spec"]["providerID"], "since": _since(node), "due": round(due_s),
        "unit": f"acpchaos-{KIND}-{round(due_s * 1000)}",
    }  # fmt: skip


def make(cluster: Cluster, run_id: str, change: Change) -> None:
    """Arm the expiry, see it armed, and only then switch off."""
    wanted = _extension(cluster)
    on = _argv("call", wanted, wanted.on, _filled(wanted, wanted.arguments, change))
    off = _filled(wanted, _off(wanted), change)
    path, body = f"/engine/{change['name']}", {"command": [f"{wanted.module}.{wanted.off}", off]}
    if cluster.instead("ENGINE", path, body) is not None:
        return
    watched = {"due": change["due"], "look": [], "steps": [on], "environment": {}}
    node_records.watch(node_records.keep(cluster, run_id, change, watched=watched), ARMED_S)
    with cluster.telling("ENGINE", path, body):
        _run("call", wanted, wanted.off, off)


def revert(cluster: Cluster, run_id: str, change: Change) -> None:
    """Switch on, again and again until the node is back: a machine may still be going off."""
    wanted = _extension(cluster)
    on = _filled(wanted, wanted.arguments, change)
    path, body = f"/engine/{change['name']}", {"command": [f"{wanted.module}.{wanted.on}", on]}

    def back() -> bool:
        if is_back(cluster, change):
            return True
        with cluster.telling("ENGINE", path, body):
            _run("call", wanted, wanted.on, on)
        return is_back(cluster, change)

    budget_s = max(BACK_S, change["due"] - time.time() + AGAIN_S)  # see is_back
    again = (AcpchaosError,)
    eventually(f"node {change['name']} to be back", back, budget_s, AGAIN_S, transient=again)
    node_records.forget(cluster, run_id, change)


def settled(cluster: Cluster, run_id: str, change: Change) -> bool:
    """Whether the node is back and nothing is armed on this machine any more."""
    return not node_records.kept(cluster, run_id, change) and is_back(cluster, change)


def is_back(cluster: Cluster, change: Change) -> bool:
    """Whether the node is ready and was not since it was switched off, or is gone or another one:
    a group of machines replaces what is off. One that never was unready may still be going off, so
    it counts only after the deadline."""
    node = cluster.find("Node", change["name"])
    if node is None or node["metadata"]["uid"] != change["uid"]:
        return True
    if _condition(node).get("status") != "True":
        return False
    return bool(_since(node) != change["since"] or time.time() > change["due"])


def _since(node: Object) -> str:
    return str(_condition(node).get("lastTransitionTime", ""))


def _condition(node: Object) -> Object:
    every: list[Object] = node.get("status", {}).get("conditions") or []
    return next((each for each in every if each["type"] == "Ready"), {})


def _extension(cluster: Cluster) -> Extension:
    found = cluster.profile.nodes.extension if cluster.profile else None
    if found is None:
        raise PreconditionUnmet(
            "switch a node's machine", "the profile names no [nodes.extension]",
            "use the profile that the run was played with",
        )  # fmt: skip
    return found


def _off(wanted: Extension) -> Object:
    return wanted.arguments | wanted.off_arguments


def _found(wanted: Extension, provider_id: str) -> dict[str, str] | None:
    """The pattern's groups; None where it does not match, or where words are not plain ones."""
    match = re.fullmatch(wanted.provider_id, provider_id)
    found = {key: value or "" for key, value in match.groupdict().items()} if match else {}
    return found if found and all(map(_PLAIN.fullmatch, found.values())) else None


def _filled(wanted: Extension, arguments: Object, change: Change) -> Object:
    found = _found(wanted, str(change["provider_id"]))
    if found is None:
        raise PreconditionUnmet(
            f"switch the machine of node {change['name']}",
            f"its providerID {change['provider_id']!r} is not of the profile's pattern",
            "correct [nodes.extension] provider_id, or somebody has altered the undo record",
        )
    filled: Object = _replaced(arguments, found)
    return filled


def _replaced(value: Any, found: dict[str, str]) -> Any:
    """A value with each {GROUP} in its texts replaced, however deep."""
    if isinstance(value, dict):
        return {key: _replaced(each, found) for key, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, found) for each in value]
    if isinstance(value, str):
        return re.sub(r"\{(\w+)\}", lambda hit: found.get(hit[1], hit[0]), value)
    return value


def _argv(verb: str, wanted: Extension, function: str, arguments: Object) -> list[str]:
    words = (verb, wanted.module, function, json.dumps(arguments))
    return [sys.executable, "-P", str(SCRIPT), *words]


def _run(verb: str, wanted: Extension, function: str, arguments: Object) -> None:
    attempted = f"{verb} {wanted.module}.{function}"
    try:
        done = subprocess.run(
            _argv(verb, wanted, function, arguments), stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=CALL_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise MachineRefused(attempted, f"no end within {CALL_S:g} s", "ask the cloud") from None
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        hint = "install the extension beside acpchaos, give it credentials, correct the profile"
        raise MachineRefused(attempted, last[-300:], hint)
