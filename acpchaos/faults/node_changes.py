"""What is done to a node from beneath Kubernetes, each with its look, its way back, and its expiry.

Room: faults. Nothing in the cluster reaches a node that is off, frozen or cut, and nobody a dead
API server. So each such change ends by itself at its deadline, and that is armed and seen armed
before it is made: by a timer of the node's own systemd where the node runs on, by a process on the
engine's machine (watchdog.py) where it does not. A copy of the record lies on that machine, so that
the way back needs no API server. Of a record only names are used; what is run stands here.
"""

import re
import time
from contextlib import suppress
from typing import Any, NamedTuple

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import node_records
from acpchaos.faults.engine import Container, Engine, EngineRefused, script_inside
from acpchaos.target.cluster import Cluster, Object
from acpchaos.wait import eventually

Change = dict[str, Any]
PREFIX = "node-"
ARMED_S = 30.0  # nothing is done yet, and a loaded machine takes its time
TABLE = "acpchaos_cut"

# Inside of a node; ROOT is /, and another folder in tests. Each look says `disturbed` or nothing.
KUBELET_BACK = "systemctl start kubelet"
KUBELET_LOOK = "systemctl is-active --quiet kubelet || echo disturbed"
KUBELET_DO = "systemctl stop kubelet"
CUT_BACK = f"""for family in ip6 ip; do
  if nft list table $family {TABLE} >/dev/null 2>&1; then nft delete table $family {TABLE}; fi
done"""
CUT_LOOK = f"nft list table ip {TABLE} >/dev/null 2>&1 && echo disturbed || true"
# The interface of the default route; before and after all that others do with a packet. A kernel
# may lack tables of IPv6, which no address of a node is of then.
CUT_DO = f"""set -eu
out=$(ip -4 route show default | sed -n 's/.* dev \\([^ ]*\\).*/\\1/p' | head -n 1)
[ -n "$out" ] || {{ echo "no default route, so no interface to cut" >&2; exit 3; }}
rules=""
case $1 in both|inbound) rules="chain incoming {{
type filter hook prerouting priority -310; policy accept;
iifname \\"$out\\" counter drop
}}" ;; esac
case $1 in both|outbound) rules="$rules
chain outgoing {{
type filter hook postrouting priority 310; policy accept;
oifname \\"$out\\" counter drop
}}" ;; esac
printf 'table ip6 {TABLE} {{\\n%s\\n}}\\n' "$rules" | nft -f - 2>/dev/null || true
printf 'table ip {TABLE} {{\\n%s\\n}}\\n' "$rules" | nft -f -
"""
MANIFEST_BACK = """set -eu
cd "${ROOT:-}/etc/kubernetes"
[ -e "acpchaos-kept/$1" ] || exit 0
if [ -e "manifests/$1" ]; then rm "acpchaos-kept/$1"; else mv "acpchaos-kept/$1" "manifests/$1"; fi
rmdir acpchaos-kept 2>/dev/null || true
"""
MANIFEST_LOOK = '[ ! -e "${ROOT:-}/etc/kubernetes/acpchaos-kept/$1" ] || echo disturbed'
MANIFEST_DO = """set -eu
cd "${ROOT:-}/etc/kubernetes"
[ -e "manifests/$1" ]
mkdir -p acpchaos-kept
mv "manifests/$1" "acpchaos-kept/$1"
"""


class Way(NamedTuple):
    """Scripts inside of the node where it runs on; without them the engine alone is asked."""

    do: str = ""
    back: str = ""
    look: str = ""


WAYS = {
    "node-frozen": Way(),
    "node-off": Way(),
    "node-kubelet": Way(KUBELET_DO, KUBELET_BACK, KUBELET_LOOK),
    "node-cut": Way(CUT_DO, CUT_BACK, CUT_LOOK),
    "node-manifest": Way(MANIFEST_DO, MANIFEST_BACK, MANIFEST_LOOK),
}


def disturb(kind: str, node: Object, container: Container, due_s: float, word: str = "") -> Change:
    """This node will be disturbed until `due_s` (time.time) at the latest. `word`: the direction of
    a cut, or the file of a static pod."""
    meta = node["metadata"]
    return {
        "kind": kind, "name": meta["name"], "uid": meta["uid"], "container": container.name,
        "id": container.id, "address": container.address, "due": round(due_s), "word": word,
        "unit": f"acpchaos-{kind}-{round(due_s * 1000)}",
    }  # fmt: skip


def make(cluster: Cluster, run_id: str, change: Change) -> None:
    """Arm the expiry, see it armed, and only then make the recorded change."""
    engine, way, name = Engine(cluster), WAYS[change["kind"]], change["container"]
    words = script_inside(name, way.do, change["word"]) if way.do else _strike(change)
    if cluster.instead("ENGINE", f"/engine/{name}", {"command": [engine.binary(), *words]}) is None:
        if way.do:
            _arm_timer(engine, change)
            node_records.keep(cluster, run_id, change)
        else:
            path = node_records.keep(cluster, run_id, change, watched=_watched(engine, change))
            node_records.watch(path, ARMED_S)
        engine.change(name, words)


def _strike(change: Change) -> tuple[str, ...]:
    name = change["container"]
    # no time to end: what runs is killed, and no restart policy starts it again
    return ("pause", name) if change["kind"] == "node-frozen" else ("stop", "--time", "0", name)


def _watched(engine: Engine, change: Change) -> Object:
    """What the watchdog does at the deadline, and when it is done."""
    wanted = {"node-frozen": "paused", "node-off": ""}[change["kind"]]
    return {
        "due": change["due"], "status": wanted,
        "look": [engine.binary(), "inspect", "--type", "container", "--format",
                 "{{.Id}} {{.State.Status}}", change["container"]],
        "id": change["id"], "environment": engine.environment(),
        "steps": [[engine.binary(), *words] for words in _steps(engine, change)],
    }  # fmt: skip


def _steps(engine: Engine, change: Change) -> list[tuple[str, ...]]:
    """The engine's words that bring a node back; only the last one must succeed. A node that comes
    back under another address is another one to its peers, so it gets its own again."""
    name, net = change["container"], engine.network
    if change["kind"] == "node-frozen":
        return [("unpause", name)]
    address = ("--ip", change["address"]) if change["address"] else ()
    join, leave = ("network", "connect"), ("network", "disconnect")
    return [
        (*leave, net, name), (*join, *address, net, name), (*join, net, name), ("start", name)
    ]  # fmt: skip


def _arm_timer(engine: Engine, change: Change) -> None:
    """A timer in the node that takes the change back, armed and seen armed."""
    name, unit = change["container"], change["unit"]
    left_s = max(1, round(change["due"] - time.time()))
    arming = 'systemd-run --quiet --unit="$1" --on-active="$2" --timer-property=AccuracySec=1s '
    arming += '/bin/sh -c "$3" sh "$4"'
    back = WAYS[change["kind"]].back.replace("$", "$$")  # systemd takes $ for a variable of its own
    engine.change_inside(name, arming, unit, str(left_s), back, change["word"])

    def armed() -> bool:
        return _timer_armed(engine, change)

    eventually(f"timer {unit} to be armed in {name}", armed, ARMED_S, transient=(EngineRefused,))


def _timer_armed(engine: Engine, change: Change) -> bool:
    look = 'systemctl is-active --quiet "$1.timer" && echo armed || true'
    return engine.inside(change["container"], look, change["unit"]).strip() == "armed"


def revert(cluster: Cluster, run_id: str, change: Change) -> None:
    """The way back: only on the very container that was disturbed, then the expiry is disarmed."""
    engine = Engine(cluster)
    found = _same(engine, change)
    if found is not None and WAYS[change["kind"]].do:
        if _disturbed(engine, change, found):
            engine.change_inside(found.name, WAYS[change["kind"]].back, change["word"])
        engine.change_inside(found.name, 'systemctl stop "$1.timer" 2>/dev/null || true',
                             change["unit"])  # fmt: skip
    elif found is not None and _disturbed(engine, change, found):
        *lenient, last = _steps(engine, change)
        for words in lenient:
            with suppress(EngineRefused):  # e.g. it is still connected; the last step decides
                engine.change(found.name, words)
        engine.change(found.name, last)
    if found is None or not _disturbed(engine, change, _same(engine, change)):
        node_records.forget(cluster, run_id, change)


def settled(cluster: Cluster, run_id: str, change: Change) -> bool:
    """Whether the node is as before and nothing is armed any more."""
    engine = Engine(cluster)
    found = _same(engine, change)
    if found is None:
        return _expired(cluster, change) and not node_records.kept(cluster, run_id, change)
    if _disturbed(engine, change, found) or node_records.kept(cluster, run_id, change):
        return False
    return not (WAYS[change["kind"]].do and _timer_armed(engine, change))


def _expired(cluster: Cluster, change: Change) -> bool:
    """Whether a node whose container is not on this machine is whole, or another one, for sure."""
    node = cluster.find("Node", change["name"])
    if node is None or node["metadata"]["uid"] != change["uid"]:
        return True
    conditions = node.get("status", {}).get("conditions") or []
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    if ready and time.time() > change["due"]:
        return True
    raise EngineRefused(
        f"undo {change['kind']} {change['name']}",
        f"no container {change['container']} of the record is on this machine",
        "undo it where the engine of the nodes runs, or wait until it has ended by itself",
    )


def disturbed(cluster: Cluster, change: Change) -> bool:
    """Whether the recorded change is in force now, as the engine and the node say."""
    engine = Engine(cluster)
    return _disturbed(engine, change, _same(engine, change))


def _disturbed(engine: Engine, change: Change, found: Container | None) -> bool:
    if found is None:
        return False
    kind = change["kind"]
    if kind == "node-frozen":
        return found.status == "paused"
    if kind == "node-off":
        return found.status not in ("running", "paused")
    return engine.inside(found.name, WAYS[kind].look, change["word"]).strip() == "disturbed"


def _same(engine: Engine, change: Change) -> Container | None:
    """The container of the record, None where another one bears its name or none does."""
    _require_plain(change)
    try:
        found = engine.look(change["container"])
    except EngineRefused as error:
        if "no such container" in error.seen.lower():
            return None
        raise
    return found if found.id == change["id"] else None


def _require_plain(change: Change) -> None:
    """A record is data from the cluster: whatever is no plain name goes into no command."""
    words = [change["container"], change["id"], change["unit"], change["word"] or "x"]
    words.append(change["address"] or "x")
    if not all(re.fullmatch(r"[A-Za-z0-9][\w.:-]*", str(word)) for word in words):
        raise PreconditionUnmet(
            f"undo {change['kind']} {change['name']}", "its record holds what is no plain name",
            "somebody has altered the undo record; look at the node by hand",
        )  # fmt: skip


def reach(cluster: Cluster, run_id: str) -> list[str]:
    """Take back, from this machine's own records and without the API server, what this run did to
    nodes; returns what was. What cannot be is left to whoever asks with the API server back."""
    done = []
    for change in node_records.of_run(cluster, run_id):
        with suppress(EngineRefused, PreconditionUnmet):
            if change["kind"] in WAYS and disturbed(cluster, change):
                revert(cluster, run_id, change)
                done.append(f"{change['kind']} {change['name']}")
    return done
