"""Room lab/standin: configuration as the request path sees it, through two caches.

Local memory first, then Redis, then SQL, as the vendor's reference stack configures it. A token
request for a known client therefore needs no SQL; and a SQL outage shows only for clients nobody
asked for lately. A dead Redis costs nothing here: SQL answers instead.
"""

from __future__ import annotations

import logging
import time
from typing import Any, TypeVar, cast

import msgspec

from .model import KINDS, Client, Idp, Key, Record, Server, User, identity, kind_of
from .problems import StoreUnavailable
from .redisstore import RedisStore
from .sealing import Box, Unsealable
from .signing import Signer
from .sqlstore import SqlStore

log = logging.getLogger("standin.catalog")
T = TypeVar("T")
MAX_ENTRIES = 20_000


class Catalog:
    """Reads configuration records; `local_ttl_s` bounds how long a change may go unseen."""

    def __init__(
        self, sql: SqlStore, redis: RedisStore, box: Box, local_ttl_s: float, redis_ttl_s: float
    ) -> None:
        self._sql = sql
        self._redis = redis
        self._box = box
        self._local_ttl_s = local_ttl_s
        self._redis_ttl_s = redis_ttl_s
        self._local: dict[tuple[str, ...], tuple[float, Any]] = {}
        self._unforgotten: set[str] = set()

    async def server(self, tenant: str, server: str) -> Server | None:
        """A workspace, or None."""
        return cast(Server | None, await self._record("servers", tenant, server, server))

    async def client(self, tenant: str, server: str, client: str) -> Client | None:
        """A client, or None."""
        return cast(Client | None, await self._record("clients", tenant, server, client))

    async def user(self, tenant: str, server: str, idp: str, user: str) -> User | None:
        """A user of a static IDP, or None."""
        return cast(User | None, await self._record("users", tenant, server, f"{idp}/{user}"))

    async def idps(self, tenant: str, server: str) -> list[Idp]:
        """The workspace's identity providers."""
        return cast(list[Idp], await self._listed("idps", tenant, server))

    async def signers(self, tenant: str, server: str) -> list[Signer]:
        """Signing keys ready for use, newest id last; never put into Redis."""
        key = ("signers", tenant, server)
        if (kept := self._fresh(key)) is not None:
            return cast(list[Signer], kept)
        keys = cast(list[Key], await self._listed("keys", tenant, server))
        return self._keep(key, [Signer(entry.id, entry.jwk) for entry in keys])

    async def secret_of(self, client: Client) -> str | None:
        """The plain client secret; None, and a log line, when no data key opens it."""
        key = ("secret", client.tenant_id, client.server_id, client.id, client.secret)
        if (kept := self._fresh(key)) is not None:
            return cast(str, kept)
        try:
            return self._keep(key, self._box.open(client.secret))
        except Unsealable as problem:
            log.error(
                "client %s/%s/%s cannot authenticate: %s; add the sealing key to `secrets`",
                client.tenant_id, client.server_id, client.id, problem,
            )  # fmt: skip
            return None

    async def changed(self, record: Record) -> None:
        """Drops a record from both caches after a write."""
        await self.forget(kind_of(record), *identity(record))

    async def forget(self, kind: str, tenant: str, server: str, id_: str) -> None:
        """Drops one record; other replicas notice after `local_ttl_s` at the latest."""
        for key in ((kind, tenant, server, id_), ("list", kind, tenant, server)):
            self._local.pop(key, None)
        if kind == "keys":
            self._local.pop(("signers", tenant, server), None)
        if not await self._cleared(_redis_key(kind, tenant, server, id_)):
            log.warning("config cache not cleared yet: %s %s/%s/%s", kind, tenant, server, id_)

    async def forget_all(self) -> None:
        """Drops everything kept locally, after a bulk change."""
        self._local.clear()

    def _fresh(self, key: tuple[str, ...]) -> Any:
        kept = self._local.get(key)
        return kept[1] if kept and time.monotonic() - kept[0] < self._local_ttl_s else None

    def _keep(self, key: tuple[str, ...], value: T) -> T:
        if len(self._local) > MAX_ENTRIES:
            self._local.clear()
        self._local[key] = (time.monotonic(), value)
        return value

    def _stale(self, key: tuple[str, ...]) -> Any:
        """A known value past its time, while SQL is away; bounded by the Redis life time."""
        kept = self._local.get(key)
        return kept[1] if kept and time.monotonic() - kept[0] < self._redis_ttl_s else None

    async def _listed(self, kind: str, tenant: str, server: str) -> list[Any]:
        key = ("list", kind, tenant, server)
        if (kept := self._fresh(key)) is not None:
            return cast(list[Any], kept)
        try:
            return self._keep(key, await self._sql.list(kind, tenant, server))
        except StoreUnavailable:
            if (kept := self._stale(key)) is not None:
                return cast(list[Any], kept)
            raise

    async def _record(self, kind: str, tenant: str, server: str, id_: str) -> Record | None:
        key = (kind, tenant, server, id_)
        if (kept := self._fresh(key)) is not None:
            return cast(Record, kept)
        raw = await self._from_redis(kind, tenant, server, id_)
        if raw is None:
            try:
                raw = await self._sql.get(kind, tenant, server, id_)
            except StoreUnavailable:
                if (kept := self._stale(key)) is not None:
                    return cast(Record, kept)
                raise
            if raw is None:
                self._local.pop(key, None)
                return None
            await self._to_redis(kind, tenant, server, id_, raw)
        return self._keep(key, msgspec.json.decode(raw, type=KINDS[kind]))

    async def _cleared(self, key: str) -> bool:
        """Whether Redis holds no old value of a key now; if not, it is not believed until it is."""
        try:
            await self._redis.call("config", "DEL", key)
        except StoreUnavailable:
            self._unforgotten.add(key)
            return False
        self._unforgotten.discard(key)
        return True

    async def _from_redis(self, kind: str, tenant: str, server: str, id_: str) -> bytes | None:
        if not self._redis.up:
            return None
        key = _redis_key(kind, tenant, server, id_)
        if key in self._unforgotten and not await self._cleared(key):
            return None
        try:
            found = await self._redis.call("config", "GET", key)
        except StoreUnavailable:
            return None
        return cast(bytes | None, found)

    async def _to_redis(self, kind: str, tenant: str, server: str, id_: str, raw: bytes) -> None:
        key = _redis_key(kind, tenant, server, id_)
        if not self._redis.up or key in self._unforgotten:
            return
        try:
            await self._redis.call("config", "SET", key, raw, "EX", int(self._redis_ttl_s))
        except StoreUnavailable:
            log.debug("config cache not filled: %s", kind)


def _redis_key(kind: str, tenant: str, server: str, id_: str) -> str:
    return f"acp:cfg:{kind}:{tenant}:{server}:{id_}"
