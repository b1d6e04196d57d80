"""PostgreSQL under Patroni: who leads, how far the others are, and what the tables hold.

Room: stores. Commands run in the database's own container as its own user, so no password is
needed. Fingerprints do not depend on the order of rows or on where a row lies.
"""

import ipaddress
from collections.abc import Iterable

import msgspec

from acpchaos.errors import AcpchaosError
from acpchaos.stores.exec import Exec

CLUSTER = ("curl", "-sf", "--max-time", "5", "http://127.0.0.1:8008/cluster")
SWITCHOVER = (
    "curl", "-s", "--fail-with-body", "--max-time", "80", "-X", "POST",
    "http://127.0.0.1:8008/switchover",
)  # fmt: skip
PORT = 5432
MARKER_TABLE = "acpchaos_marker"
_OWN_SCHEMAS = "n.nspname !~ '^(pg_|information_schema$|_?timescaledb)'"


class Member(msgspec.Struct, frozen=True):
    """One instance in Patroni's table. `lag` is in bytes, -1 when Patroni does not know it."""

    name: str
    role: str  # leader, replica, sync_standby
    state: str  # running, streaming, ...
    timeline: int = 0
    lag: int = 0


class Fingerprint(msgspec.Struct, frozen=True):
    """Content of a table: number of rows, and md5 over the sorted md5 of each row's text."""

    rows: int
    md5: str


class NoLeader(AcpchaosError):
    """No member says who leads."""


def members(run: Exec, pods: Iterable[str], container: str) -> tuple[Member, ...]:
    """Patroni's table from the first pod that answers; empty when none does."""
    for pod in pods:
        try:
            return parse_members(run(pod, container, CLUSTER, timeout_s=10.0))
        except (AcpchaosError, msgspec.DecodeError):
            continue
    return ()


def parse_members(text: str) -> tuple[Member, ...]:
    """Read Patroni's /cluster; of a member that just started timeline and lag are not known yet."""
    return tuple(
        Member(
            name=each["name"],
            role=each["role"],
            state=each.get("state", ""),
            timeline=int(each.get("timeline") or 0),
            lag=0 if each["role"] == "leader" else _lag(each.get("lag")),
        )
        for each in msgspec.json.decode(text)["members"]
    )


def _lag(told: object) -> int:
    return told if isinstance(told, int) else -1


def leader(table: Iterable[Member]) -> str:
    """Pod that leads; NoLeader when none does."""
    table = tuple(table)
    for member in table:
        if member.role == "leader" and member.state == "running":
            return member.name
    raise NoLeader(
        "find the leader of the SQL store",
        f"members: {', '.join(f'{m.name} {m.role} {m.state}' for m in table) or 'none answers'}",
        "look at the pods of the SQL store",
    )


def healthy(table: tuple[Member, ...], size: int) -> tuple[bool, str]:
    """One running leader and every other member streaming on its timeline; and what was seen."""
    leaders = [m for m in table if m.role == "leader" and m.state == "running"]
    timeline = leaders[0].timeline if leaders else 0
    followers = [
        m for m in table if m.role != "leader" and m.state == "streaming" and m.timeline == timeline
    ]
    saw = f"{len(leaders)} leader, {len(followers)} streaming of {size}"
    return len(leaders) == 1 and len(followers) == size - 1, saw


def query(run: Exec, pod: str, container: str, sql: str, database: str = "acp") -> str:
    """Unaligned rows of one statement."""
    argv = ("psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", sql)
    return run(pod, container, argv, timeout_s=60.0).strip()


def fingerprints(
    run: Exec, pod: str, container: str, database: str = "acp"
) -> dict[str, Fingerprint]:
    """Fingerprint of every table of its own in `database`, in one snapshot."""
    listed = query(run, pod, container, _TABLES, database).splitlines()
    if not listed:
        return {}
    told = query(run, pod, container, content_query(listed), database)
    rows = (line.split("|") for line in told.splitlines())
    return {name: Fingerprint(int(count), md5) for name, count, md5 in rows}


_TABLES = (
    "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c"
    " JOIN pg_namespace n ON n.oid = c.relnamespace"
    f" WHERE c.relkind = 'r' AND {_OWN_SCHEMAS} ORDER BY 1"
)


def content_query(tables: Iterable[str]) -> str:
    """One statement, hence one snapshot, over all tables; names are already quoted by the server.

    A row's text would follow the session's zone and date style, so both are set first.
    """
    parts = (
        f"SELECT $${name}$$, count(*), md5(coalesce(string_agg(h, '' ORDER BY h), ''))"
        f" FROM (SELECT md5(t::text) AS h FROM {name} t) AS hashed"
        for name in tables
    )
    return "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; " + " UNION ALL ".join(parts)


def write_marker(run: Exec, pod: str, container: str, mark: str, database: str = "acp") -> None:
    """Add a row of our own, known to be there at this moment. `mark`: letters, digits, - and _."""
    sql = (
        f"CREATE TABLE IF NOT EXISTS {MARKER_TABLE}"
        " (mark text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());"
        f" INSERT INTO {MARKER_TABLE} (mark) VALUES ('{_plain(mark)}') ON CONFLICT DO NOTHING"
    )
    query(run, pod, container, sql, database)


def damage_marker(run: Exec, pod: str, container: str, mark: str, database: str = "acp") -> None:
    """Harm that a restore must make good and that ACP does not feel: the row of `mark` goes."""
    query(
        run, pod, container, f"DELETE FROM {MARKER_TABLE} WHERE mark = '{_plain(mark)}'", database
    )


def markers(run: Exec, pod: str, container: str, database: str = "acp") -> tuple[str, ...]:
    """Marks in the store, sorted; empty also when the table was never made."""
    exists = query(run, pod, container, f"SELECT to_regclass('{MARKER_TABLE}')", database)
    if not exists:
        return ()
    told = query(run, pod, container, f"SELECT mark FROM {MARKER_TABLE} ORDER BY 1", database)
    return tuple(told.splitlines())


def drop_markers(run: Exec, pod: str, container: str, database: str = "acp") -> None:
    """Leave nothing of ours in the store."""
    query(run, pod, container, f"DROP TABLE IF EXISTS {MARKER_TABLE}", database)


def _plain(mark: str) -> str:
    if not mark or not all(char.isalnum() or char in "-_" for char in mark):
        raise ValueError(f"a marker of letters, digits, - and _ is needed, not {mark!r}")
    return mark


def candidates(table: Iterable[Member]) -> tuple[str, ...]:
    """Members that may take the lead now: streaming, and the synchronous ones where there are."""
    able = [m for m in table if m.role != "leader" and m.state == "streaming"]
    chosen = [m for m in able if m.role in ("sync_standby", "quorum_standby")] or able
    return tuple(sorted(m.name for m in chosen))


def switch_over(run: Exec, pod: str, container: str, candidate: str) -> None:
    """Ask the leader's Patroni to hand over; it answers when it is done or why it is not."""
    body = msgspec.json.encode({"leader": pod, "candidate": candidate}).decode()
    run(pod, container, (*SWITCHOVER, "-d", body), timeout_s=90.0)


def end_sessions(run: Exec, pod: str, container: str, addresses: Iterable[str]) -> int:
    """End all sessions of clients with these addresses in one member; how many there were."""
    own = [str(ipaddress.ip_address(each)) for each in addresses if each]
    if not own:
        return 0
    among = ", ".join(f"'{each}'::inet" for each in own)
    sql = f"SELECT pid FROM pg_stat_activity WHERE client_addr IN ({among})"
    sql = f"SELECT count(pg_terminate_backend(pid)) FROM ({sql}) AS theirs"
    return int(query(run, pod, container, sql, "postgres") or 0)
