"""Room lab/standin: the Redis Cluster, reached by name, lost and found again without a restart.

Four rules. A command answers within a budget or raises StoreUnavailable, so that no request hangs.
A failure wakes one repair task that asks every master: a busy cluster is left alone, since a new
client means a TLS handshake per connection, which keeps a busy cluster busy. When masters are gone
it resolves the seed names anew and builds a new client, because after a rebuild every address
differs. While no cluster can be reached, commands fail at once. It must not know what is stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.crc import key_slot
from redis.exceptions import (
    MovedError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from . import metrics, patience
from .problems import StoreUnavailable
from .settings import RedisSettings

# RedisClusterException is no RedisError, though it is what a half-formed cluster raises.
AWAY = (RedisError, RedisClusterException, OSError, TimeoutError)

log = logging.getLogger("standin.redis")
REBUILD_PAUSE_S = 0.5
REBUILD_BUDGET_S = 5.0
CONNECT_BUDGET_S = 0.5
CHECK_BUDGET_S = 1.2
CONCURRENCY = 16  # commands under way, hence connections per node: more only queue up in Redis
# Replies that tell the caller something; all others mean that the cluster cannot serve.
MEANINGFUL = ("BUSYGROUP", "NOGROUP", "WRONGTYPE")


class RedisStore:
    """A cluster client that replaces itself."""

    def __init__(self, settings: RedisSettings, budget_s: float) -> None:
        self._settings = settings
        self._budget_s = budget_s
        self._client: RedisCluster | None = None
        self._wake = asyncio.Event()
        self._repairer: asyncio.Task[None] | None = None
        self._errors = 0
        self._slots = asyncio.Semaphore(CONCURRENCY)
        self._answered = False  # since the last check
        self._cause = "not connected yet"
        self._known: list[tuple[str, int]] = []

    async def start(self) -> None:
        """Begins connecting and waits a moment; a missing cluster does not stop the process."""
        self._wake.set()
        self._repairer = asyncio.create_task(self._repair(), name="redis-repair")
        deadline = time.monotonic() + 3
        while self._client is None and time.monotonic() < deadline:
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Ends the repair task and closes the connections."""
        if self._repairer:
            self._repairer.cancel()
        if self._client:
            await _close(self._client)

    @property
    def up(self) -> bool:
        """Whether a cluster is believed reachable."""
        return self._client is not None

    async def call(self, entity: str, operation: str, key: str, *args: Any) -> Any:
        """One command on one key; StoreUnavailable after the budget or on any failure."""
        begin = time.perf_counter()
        try:
            async with self._within(patience.left_s(self._budget_s)):
                if self._client is None:  # known: fail without queueing
                    raise StoreUnavailable("redis", self._cause)
                async with self._slots:
                    answer = await self._send(operation, key, args)
                self._answered = True
                return answer
        finally:
            taken_s = time.perf_counter() - begin
            metrics.REDIS.labels(entity, operation.lower()).observe(taken_s)

    @contextlib.asynccontextmanager
    async def _within(self, budget_s: float) -> AsyncIterator[None]:
        """Bounds what is done inside; all that says the cluster is away is StoreUnavailable."""
        try:
            async with asyncio.timeout(budget_s):
                yield
        except ResponseError as problem:
            if str(problem).startswith(MEANINGFUL):
                raise
            raise self._failed(problem) from problem
        except (*AWAY, IndexError, KeyError) as problem:
            raise self._failed(problem) from problem

    async def stream_read(self, stream: str, group: str, consumer: str, count: int) -> Any:
        """New entries of a stream for one consumer; its key is not where `call` expects it."""
        client = self._client
        if client is None:
            raise StoreUnavailable("redis", self._cause)
        async with self._within(self._budget_s):
            node = client.nodes_manager.slots_cache[key_slot(stream.encode())][0]
            return await node.execute_command(
                "XREADGROUP", "GROUP", group, consumer, "COUNT", count, "STREAMS", stream, ">"
            )

    async def _send(self, operation: str, key: str, args: tuple[Any, ...]) -> Any:
        client = self._client
        if client is None:
            raise StoreUnavailable("redis", self._cause)
        # Straight to the slot's master: the client's own dispatch costs three times as much CPU.
        node = client.nodes_manager.slots_cache[key_slot(key.encode())][0]
        try:
            return await node.execute_command(*operation.split(), key, *args)
        except MovedError:
            return await client.execute_command(*operation.split(), key, *args)

    def _failed(self, problem: BaseException) -> StoreUnavailable:
        self._errors += 1
        metrics.REDIS_ERRORS.set(self._errors)
        self._cause = f"{type(problem).__name__}: {problem}".strip(": ")
        self._wake.set()
        return StoreUnavailable("redis", self._cause)

    async def _repair(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._client is not None and await self._whole(self._client):
                await asyncio.sleep(REBUILD_PAUSE_S)
                continue
            if self._client is not None:
                log.warning("redis lost: %s", self._cause)
                await self._swap(None)
            try:
                async with asyncio.timeout(REBUILD_BUDGET_S):
                    fresh = await self._build()
            except Exception as problem:  # the repairer must outlive every surprise
                self._cause = f"{type(problem).__name__}: {problem}".strip(": ")
                self._wake.set()
            else:
                log.info("redis reached: %d masters", len(fresh.get_primaries()))
                self._known = [(node.host, int(node.port)) for node in fresh.get_nodes()]
                await self._swap(fresh)
                metrics.REDIS_RECONNECTS.inc()
            await asyncio.sleep(REBUILD_PAUSE_S * (1 + random.random()))

    async def _whole(self, client: RedisCluster) -> bool:
        """Whether every master that the client knows answers and calls the cluster whole.

        Not when nothing at all was answered since the last check: then masters that look well do
        not help.
        """
        answered, self._answered = self._answered, False
        if not answered:
            return False
        try:
            async with asyncio.timeout(CHECK_BUDGET_S):
                states = await asyncio.gather(*(_state(node) for node in client.get_primaries()))
        except (*AWAY, IndexError, KeyError) as problem:
            self._cause = f"{type(problem).__name__}: {problem}".strip(": ")
            return False
        return bool(states) and set(states) == {"ok"}

    async def _swap(self, fresh: RedisCluster | None) -> None:
        old, self._client = self._client, fresh
        if old is not None:  # its commands in flight may finish within their budget
            asyncio.get_running_loop().call_later(
                self._budget_s + 0.5, lambda: asyncio.ensure_future(_close(old))
            )

    async def _addresses(self) -> list[tuple[str, int]]:
        """Every address behind the seed names now, then the nodes known from before."""
        loop = asyncio.get_running_loop()
        found: list[tuple[str, int]] = []
        for host, port in self._settings.seeds:
            if self._settings.verify_hostname:
                found.append((host, port))
                continue
            with contextlib.suppress(OSError):
                rows = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                found += [(str(row[4][0]), int(row[4][1])) for row in rows]
        random.shuffle(found)
        return list(dict.fromkeys(found + self._known))

    async def _build(self) -> RedisCluster:
        """A new client that has seen `cluster_state:ok`; raises when none can be had."""
        addresses = await self._addresses()
        if not addresses:
            names = ", ".join(host for host, _ in self._settings.seeds) or "redis.addrs is empty"
            raise StoreUnavailable("redis", f"no address behind {names}")
        cause = "no node answered"
        for address in addresses:
            client = self._new_client(address)
            try:
                await client.initialize()
                state = await _state(client.get_random_node())
                if state == "ok":
                    return client
                cause = f"cluster_state:{state} at {address[0]}:{address[1]}"
            except AWAY as problem:
                cause = f"{address[0]}:{address[1]} {type(problem).__name__}: {problem}"
            except asyncio.CancelledError:
                await _close(client)
                raise
            await _close(client)
        raise StoreUnavailable("redis", cause)

    def _new_client(self, address: tuple[str, int]) -> RedisCluster:
        chosen = self._settings
        tls: dict[str, Any] = {}
        if chosen.tls:
            tls = {
                "ssl": True,
                "ssl_ca_certs": chosen.root_ca or None,
                "ssl_cert_reqs": "required" if chosen.root_ca else "none",
                "ssl_check_hostname": chosen.verify_hostname,
            }
        return RedisCluster(
            startup_nodes=[ClusterNode(*address)],
            dynamic_startup_nodes=False,
            password=chosen.password or None,
            socket_timeout=None,  # the budget of each call bounds it, blocking reads included
            socket_connect_timeout=CONNECT_BUDGET_S,
            require_full_coverage=True,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **tls,
        )


async def _state(node: ClusterNode) -> str:
    """The node's own view of the cluster: ok, or fail."""
    info = await node.execute_command("CLUSTER INFO")
    told = info if isinstance(info, dict) else _parse_info(info)
    return str(told.get("cluster_state"))


def _parse_info(raw: bytes | str) -> dict[str, str]:
    text = raw.decode() if isinstance(raw, bytes) else raw
    return dict(line.split(":", 1) for line in text.split("\r\n") if ":" in line)


async def _close(client: RedisCluster) -> None:
    with contextlib.suppress(Exception):  # a dead connection may object to being closed
        await client.aclose()
