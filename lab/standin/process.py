"""Room lab/standin: one server process: start, ports, drain, stop.

SQL must answer or the process refuses to start; Redis may be away. On SIGTERM the process keeps
serving for `standin.drain_s` while endpoints are taken out, closing kept connections one by one,
then stops listening and finishes what is in flight. A second signal ends it at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import ssl
from collections.abc import Iterator
from pathlib import Path

import uvicorn

from . import metrics
from .audit import AuditLog, AuditWorker
from .authorize import AuthorizeEndpoints
from .catalog import Catalog
from .context import Context
from .defaults import default_objects, system_objects
from .importing import store
from .management import ManagementEndpoints
from .oauth import OAuthEndpoints
from .problems import StartRefused, StoreUnavailable
from .redisstore import RedisStore
from .sealing import Box
from .searching import SessionIndex
from .settings import Settings
from .sqlstore import SqlStore, migrate, require_schema, wait_for_sql
from .tls import Renewable
from .tokens import Tokens
from .volatile import Volatile
from .web import Application, Request, Response, Router, json_response

log = logging.getLogger("standin")
# An HTTP/2 peer that wants gRPC is told to go away: empty SETTINGS, then GOAWAY without error.
GRPC_FAREWELL = b"\0\0\0\4\0\0\0\0\0" + b"\0\0\10\7\0\0\0\0\0" + b"\0" * 8


class Server(uvicorn.Server):
    """uvicorn without its own signal handling, which would cut the drain short."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to serve()."""
        yield


def assemble(settings: Settings) -> Context:
    """All parts, not started yet."""
    redis = RedisStore(settings.redis, settings.standin.redis_budget_s)
    sql = SqlStore(settings.sql_url, settings.sql_pool_size, settings.standin.sql_budget_s)
    box = Box(settings.data_keys)
    catalog = Catalog(sql, redis, box, settings.cache_local_ttl_s, settings.cache_redis_ttl_s)
    volatile = Volatile(redis, sql, settings.standin)
    audit = AuditLog(redis, settings.redis.stream_max_length)
    tokens = Tokens(settings, catalog, volatile)
    on_demand = settings.standin.search_indexes == "on-demand"
    index = SessionIndex(redis, on_demand=on_demand) if settings.redis.search else None
    return Context(settings, sql, redis, catalog, volatile, tokens, audit, index)


def application(context: Context) -> Application:
    """The ASGI application with every route."""
    router = Router()

    async def alive(_request: Request) -> Response:
        depends = context.settings.standin.alive_depends_on
        if "redis" in depends and not context.redis.up:
            raise StoreUnavailable("redis", "not connected")
        if "sql" in depends:
            await context.sql.run("alive", "SELECT 1")
        return json_response({"status": "ok"})

    router.add("GET HEAD", "/alive", alive)
    ManagementEndpoints(context).routes(router)
    OAuthEndpoints(context).routes(router)
    AuthorizeEndpoints(context).routes(router)
    chosen = context.settings
    return Application(router, chosen.metrics_per_tenant, chosen.standin.request_budget_s)


async def prepare(settings: Settings) -> None:
    """SQL answers and has the schema, or StartRefused."""
    wait_s = settings.standin.sql_start_wait_s
    await wait_for_sql(settings.sql_url, wait_s)
    if settings.sql_migrations:
        await migrate(settings.sql_url)
    else:
        await require_schema(settings.sql_url, wait_s)


async def configure(settings: Settings, sql: SqlStore) -> None:
    """The objects every install has, and those the flags ask for; nothing is overwritten."""
    await store(sql, settings, system_objects() + default_objects(settings), "ignore")


async def serve(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT."""
    await prepare(settings)
    context = assemble(settings)
    # a pool that is not closed keeps the process from ending, whatever ended the server
    async with contextlib.AsyncExitStack() as parts:
        await context.sql.start()
        parts.push_async_callback(context.sql.stop)
        try:
            await configure(settings, context.sql)
        except StoreUnavailable as problem:
            refusal = f"write default objects: {problem}; check the SQL leader"
            raise StartRefused(refusal) from problem
        await context.redis.start()
        parts.push_async_callback(context.redis.stop)
        if context.index:
            await context.index.start()
        context.audit.start()
        parts.push_async_callback(context.audit.stop)
        await _listen(settings, context, parts)


async def _listen(settings: Settings, context: Context, parts: contextlib.AsyncExitStack) -> None:
    """All ports and background work, until the server ends."""
    app = application(context)
    server = Server(_uvicorn_config(settings, app))
    background = [asyncio.create_task(_drain_on_signal(settings, app, server))]
    try:
        if settings.flags.metrics:
            parts.callback((await metrics.serve(settings.bind, settings.metrics_port)).close)
        if settings.workers and settings.timescale_url:
            worker = AuditWorker(context.redis, settings.timescale_url)
            parts.push_async_callback(worker.stop)
            background.append(asyncio.create_task(worker.run(), name="audit-worker"))
        if settings.tls:
            https, grpc = _certificate(settings), _certificate(settings, "h2")
            server.config.load()
            server.config.ssl = https.context
            for each in (https, grpc):
                watching = each.watch(settings.standin.reload_certificate_s)
                background.append(asyncio.create_task(watching))
            parts.callback((await _grpc(settings, grpc.context)).close)
        await server.serve()
    finally:
        for task in background:
            task.cancel()


def _certificate(settings: Settings, *alpn: str) -> Renewable:
    paths = (settings.cert_path, settings.key_path)
    for path in paths:
        if not Path(path).is_file():
            raise StartRefused(
                f"read TLS file {path!r}: not there; mount it or set server.cert.path"
            )
    try:
        return Renewable(*paths, alpn)
    except ssl.SSLError as problem:
        told = " and ".join(paths)
        raise StartRefused(f"read {told}: {problem}; mount a matching pair") from problem


def _uvicorn_config(settings: Settings, app: Application) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        host=settings.bind,
        port=settings.port,
        http="httptools",
        loop="none",
        lifespan="off",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=settings.standin.finish_s,  # type: ignore[arg-type]
        backlog=1024,
    )


async def _drain_on_signal(settings: Settings, app: Application, server: Server) -> None:
    asked = asyncio.Event()

    def on_signal() -> None:
        if asked.is_set():
            server.should_exit = server.force_exit = True
        asked.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    await asked.wait()
    log.info("stopping: draining for %g s", settings.standin.drain_s)
    app.draining = True
    await asyncio.sleep(settings.standin.drain_s)
    server.should_exit = True


async def _grpc(settings: Settings, context: ssl.SSLContext) -> asyncio.Server:
    """The gRPC port: completes TLS, says a polite HTTP/2 goodbye, closes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError):
            writer.write(GRPC_FAREWELL)
            await writer.drain()
            async with asyncio.timeout(1):
                await reader.read(1024)
        writer.close()

    return await asyncio.start_server(answer, settings.bind, settings.grpc_port, ssl=context)
