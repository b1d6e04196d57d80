"""Room lab/standin: the metrics that ACP's published dashboards query, by the same names.

It must not know what is measured; callers hand over labels and seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()
BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
HTTP = Histogram(
    "acp_http_duration_seconds",
    "HTTP request duration",
    ("path", "method", "status_code"),
    buckets=BUCKETS,
    registry=REGISTRY,
)
HTTP_TENANT = Histogram(
    "acp_tenant_http_duration_seconds",
    "HTTP request duration by tenant",
    ("tenant", "path", "method", "status_code"),
    buckets=BUCKETS,
    registry=REGISTRY,
)
REDIS = Histogram(
    "acp_redis_duration_seconds",
    "Redis command duration",
    ("entity", "operation"),
    buckets=BUCKETS,
    registry=REGISTRY,
)
REDIS_ERRORS = Gauge("acp_redis_error_count", "Redis failures since start", registry=REGISTRY)
REDIS_RECONNECTS = Counter(
    "acp_redis_reconnect", "Cluster clients built since start", registry=REGISTRY
)
REDIS_PENDING = Gauge(
    "acp_redis_pending_count",
    "Stream entries delivered but not acknowledged",
    ("group", "stream"),
    registry=REGISTRY,
)
REDIS_LAG = Histogram(
    "acp_redis_lag_seconds",
    "Age of a stream entry when a worker takes it",
    ("group", "stream"),
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 60, 300),
    registry=REGISTRY,
)
SQL = Histogram(
    "acp_postgres_duration_seconds",
    "SQL statement duration",
    ("operation",),
    buckets=BUCKETS,
    registry=REGISTRY,
)
SQL_QUEUE = Gauge("acp_sql_queue_count", "Audit events waiting in this process", registry=REGISTRY)
SQL_QUEUE_ERRORS = Gauge(
    "acp_sql_queue_error_count", "Audit events this process gave up", registry=REGISTRY
)


@contextmanager
def timed(histogram: Histogram, *labels: str) -> Iterator[None]:
    """Observes the seconds a block took, also when it fails."""
    begin = time.perf_counter()
    try:
        yield
    finally:
        histogram.labels(*labels).observe(time.perf_counter() - begin)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One plain HTTP/1.1 exchange; a scrape needs no more."""
    try:
        async with asyncio.timeout(5):
            request = (await reader.readuntil(b"\r\n\r\n")).split(b" ", 2)
            known = request[0] == b"GET" and request[1].split(b"?")[0] == b"/metrics"
            body = generate_latest(REGISTRY) if known else b"not found\n"
            status = b"200 OK" if known else b"404 Not Found"
            writer.write(
                b"HTTP/1.1 " + status + b"\r\nContent-Type: text/plain; version=0.0.4\r\n"
                b"Connection: close\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n"
            )
            writer.write(body)
            await writer.drain()
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


async def serve(host: str, port: int) -> asyncio.Server:
    """Opens the metrics port; the caller closes the returned server."""
    return await asyncio.start_server(_answer, host, port)
