"""Looks at who still reaches whom; shares no code with the injectors and reads no policy.

Room: faults. Connections are tried from pods, so that a network which enforces no policy shows; a
member of the store itself is the control, so that a dead store is no proof of a cut.
"""

from collections.abc import Sequence

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
