"""What holds for every rate, shape, seed and way of looking at a schedule."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from acpchaos.load.arrivals import NEVER, Schedule
from acpchaos.scenario import Stage

SEEDS = st.integers(0, 2**31)
GAPS = st.sampled_from(["constant", "poisson"])
CASES = settings(deadline=None, max_examples=60)
RATES = st.floats(0.5, 40)
STAGE = st.builds(
    Stage, for_s=st.floats(0.1, 20), times=st.floats(0, 3).filter(lambda x: x == 0 or x > 0.01),
    ramp=st.booleans(),
)  # fmt: skip
SHAPES = st.lists(STAGE, max_size=4).map(
    lambda stages: (*stages, Stage(for_s=1, times=1)) if stages else ()
)


def times(shape, t_s):
    """Independently of the schedule: what the stages make of the rate at a moment."""
    level = 0.0
    for stage in shape:
        if t_s < stage.for_s:
            if not stage.ramp:
                return stage.times
            return level + (stage.times - level) * t_s / stage.for_s
        t_s, level = t_s - stage.for_s, stage.times
    return level if shape else 1.0


def integral(shape, until_s, steps=4000):
    """By midpoints."""
    width = until_s / steps
    return width * sum(times(shape, (n + 0.5) * width) for n in range(steps))


@CASES
@given(RATES, SEEDS, GAPS, SHAPES, st.lists(st.floats(0, 60), max_size=30))
def test_no_arrival_is_lost_or_doubled_however_one_looks(rate, seed, gaps, shape, looks):
    """A stalled generator that looks once gets what a busy one got by looking often."""
    once = Schedule(rate, 5.0, seed, gaps=gaps, stages=shape).due(5.0 + 60)
    often, found = Schedule(rate, 5.0, seed, gaps=gaps, stages=shape), []
    for look in sorted(looks):
        fresh = often.due(5.0 + look)
        assert all(t <= 5.0 + look for t in fresh)
        found += fresh
    found += often.due(5.0 + 60)
    assert found == once
    assert all(a <= b for a, b in pairwise(found)) and all(5.0 <= t <= 65.0 for t in found)


@CASES
@given(RATES, SEEDS, SHAPES, st.floats(5, 60))
def test_the_count_is_the_integral_of_the_rate(rate, seed, shape, until_s):
    due = len(Schedule(rate, 0, seed, stages=shape).due(until_s))
    mean = rate * integral(shape, until_s)
    # gaps are even on 0.5 to 1.5: the count's deviation is sqrt(mean / 12)
    assert abs(due - mean) <= 6 * math.sqrt(mean / 12) + 2 + 0.002 * mean


@CASES
@given(SEEDS, SHAPES)
def test_poisson_counts_scatter_as_they_should(seed, shape):
    """Mean and variance over many equal windows; within 6 standard errors of each."""
    rate, windows = 40.0, 400
    schedule = Schedule(rate, 0, seed, gaps="poisson", stages=shape)
    begin_s = sum(stage.for_s for stage in shape)
    schedule.due(begin_s)
    counts = [len(schedule.due(begin_s + n + 1)) for n in range(windows)]
    mean = sum(counts) / windows
    variance = sum((count - mean) ** 2 for count in counts) / (windows - 1)
    assert abs(mean - rate) <= 6 * math.sqrt(rate / windows)
    assert abs(variance - rate) <= 6 * rate * math.sqrt(2 / windows)


@CASES
@given(RATES, RATES, SEEDS, GAPS, st.floats(0.1, 20), st.floats(0.1, 20))
def test_a_changed_rate_moves_arrivals_and_keeps_their_number(
    first, second, seed, gaps, before_s, after_s
):
    """Marks on the integral of the rate: those of a schedule that changes are those of one that
    does not, at the moments where the integrals agree."""
    changed = Schedule(first, 0, seed, gaps=gaps)
    changed.set_rate(second, before_s)  # before anybody looked: what was due then stays due
    found = changed.due(before_s + after_s)
    marks = Schedule(1.0, 0, seed, gaps=gaps).due(first * before_s + second * after_s + 1)
    moved = [
        m / first if m <= first * before_s else before_s + (m - first * before_s) / second
        for m in marks
    ]
    edge_s = before_s + after_s
    due = [t for t in moved if t <= edge_s]
    doubtful = sum(abs(t - edge_s) < 1e-6 for t in moved)
    assert abs(len(found) - len(due)) <= doubtful
    assert all(abs(a - b) < 1e-6 for a, b in zip(found, due, strict=False))


@CASES
@given(RATES, SEEDS, GAPS, st.floats(0.1, 20), st.floats(0.1, 1000))
def test_a_pause_owes_nothing(rate, seed, gaps, before_s, pause_s):
    through = Schedule(rate, 0, seed, gaps=gaps)
    paused = Schedule(rate, 0, seed, gaps=gaps)
    first = paused.due(before_s)
    paused.set_rate(0, before_s)
    assert paused.next_s == NEVER and paused.due(before_s + pause_s) == []
    paused.set_rate(rate, before_s + pause_s)
    later = paused.due(before_s + pause_s + 9)
    assert all(t > before_s + pause_s - 1e-9 for t in later)
    whole = through.due(before_s + 9)
    assert abs(len(first) + len(later) - len(whole)) <= 1
    shifted = [*first, *(t - pause_s for t in later)]
    assert all(abs(a - b) < 1e-6 for a, b in zip(shifted, whole, strict=False))


@CASES
@given(RATES, SEEDS, GAPS, SHAPES)
def test_the_next_arrival_is_known_ahead(rate, seed, gaps, shape):
    schedule = Schedule(rate, 0, seed, gaps=gaps, stages=shape)
    for _ in range(20):
        next_s = schedule.next_s
        assert schedule.due(math.nextafter(next_s, -1)) == []
        assert schedule.due(next_s) == [next_s]


@CASES
@given(RATES, SEEDS, GAPS, SHAPES)
def test_same_seed_same_arrivals(rate, seed, gaps, shape):
    make = lambda number: Schedule(rate, 0, number, gaps=gaps, stages=shape).due(30)  # noqa: E731
    assert make(seed) == make(seed)


def test_steps_and_ramps_by_hand():
    shape = (Stage(for_s=10, times=0.5), Stage(for_s=10, times=2, ramp=True))
    due = Schedule(100, 0, 1, stages=shape).due(30)
    counts = [sum(a <= t < a + 10 for t in due) for a in (0, 10, 20)]
    assert counts == [pytest.approx(x, rel=0.02) for x in (500, 1250, 2000)]
    half = [sum(a <= t < a + 5 for t in due) for a in (10, 15)]  # it climbs within the ramp
    assert half == [pytest.approx(x, rel=0.03) for x in (437.5, 812.5)]
