"""The append-only journal: one NDJSON file per writer, one line per event, torn tails reported.

Room: record. A writer may be killed at any byte, so each line leaves the process in one write()
and a reader repairs what was torn and says so. A writer of thousands a second holds lines and
flushes them at a cadence of its own. It must not know what the events mean.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from acpchaos.record.events import AnyEvent, Event, Gap

_LINE_END = b"\n"


def write_all(fd: int, data: bytes | bytearray) -> None:
    """Every byte, however many calls it takes; OSError when the file takes no more."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


class Journal:
    """Writer of one file. Safe to share between threads; a crash tears at most the last line.

    With `held`, events stay in memory until `flush`: what a kill then loses is what its owner let
    gather. Only one thread may write such a journal.
    """

    def __init__(self, path: Path, *, held: bool = False) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._encoder = msgspec.json.Encoder()
        self._lock = threading.Lock()
        self._held = bytearray() if held else None
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._fence_torn_tail()

    def write(self, event: Event) -> None:
        """Append one event; when this returns, a killed process no longer loses it, unless it is
        held."""
        if self._held is not None:
            self._encoder.encode_into(event, self._held, -1)
            self._held += _LINE_END
        else:
            self._append(self._encoder.encode(event) + _LINE_END)

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            lines, self._held = self._held, bytearray()
            self._append(lines)

    def _append(self, lines: bytes | bytearray) -> None:
        with self._lock:
            write_all(self._fd, lines)

    def close(self) -> None:
        """Write what is held and close the file; further writes raise OSError."""
        if self._fd >= 0:
            self.flush()
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _fence_torn_tail(self) -> None:
        """End a line that an earlier writer tore, so that only that line is lost."""
        size = os.fstat(self._fd).st_size
        if size and os.pread(self._fd, 1, size - 1) != _LINE_END:
            os.write(self._fd, _LINE_END)


class Reading(NamedTuple):
    """What a journal holds. `torn_since_ns` is set when its last line is torn: the writer was
    blind from then on, and only the whole run tells until when."""

    events: list[AnyEvent]
    torn_since_ns: int | None


def read_journal(path: Path) -> Reading:
    """Read one file. Each unreadable stretch between good lines becomes a Gap; see Reading."""
    events: list[AnyEvent] = []
    torn_since_ns = scan_journal(path, events.append)
    return Reading(events, torn_since_ns)


def scan_journal(path: Path, take: Callable[[AnyEvent], None]) -> int | None:
    """As `read_journal`, for a file of any length: each event is handed to `take` in turn. Returns
    `torn_since_ns`."""
    decoder = msgspec.json.Decoder(AnyEvent)
    last_ns, torn = 0, False
    with path.open("rb") as lines:
        for line in lines:
            if not line.strip():
                continue
            try:
                event: AnyEvent = decoder.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                torn = True
                continue
            if torn:
                take(gap_of(path, last_ns, event.t_ns))
                torn = False
            take(event)
            last_ns = max(last_ns, event.t_ns)
    return last_ns if torn else None


def gap_of(path: Path, from_ns: int, until_ns: int) -> Gap:
    """The Gap that stands for unreadable lines of the file at `path`."""
    return Gap(
        t_ns=max(from_ns, until_ns),
        recorder=path.stem,
        from_ns=from_ns,
        why=f"lines of {path.name} are torn or unreadable",
    )
