"""Looks at stores after their nodes were hurt; shares no code with the injectors.

Room: faults. Redis is judged by its nodes' own run ids, by what the others say of them and by its
command statistics; PostgreSQL by the lock that Patroni keeps in the API server and by the start
time and role that the server itself tells.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from acpchaos.errors import AcpchaosError
from acpchaos.faults.fault import Sight
from acpchaos.stores.redis_cluster import NodeView
from acpchaos.target.cluster import Cluster
from acpchaos.target.execute import execute

STARTED = "SELECT pg_postmaster_start_time(), pg_is_in_recovery()"
_PSQL = ("psql", "-qAtX", "-U", "postgres", "-d", "postgres", "-c", STARTED)
_LOCKS = ("Endpoints", "ConfigMap")


def redis_killed(
    before: Sequence[NodeView], after: Sequence[NodeView], victims: Collection[str]
) -> Sight:
    """Installed: no victim's process of before answers: another run id, or silence while another
    node sees it gone. The other nodes must go on, else it was not this fault alone."""
    was = {view.pod: view.run_id for view in before}
    now = {view.pod: view.run_id for view in after if view.reachable}
    dead = sorted(pod for pod in victims if _dead(pod, was, before, after))
    others = sorted(pod for pod, run in was.items() if pod not in victims and now.get(pod) != run)
    gone = sorted(pod for pod in victims if pod not in now)
    roles = {view.pod: view.role for view in after if view.pod in victims and view.reachable}
    saw = f"{len(dead)} of {len(victims)} run ids gone, {len(gone)} of them silent"
    detail = {"dead": dead, "silent": gone, "roles": roles, "others": others}
    if not dead:
        return Sight("not installed", saw, detail)
    if others:
        return Sight("partial", f"{saw}; nodes that were not chosen changed, too: {others}", detail)
    return Sight("installed" if len(dead) == len(victims) else "partial", saw, detail)


def _dead(
    pod: str, was: Mapping[str, str], before: Sequence[NodeView], after: Sequence[NodeView]
) -> bool:
    view = next((each for each in after if each.pod == pod), None)
    if view is not None and view.reachable:
        return bool(was.get(pod)) and view.run_id != was[pod]
    own = next((each.id for each in before if each.pod == pod), "")
    told = [m for each in after if each.reachable for m in each.members if m.id == own]
    return any(member.failed or not member.linked for member in told)


def redis_flushed(
    keys: Mapping[str, int], after: Mapping[str, int],
    calls: Mapping[str, int], calls_after: Mapping[str, int],
) -> Sight:  # fmt: skip
    """By master: keys before and after, FLUSHALL calls before and after. Installed: each one's
    statistics count another call, and each that held keys holds fewer."""
    called = [pod for pod in keys if calls_after.get(pod, -1) > calls.get(pod, 0)]
    fewer = [pod for pod in keys if pod in after and (after[pod] < keys[pod] or not keys[pod])]
    done = [pod for pod in called if pod in fewer]
    left = sum(after.get(pod, 0) for pod in keys)
    saw = (
        f"{len(done)} of {len(keys)} masters flushed, {sum(keys.values())} keys before, {left} now"
    )
    detail = {"called": called, "keys_before": dict(keys), "keys_after": dict(after)}
    if keys and len(done) == len(keys):
        return Sight("installed", saw, detail)
    lost = any(after.get(pod, 0) < keys[pod] for pod in called)
    return Sight("partial" if lost else "not installed", saw, detail)


class SqlState(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds Patroni's lock, and what one server says of itself; empty where it is silent."""

    leader: str = ""
    started: str = ""
    follows: bool | None = None


def sql_state(cluster: Cluster, namespace: str, pod: str, container: str) -> SqlState:
    """The lock of the store that this pod is a member of, and this pod's PostgreSQL."""
    store = pod.rpartition("-")[0]
    started, follows = _server(cluster, namespace, pod, container)
    return SqlState(
        leader=_lock_holder(cluster, namespace, store), started=started, follows=follows
    )


def _server(cluster: Cluster, namespace: str, pod: str, container: str) -> tuple[str, bool | None]:
    try:
        done = execute(cluster, namespace, pod, container, _PSQL, timeout_s=10.0, reads=True)
    except AcpchaosError:
        return "", None
    started, _, follows = done.stdout.strip().partition("|")
    return (started, follows == "t") if not done.code and follows else ("", None)


def _lock_holder(cluster: Cluster, namespace: str, store: str) -> str:
    """Patroni writes the leader's name into an annotation of the object that is its lock; which
    kind and name it has is its configuration, so it is found by what it says."""
    for kind in _LOCKS:
        for item in cluster.list(kind, namespace):
            words = item["metadata"].get("annotations") or {}
            holder = str(words.get("leader", ""))
            if "renewTime" in words and holder.rpartition("-")[0] == store:
                return holder
    return ""


def sql_killed(was: SqlState, now: SqlState) -> Sight:
    """Installed: the server that led is silent or another one, by its start time."""
    saw = f"led by {was.leader or '?'} before and {now.leader or '?'} now; " + (
        f"its server started {now.started}" if now.started else "its server is silent"
    )
    if not was.started or not was.leader:
        return Sight("indeterminate", f"{saw}; nothing was told before")
    return Sight("not installed" if now.started == was.started else "installed", saw)


def sql_moved(was: SqlState, now: SqlState) -> Sight:
    """Installed: another member holds the lock, and the server that led follows."""
    saw = f"led by {was.leader or '?'} before and {now.leader or '?'} now, " + (
        "which the old leader follows" if now.follows else "and the old leader does not follow"
    )
    if not was.leader or not now.leader:
        return Sight("indeterminate", saw)
    if now.leader == was.leader:
        return Sight("not installed", saw)
    return Sight("installed" if now.follows else "partial", saw)


_PING = (
    "sh", "-c",
    'REDISCLI_AUTH="${REDISCLI_AUTH:-$REDIS_PASSWORD}" redis-cli --tls --insecure PING 2>&1',
)  # fmt: skip


def password_refused(
    cluster: Cluster, namespace: str, pods: Collection[str], container: str
) -> Sight:
    """Installed: every node refuses the password that its own pod knows."""
    said = {pod: _pinged(cluster, namespace, pod, container) for pod in pods}
    refused = [pod for pod, word in said.items() if "NOAUTH" in word or "WRONGPASS" in word]
    taken = [pod for pod, word in said.items() if word == "PONG"]
    saw = f"{len(refused)} of {len(said)} nodes refuse the password of before"
    saw += f", {len(taken)} take it" if taken else ""
    detail = {"refused": refused, "taken": taken}
    if said and len(refused) == len(said):
        return Sight("installed", saw, detail)
    if refused:
        return Sight("partial", saw, detail)
    return Sight("not installed" if taken else "indeterminate", saw, detail)


def _pinged(cluster: Cluster, namespace: str, pod: str, container: str) -> str:
    try:
        done = execute(cluster, namespace, pod, container, _PING, timeout_s=10.0, reads=True)
    except AcpchaosError:
        return ""
    return done.stdout.strip()


_WRITE = (
    'f="$0/.acpchaos-look"; if head -c 1048576 /dev/zero >"$f" 2>/dev/null; then echo written; '
    'else echo full; fi; rm -f "$f"; '
    'REDISCLI_AUTH="${REDISCLI_AUTH:-$REDIS_PASSWORD}" redis-cli --tls --insecure INFO persistence '
    "2>/dev/null | grep -E '^(aof_last_write_status|rdb_last_bgsave_status):'"
)


def disk_full(cluster: Cluster, namespace: str, pod: str, container: str, folder: str) -> Sight:
    """Installed: a file of 1 MiB cannot be written where this node writes. What Redis itself says
    of its last writes is told beside, since it writes only when it is told to."""
    argv = ("sh", "-c", _WRITE, folder)
    try:
        done = execute(cluster, namespace, pod, container, argv, timeout_s=15.0, reads=True)
    except AcpchaosError as error:
        return Sight("indeterminate", f"{pod} cannot be asked: {error.seen}")
    word, _, rest = done.stdout.strip().partition("\n")
    saw = f"1 MiB in {folder} of {pod}: {word}; {', '.join(rest.split())}"
    outcome = {"full": "installed", "written": "not installed"}.get(word, "indeterminate")
    return Sight(outcome, saw)
