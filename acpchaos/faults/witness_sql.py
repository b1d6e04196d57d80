"""Looks at who still gets into a PostgreSQL server; shares no code with the injectors.

Room: faults. An ordinary login is tried over TCP from inside the server's own container, with the
words that lie in its environment, so that no secret leaves it.
"""

import re

from acpchaos.errors import AcpchaosError
from acpchaos.faults.fault import Sight
from acpchaos.target.cluster import Cluster
from acpchaos.target.execute import execute

# The words of SQLSTATE 53300 (too_many_connections); libpq tells no code of a failed connection.
FULL = re.compile(r"too many clients already|remaining connection slots are reserved")
_LOGIN = (
    'PGPASSWORD="$PATRONI_REPLICATION_PASSWORD" PGCONNECT_TIMEOUT=5 PGAPPNAME=acpchaos-look '
    'psql -h 127.0.0.1 -U "${PATRONI_REPLICATION_USERNAME:-standby}" -d postgres '
    '-qAtXc "SELECT 1"'
)
_COUNT = (
    "SELECT count(*) * 100 / (current_setting('max_connections')::int"
    " - current_setting('superuser_reserved_connections')::int)"
    " FROM pg_stat_activity WHERE backend_type = 'client backend'"
)
_PSQL = ("psql", "-qAtX", "-U", "postgres", "-d", "postgres", "-c", _COUNT)
HALF = 50


def exhausted(cluster: Cluster, namespace: str, pod: str, container: str) -> Sight:
    """Installed: an ordinary login is refused for want of connections, and the server's own count
    says the same to those for whom it reserves some."""
    login = _login(cluster, namespace, pod, container)
    used = _used(cluster, namespace, pod, container)
    saw = f"an ordinary login of {pod}: {login}; {used} % of the connections are in use"
    detail = {"login": login, "used_percent": used}
    if login == "1":
        return Sight("partial" if used >= HALF else "not installed", saw, detail)
    if used < 0 or not FULL.search(login):
        return Sight("indeterminate", saw, detail)
    return Sight("installed" if used >= 100 else "partial", saw, detail)


def _login(cluster: Cluster, namespace: str, pod: str, container: str) -> str:
    """1 when it worked, else what the server said."""
    argv = ("sh", "-c", _LOGIN)
    try:
        done = execute(cluster, namespace, pod, container, argv, timeout_s=15.0, reads=True)
    except AcpchaosError as error:
        return f"? {error.seen}"
    text = done.stdout.strip() if not done.code else done.stderr.strip() or done.stdout.strip()
    return text[-200:]


def _used(cluster: Cluster, namespace: str, pod: str, container: str) -> int:
    """Client connections in percent of those that ordinary clients may take; -1 when not told."""
    try:
        done = execute(cluster, namespace, pod, container, _PSQL, timeout_s=15.0, reads=True)
    except AcpchaosError:
        return -1
    text = done.stdout.strip()
    return int(text) if not done.code and text.isdigit() else -1
