"""The journal of mutations: every call that may change the target, before it is sent and after.

Room: record. One file per run, shared by its processes: append-only, each line durable before the
call is made, and each holding the SHA-256 of the line before it, so that a line that was torn,
altered, removed or moved shows. Of a body only its hash is kept, and of a Secret's not even that.
A cut-off end shows by the closing line that is then missing, and by the seal of the run folder.
"""

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from acpchaos.errors import AcpchaosError
from acpchaos.record.events import Clock
from acpchaos.record.journal import write_all

FILE = "mutations.ndjson"
FIRST = "0" * 64  # what the first line holds in place of a hash


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line. state: intent, outcome, or closed. `entry` of an outcome is its intent's `n`.

    `status` is the API server's, 0 where no answer came. `body_sha256` is over canonical JSON.
    """

    n: int  # 0, 1, 2, ... in the file
    t_ns: int
    state: str
    before: str  # SHA-256 of the line before
    entry: int = -1
    method: str = ""  # POST, PUT, PATCH, DELETE; EXEC is a command in a pod, ENGINE beneath a node
    path: str = ""
    uid: str = ""  # the object that alone may be hit, where the call names one
    body_sha256: str = ""
    status: int = 0
    said: str = ""


class JournalUnwritable(AcpchaosError):
    """The journal of mutations cannot be written, so nothing may be changed."""


class Mutations:
    """Writer, and the hook of a Cluster. Several processes may have the same file open."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self.path, self._clock = path, clock or Clock()
        self._lock = threading.Lock()
        self._fd = -1
        self._seen = self._lines = 0  # bytes and lines known
        self._last = FIRST

    def before(self, method: str, path: str, body: object) -> str:
        """Durable when this returns. JournalUnwritable keeps the call from being made."""
        number = self._append(
            state="intent", method=method, path=path, uid=demanded_uid(body),
            body_sha256="" if "/secrets" in path else _hash(body),
        )  # fmt: skip
        return str(number)

    def after(self, entry: str, status: int, said: str) -> None:
        """How the call ended."""
        self._append(state="outcome", entry=int(entry), status=status, said=said[:300])

    def lenient(self) -> "Lenient":
        """The same file, for the way back."""
        return Lenient(self)

    def close(self) -> None:
        """The run is over: write the closing line. Without any mutation there is no file."""
        if self._fd >= 0:
            try:
                self._append(state="closed")
            finally:
                self.leave()

    def close_if_possible(self) -> None:
        """As `close`, where a full disk must not hide what else there is to tell."""
        with suppress(JournalUnwritable):
            self.close()

    def leave(self) -> None:
        """Close the file for this process only; the run goes on in another one."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        # what ended the block matters more than the closing line
        with suppress(JournalUnwritable) if error is not None else nullcontext():
            self.close()

    def _append(self, **what: Any) -> int:
        try:
            with self._lock, self._alone():
                self._catch_up()
                line = Line(n=self._lines, t_ns=self._clock.now_ns(), before=self._last, **what)
                data = msgspec.json.encode(line)
                self._write(data + b"\n")
                self._remember(data)
                os.fdatasync(self._fd)
                return line.n
        except OSError as error:
            raise JournalUnwritable(
                f"write {self.path}", str(error), "make room on the disk, then: acpchaos undo"
            ) from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """No other process appends meanwhile."""
        if self._fd < 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _catch_up(self) -> None:
        """Read what other processes appended; a line that one of them tore is ended."""
        size = os.fstat(self._fd).st_size
        if size == self._seen:
            return
        fresh = os.pread(self._fd, size - self._seen, self._seen)
        if not fresh.endswith(b"\n"):
            self._write(b"\n")
            fresh += b"\n"
        for data in fresh.splitlines():
            self._remember(data)

    def _remember(self, data: bytes) -> None:
        self._seen += len(data) + 1
        self._lines += 1
        self._last = hashlib.sha256(data).hexdigest()

    def _write(self, data: bytes) -> None:
        write_all(self._fd, data)


def file_of(reports: Path, run_id: str) -> Path:
    """Where an undo from outside of a run writes: the run's own journal, unless the run is sealed
    or from elsewhere; then one beside it."""
    folder = reports / run_id
    known = folder.is_dir() and not (folder / "manifest.json").exists()
    return (folder if known else reports / f"{folder.name}-undo") / FILE


class Lenient:
    """A hook for the way back: what cannot be journalled is reverted all the same."""

    def __init__(self, inner: Mutations) -> None:
        self._inner = inner

    def lenient(self) -> "Lenient":
        """Itself."""
        return self

    def before(self, method: str, path: str, body: object) -> str:
        """As of `inner`; an empty entry when it could not be written."""
        try:
            return str(self._inner.before(method, path, body))
        except JournalUnwritable:
            return ""

    def after(self, entry: str, status: int, said: str) -> None:
        """As of `inner`, for entries that were written."""
        if entry:
            try:
                self._inner.after(entry, status, said)
            except JournalUnwritable:
                return


class Chain(NamedTuple):
    """What a journal of mutations holds. `faults` say what is wrong with the file itself;
    `unfinished` are calls whose outcome is not told, since their process died meanwhile."""

    lines: list[Line]
    faults: list[str]
    unfinished: list[str]

    @property
    def calls(self) -> list[Line]:
        """The intents, one per call."""
        return [line for line in self.lines if line.state == "intent"]


def read_chain(path: Path) -> Chain:
    """Read and verify one file: every torn, altered, missing or moved line is a fault."""
    lines: list[Line] = []
    faults: list[str] = []
    previous, content = FIRST, path.read_bytes()
    for number, data in enumerate(content.splitlines()):
        try:
            line = msgspec.json.decode(data, type=Line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            faults.append(f"line {number + 1} is torn or unreadable")
        else:
            lines.append(line)
            if line.n != number:
                faults.append(f"line {number + 1} was written as line {line.n + 1}")
            if line.before != previous:
                faults.append(f"line {number + 1} does not follow the line before it")
        previous = hashlib.sha256(data).hexdigest()
    if content and not content.endswith(b"\n") and not (faults and "torn" in faults[-1]):
        faults.append("the last line has no end")
    if not lines or lines[-1].state != "closed":
        faults.append("it was never closed: its process died, or its end was cut off")
    return Chain(lines, faults, _unfinished(lines))


def _unfinished(lines: list[Line]) -> list[str]:
    told = {line.entry for line in lines if line.state == "outcome"}
    return [
        f"{line.method} {line.path}"
        for line in lines
        if line.state == "intent" and line.n not in told
    ]


def demanded_uid(body: object) -> str:
    """The UID that a body demands, wherever Kubernetes has a place for it."""
    if not isinstance(body, dict):
        return ""
    for holder in (body, body.get("deleteOptions") or {}):
        if uid := (holder.get("preconditions") or {}).get("uid"):
            return str(uid)
    return str((body.get("metadata") or {}).get("uid", ""))


def _hash(body: object) -> str:
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).hexdigest()
