"""Looks at who still reaches whom; shares no code with the injectors and reads no policy.

Room: faults. Connections are tried from pods, so that a network which enforces no policy shows; a
member of the store itself is the control, so that a dead store is no proof of a cut.
"""

from collections.abc import Sequence
from typing import NamedTuple

from acpchaos.errors import AcpchaosError
from acpchaos.faults.fault import Sight
from acpchaos.target.cluster import Cluster
from acpchaos.target.execute import execute

DOWN_S = 5  # a replica tries again every second, so a link down for longer is kept down
_TRY = (
    "import socket,sys\n"
    "try: socket.create_connection((sys.argv[1],int(sys.argv[2])),3).close();print('open')\n"
    "except TimeoutError: print('timeout')\n"
    "except OSError as error: print(error.strerror or error)"
)
# all at once; prints those that are open
_TRY_ALL = (
    "import concurrent.futures as f,socket,sys\n"
    "def go(place):\n"
    " host,_,port=place.rpartition(':')\n"
    " try: socket.create_connection((host,int(port)),3).close();return place\n"
    " except OSError: return ''\n"
    "print('\\n'.join(f.ThreadPoolExecutor(32).map(go,sys.argv[1:])))"
)
_REPLICATION = (
    'export REDISCLI_AUTH="${REDISCLI_AUTH:-$REDIS_PASSWORD}"; '
    "redis-cli --tls --insecure INFO replication"
)


def cut_off(
    cluster: Cluster, namespace: str, probe: str, control: tuple[str, str],
    place: tuple[str, str, int],
) -> Sight:  # fmt: skip
    """`control` is a pod and its container, `place` the store's leader: name, address, port.

    Installed: from the probe no connection comes about, from the control one does.
    """
    leader, address, port = place
    tried = _try(cluster, namespace, (probe, "helper"), address, port)
    other = _try(cluster, namespace, control, address, port)
    saw = f"to {leader}:{port} from a pod like ACP's: {tried}, from {control[0]}: {other}"
    detail = {"probe": tried, "control": other}
    if tried == "open":
        return Sight("not installed", saw, detail)
    if other != "open" or tried.startswith("?"):
        return Sight("indeterminate", saw, detail)
    return Sight("installed", saw, detail)


def _try(cluster: Cluster, namespace: str, source: tuple[str, str], host: str, port: int) -> str:
    """One word for how a connection ended; with ? where it could not be tried."""
    argv = ("python3", "-c", _TRY, host, str(port))
    try:
        done = execute(cluster, namespace, *source, argv, timeout_s=10.0, reads=True)
    except AcpchaosError as error:
        return f"? {error.seen}"
    return done.stdout.strip() if not done.code else f"? {done.stderr.strip()[-200:]}"


class Ways(NamedTuple):
    """Open ways from probe pods to addresses (host:port): through the cut, and beside it."""

    through: tuple[tuple[str, str], ...] = ()
    beside: tuple[tuple[str, str], ...] = ()


def open_ways(
    cluster: Cluster, namespace: str, probes: tuple[str, str], places: tuple[list[str], list[str]]
) -> Ways | None:  # fmt: skip
    """What is open now between two probe pods, the first within a cut to come, and places within
    and outside; None where a probe says nothing."""
    said = [_try_all(cluster, namespace, probe, [*places[0], *places[1]]) for probe in probes]
    if any(each is None for each in said):
        return None
    every = [
        (probe, place, (side == 0) != (place in places[0]))
        for side, probe in enumerate(probes)
        for place in said[side] or ()
    ]
    return Ways(
        tuple((probe, place) for probe, place, through in every if through),
        tuple((probe, place) for probe, place, through in every if not through),
    )


def parted(before: Ways, now: Ways | None) -> Sight:
    """Installed: no way through the cut that was open is, and from each probe some beside it are,
    as far as any were."""
    if now is None or not before.through:
        return Sight("indeterminate", "a probe pod says nothing" if now is None else "no way known")
    left = set(before.through) & set(now.through)
    lost = set(before.beside) - set(now.beside)
    blind = {probe for probe, _ in before.beside} - {probe for probe, _ in now.beside}
    saw = f"{len(left)} of {len(before.through)} ways through the cut open, "
    saw += f"{len(before.beside) - len(lost)} of {len(before.beside)} beside it"
    detail = {"open": sorted(map(" to ".join, left)), "lost": sorted(map(" to ".join, lost))}
    if blind:
        return Sight("indeterminate", f"{saw}: {', '.join(sorted(blind))} reaches nobody", detail)
    if len(left) == len(before.through):
        return Sight("not installed", saw, detail)
    return Sight("partial" if left else "installed", saw, detail)


def _try_all(
    cluster: Cluster, namespace: str, probe: str, places: Sequence[str]
) -> list[str] | None:  # fmt: skip
    """Those of these places that a probe pod reaches; None where it cannot be asked."""
    argv = ("python3", "-c", _TRY_ALL, *places)
    try:
        done = execute(cluster, namespace, probe, "helper", argv, timeout_s=20.0, reads=True)
    except AcpchaosError:
        return None
    if done.code:
        return None
    return [place for place in done.stdout.split() if place in places]


def copies_stopped(
    cluster: Cluster, namespace: str, container: str, masters: Sequence[str],
    replicas: Sequence[str],
) -> Sight:  # fmt: skip
    """Installed: every replica has been without its master for DOWN_S by its own word, every master
    has no replica, and all of them answer."""
    told = {pod: _replication(cluster, namespace, pod, container) for pod in (*masters, *replicas)}
    silent = [pod for pod, facts in told.items() if not facts]
    down = [pod for pod in replicas if _long_down(told[pod])]
    alone = [pod for pod in masters if told[pod].get("connected_slaves") == "0"]
    saw = f"{len(down)} of {len(replicas)} replicas without their master for {DOWN_S} s, "
    saw += f"{len(alone)} of {len(masters)} masters without a replica"
    saw += f", silent: {', '.join(silent)}" if silent else ""
    detail = {"down": down, "alone": alone, "silent": silent}
    if not down:
        return Sight("indeterminate" if silent else "not installed", saw, detail)
    whole = len(down) == len(replicas) and len(alone) == len(masters)
    return Sight("installed" if whole else "partial", saw, detail)


def _long_down(facts: dict[str, str]) -> bool:
    since = facts.get("master_link_down_since_seconds", "0")
    down = facts.get("role") == "slave" and facts.get("master_link_status") == "down"
    return down and since.isdigit() and int(since) >= DOWN_S


def _replication(cluster: Cluster, namespace: str, pod: str, container: str) -> dict[str, str]:
    argv = ("sh", "-c", _REPLICATION)
    try:
        done = execute(cluster, namespace, pod, container, argv, timeout_s=10.0, reads=True)
    except AcpchaosError:
        return {}
    lines = [line.strip() for line in done.stdout.splitlines()]
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    return facts if "role" in facts else {}
