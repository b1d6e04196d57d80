"""The append-only journal: one NDJSON file per writer, one line per event, torn tails reported.

Room: record. A writer may be killed at any byte, so each line leaves the process in one write()
and a reader repairs what was torn and says so. It must not know what the events mean.
"""

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from acpchaos.record.events import AnyEvent, Event, Gap

_LINE_END = b"\n"


class Journal:
    """Writer of one file. Safe to share between threads; a crash tears at most the last line."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._encoder = msgspec.json.Encoder()
        self._lock = threading.Lock()
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._fence_torn_tail()

    def write(self, event: Event) -> None:
        """Append one event; when this returns, a killed process no longer loses it."""
        line = memoryview(self._encoder.encode(event) + _LINE_END)
        with self._lock:
            while line:
                line = line[os.write(self._fd, line) :]

    def close(self) -> None:
        """Close the file; further writes raise OSError."""
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
    decoder = msgspec.json.Decoder(AnyEvent)
    events: list[AnyEvent] = []
    last_ns, torn = 0, False
    for line in path.read_bytes().split(_LINE_END):
        if not line.strip():
            continue
        try:
            event: AnyEvent = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            torn = True
            continue
        if torn:
            events.append(gap_of(path, last_ns, event.t_ns))
            torn = False
        events.append(event)
        last_ns = max(last_ns, event.t_ns)
    return Reading(events, last_ns if torn else None)


def gap_of(path: Path, from_ns: int, until_ns: int) -> Gap:
    """The Gap that stands for unreadable lines of the file at `path`."""
    return Gap(
        t_ns=max(from_ns, until_ns),
        recorder=path.stem,
        from_ns=from_ns,
        why=f"lines of {path.name} are torn or unreadable",
    )
