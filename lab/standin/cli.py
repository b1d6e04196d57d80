"""Room lab/standin: the vendor's command lines.

`server start`, `sql migrate`, `sql configure`, `import`. Exit 0 done, 1 refused, 2 wrong usage.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import uvloop
import yaml

from .importing import MODES, records_of, store
from .problems import StartRefused, StoreUnavailable
from .process import configure, prepare, serve
from .settings import DEFAULTS, Flags, Settings, build, place
from .sqlstore import SqlStore, migrate, wait_for_sql

log = logging.getLogger("standin")


def dotted(tree: dict[str, Any], prefix: str = "") -> list[str]:
    """Every setting's path: each is also a flag, as --sql.url and --server.cert.path are."""
    found: list[str] = []
    for name, value in tree.items():
        path = f"{prefix}{name}"
        found += dotted(value, path + ".") if isinstance(value, dict) else [path]
    return found


def parser() -> argparse.ArgumentParser:
    """The command line; all commands take the same configuration flags."""
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--config", default="", help="files, comma separated; later ones win")
    shared.add_argument("--secret-id", dest="option:secret.id")
    shared.add_argument("--secret-key", dest="option:secret.key")
    for path in dotted(DEFAULTS):
        shared.add_argument("--" + path, dest="option:" + path)
    for flag in Flags.__dataclass_fields__:
        shared.add_argument("--" + flag.replace("_", "-"), dest=flag, action="store_true")
    top = argparse.ArgumentParser(prog="acp")
    nouns = top.add_subparsers(dest="noun", required=True)
    server = nouns.add_parser("server").add_subparsers(dest="verb", required=True)
    server.add_parser("start", parents=[shared])
    sql = nouns.add_parser("sql").add_subparsers(dest="verb", required=True)
    sql.add_parser("migrate", parents=[shared])
    sql.add_parser("configure", parents=[shared])
    load = nouns.add_parser("import", parents=[shared])
    load.add_argument("--mode", choices=MODES, default="update")
    load.add_argument("--format", choices=("yaml", "json"), default="yaml")
    load.add_argument("--input", required=True)
    return top


def settings_of(asked: argparse.Namespace) -> Settings:
    """Files, environment and flags merged."""
    options: dict[str, Any] = {}
    for name, value in vars(asked).items():
        if name.startswith("option:") and value is not None:
            path = name.removeprefix("option:").split(".")
            place(
                options,
                path,
                value
                if path[-1] in ("url", "secret", "key", "password", "id", "path")
                else yaml.safe_load(value),
            )
    flags = Flags(**{name: getattr(asked, name) for name in Flags.__dataclass_fields__})
    files = [path for path in asked.config.split(",") if path]
    return build(files, os.environ, options, flags)


async def with_sql(settings: Settings, asked: argparse.Namespace) -> None:
    """The commands that write configuration and end."""
    await prepare(settings)
    sql = SqlStore(settings.sql_url, 2, 10.0)
    await sql.start()
    try:
        if asked.noun == "sql":
            await configure(settings, sql)
            return
        try:
            document = yaml.safe_load(Path(asked.input).read_text(encoding="utf-8")) or {}
            records = records_of(document)
        except (OSError, yaml.YAMLError, msgspec.MsgspecError, ValueError) as problem:
            raise StartRefused(f"read import {asked.input}: {problem}") from problem
        await store(sql, settings, records, asked.mode)
    finally:
        await sql.stop()


async def run(asked: argparse.Namespace) -> None:
    """One command."""
    settings = settings_of(asked)
    if asked.noun == "server":
        await serve(settings)
    elif asked.noun == "sql" and asked.verb == "migrate":
        await wait_for_sql(settings.sql_url, settings.standin.sql_start_wait_s)
        await migrate(settings.sql_url)
    else:
        await with_sql(settings, asked)


def main(argv: Sequence[str]) -> int:
    """The process's exit code."""
    asked = parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)
    try:
        uvloop.run(run(asked))
    except (StartRefused, StoreUnavailable) as problem:
        log.error("refused: %s", problem)
        return 1
    return 0
