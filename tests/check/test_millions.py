"""Judged by columns, a record gets what it gets request by request, to the last byte."""

from collections.abc import Callable

import pytest
from golden import records
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acpchaos.check import counts
from acpchaos.check.judge import encode, judge
from acpchaos.check.outage import SERVING_RATIO, SUSTAINED_RATIO, read
from acpchaos.check.window import Window, due_in
from acpchaos.record import run as runs
from acpchaos.record.columns import Many, gathered
from acpchaos.record.events import AnyEvent, Gap, Request
from acpchaos.record.run import Run

from .test_properties import CLAIMS, EVENTS, bursts, failing

_quick = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
UNIT = 1000


def in_columns(run: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The same run, its requests as columns."""
    requests = gathered(event for event in run.events if isinstance(event, Request))
    others = [event for event in run.events if not isinstance(event, Request)]
    with monkeypatch.context() as patch:
        patch.setattr(runs, "MANY", 0)
        many = Run(run.meta, others, requests)
    assert isinstance(many.requests("load"), Many) or not len(requests)
    return many


def apart(at_us: int, late_us: int, took_us: int, error: str, unit: int) -> Request:
    return Request(
        t_ns=(at_us + late_us + took_us) * unit, source="load", flow="f", step="s",
        intended_ns=at_us * unit, start_ns=(at_us + late_us) * unit, error=error,
        session=f"w-{at_us % 7}" if at_us % 3 else "",
    )  # fmt: skip


# gaps from none to longer than the hold, so that ties, lucky answers and silences all come up
streams = st.lists(
    st.tuples(
        st.sampled_from((0, 1, 50, 200_000, 400_000, 1_500_000)),
        st.sampled_from((0, 0, 1, 300_000, 2_000_000)),
        st.sampled_from((0, 1, 20_000, 300_000, 1_200_000)),
        st.sampled_from(("", "", "", "timeout", "never_sent")),
    ),
    min_size=1, max_size=40,
)  # fmt: skip


@given(
    stream=streams, unit=st.sampled_from((1, UNIT)), ratio=st.sampled_from((SERVING_RATIO, 0.9)),
    edges=st.tuples(st.integers(-1000, 9_000_000), st.integers(1, 9_000_000)),
    steady=st.booleans(),
)  # fmt: skip
@settings(_quick, max_examples=300)
def test_outages_read_from_columns_are_those_read_one_by_one(
    stream: list[tuple[int, int, int, str]], unit: int, ratio: float, edges: tuple[int, int],
    steady: bool,
) -> None:  # fmt: skip
    at_us, made = 1_700_000_000_000_000, []
    for gap_us, late_us, took_us, error in stream:
        at_us += gap_us
        made.append(apart(at_us, late_us, took_us, error, unit))
    begin_ns = made[0].intended_ns + edges[0] * unit + 1 - unit  # not always on the grain
    window = Window(begin_ns, begin_ns + edges[1] * unit)
    before = Window(made[0].intended_ns, begin_ns) if steady else None
    expected = read(sorted(made, key=lambda one: one.t_ns), window, before, ratio)
    assert read(Many(gathered(made)), window, before, ratio) == expected


@given(stream=streams)
@_quick
def test_counts_are_the_same(stream: list[tuple[int, int, int, str]]) -> None:
    made = [apart(n * 1000 + one[0], one[1], one[2], one[3], UNIT) for n, one in enumerate(stream)]
    many = Many(gathered(made))
    for count in (counts.failed, counts.unsent, counts.by_flow, counts.flows_begun):
        assert count(many) == count(made)  # type: ignore[operator]
    in_order = due_in(made, Window(0, 2**62))
    assert list(due_in(many, Window(0, 2**62))) == list(in_order) == list(many)
    assert counts.first_failed(many, 3) == counts.first_failed(in_order, 3)
    assert many[-1] == in_order[-1] and list(many[1:3]) == list(in_order[1:3])


@given(first=bursts)
@settings(_quick, max_examples=12)
def test_every_verdict_is_the_same_to_the_byte(
    first: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = records.run_of(failing(EVENTS, first), CLAIMS)
    assert encode(judge(in_columns(run, monkeypatch))) == encode(judge(run))


BUILDERS: list[Callable[[], Run]] = [
    records.good, records.outage, records.too_little_load, records.recorder_gap,
    records.lost_session, records.undo_failed,
]  # fmt: skip


@pytest.mark.parametrize("build", BUILDERS)
def test_golden_records_in_columns(
    build: Callable[[], Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = build()
    assert encode(judge(in_columns(run, monkeypatch))) == encode(judge(run))


def test_a_run_of_columns_answers_as_one_of_events(monkeypatch: pytest.MonkeyPatch) -> None:
    run = records.good()
    many = in_columns(run, monkeypatch)
    assert many.end_ns == run.end_ns and many.phase("end") == run.phase("end")
    assert {e.t_ns for e in many.requests()} == {e.t_ns for e in run.requests()}
    assert list(many.requests("nobody")) == [] and len(many.requests("load", "nothing")) == 0
    late: AnyEvent = Gap(t_ns=run.end_ns + 5, recorder="x", from_ns=1, why="y")
    assert Run(run.meta, [*run.events, late]).end_ns == run.end_ns + 5
    assert SUSTAINED_RATIO > SERVING_RATIO
