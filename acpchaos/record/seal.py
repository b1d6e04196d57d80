"""Sealing: the request history as Parquet, and a manifest with the SHA-256 of every file.

Room: record. After sealing, any change to the folder shows. It must not know what is judged.
"""

import hashlib
from pathlib import Path

import duckdb
import msgspec

from acpchaos.record.events import Request
from acpchaos.record.run import RunFolder, load_run

_COLUMNS = (
    "source VARCHAR, flow VARCHAR, step VARCHAR, session VARCHAR, intended_ns BIGINT, "
    "start_ns BIGINT, end_ns BIGINT, status SMALLINT, error VARCHAR"
)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """manifest.json: the run it belongs to and the SHA-256 of each file by relative path."""

    run_id: str
    files: dict[str, str]


def seal(path: Path) -> Manifest:
    """Write history.parquet and manifest.json into the run folder at `path`."""
    folder = RunFolder(path)
    write_history(folder)
    manifest = Manifest(run_id=folder.meta().run_id, files=_digests(folder))
    folder.manifest.write_bytes(
        msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"
    )
    return manifest


def write_history(folder: RunFolder) -> None:
    """Write all requests, sorted by their end, to history.parquet."""
    staging = folder.history.with_suffix(".tmp.ndjson")
    encoder = msgspec.json.Encoder()
    try:
        with staging.open("wb") as lines:
            for request in load_run(folder.path).requests():
                lines.write(encoder.encode(_row(request)) + b"\n")
        with duckdb.connect() as connection:
            connection.execute(f"CREATE TABLE history ({_COLUMNS})")
            if staging.stat().st_size:
                connection.execute(f"COPY history FROM '{_quoted(staging)}' (FORMAT json)")
            connection.execute(
                f"COPY history TO '{_quoted(folder.history)}' (FORMAT parquet, COMPRESSION zstd)"
            )
    finally:
        staging.unlink(missing_ok=True)


def verify(path: Path) -> list[str]:
    """What differs from the manifest, one line per file; empty when the seal is intact."""
    folder = RunFolder(path)
    if not folder.manifest.exists():
        return ["manifest.json is missing: the run was never sealed"]
    try:
        sealed = msgspec.json.decode(folder.manifest.read_bytes(), type=Manifest).files
    except msgspec.DecodeError as error:
        return [f"manifest.json is unreadable: {error}"]
    found = _digests(folder)
    lines = [f"{name} is missing" for name in sealed if name not in found]
    lines += [f"{name} was added after sealing" for name in found if name not in sealed]
    lines += [
        f"{name} was changed" for name in sealed if found.get(name, sealed[name]) != sealed[name]
    ]
    return sorted(lines)


def _row(request: Request) -> dict[str, str | int]:
    """A request under the column names of history.parquet."""
    return {
        "source": request.source,
        "flow": request.flow,
        "step": request.step,
        "session": request.session,
        "intended_ns": request.intended_ns,
        "start_ns": request.start_ns,
        "end_ns": request.t_ns,
        "status": request.status,
        "error": request.error,
    }


def _digests(folder: RunFolder) -> dict[str, str]:
    """SHA-256 of each file of the folder but the manifest itself, by sorted relative path."""
    files = sorted(file for file in folder.path.rglob("*") if file.is_file())
    return {
        file.relative_to(folder.path).as_posix(): _digest(file)
        for file in files
        if file != folder.manifest
    }


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _quoted(path: Path) -> str:
    """A path inside a single-quoted SQL literal."""
    return str(path).replace("'", "''")
