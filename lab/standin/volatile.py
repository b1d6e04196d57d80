"""Room lab/standin: everything a Redis wipe may take, and the two items whose home is unknown.

Token records, codes, pushed requests, logins in progress and SSO sessions lie in Redis.
Refresh tokens and revocation marks lie in Redis or SQL, as the switches say. A missing record and
a silent store are different answers: the second raises StoreUnavailable. It must not know OAuth.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from .redisstore import RedisStore
from .settings import Switches
from .sqlstore import SqlStore

Document = dict[str, Any]


class Volatile:
    """Documents with a life time, addressed by entity and id."""

    def __init__(self, redis: RedisStore, sql: SqlStore, switches: Switches) -> None:
        self._redis = redis
        self._sql = sql
        self._refresh_in_sql = switches.refresh_tokens == "sql"
        self._marks_in_sql = switches.revocations == "sql"

    async def put(self, entity: str, id_: str, document: Document, ttl_s: int) -> None:
        """Store a document for `ttl_s` seconds."""
        raw = msgspec.json.encode(document)
        await self._redis.call(entity, "SET", f"acp:{entity}:{id_}", raw, "EX", max(1, ttl_s))

    async def get(self, entity: str, id_: str) -> Document | None:
        """The document, or None when it is not there."""
        raw = await self._redis.call(entity, "GET", f"acp:{entity}:{id_}")
        return msgspec.json.decode(raw) if raw else None

    async def take(self, entity: str, id_: str) -> Document | None:
        """The document, removed in the same step: only one caller gets it."""
        raw = await self._redis.call(entity, "GETDEL", f"acp:{entity}:{id_}")
        return msgspec.json.decode(raw) if raw else None

    async def drop(self, entity: str, id_: str) -> None:
        """Remove a document."""
        await self._redis.call(entity, "DEL", f"acp:{entity}:{id_}")

    async def claim(self, entity: str, id_: str, ttl_s: int) -> bool:
        """True for the first caller only."""
        key = f"acp:{entity}-used:{id_}"
        done = await self._redis.call(entity, "SET", key, b"1", "NX", "EX", max(1, ttl_s))
        return done is not None and done is not False

    async def put_refresh(self, id_: str, document: Document, ttl_s: int) -> None:
        """Store a refresh token under the hash `id_`."""
        if not self._refresh_in_sql:
            await self.put("rt", id_, document, ttl_s)
            return
        await self._sql.run(
            "put_refresh_token",
            "INSERT INTO refresh_tokens (id, doc, expires_at) VALUES (%s, %s::jsonb, %s)",
            (id_, msgspec.json.encode(document).decode(), int(time.time()) + ttl_s),
        )

    async def get_refresh(self, id_: str) -> Document | None:
        """A refresh token's document, used or not."""
        if not self._refresh_in_sql:
            return await self.get("rt", id_)
        rows = await self._sql.run(
            "get_refresh_token",
            "SELECT doc::text FROM refresh_tokens WHERE id=%s AND expires_at > %s",
            (id_, int(time.time())),
        )
        return msgspec.json.decode(rows[0][0]) if rows else None

    async def use_refresh(self, id_: str, ttl_s: int) -> bool:
        """True for the first use only; a second one is a replay."""
        if not self._refresh_in_sql:
            return await self.claim("rt", id_, ttl_s)
        rows = await self._sql.run(
            "use_refresh_token",
            "UPDATE refresh_tokens SET used=true WHERE id=%s AND NOT used RETURNING id",
            (id_,),
        )
        return bool(rows)

    async def mark(self, name: str, ttl_s: int) -> None:
        """Revoke everything called `name` that was issued up to now."""
        now = int(time.time())
        if not self._marks_in_sql:
            await self.put("rev", name, {"at": now}, ttl_s)
            return
        await self._sql.run(
            "put_revocation",
            "INSERT INTO revocations VALUES (%s, %s, %s) ON CONFLICT (mark) DO UPDATE"
            " SET at=EXCLUDED.at, expires_at=EXCLUDED.expires_at",
            (name, now, now + ttl_s),
        )

    async def marked(self, names: list[str], issued_at: int) -> bool:
        """Whether any of the names was revoked at or after `issued_at` (Unix seconds)."""
        if not self._marks_in_sql:
            marks = await asyncio.gather(*(self.get("rev", name) for name in names))
            return any(mark is not None and mark["at"] >= issued_at for mark in marks)
        rows = await self._sql.run(
            "get_revocations",
            "SELECT 1 FROM revocations WHERE mark = ANY(%s) AND at >= %s AND expires_at > %s",
            (names, issued_at, int(time.time())),
        )
        return bool(rows)
