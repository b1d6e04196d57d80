"""Room lab/standin: PostgreSQL. Configuration, users, signing keys; what must survive a wipe.

One table per kind, a JSON document per row. Statements answer within a budget, are tried once
more on a fresh connection (a failover kills the old one), and then raise StoreUnavailable. It
must not know HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from . import metrics
from .model import KINDS, Record, identity, kind_of
from .problems import StartRefused, StoreUnavailable

log = logging.getLogger("standin.sql")
SCHEMA_VERSION = 1
LOCK_ID = 7242001
TABLES = {name: ("signing_keys" if name == "keys" else name) for name in KINDS}
MIGRATION = (
    "CREATE TABLE IF NOT EXISTS schema_version (version int PRIMARY KEY)",
    *(
        f"CREATE TABLE IF NOT EXISTS {table} (tenant_id text, server_id text, id text,"
        " doc jsonb NOT NULL, PRIMARY KEY (tenant_id, server_id, id))"
        for table in TABLES.values()
    ),
    "CREATE TABLE IF NOT EXISTS refresh_tokens (id text PRIMARY KEY, doc jsonb NOT NULL,"
    " used boolean NOT NULL DEFAULT false, expires_at bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS revocations (mark text PRIMARY KEY, at bigint NOT NULL,"
    " expires_at bigint NOT NULL)",
    f"INSERT INTO schema_version VALUES ({SCHEMA_VERSION}) ON CONFLICT DO NOTHING",
)
# A dead peer is noticed within seconds, not by the kernel's default of many minutes.
CONNECTION = {
    "connect_timeout": 3,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 4000,
    "application_name": "acp",
}
RETRIED = (psycopg.OperationalError, psycopg.errors.ReadOnlySqlTransaction)


class SqlStore:
    """A pool of connections to the leader behind one URL."""

    def __init__(self, url: str, pool_size: int, budget_s: float) -> None:
        self._budget_s = budget_s
        self._pool = AsyncConnectionPool(
            url,
            min_size=1,
            max_size=pool_size,
            open=False,
            timeout=budget_s,
            reconnect_timeout=5,
            kwargs={**CONNECTION, "autocommit": True},
            check=AsyncConnectionPool.check_connection,
        )

    async def start(self) -> None:
        """Opens the pool in the background."""
        await self._pool.open(wait=False)

    async def stop(self) -> None:
        """Closes every connection."""
        await self._pool.close(timeout=2)

    async def run(
        self, operation: str, statement: str, params: Sequence[object] = ()
    ) -> list[tuple[Any, ...]]:
        """All rows of one statement; StoreUnavailable when SQL does not answer in time."""
        deadline = time.monotonic() + self._budget_s
        with metrics.timed(metrics.SQL, operation):
            while True:
                try:
                    async with asyncio.timeout_at(
                        asyncio.get_running_loop().time() + deadline - time.monotonic()
                    ):
                        return await self._once(statement, params)
                except (PoolTimeout, TimeoutError) as problem:
                    raise StoreUnavailable("sql", f"no answer in {self._budget_s} s") from problem
                except RETRIED as problem:
                    if time.monotonic() > deadline - 0.2:
                        raise StoreUnavailable("sql", str(problem).strip()) from problem
                    await asyncio.sleep(0.1)

    async def _once(self, statement: str, params: Sequence[object]) -> list[tuple[Any, ...]]:
        async with self._pool.connection() as connection:
            try:
                cursor = await connection.execute(statement.encode(), params)
                return await cursor.fetchall() if cursor.description else []
            except psycopg.errors.ReadOnlySqlTransaction:
                await connection.close()  # a demoted leader: the name now leads elsewhere
                raise

    async def get(self, kind: str, tenant: str, server: str, id_: str) -> bytes | None:
        """One record's JSON, or None when there is none."""
        rows = await self.run(
            "get_" + kind,
            f"SELECT doc::text FROM {TABLES[kind]} WHERE tenant_id=%s AND server_id=%s AND id=%s",
            (tenant, server, id_),
        )
        return rows[0][0].encode() if rows else None

    async def list(self, kind: str, tenant: str = "", server: str = "") -> list[Any]:
        """All records of a kind, within a tenant and workspace if given, in a stable order."""
        rows = await self.run(
            "list_" + kind,
            f"SELECT doc::text FROM {TABLES[kind]} WHERE (%s='' OR tenant_id=%s)"
            " AND (%s='' OR server_id=%s) ORDER BY tenant_id COLLATE \"C\","
            ' server_id COLLATE "C", id COLLATE "C"',
            (tenant, tenant, server, server),
        )
        return [msgspec.json.decode(row[0], type=KINDS[kind]) for row in rows]

    async def put(self, record: Record, replace: bool = True) -> None:
        """Insert, and replace what is there if asked to."""
        kind = kind_of(record)
        clause = "UPDATE SET doc = EXCLUDED.doc" if replace else "NOTHING"
        await self.run(
            "put_" + kind,
            f"INSERT INTO {TABLES[kind]} VALUES (%s, %s, %s, %s::jsonb)"
            f" ON CONFLICT (tenant_id, server_id, id) DO {clause}",
            (*identity(record), msgspec.json.encode(record).decode()),
        )

    async def delete(self, kind: str, tenant: str, server: str, id_: str) -> bool:
        """Remove one record; False when there was none."""
        rows = await self.run(
            "delete_" + kind,
            f"DELETE FROM {TABLES[kind]} WHERE tenant_id=%s AND server_id=%s AND id=%s"
            " RETURNING id",
            (tenant, server, id_),
        )
        return bool(rows)

    async def delete_within(self, tenant: str, server: str = "") -> None:
        """Everything that belongs to a tenant, or to one of its workspaces."""
        for kind in reversed(KINDS):
            if server and kind == "tenants":
                continue
            await self.run(
                "delete_" + kind,
                f"DELETE FROM {TABLES[kind]} WHERE tenant_id=%s AND (%s='' OR server_id=%s)",
                (tenant, server, server),
            )


async def wait_for_sql(url: str, wait_s: float) -> None:
    """Returns once SQL answers; StartRefused with the reason after `wait_s` seconds."""
    if not url:
        raise StartRefused("sql.url is empty; set it in the configuration, SQL_URL or --sql.url")
    deadline = time.monotonic() + wait_s
    while True:
        try:
            async with await psycopg.AsyncConnection.connect(url, **CONNECTION) as connection:  # type: ignore[arg-type]
                await connection.execute("SELECT 1")
                return
        except psycopg.Error as problem:
            seen = str(problem).strip().splitlines()
            hopeless = isinstance(problem, psycopg.ProgrammingError)  # the URL itself is malformed
            if hopeless or time.monotonic() > deadline:
                raise StartRefused(
                    f"connect to SQL for {wait_s:g} s: {seen[0] if seen else problem!r}; "
                    "check sql.url, the database's health, its certificate and network policies"
                ) from None
        await asyncio.sleep(0.5)


async def migrate(url: str) -> None:
    """Creates the tables; several pods starting together take turns."""
    async with await psycopg.AsyncConnection.connect(url, **CONNECTION) as connection:  # type: ignore[arg-type]
        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK_ID,))
        for statement in MIGRATION:
            await connection.execute(statement.encode())
    log.info("sql schema is at version %d", SCHEMA_VERSION)


async def require_schema(url: str, wait_s: float) -> None:
    """StartRefused when migrations are switched off here and nobody runs them in `wait_s`."""
    deadline = time.monotonic() + wait_s
    while (seen := await _schema(url)) != SCHEMA_VERSION:
        if time.monotonic() > deadline:
            raise StartRefused(
                f"SQL schema is {seen or 'absent'}, needed {SCHEMA_VERSION}; "
                "run `sql migrate` or unset SQL_MIGRATIONS_DISABLE"
            )
        await asyncio.sleep(1)


async def _schema(url: str) -> int | None:
    try:
        async with await psycopg.AsyncConnection.connect(url, **CONNECTION) as connection:  # type: ignore[arg-type]
            cursor = await connection.execute("SELECT max(version) FROM schema_version")
            row = await cursor.fetchone()
            return row[0] if row else None
    except (psycopg.errors.UndefinedTable, psycopg.OperationalError):
        return None
