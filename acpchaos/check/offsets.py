"""How far apart the clocks of a record may stand. What was not measured is wide, never zero.

Room: check. Two writers on one boot of one machine share its monotonic clock, so their anchors tell
their distance exactly. All that a check compares was timed by such writers; what the API server and
the nodes stamp is not used for any bound, and their clocks only show whether the target is sound.
"""

from typing import NamedTuple

from acpchaos.check.window import NS_PER_S, seconds, struck_ns
from acpchaos.record.events import (
    GRAIN_NS,
    PROBED,
    Anchor,
    ClockOffset,
    Fault,
    Heartbeat,
    Phase,
)
from acpchaos.record.run import Run

UNKNOWN_NS = NS_PER_S  # for clocks that were not compared: as far as a valid run's may stand apart
TOLD_S = 0.05  # moments are told to 0.1 s
APART_MS = 1000.0  # the API server tells whole seconds anyway


Bounds = tuple[float | None, float | None]


class Compared(NamedTuple):
    """One clock against the runner's, as Offset has it, at start and end; None: not compared."""

    clock: str
    start: Bounds | None
    end: Bounds | None
    how: str


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


def moment(run: Run, t_ns: int) -> str:
    """A moment as evidence: seconds after the fault struck (or after the record began), and how far
    off that may be where the clocks make a difference."""
    zero_ns, bound_s = struck_ns(run), clock_bound_ns(run) / NS_PER_S
    if zero_ns is None:
        return f"t{seconds(run.events[0].t_ns, t_ns):+.1f} s" if run.events else "t"
    doubt = f" ± {bound_s:.1f} s" if bound_s >= TOLD_S else ""
    return f"fault{seconds(zero_ns, t_ns):+.1f} s{doubt}"


def offsets(run: Run) -> list[Offset]:
    """Of every clock beside the writers' own: the API server's, twice, and each node's."""
    found = [
        Offset(f"{each.clock} at the {each.when}", each.low_ms, each.high_ms, each.how)
        for each in run.of(ClockOffset)
    ]
    ahead_ms = _ahead_ms(run.of(Heartbeat))
    return found + [Offset(node, low_ms, None, _BEATS) for node, low_ms in ahead_ms.items()]


_BEATS = "renewals of its Lease, seen later by an unknown time"
_ONE_BOOT = "one machine's monotonic clock, so the same from start to end"


def _ahead_ms(beats: list[Heartbeat]) -> dict[str, float]:
    """By how much each node's clock is ahead at least, in order of name."""
    found: dict[str, float] = {}
    for beat in beats:
        least_ms = (beat.renewed_ns - beat.t_ns) / 1e6  # it was seen after it was stamped
        found[beat.node] = max(least_ms, found.get(beat.node, least_ms))
    return dict(sorted(found.items()))


def compared(run: Run) -> list[Compared]:
    """Every clock of the record for people: writers first, then the API server's and the nodes'.
    Nodes are compared before the fault phase and after the recovery."""
    faces = run.of(ClockOffset)
    found = _writers(run)
    for clock in sorted({each.clock for each in faces}):
        at = {each.when: each for each in faces if each.clock == clock}
        start, end = (_bounds(at.get(when)) for when in ("start", "end"))
        found.append(Compared(clock, start, end, next(reversed(at.values())).how))
    beats, (begin_ns, end_ns) = run.of(Heartbeat), _disturbed(run)
    early = _ahead_ms([each for each in beats if each.t_ns < begin_ns])
    late = _ahead_ms([each for each in beats if each.t_ns >= end_ns])
    for node in sorted(early.keys() | late.keys()):
        first, last = early.get(node), late.get(node)
        found.append(
            Compared(
                f"node {node}", None if first is None else (first, None),
                None if last is None else (last, None), _BEATS,
            )
        )  # fmt: skip
    return found


def _bounds(told: ClockOffset | None) -> Bounds | None:
    return None if told is None else (told.low_ms, told.high_ms)


def _disturbed(run: Run) -> tuple[int, int]:
    """Begin of the fault phase and end of the recovery; without them, all is before the fault."""
    fault, recovery = run.phase("fault"), run.phase("recovery")
    last_ns = run.end_ns + 1
    return fault[0] if fault else last_ns, recovery[1] if recovery else last_ns


def _writers(run: Run) -> list[Compared]:
    """Every process that told its clock, and what older records told of clocks."""
    anchors = run.of(Anchor)
    own = next((each for each in anchors if each.writer == "play"), None)
    found = []
    for each in sorted(anchors, key=lambda each: each.writer):
        if own is None or each.boot != own.boot:
            found.append(Compared(each.writer, None, None, "another machine, never compared"))
        elif each is not own:
            ms = (each.anchor_ns - own.anchor_ns) / 1e6
            found.append(Compared(each.writer, (ms, ms), (ms, ms), _ONE_BOOT))
    for name, ms in sorted(run.meta.clock_offsets_ms.items()):
        found.append(Compared(name, (ms, ms), None, "as told by run.json"))
    return found


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
        "prober": any(run.requests(source) for source in PROBED),
    }
    silent = {writer for writer, wrote_any in wrote.items() if wrote_any} - told
    return bool(silent) or len({anchor.boot for anchor in anchors}) > 1
