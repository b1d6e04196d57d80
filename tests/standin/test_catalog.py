"""Configuration caches: what a Redis that was away could not forget is never believed again."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from lab.standin.catalog import Catalog
from lab.standin.model import Server
from lab.standin.problems import StoreUnavailable
from lab.standin.sealing import Box
from lab.standin.settings import DataKey

OLD = Server(tenant_id="acme", id="main", name="old")


class Cache:
    """Redis as the catalogue uses it; while `away`, every command fails though `up` is believed."""

    up = True

    def __init__(self) -> None:
        self.away = False
        self.kept: dict[str, bytes] = {}

    async def call(self, entity: str, operation: str, key: str, *args: Any) -> bytes | None:
        assert entity == "config"
        if self.away:
            raise StoreUnavailable("redis", "away")
        if operation == "SET":
            self.kept[key] = args[0]
        return self.kept.pop(key, None) if operation == "DEL" else self.kept.get(key)


class Sql:
    """The one record that SQL holds."""

    def __init__(self) -> None:
        self.record: Server | None = OLD

    async def get(self, *names: str) -> bytes | None:
        assert names == ("servers", "acme", "main", "main")
        return msgspec.json.encode(self.record) if self.record else None


def catalogue() -> tuple[Catalog, Sql, Cache]:
    """Without a local memory, so that each read asks Redis."""
    sql, cache = Sql(), Cache()
    stores: Any = (sql, cache)
    return (
        Catalog(*stores, Box([DataKey("one", "0" * 32)]), local_ttl_s=0.0, redis_ttl_s=60.0),
        sql,
        cache,
    )


def test_a_record_is_answered_by_redis_and_forgotten_there() -> None:
    catalog, sql, cache = catalogue()

    async def play() -> None:
        assert await catalog.server("acme", "main") == OLD
        sql.record = None
        assert await catalog.server("acme", "main") == OLD, "Redis does not answer"
        await catalog.forget("servers", "acme", "main", "main")
        assert await catalog.server("acme", "main") is None

    asyncio.run(play())
    assert not cache.kept


def test_what_redis_could_not_forget_is_not_believed() -> None:
    catalog, sql, cache = catalogue()

    async def play() -> None:
        assert await catalog.server("acme", "main") == OLD
        sql.record, cache.away = None, True
        await catalog.forget("servers", "acme", "main", "main")
        assert await catalog.server("acme", "main") is None, "while Redis is away"
        cache.away = False
        assert await catalog.server("acme", "main") is None, "after its return"

    asyncio.run(play())
    assert not cache.kept, "the old value stayed for other replicas"
