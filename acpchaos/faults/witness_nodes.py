"""Looks at nodes that were disturbed from beneath Kubernetes; shares no code with the injectors.

Room: faults. Three who do not know each other are asked: the API server (is the node ready, and is
its Lease renewed), the container engine by calls of this module's own, and for cuts the kernels of
two nodes, which count the datagrams that reach them. Whoever cannot be asked makes it
indeterminate.
"""

import os
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from acpchaos.errors import AcpchaosError
from acpchaos.faults.fault import Sight
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import Profile
from acpchaos.wait import pause_until

LEASES = "kube-node-lease"
STILL_S = 12.0  # a living kubelet renews its Lease every 10 s
ASK_S = 30.0
DATAGRAMS = 20
PORT = 9  # discard; nobody listens on a node, so that the kernel counts each as "NoPorts"
_PROGRAMS = (
    'for each in "${PROC:-/proc}"/[0-9]*/cmdline; do '
    """tr '\\000' ' ' <"$each" 2>/dev/null || true; echo; done"""
)
_SEND = (
    'for n in $(seq "$2"); do (echo acpchaos >"/dev/udp/$1/$3") 2>/dev/null; sleep 0.02; done; true'
)


class Watched(NamedTuple):
    """A node, its container and that one's id."""

    node: str
    container: str
    identity: str


def ready(cluster: Cluster, names: Collection[str]) -> list[str]:
    """Those of these nodes that the control plane tells ready."""
    return [
        node["metadata"]["name"]
        for node in cluster.list("Node")
        if node["metadata"]["name"] in names
        and any(
            each["type"] == "Ready" and each["status"] == "True"
            for each in node.get("status", {}).get("conditions") or []
        )
    ]


def renewals(cluster: Cluster, namespace: str, names: Collection[str]) -> dict[str, str]:
    """When each of these Leases says that it was renewed; without those that are not there."""
    found = {name: cluster.find("Lease", name, namespace) for name in names}
    times = {
        name: str(lease["spec"].get("renewTime", "")) for name, lease in found.items() if lease
    }
    return {name: when for name, when in times.items() if when}


def still(cluster: Cluster, namespace: str, names: Collection[str], for_s: float) -> set[str]:
    """Names of Leases that are there and that nobody renews for `for_s` seconds."""
    before = renewals(cluster, namespace, names)
    pause_until(time.monotonic() + for_s)
    after = renewals(cluster, namespace, names)
    return {name for name, when in before.items() if after.get(name) == when}


def lost(
    cluster: Cluster, profile: Profile, watched: Sequence[Watched], wanted: Collection[str]
) -> Sight:
    """Installed: every node is not ready, its Lease stands still, and the engine tells its very
    container to be in one of the `wanted` states."""
    states = {each.node: _state(profile, each) for each in watched}
    if blind := [name for name, state in states.items() if state is None]:
        return Sight("indeterminate", f"the engine tells nothing of {', '.join(blind)}")
    beneath = {name for name, state in states.items() if state in wanted}
    words = ", ".join(f"{name} {state}" for name, state in states.items())
    return _lost(cluster, list(states), f"the engine tells {words}", beneath)


SHUT_DOWN = "node.cloudprovider.kubernetes.io/shutdown"  # a taint by the cloud's own controller


def silent_nodes(cluster: Cluster, names: Sequence[str]) -> Sight:
    """Installed: every node is not ready and its Lease stands still, by the API server alone; whom
    the cloud's own controller, where there is one, tells shut down, is said."""
    shut = [
        node["metadata"]["name"]
        for node in cluster.list("Node")
        if node["metadata"]["name"] in names
        and any(each["key"] == SHUT_DOWN for each in node["spec"].get("taints") or [])
    ]
    told = f"the cloud tells {len(shut)} of {len(names)} nodes shut down"
    return _lost(cluster, names, told)


def without_kubelet(
    cluster: Cluster, profile: Profile, watched: Sequence[Watched],
    before: Mapping[str, Collection[str]],
) -> Sight:  # fmt: skip
    """Installed: as `lost`, but no kubelet is among a node's processes while containers that ran
    `before` run on: this is not a node that is off."""
    seen = {each.node: programs(profile, each) for each in watched}
    now = running(profile, watched)
    if now is None or any(found is None for found in seen.values()):
        return Sight("indeterminate", "the engine tells nothing of the processes of these nodes")
    stopped = {name for name, found in seen.items() if "kubelet" not in (found or ())}
    alive = {name for name, tasks in now.items() if tasks & set(before.get(name, ()))}
    count = sum(len(tasks & set(before.get(name, ()))) for name, tasks in now.items())
    saw = f"no kubelet on {len(stopped)} of {len(watched)} nodes, {count} containers run on"
    return _lost(cluster, list(seen), saw, stopped & alive, changed=stopped)


def _lost(
    cluster: Cluster, names: Sequence[str], told: str, beneath: set[str] | None = None,
    changed: Collection[str] = (),
) -> Sight:  # fmt: skip
    """`beneath` are those that whoever was asked beneath Kubernetes tells lost, None where nobody
    could be asked."""
    silent = still(cluster, LEASES, names, STILL_S)
    unready = set(names) - set(ready(cluster, names))
    whole = silent & unready & (set(names) if beneath is None else beneath)
    saw = (
        f"{told}; {len(silent)} of {len(names)} Leases stand still, "
        f"{len(unready)} of {len(names)} nodes not ready"
    )
    detail = {"still": sorted(silent), "unready": sorted(unready)}
    if beneath is not None:
        detail["beneath"] = sorted(beneath)
    if names and len(whole) == len(names):
        return Sight("installed", saw, detail)
    signs = (beneath or set()) | silent | unready | set(changed)
    return Sight("partial" if signs else "not installed", saw, detail)


class Heard(NamedTuple):
    """Datagrams of DATAGRAMS that reached the node from a peer, and a peer from the node."""

    by_node: int
    by_peer: int

    def words(self) -> str:
        """For people."""
        return f"{self.by_node} of {DATAGRAMS} reach it, {self.by_peer} of {DATAGRAMS} leave it"


def heard(
    profile: Profile, node: str, peer: str, addresses: Mapping[str, str]
) -> Heard | None:  # fmt: skip
    """What two containers hear of each other, by what their kernels count; None if one is dumb."""
    arrived = _arrived(profile, peer, node, addresses[node])
    left = _arrived(profile, node, peer, addresses[peer])
    return None if arrived is None or left is None else Heard(arrived, left)


def cut(
    cluster: Cluster, profile: Profile, watched: Sequence[Watched], peer: str, direction: str,
    addresses: Mapping[str, str],
) -> Sight:  # fmt: skip
    """Installed: between every node and a peer no datagram passes in the cut direction, and where
    one way is cut most pass the other way."""
    heard_by = {each.node: heard(profile, each.container, peer, addresses) for each in watched}
    if blind := [name for name, told in heard_by.items() if told is None]:
        return Sight("indeterminate", f"nobody counts what reaches {', '.join(blind)} or {peer}")
    good, touched, words = [], [], []
    for name, told in heard_by.items():
        if told is not None:
            blocked = (not told.by_node, not told.by_peer)
            good += [name] if _as_wanted(told, direction) else []
            touched += [name] if any(blocked) else []
            words.append(f"{name}: {told.words()}")
    names = {each.node for each in watched}
    unready = len(names) - len(ready(cluster, names))
    saw = f"{'; '.join(words)}; {unready} of {len(names)} nodes not ready yet"
    if names and len(good) == len(names):
        return Sight("installed", saw, {"cut": good})
    return Sight("partial" if touched else "not installed", saw, {"cut": good})


def _as_wanted(told: Heard, direction: str) -> bool:
    most = DATAGRAMS * 3 // 4
    inward = told.by_node == 0 if direction in ("both", "inbound") else told.by_node >= most
    outward = told.by_peer == 0 if direction in ("both", "outbound") else told.by_peer >= most
    return inward and outward


def _arrived(profile: Profile, sender: str, receiver: str, address: str) -> int | None:
    """How many of DATAGRAMS the receiver's kernel saw arrive, at most all."""
    before = _no_ports(profile, receiver)
    sent = _ask(profile, "exec", sender, "bash", "-c", _SEND, "bash", address, str(DATAGRAMS),
                str(PORT))  # fmt: skip
    after = _no_ports(profile, receiver)
    if before is None or after is None or sent is None:
        return None
    return min(after - before, DATAGRAMS)


def _no_ports(profile: Profile, container: str) -> int | None:
    """The kernel's count of datagrams for ports at which nobody listens (/proc/net/snmp)."""
    said = _ask(profile, "exec", container, "sh", "-c", 'cat "${PROC:-/proc}/net/snmp"') or ""
    rows = [line.split() for line in said.splitlines() if line.startswith("Udp:")]
    if len(rows) != 2 or "NoPorts" not in rows[0]:
        return None
    return int(rows[1][rows[0].index("NoPorts")])


def programs(profile: Profile, watched: Watched) -> set[str] | None:
    """Names of all programs that run in a node, its pods' included; None if nobody tells."""
    said = _ask(profile, "exec", watched.container, "sh", "-c", _PROGRAMS)
    if said is None:
        return None
    return {line.split()[0].rpartition("/")[2] for line in said.splitlines() if line.strip()}


def running(profile: Profile, watched: Sequence[Watched]) -> dict[str, frozenset[str]] | None:
    """Ids of containers that run in each node, as its container runtime tells."""
    found = {}
    for each in watched:
        said = _ask(profile, "exec", each.container, "ctr", "-n", "k8s.io", "tasks", "ls")
        if said is None:
            return None
        rows = [line.split() for line in said.splitlines()]
        found[each.node] = frozenset(row[0] for row in rows if row and row[-1] == "RUNNING")
    return found


def says(profile: Profile, watched: Watched, *words: str) -> str | None:
    """What a command says inside of a node; None where it fails, so that silence shows as such."""
    return _ask(profile, "exec", watched.container, *words)


def _state(profile: Profile, watched: Watched) -> str | None:
    """The engine's word for this very container; None where it has none."""
    said = _ask(profile, "inspect", "--type", "container", "--format", "{{.Id}} {{.State.Status}}",
                watched.container)  # fmt: skip
    identity, _, state = (said or "").strip().partition(" ")
    return state if identity == watched.identity else None


def _ask(profile: Profile, *words: str) -> str | None:
    added = {
        key: os.path.expanduser(os.path.expandvars(value))  # noqa: PTH111  # not only paths
        for key, value in profile.nodes.environment.items()
    }
    try:
        done = subprocess.run(
            [profile.nodes.engine, *words], env=dict(os.environ) | added, capture_output=True,
            stdin=subprocess.DEVNULL, text=True, timeout=ASK_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def silent(cluster: Cluster, looks: int, every_s: float = 0.5) -> tuple[int, str]:
    """How many of `looks` the API server's readiness was refused or bad, and its last word."""
    bad, last = 0, "ready"
    for _ in range(looks):
        try:
            cluster.call("GET", "/readyz", timeout_s=5.0)
        except AcpchaosError as error:
            bad, last = bad + 1, error.seen
        pause_until(time.monotonic() + every_s)
    return bad, last
