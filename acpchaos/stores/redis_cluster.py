"""Each Redis Cluster node's own view: its state, its table of nodes, its replication.

Room: stores. Pods are no witness here: once ready a pod stays so while its cluster is down. The
password stays in the pod's environment, under the name of the vendor's chart or of redis-cli.
"""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from acpchaos.errors import AcpchaosError
from acpchaos.stores.exec import Exec

SLOTS = 16384  # hash slots of any Redis Cluster
MARK = "--look--"
TIMEOUT = "cluster-node-timeout"
QUESTIONS = (
    "INFO server", "INFO replication", "CLUSTER INFO", "CLUSTER NODES", f"CONFIG GET {TIMEOUT}",
    "DBSIZE",
)  # fmt: skip
_ASKED = "".join(f"{each}\\n" for each in (*QUESTIONS, f"ECHO {MARK}"))
_CLIENT = (
    'export REDISCLI_AUTH="${REDISCLI_AUTH:-$REDIS_PASSWORD}"; %s | redis-cli --tls --insecure 2>&1'
)
# The node is asked by itself over loopback, hence no certificate check.
ONCE = ("sh", "-c", _CLIENT % f"printf '{_ASKED}'")
# One connection and one line feed a second: watching costs no exec and no handshake per sample.
EVERY_SECOND = ("sh", "-c", _CLIENT % f"while printf '{_ASKED}'; do sleep 1; done")


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One node as another one knows it; `slots` is how many it serves, `master` an id or empty."""

    id: str
    ip: str
    role: str  # master or slave
    slots: int
    linked: bool
    failed: bool
    myself: bool = False
    master: str = ""
    host: str = ""  # announced name, if any: POD.SERVICE.NAMESPACE...


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """A node's own view; of an unreachable one only the pod is known. Offsets are in bytes."""

    pod: str
    reachable: bool
    t_usec: int = 0  # the node's wall clock
    run_id: str = ""
    role: str = ""
    state: str = ""
    slots_ok: int = 0
    keys: int = 0
    link_up: bool = False
    replicas: int = 0
    offset: int = 0
    node_timeout_ms: int = 0
    members: tuple[Member, ...] = ()

    @property
    def id(self) -> str:
        """Cluster id of this node, empty when it was not told."""
        return next((member.id for member in self.members if member.myself), "")


def look(run: Exec, pods: Iterable[str], container: str) -> tuple[NodeView, ...]:
    """Ask every pod once; one that cannot be asked is a fact, not an error."""
    return tuple(_ask(run, pod, container) for pod in pods)


def _ask(run: Exec, pod: str, container: str) -> NodeView:
    try:
        return parse(pod, run(pod, container, ONCE, timeout_s=10.0))
    except AcpchaosError:
        return NodeView(pod=pod, reachable=False)


def stream(lines: Iterable[str], pod: str) -> Iterator[NodeView]:
    """Views from the output of EVERY_SECOND, one per look."""
    heard: list[str] = []
    for line in lines:
        if line.strip() == MARK:
            yield parse(pod, "\n".join(heard))
            heard = []
        else:
            heard.append(line)


def parse(pod: str, text: str) -> NodeView:
    """Read the answers to QUESTIONS, in that order."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    facts = dict(line.split(":", 1) for line in lines if ":" in line and " " not in line)
    if "run_id" not in facts or "cluster_state" not in facts:
        return NodeView(pod=pod, reachable=False)
    role = facts.get("role", "")
    offset = facts.get("master_repl_offset" if role == "master" else "slave_repl_offset", "0")
    return NodeView(
        pod=pod,
        reachable=True,
        t_usec=int(facts.get("server_time_usec", 0)),
        run_id=facts["run_id"],
        role=role,
        state=facts["cluster_state"],
        slots_ok=int(facts.get("cluster_slots_ok", 0)),
        keys=next((int(line) for line in reversed(lines) if line.isdigit()), 0),
        link_up=facts.get("master_link_status") == "up",
        replicas=int(facts.get("connected_slaves", 0)),
        offset=int(offset),
        node_timeout_ms=_after(TIMEOUT, lines),
        members=tuple(member for line in lines if (member := _member(line))),
    )


def _after(name: str, lines: list[str]) -> int:
    """The number on the line after a setting's name; 0 where a node does not tell its settings."""
    following = lines[lines.index(name) + 1 :] if name in lines else []
    return int(following[0]) if following and following[0].isdigit() else 0


def _member(line: str) -> Member | None:
    fields = line.split()
    if len(fields) < 8 or len(fields[0]) != 40:
        return None
    address, *names = fields[1].split(",")
    flags = set(fields[2].split(","))
    return Member(
        id=fields[0],
        ip=address.split("@")[0].rpartition(":")[0],
        host=next((name for name in names if "=" not in name), ""),
        role="master" if "master" in flags else "slave",
        master="" if fields[3] == "-" else fields[3],
        linked=fields[7] == "connected",
        failed=bool(flags & {"fail", "fail?", "noaddr", "handshake"}),
        myself="myself" in flags,
        slots=sum(_width(each) for each in fields[8:] if not each.startswith("[")),
    )


def _width(slots: str) -> int:
    low, _, high = slots.partition("-")
    return int(high or low) - int(low) + 1


class Shard(msgspec.Struct, frozen=True, kw_only=True):
    """A master that serves slots, and its replicas that are linked, by pod name."""

    master: str
    zone: str
    replicas: tuple[str, ...]
    replica_zones: tuple[str, ...]

    @property
    def spread(self) -> bool:
        """Whether a linked replica is in another zone than the master."""
        return any(zone and zone != self.zone for zone in self.replica_zones)


def healthy(views: Sequence[NodeView]) -> tuple[bool, str]:
    """Whether all nodes see one whole cluster, and what was seen.

    Whole: all reachable, state ok, 16384 slots, the same living members in every table, every
    replica linked, every master with slots followed by one.
    """
    wrong = [f"{view.pod}: {why}" for view in views if (why := _complaint(view))]
    tables = {frozenset(m.id for m in view.members if not m.failed) for view in views}
    if len(tables) > 1:
        wrong.append("tables of nodes differ")
    masters = sum(view.role == "master" for view in views)
    saw = f"{len(views)} nodes, {masters} masters"
    return bool(views) and not wrong, "; ".join((saw, *wrong))


def _complaint(view: NodeView) -> str:
    if not view.reachable:
        return "does not answer"
    if view.state != "ok" or view.slots_ok != SLOTS:
        return f"state {view.state}, {view.slots_ok} slots"
    if view.role == "slave" and not view.link_up:
        return "replica without a link to its master"
    if view.role == "master" and not view.replicas:
        return "master without a replica"
    failed = sum(member.failed for member in view.members)
    return f"{failed} failed members in its table" if failed else ""


def shards(views: Sequence[NodeView], zone_of: Mapping[str, str]) -> tuple[Shard, ...]:
    """The shards with the zones of their pods; a replica counts when its own link is up."""
    masters = [view for view in views if view.role == "master" and _serves(view)]
    return tuple(_shard(master, views, zone_of) for master in masters)


def _shard(master: NodeView, views: Sequence[NodeView], zone_of: Mapping[str, str]) -> Shard:
    followers = [view for view in views if view.link_up and _follows(view) == master.id]
    return Shard(
        master=master.pod,
        zone=zone_of.get(master.pod, ""),
        replicas=tuple(view.pod for view in followers),
        replica_zones=tuple(zone_of.get(view.pod, "") for view in followers),
    )


def unspread(views: Sequence[NodeView], zone_of: Mapping[str, str]) -> tuple[str, ...]:
    """Masters that a zone loss would take with all their copies. Empty is the precondition."""
    return tuple(shard.master for shard in shards(views, zone_of) if not shard.spread)


def _serves(view: NodeView) -> bool:
    return any(member.myself and member.slots for member in view.members)


def _follows(view: NodeView) -> str:
    return next((member.master for member in view.members if member.myself), "")


def lag_bytes(views: Sequence[NodeView]) -> Mapping[str, int]:
    """How far each linked replica is behind its master, by pod; both were asked in turn."""
    masters: dict[str, NodeView] = {view.id: view for view in views if view.role == "master"}
    return {
        view.pod: max(0, masters[_follows(view)].offset - view.offset)
        for view in views
        if view.link_up and _follows(view) in masters
    }


_ASK = ("sh", "-c", _CLIENT % 'printf "%s\\n" "$0"')
_SAID = f"said=$({_CLIENT % 'echo FLUSHALL SYNC'})"
_FLUSH = ("sh", "-c", f'{_SAID}; echo "$said"; [ "$said" = OK ]')


def flush(run: Exec, pod: str, container: str) -> None:
    """Take every key of one master, and of its replicas after it."""
    run(pod, container, _FLUSH, timeout_s=60.0)


def flushes(run: Exec, pod: str, container: str) -> int:
    """How often this node has carried out FLUSHALL since its start, by its own statistics."""
    said = run(pod, container, (*_ASK, "INFO commandstats"), timeout_s=10.0)
    for line in said.splitlines():
        if line.startswith("cmdstat_flushall:calls="):
            return int(line.partition("=")[2].partition(",")[0])
    return 0


_DROP = ("sh", "-c", _CLIENT % "echo CLIENT KILL TYPE master")


def drop_master_link(run: Exec, pod: str, container: str) -> None:
    """A replica hangs up on its master; it calls again within a second."""
    run(pod, container, _DROP, timeout_s=10.0)


_END = (
    'export REDISCLI_AUTH="${REDISCLI_AUTH:-$REDIS_PASSWORD}"; cli="redis-cli --tls --insecure"; '
    "list=$($cli CLIENT LIST) || exit 1; count=0; for each; do "
    'for id in $(printf "%s\\n" "$list" | sed -n "s/^id=\\([0-9]*\\) addr=$each:.*/\\1/p"); do '
    '$cli CLIENT KILL ID "$id" >/dev/null; count=$((count + 1)); done; done; echo $count'
)


def end_clients(run: Exec, pod: str, container: str, addresses: Iterable[str]) -> int:
    """A node hangs up on clients with these addresses, replicas included; how many there were. The
    cluster's own bus is no client."""
    own = [str(ipaddress.ip_address(each)) for each in addresses if each]
    if not own:
        return 0
    return int(run(pod, container, ("sh", "-c", _END, "sh", *own), timeout_s=15.0).strip() or 0)
