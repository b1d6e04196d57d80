"""Room lab/standin: settings from defaults, layered files, environment and flags, in this order.

Every later layer wins, as in the product's chart where the Secret's file comes last. It must not
open sockets; reading the files is its only contact with the world.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from .problems import StartRefused

# Published in a vendor demo; in force when nobody configures one, so that suites can find it.
BUILT_IN_SYSTEM_SECRET = "n8HF35qzZkmsukHJzzz9LnN8m9Mf97uq"  # noqa: S105
# The real built-in encryption key is unknown; this one is published and must be refused anyway.
BUILT_IN_DATA_KEY = {"id": "default", "key": "KNEcLGdDqpwrXDubqPgDSUkMMsLPXaHh"}

DEFAULTS: dict[str, Any] = {
    "server": {
        "url": "https://localhost:8443",
        "bind": "0.0.0.0",
        "port": 8443,
        "metrics_port": 9000,
        "grpc_port": 9443,
        "certificate": {"cert_path": "/tls/tls.crt", "key_path": "/tls/tls.key"},
        "cert": {"path": ""},
        "key": {"path": ""},
        "dangerous_disable_tls": False,
        "disable_async_processing": False,
        "disable_csrf": False,
        "http_metrics_per_tenant": False,
    },
    "sql": {"url": "", "migrations": {"disable": False}, "pool": {"max_size": 8}},
    "timescale": {"url": ""},
    "redis": {
        "addrs": [],
        "address": "",
        "password": "",
        "redis_search": False,
        "tls": {"enabled": False, "root_ca": "", "verify_hostname": False},
        "stream_max_length": 100000,
    },
    "cache": {"local_ttl_s": 15.0, "redis_ttl_s": 1200.0},
    "system": {"secret": ""},
    "secrets": [],
    "secret": {"id": "", "key": ""},
    "features": {
        "dev_mode": False,
        "demo_app": False,
        "swagger_ui": False,
        "integration_endpoints": False,
    },
    "standin": {
        "jwt_introspection": "record",
        "refresh_tokens": "redis",
        "revocations": "redis",
        "alive_depends_on": [],
        "search_indexes": "on-demand",
        "drain_s": 5.0,
        "finish_s": 5.0,
        "redis_budget_s": 1.2,
        "request_budget_s": 1.6,
        "sql_budget_s": 2.0,
        "sql_start_wait_s": 10.0,
        "reload_certificate_s": 10.0,
    },
}
CHOICES = {
    "jwt_introspection": {"record", "signature"},
    "refresh_tokens": {"redis", "sql"},
    "revocations": {"redis", "sql"},
    "search_indexes": {"start", "on-demand"},
}


@dataclass(frozen=True)
class Switches:
    """One switch per point that nobody outside the vendor knows (README.md lists them)."""

    jwt_introspection: str
    refresh_tokens: str
    revocations: str
    alive_depends_on: frozenset[str]
    search_indexes: str
    drain_s: float
    finish_s: float
    redis_budget_s: float
    request_budget_s: float
    sql_budget_s: float
    sql_start_wait_s: float
    reload_certificate_s: float


@dataclass(frozen=True)
class RedisSettings:
    """How to reach the Redis Cluster: seeds are names, resolved anew for each reconnection."""

    seeds: tuple[tuple[str, int], ...]
    password: str = field(repr=False)
    tls: bool
    root_ca: str
    verify_hostname: bool
    stream_max_length: int
    search: bool


@dataclass(frozen=True)
class DataKey:
    """One entry of the `secrets` list; the first one encrypts, all of them decrypt."""

    id: str
    key: str = field(repr=False)


@dataclass(frozen=True)
class Flags:
    """What the command line asked for and GET /environment reflects."""

    metrics: bool = False
    demo: bool = False
    dev: bool = False
    swagger: bool = False
    create_default_tenant: bool = False
    create_default_workspaces: bool = False


@dataclass(frozen=True)
class Settings:
    """The merged result; immutable for the life of the process, as in the product."""

    url: str
    bind: str
    port: int
    metrics_port: int
    grpc_port: int
    cert_path: str
    key_path: str
    tls: bool
    workers: bool
    disable_csrf: bool
    metrics_per_tenant: bool
    sql_url: str = field(repr=False)
    sql_migrations: bool
    sql_pool_size: int
    timescale_url: str = field(repr=False)
    redis: RedisSettings
    cache_local_ttl_s: float
    cache_redis_ttl_s: float
    system_secret: str = field(repr=False)
    data_keys: tuple[DataKey, ...]
    features: Mapping[str, bool]
    flags: Flags
    standin: Switches


def merge(base: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`: mappings merge, everything else (lists too) replaces."""
    for key, value in over.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), dict):
            merge(base[key], value)
        else:
            base[key] = copy.deepcopy(value)
    return base


def read_layer(path: str) -> dict[str, Any]:
    """One configuration file; an empty one counts as nothing."""
    try:
        loaded = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as problem:
        raise StartRefused(
            f"read configuration {path}: {problem}; mount the file or correct --config"
        ) from problem
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise StartRefused(f"configuration {path} holds a {type(loaded).__name__}, not a mapping")
    return loaded


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Each setting's upper-cased path joined by underscores is its environment variable."""
    found: dict[str, Any] = {}

    def walk(tree: Mapping[str, Any], path: tuple[str, ...]) -> None:
        for key, value in tree.items():
            here = (*path, key)
            if isinstance(value, dict):
                walk(value, here)
            elif (text := environ.get("_".join(here).upper())) is not None:
                place(found, here, yaml.safe_load(text) if not isinstance(value, str) else text)

    walk(DEFAULTS, ())
    return found


def place(tree: dict[str, Any], path: Sequence[str], value: object) -> None:
    """Set tree[path[0]][path[1]]... = value, making the mappings on the way."""
    for key in path[:-1]:
        tree = tree.setdefault(key, {})
    tree[path[-1]] = value


def _seeds(redis: Mapping[str, Any]) -> tuple[tuple[str, int], ...]:
    raw = redis["addrs"] or redis["address"]
    listed = raw.split(",") if isinstance(raw, str) else list(raw)
    seeds = []
    for item in dict.fromkeys(str(entry).strip() for entry in listed if entry):
        host, _, port = item.rpartition(":")
        seeds.append((host or item, int(port) if host else 6379))
    return tuple(seeds)


def _switches(raw: Mapping[str, Any]) -> Switches:
    for name, allowed in CHOICES.items():
        if raw[name] not in allowed:
            raise StartRefused(f"standin.{name} is {raw[name]!r}; choose one of {sorted(allowed)}")
    depends = frozenset(raw["alive_depends_on"] or ())
    if not depends <= {"redis", "sql"}:
        raise StartRefused(f"standin.alive_depends_on is {sorted(depends)}; known: redis, sql")
    known = {name: raw[name] for name in DEFAULTS["standin"] if name != "alive_depends_on"}
    return Switches(alive_depends_on=depends, **known)


def _data_keys(tree: Mapping[str, Any]) -> tuple[DataKey, ...]:
    listed = list(tree["secrets"] or [])
    if tree["secret"]["key"]:  # the flags --secret-id/--secret-key name a single key
        listed.insert(0, {"id": tree["secret"]["id"] or "default", "key": tree["secret"]["key"]})
    keys = tuple(DataKey(str(k["id"]), str(k["key"])) for k in listed or [BUILT_IN_DATA_KEY])
    for entry in keys:
        if len(entry.key.encode()) != 32:
            raise StartRefused(f"encryption key {entry.id!r} must have 32 bytes; make a new one")
    return keys


def build(
    files: Sequence[str], environ: Mapping[str, str], options: Mapping[str, Any], flags: Flags
) -> Settings:
    """Merge all layers and check them; raises StartRefused naming the first thing wrong."""
    tree = copy.deepcopy(DEFAULTS)
    for path in files:
        merge(tree, read_layer(path))
    merge(tree, from_environment(environ))
    merge(tree, options)
    server, redis, features = tree["server"], tree["redis"], dict(tree["features"])
    for name, asked in (
        ("dev_mode", flags.dev),
        ("demo_app", flags.demo),
        ("swagger_ui", flags.swagger),
    ):
        features[name] = bool(features.get(name)) or asked
    certificate = server["certificate"] if isinstance(server["certificate"], dict) else {}
    return Settings(
        url=str(server["url"]).rstrip("/"),
        bind=str(server["bind"]),
        port=int(server["port"]),
        metrics_port=int(server["metrics_port"]),
        grpc_port=int(server["grpc_port"]),
        cert_path=server["cert"]["path"] or certificate.get("cert_path", ""),
        key_path=server["key"]["path"] or certificate.get("key_path", ""),
        tls=not server["dangerous_disable_tls"],
        workers=not server["disable_async_processing"],
        disable_csrf=bool(server["disable_csrf"]),
        metrics_per_tenant=bool(server["http_metrics_per_tenant"]),
        sql_url=str(tree["sql"]["url"]),
        sql_migrations=not tree["sql"]["migrations"]["disable"],
        sql_pool_size=int(tree["sql"]["pool"]["max_size"]),
        timescale_url=str(tree["timescale"]["url"]),
        redis=RedisSettings(
            seeds=_seeds(redis),
            password=str(redis["password"]),
            tls=bool(redis["tls"]["enabled"]),
            root_ca=str(redis["tls"]["root_ca"]),
            verify_hostname=bool(redis["tls"]["verify_hostname"]),
            stream_max_length=int(redis["stream_max_length"]),
            search=bool(redis["redis_search"]),
        ),
        cache_local_ttl_s=float(tree["cache"]["local_ttl_s"]),
        cache_redis_ttl_s=float(tree["cache"]["redis_ttl_s"]),
        system_secret=str(tree["system"]["secret"] or BUILT_IN_SYSTEM_SECRET),
        data_keys=_data_keys(tree),
        features={name: bool(value) for name, value in features.items()},
        flags=flags,
        standin=_switches(tree["standin"]),
    )
