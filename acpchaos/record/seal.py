"""Sealing: the requests as Parquet, and a manifest with the SHA-256 of every file.

Room: record. After sealing, any change to the folder shows. It must not know what is judged.
"""

import hashlib
from pathlib import Path

import msgspec

from acpchaos.record import history
from acpchaos.record.columns import Gathering
from acpchaos.record.events import AnyEvent, Request
from acpchaos.record.journal import gap_of, scan_journal
from acpchaos.record.run import RunFolder


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
    """Move all requests from their journals to history.parquet, what else these hold beside it.

    Killed at any moment it leaves a folder that reads the same, and it can be repeated. A journal
    that was written anew under a sealed one's name stays what it is.
    """
    kept = history.sealed(folder.history)
    gathering, held = Gathering(), dict(kept.journals) if kept else {}
    if kept:
        for request in history.read(folder.history).rows():
            gathering.add(request)
    parts = [_Part(file, gathering, file.name not in held)
             for file in history.journals(folder.events, kept)]  # fmt: skip
    sealing = [part for part in parts if part.requests]
    if sealing or kept is None:
        end_ns = max([gathering.end_ns, *(part.end_ns for part in parts)])
        for part in sealing:
            part.write_rest(end_ns)
            held[part.file.name] = part.size
        history.write(folder.history, gathering.done(), held)
    for file in folder.events.glob("*.ndjson"):
        if held.get(file.name) == file.stat().st_size:
            file.unlink()


class _Part:
    """One journal, its requests gathered if they are `wanted`."""

    def __init__(self, file: Path, gathering: Gathering, wanted: bool) -> None:
        self.file, self.size = file, file.stat().st_size
        self.requests = self.end_ns = 0
        self._gathering, self._wanted = gathering, wanted
        self._rest: list[AnyEvent] = []
        self._torn_since_ns = scan_journal(file, self._take)

    def _take(self, event: AnyEvent) -> None:
        self.end_ns = max(self.end_ns, event.t_ns)
        if not self._wanted:
            return
        if isinstance(event, Request):
            self.requests += 1
            self._gathering.add(event)
        else:
            self._rest.append(event)

    def write_rest(self, end_ns: int) -> None:
        """What the journal tells beside requests; a torn end is a gap until the record's end."""
        if self._torn_since_ns is not None:
            self._rest.append(gap_of(self.file, self._torn_since_ns, end_ns))
        rest = history.rest_of(self.file)
        rest.unlink(missing_ok=True)
        if self._rest:
            half = rest.with_suffix(".tmp")
            half.write_bytes(b"".join(msgspec.json.encode(event) + b"\n" for event in self._rest))
            half.replace(rest)


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
