"""Room lab/standin: records from an import file into SQL; secrets are sealed on the way in.

The file's layout is ours (README.md): one list per kind, plain `secret` and `password` fields.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import msgspec

from .model import KINDS, Client, Key, Record, Server, User
from .problems import StartRefused
from .sealing import Box, hash_password
from .settings import Settings
from .signing import new_jwk
from .sqlstore import SqlStore

log = logging.getLogger("standin.import")
MODES = ("update", "ignore", "fail")


def records_of(document: Mapping[str, Any]) -> list[Record]:
    """All records of an import document; ValueError or msgspec.ValidationError when malformed."""
    if not isinstance(document, Mapping) or (unknown := set(document) - set(KINDS)):
        raise ValueError(f"an import holds lists named {', '.join(KINDS)}; seen: {unknown!r}")
    return [
        msgspec.convert(entry, kind, strict=True)
        for name, kind in KINDS.items()
        for entry in document.get(name) or ()
    ]


async def store(sql: SqlStore, settings: Settings, records: Iterable[Record], mode: str) -> None:
    """Write records; a workspace without a signing key gets one. `fail` refuses what exists."""
    box, listed = Box(settings.data_keys), list(records)
    if mode == "fail" and (held := [r for r in listed if await _exists(sql, r)]):
        raise StartRefused(f"import: {held[0]!r:.120} exists already; use --mode update or ignore")
    for record in listed:
        await sql.put(await sealed(sql, box, record), replace=mode == "update")
        if isinstance(record, Server):
            await ensure_key(sql, record)
    log.info("stored %d records", len(listed))


async def sealed(sql: SqlStore, box: Box, record: Record) -> Record:
    """A record as stored. An unchanged secret keeps its sealed text, so that exports are stable."""
    if isinstance(record, Client) and record.secret and ":" not in record.secret:
        old = await _old(sql, record, Client)
        if old and old.secret and _opens_to(box, old.secret, record.secret):
            return msgspec.structs.replace(record, secret=old.secret)
        return msgspec.structs.replace(record, secret=box.seal(record.secret))
    if isinstance(record, User) and record.password:
        from .sealing import password_fits

        kept = await _old(sql, record, User)
        if kept and password_fits(record.password, kept.password):
            return msgspec.structs.replace(record, password=kept.password)
        return msgspec.structs.replace(record, password=hash_password(record.password))
    return record


def _opens_to(box: Box, text: str, plain: str) -> bool:
    from .sealing import Unsealable

    try:
        return box.open(text) == plain
    except Unsealable:
        return False


async def _old(sql: SqlStore, record: Record, kind: type[Any]) -> Any:
    from .model import identity, kind_of

    raw = await sql.get(kind_of(record), *identity(record))
    return msgspec.json.decode(raw, type=kind) if raw else None


async def _exists(sql: SqlStore, record: Record) -> bool:
    return await _old(sql, record, type(record)) is not None


async def ensure_key(sql: SqlStore, server: Server) -> None:
    """Give a workspace its first signing key."""
    if not await sql.list("keys", server.tenant_id, server.id):
        kid, jwk = new_jwk()
        key = Key(tenant_id=server.tenant_id, server_id=server.id, id=kid, jwk=jwk)
        await sql.put(key, replace=False)


__all__ = ["MODES", "ensure_key", "records_of", "replace", "sealed", "store"]
