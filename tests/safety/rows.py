"""Rows of the table of proofs, as text or as Markdown, and how far a long proof is."""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

COLUMNS = ("id", "what", "bar", "", "seen")
WIDTHS = "{:<4} {:<44} {:<46} {:<7} {}"
EVERY_S = 10.0
Tell = Callable[[int], None]


def silent(done: int) -> None:
    """Of those who want no progress."""


class Metronome:
    """How late this machine wakes a thread that naps: what a busy machine adds to every time is not
    the product's, so bars in seconds are widened by it, and the table tells by how much."""

    def __init__(self) -> None:
        self.late_s, self._stop = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._nap, daemon=True)

    def _nap(self) -> None:
        while not self._stop.is_set():
            begun_s = time.monotonic()
            self._stop.wait(0.01)
            self.late_s = max(self.late_s, time.monotonic() - begun_s - 0.01)

    def __str__(self) -> str:
        return f"machine late by {self.late_s:.2f} s"

    def __enter__(self) -> "Metronome":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@dataclass(frozen=True)
class Row:
    """One figure against its bar; `short` says what falls short, line by line."""

    id: str
    what: str
    bar: str
    seen: str
    short: list[str] = field(default_factory=list)

    def held(self) -> str:
        """In a word; a control holds no bar."""
        return "short" if self.short else "held" if self.bar else "-"


def show(row: Row, *, markdown: bool = False) -> bool:
    """Print one row with what falls short; whether anything does."""
    words = (row.id, row.what, row.bar, row.held(), row.seen)
    print(piped(words) if markdown else WIDTHS.format(*words), flush=True)
    for line in row.short[:10]:
        print(f"       {line}", file=sys.stderr if markdown else sys.stdout, flush=True)
    return bool(row.short)


def head(*, markdown: bool = False) -> str:
    """What stands above the rows."""
    return piped_head(COLUMNS) if markdown else WIDTHS.format(*COLUMNS)


def piped(words: tuple[str, ...]) -> str:
    """One row of a Markdown table."""
    return f"| {' | '.join(word.replace('|', '/') for word in words)} |"


def piped_head(words: tuple[str, ...]) -> str:
    """The two lines that begin one."""
    return f"{piped(words)}\n|{' --- |' * len(words)}"


def progress(what: str, of: int) -> Tell:
    """Tells on stderr, at most every EVERY_S, how many of so many are done."""
    begun_s = told_s = time.monotonic()

    def tell(done: int) -> None:
        nonlocal told_s
        now_s = time.monotonic()
        if now_s - told_s > EVERY_S or (done == of and now_s - begun_s > EVERY_S):
            told_s = now_s
            print(f"  {what}: {done} of {of} after {now_s - begun_s:.0f} s", file=sys.stderr,
                  flush=True)  # fmt: skip

    return tell
