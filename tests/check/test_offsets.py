"""How far clocks may stand apart: exact where it can be told, wide where it cannot, never zero."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from golden import records
from golden.records import at

from acpchaos.check.judge import judge
from acpchaos.check.offsets import (
    UNKNOWN_NS,
    apart,
    clock_bound_ns,
    compared,
    moment,
    offsets,
)
from acpchaos.check.recovery import service_recovers
from acpchaos.check.verdict import Outcome
from acpchaos.record.anchors import tell_clock
from acpchaos.record.events import (
    ANCHOR_NS,
    AnyEvent,
    Clock,
    ClockOffset,
    Heartbeat,
    Phase,
    Request,
)
from acpchaos.record.events import Anchor as AnchorEvent
from acpchaos.record.journal import read_journal
from acpchaos.record.run import Run

WRITERS = ("play", "chaos", "load-h-1", "load-h-2", "prober-7")


def anchors(boot: str = "b", **apart_ns: int) -> list[AnyEvent]:
    return [
        AnchorEvent(t_ns=at(0), writer=name, boot=boot,
                    anchor_ns=10**18 + apart_ns.get(name.partition("-")[0], 0))
        for name in WRITERS
    ]  # fmt: skip


def run_of(*more: AnyEvent) -> Run:
    run = records.run_of([*records.good_events(), *more])
    run.meta.clock_offsets_ms.clear()
    return run


def test_clocks_that_nobody_compared_are_a_second_apart_not_none() -> None:
    assert clock_bound_ns(run_of()) == UNKNOWN_NS


def test_writers_of_one_boot_are_compared_exactly() -> None:
    assert clock_bound_ns(run_of(*anchors())) == 1000
    assert clock_bound_ns(run_of(*anchors(load=2_000_000, prober=-500_000))) == 2_501_000


@pytest.mark.parametrize("silent", [0, 1, 4])
def test_a_writer_that_told_no_clock_makes_it_unknown(silent: int) -> None:
    told = anchors()
    assert clock_bound_ns(run_of(*(a for n, a in enumerate(told) if n != silent))) == UNKNOWN_NS


def test_another_machine_makes_it_unknown() -> None:
    other = msgspec.structs.replace(anchors()[2], boot="elsewhere")
    assert clock_bound_ns(run_of(*anchors(), other)) == UNKNOWN_NS


def test_an_unknown_clock_widens_a_recovery_until_it_decides_nothing() -> None:
    """The naive reading, with no offset at all, would pass."""
    down = records.changed(records.good_events(), records.due_between(33, 41), error="refused")
    exact, unknown = (records.run_of([*down, *more]) for more in (anchors(), []))
    for run in (exact, unknown):
        run.meta.clock_offsets_ms.clear()
    assert service_recovers(exact, within_s=9.7).outcome is Outcome.PASSED
    assert service_recovers(unknown, within_s=9.7).outcome is Outcome.INCONCLUSIVE


def offset(low_ms: float | None, high_ms: float | None) -> ClockOffset:
    return ClockOffset(t_ns=at(1), clock="api server", when="start", low_ms=low_ms, high_ms=high_ms)


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (offset(-3, 20), ""),
        (offset(900, 1100), ""),  # perhaps
        (offset(1001, 1020), "api server at the start is 1001 ms ahead"),
        (offset(-1400, -1200), "1200 ms behind"),
        (offset(None, None), ""),
        (Heartbeat(t_ns=at(9), node="w1", renewed_ns=at(8.9)), ""),
        (Heartbeat(t_ns=at(9), node="w1", renewed_ns=at(11)), "w1 is 2000 ms ahead"),
        (anchors(prober=3 * 10**9)[-1], "3.0 s apart"),
    ],
)
def test_a_clock_that_is_surely_off_spoils_the_run(event: AnyEvent, words: str) -> None:
    run = run_of(*anchors(), event)
    found = apart(run)
    assert (words in found[0]) if words else not found
    assert all(claim.verdict.outcome is Outcome.INCONCLUSIVE for claim in judge(run)) == bool(words)


def test_a_node_is_known_to_be_ahead_at_least_and_never_behind() -> None:
    beats = [Heartbeat(t_ns=at(s), node="w1", renewed_ns=at(s - late))
             for s, late in ((10, 0.4), (20, 0.02), (30, 5))]  # fmt: skip
    (found,) = offsets(run_of(*beats))
    assert found.clock == "w1" and found.high_ms is None
    assert found.low_ms == pytest.approx(-20)


def test_every_clock_is_compared_at_start_and_end() -> None:
    late = msgspec.structs.replace(offset(-7, 12), when="end", t_ns=at(84))
    beats = [Heartbeat(t_ns=at(s), node="w1", renewed_ns=at(s - by))
             for s, by in ((10, 0.02), (40, -3), (82, 0.03))]  # fmt: skip
    other = msgspec.structs.replace(anchors()[2], writer="load-far-3", boot="elsewhere")
    told = compared(run_of(*anchors(prober=2_000_000), other, offset(-3, 20), late, *beats))
    assert {each.clock: each[1:3] for each in told} == {
        "chaos": ((0, 0), (0, 0)),
        "load-far-3": (None, None),
        "load-h-1": ((0, 0), (0, 0)),
        "load-h-2": ((0, 0), (0, 0)),
        "prober-7": ((2, 2), (2, 2)),
        "api server": ((-3, 20), (-7, 12)),
        "node w1": ((-20, None), (-30, None)),
    }


def test_a_clock_that_was_read_once_is_unknown_at_the_other_end() -> None:
    (found,) = compared(run_of(offset(-3, 20)))
    assert (found.start, found.end) == ((-3, 20), None)
    run = run_of()
    run.meta.clock_offsets_ms["load"] = 3.4
    (old,) = compared(run)
    assert (old.clock, old.start, old.end) == ("load", (3.4, 3.4), None)


def test_a_moment_says_how_far_the_clocks_put_it_in_doubt() -> None:
    assert moment(run_of(), at(35)) == "fault+3.0 s ± 1.0 s"
    assert moment(run_of(*anchors()), at(35)) == "fault+3.0 s"


def test_a_process_tells_the_clock_it_records_on(tmp_path: Path) -> None:
    tell_clock(tmp_path, "prober-7")
    ((event,), _) = read_journal(tmp_path / "clock-prober-7.ndjson")
    assert isinstance(event, AnchorEvent)
    assert (event.writer, event.anchor_ns) == ("prober-7", ANCHOR_NS) and event.boot
    first, second = Clock().now_ns(), Clock().now_ns()
    assert 0 <= second - first < 10**9, "clocks of one process agree"


Build = Callable[[], Run]


@pytest.mark.parametrize("build", [records.good, records.outage])
def test_anchors_change_no_verdict_of_a_golden_record(build: Build) -> None:
    run = build()
    with_anchors = records.run_of([*run.events, *anchors()])
    before = [(claim.id, claim.verdict) for claim in judge(run)]
    assert [(claim.id, claim.verdict) for claim in judge(with_anchors)] == before
    assert any(isinstance(e, Phase | Request) for e in with_anchors.events)
