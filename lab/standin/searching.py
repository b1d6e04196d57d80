"""Room lab/standin: the sessions of one user, found by a secondary index that lies in Redis, too.

It stands for RediSearch, which the lab's Redis does not have: one key is the index's definition,
which a wipe takes as it takes everything; documents are listed in a set per user. When a lost
definition is made again, at the next start or on demand, is not known of the product: a switch.
"""

from __future__ import annotations

import logging

from .problems import StoreUnavailable
from .redisstore import RedisStore

log = logging.getLogger("standin.searching")
DEFINITION = "acp:index:sso"


class SessionIndex:
    """Index of SSO sessions by user. `on_demand` makes a lost definition again when it is asked."""

    def __init__(self, redis: RedisStore, *, on_demand: bool) -> None:
        self._redis, self._on_demand = redis, on_demand

    async def start(self) -> None:
        """Define the index; a Redis that is away leaves it undefined."""
        try:
            await self._define()
        except StoreUnavailable as problem:
            log.warning("index %s not defined: %s", DEFINITION, problem)

    async def _define(self) -> None:
        await self._redis.call("index", "SET", DEFINITION, b"1")

    async def add(self, user: str, sid: str, ttl_s: int) -> None:
        """List a session. Documents come before the definition, as an index reads old ones, too."""
        key = f"{DEFINITION}:{user}"
        await self._redis.call("index", "SADD", key, sid)
        await self._redis.call("index", "EXPIRE", key, max(1, ttl_s))

    async def drop(self, user: str, sid: str) -> None:
        """Take a session from the list."""
        await self._redis.call("index", "SREM", f"{DEFINITION}:{user}", sid)

    async def of(self, user: str) -> list[str]:
        """Ids of a user's sessions, ended ones among them; StoreUnavailable without definition."""
        if not await self._redis.call("index", "EXISTS", DEFINITION):
            if not self._on_demand:
                raise StoreUnavailable("redis", f"no such index {DEFINITION}")
            await self._define()
        found = await self._redis.call("index", "SMEMBERS", f"{DEFINITION}:{user}")
        return sorted(sid.decode() for sid in found or ())
