"""How far apart the clocks of a record may stand. What was not measured is wide, never zero.

Room: check. Two writers on one boot of one machine share its monotonic clock, so their anchors tell
their distance exactly. All that a check compares was timed by such writers; what the API server and
the nodes stamp is not used for any bound, and their clocks only show whether the target is sound.
"""

from typing import NamedTuple

from acpchaos.check.window import NS_PER_S
from acpchaos.record.events import GRAIN_NS, Anchor, ClockOffset, Fault, Heartbeat, Phase
from acpchaos.record.run import Run

UNKNOWN_NS = NS_PER_S  # for clocks that were not compared: as far as a valid run's may stand apart
APART_MS = 1000.0  # the API server tells whole seconds anyway


class Offset(NamedTuple):
    """A clock is ahead of the runner's by these bounds in milliseconds; None is not known."""

    clock: str
    low_ms: float | None
    high_ms: float | None
    how: str


def clock_bound_ns(run: Run) -> int:
    """How far two clocks of the record's writers may stand apart. It widens what is told across
    clocks; a length by one clock it does not."""
    told_ns = [int(abs(offset_ms) * 1e6) for offset_ms in run.meta.clock_offsets_ms.values()]
    anchors = run.of(Anchor)
    if anchors:
        told_ns.append(UNKNOWN_NS if _incomparable(run, anchors) else _spread_ns(anchors))
    return max(told_ns, default=UNKNOWN_NS)


def offsets(run: Run) -> list[Offset]:
    """Of every clock beside the writers' own: the API server's, twice, and each node's."""
    found = [
        Offset(f"{each.clock} at the {each.when}", each.low_ms, each.high_ms, each.how)
        for each in run.of(ClockOffset)
    ]
    ahead_ms: dict[str, float] = {}
    for beat in run.of(Heartbeat):
        least_ms = (beat.renewed_ns - beat.t_ns) / 1e6  # it was seen after it was stamped
        ahead_ms[beat.node] = max(least_ms, ahead_ms.get(beat.node, least_ms))
    how = "renewals of its Lease, seen later by an unknown time"
    return found + [Offset(node, low_ms, None, how) for node, low_ms in sorted(ahead_ms.items())]


def apart(run: Run) -> list[str]:
    """Objections: clocks that surely stand too far from the runner's."""
    lines = [
        f"clock of {name} is {offset_ms:.0f} ms off"
        for name, offset_ms in sorted(run.meta.clock_offsets_ms.items())
        if abs(offset_ms) > APART_MS
    ]
    for each in offsets(run):
        if each.low_ms is not None and each.low_ms > APART_MS:
            lines.append(f"clock of {each.clock} is {each.low_ms:.0f} ms ahead or more")
        if each.high_ms is not None and each.high_ms < -APART_MS:
            lines.append(f"clock of {each.clock} is {-each.high_ms:.0f} ms behind or more")
    anchors = run.of(Anchor)
    if anchors and _spread_ns(anchors) > UNKNOWN_NS and not _incomparable(run, anchors):
        lines.append(f"clocks of the recorders are {_spread_ns(anchors) / NS_PER_S:.1f} s apart")
    return lines


def _spread_ns(anchors: list[Anchor]) -> int:
    values = [anchor.anchor_ns for anchor in anchors]
    return max(values) - min(values) + GRAIN_NS


def _incomparable(run: Run, anchors: list[Anchor]) -> bool:
    """Whether a writer did not tell its clock, or another machine's was among them."""
    told = {anchor.writer.partition("-")[0] for anchor in anchors}
    wrote = {
        "play": bool(run.of(Phase)),
        "chaos": bool(run.of(Fault)),
        "load": bool(run.requests("load")),
        "prober": bool(run.requests("prober")),
    }
    silent = {writer for writer, wrote_any in wrote.items() if wrote_any} - told
    return bool(silent) or len({anchor.boot for anchor in anchors}) > 1
