"""Room lab/standin: audit events, on their way through a Redis stream to TimescaleDB.

Producers never wait: events queue in memory and a task appends them to the stream. Workers read
the stream with a consumer group and insert into SQL; they create the group again after a wipe.
What is in memory or in the stream when Redis is lost is lost, as the documentation expects.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import uuid
from typing import Any

import msgspec
import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from redis.exceptions import ResponseError

from . import metrics
from .model import Server
from .problems import StoreUnavailable
from .redisstore import RedisStore
from .sqlstore import CONNECTION

log = logging.getLogger("standin.audit")
STREAM = "acp:stream:audit"
GROUP = "audit"
MAX_QUEUED = 10_000
FLUSH_S = 0.1
BATCH = 200
CLAIM_IDLE_MS = 30_000
TABLE = (
    "CREATE TABLE IF NOT EXISTS audit_events (time timestamptz NOT NULL, id uuid NOT NULL,"
    " tenant_id text, server_id text, action text, client_id text, subject text,"
    " PRIMARY KEY (id, time))",
    "DO $$ BEGIN IF EXISTS (SELECT 1 FROM pg_available_extensions WHERE name='timescaledb') THEN"
    " CREATE EXTENSION IF NOT EXISTS timescaledb;"
    " PERFORM create_hypertable('audit_events', 'time', if_not_exists => true); END IF; END $$",
)
INSERT = (
    "INSERT INTO audit_events VALUES (to_timestamp(%(time)s), %(id)s, %(tenant)s, %(server)s,"
    " %(action)s, %(client)s, %(subject)s) ON CONFLICT DO NOTHING"
)


class AuditLog:
    """The producing side."""

    def __init__(self, redis: RedisStore, max_length: int) -> None:
        self._redis = redis
        self._max_length = max_length
        self._queue: list[bytes] = []
        self._dropped = 0
        self._task: asyncio.Task[None] | None = None

    def emit(self, server: Server, action: str, client: str = "", subject: str = "") -> None:
        """Queue one event; a full queue drops it and counts."""
        if len(self._queue) >= MAX_QUEUED:
            self._dropped += 1
            metrics.SQL_QUEUE_ERRORS.set(self._dropped)
            return
        event = {
            "id": str(uuid.uuid4()),
            "time": time.time(),
            "tenant": server.tenant_id,
            "server": server.id,
            "action": action,
            "client": client,
            "subject": subject,
        }
        self._queue.append(msgspec.json.encode(event))

    def start(self) -> None:
        """Begin appending to the stream."""
        self._task = asyncio.create_task(self._flush(), name="audit-flush")

    async def stop(self) -> None:
        """Append what is left, for a second at most."""
        if self._task:
            self._task.cancel()
        try:
            await self._append()
        except StoreUnavailable:
            log.warning("%d audit events lost at stop", len(self._queue))

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_S)
            metrics.SQL_QUEUE.set(len(self._queue))
            if self._queue and self._redis.up:
                try:
                    await self._append()
                except StoreUnavailable:
                    await asyncio.sleep(1)

    async def _append(self) -> None:
        while self._queue:
            # One stream entry carries a batch: an append costs as much for one event as for many.
            batch = self._queue[:BATCH]
            await self._redis.call(
                "audit", "XADD", STREAM, "MAXLEN", "~", self._max_length, "*",
                "e", b"[" + b",".join(batch) + b"]",
            )  # fmt: skip
            del self._queue[: len(batch)]


class AuditWorker:
    """The consuming side, run by the worker Deployment."""

    def __init__(self, redis: RedisStore, timescale_url: str) -> None:
        self._redis = redis
        self._name = f"{socket.gethostname()}-{os.getpid()}"
        self._ready = False
        self._pool = AsyncConnectionPool(
            timescale_url,
            min_size=1,
            max_size=2,
            open=False,
            timeout=5,
            kwargs={**CONNECTION, "autocommit": True},
            check=AsyncConnectionPool.check_connection,
        )

    async def run(self) -> None:
        """Consume for ever; a store that is away only delays."""
        await self._pool.open(wait=False)
        claimed_at = 0.0
        while True:
            try:
                await self._prepare()
                if time.monotonic() - claimed_at > CLAIM_IDLE_MS / 1000:
                    await self._store(await self._abandoned())
                    claimed_at = time.monotonic()
                await self._store(await self._next())
            except ResponseError as problem:
                log.info("consumer group is gone (%s): created again", str(problem)[:40])
                await self._make_group()
            except (StoreUnavailable, psycopg.Error, PoolTimeout, TimeoutError) as problem:
                log.warning("audit events wait: %s", str(problem).strip())
                await asyncio.sleep(1)

    async def stop(self) -> None:
        """Close the database connections."""
        await self._pool.close(timeout=2)

    async def _prepare(self) -> None:
        if self._ready:
            return
        async with self._pool.connection() as connection:
            for statement in TABLE:
                async with connection.transaction():
                    await connection.execute("SELECT pg_advisory_xact_lock(7242002)")
                    await connection.execute(statement.encode())
        await self._make_group()
        self._ready = True

    async def _make_group(self) -> None:
        try:
            await self._redis.call("audit", "XGROUP CREATE", STREAM, GROUP, "0", "MKSTREAM")
        except ResponseError as problem:
            if "BUSYGROUP" not in str(problem):
                raise
        except StoreUnavailable:
            await asyncio.sleep(1)

    async def _next(self) -> list[Any]:
        """New entries; waits in short steps since blocking reads would hold a connection."""
        reply = await self._redis.stream_read(STREAM, GROUP, self._name, BATCH)
        entries: list[Any] = reply[0][1] if reply else []
        pending = await self._redis.call("audit", "XPENDING", STREAM, GROUP)
        metrics.REDIS_PENDING.labels(GROUP, STREAM).set(_pending(pending))
        if not entries:
            await asyncio.sleep(0.25)
        return entries

    async def _abandoned(self) -> list[Any]:
        """Entries another worker took and never acknowledged."""
        reply = await self._redis.call(
            "audit", "XAUTOCLAIM", STREAM, GROUP, self._name, CLAIM_IDLE_MS, "0"
        )
        return list(reply[1]) if reply else []

    async def _store(self, entries: list[Any]) -> None:
        rows: list[dict[str, Any]] = []
        for id_, fields in entries:
            raw = (
                fields.get(b"e")
                if isinstance(fields, dict)
                else dict(zip(fields[::2], fields[1::2], strict=True)).get(b"e")
            )
            rows += msgspec.json.decode(raw) if raw else []
            age_s = time.time() - int(id_.split(b"-")[0]) / 1000
            metrics.REDIS_LAG.labels(GROUP, STREAM).observe(max(0.0, age_s))
        if rows:
            async with self._pool.connection() as connection, connection.cursor() as cursor:
                await cursor.executemany(INSERT, rows)
        if entries:
            ids = [id_ for id_, _ in entries]
            await self._redis.call("audit", "XACK", STREAM, GROUP, *ids)


def _pending(reply: Any) -> int:
    if isinstance(reply, dict):
        return int(reply.get("pending", 0))
    return int(reply[0]) if reply else 0
