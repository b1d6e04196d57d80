"""The clocks of a record on the page: each against the runner's, as bounds, at start and end.

Room: report. What is not known is said so, never shown as a zero.
"""

from dataclasses import dataclass

from acpchaos.check.offsets import Bounds, compared
from acpchaos.record.run import Run


@dataclass(frozen=True)
class ClockOffsetRow:
    """One clock: by how much it is ahead of the runner's."""

    clock: str
    start: str
    end: str
    how: str


def clock_rows(run: Run) -> list[ClockOffsetRow]:
    """One row per clock, writers first."""
    return [
        ClockOffsetRow(each.clock, _told(each.start), _told(each.end), each.how)
        for each in compared(run)
    ]


def _told(bounds: Bounds | None) -> str:
    if bounds is None or bounds == (None, None):
        return "unknown"
    low_ms, high_ms = bounds
    if high_ms is None:
        return f"{_signed(low_ms)} ms or more"
    if low_ms is None:
        return f"{_signed(high_ms)} ms or less"
    if low_ms == high_ms:
        return f"{_signed(low_ms)} ms"
    return f"{_signed(low_ms)} to {_signed(high_ms)} ms"


def _signed(value_ms: float | None) -> str:
    size_ms = value_ms or 0.0
    return f"{'−' if size_ms < 0 else '+'}{_digits(abs(size_ms))}"


def milliseconds(value_ms: float) -> str:
    """A size in milliseconds, to the microsecond where it is small."""
    return f"{_digits(value_ms)} ms"


def _digits(size_ms: float) -> str:
    return f"{size_ms:.{3 if size_ms < 1 else 1 if size_ms < 100 else 0}f}"
