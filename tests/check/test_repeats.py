"""Repeats: what n trials carry, censored ones, and what may never be said of few."""

import math
import statistics
from math import comb

import msgspec
import pytest
from click.testing import CliRunner
from golden import records
from hypothesis import given, settings
from hypothesis import strategies as st

from acpchaos.check.judge import judge
from acpchaos.check.repeats import Bounds, Repeats, Trial, median_rank, repeats, upper_rank
from acpchaos.check.verdict import Outcome
from acpchaos.cli import main
from acpchaos.errors import UsageError
from acpchaos.record.run import Run, RunFolder
from acpchaos.report.repeats import lines

from .judging import F, I, P


def of(*values_s: float, lost: tuple[float, ...] = ()) -> Repeats:
    """Trials with a time, and `lost` ones that had not recovered after so long."""
    trials = [Trial(P, value) for value in values_s] + [Trial(F, c, censored=True) for c in lost]
    return Repeats(scenario="play", claim="back", unit="s", trials=tuple(trials))


def test_a_golden_series() -> None:
    """The nine failovers of a night: by hand, the 2nd and the 8th enclose the median in 96 %."""
    seen = of(2.34, 1.92, 2.9, 2.2, 2.41, 2.05, 2.6, 2.31, 2.75)
    assert seen.median == Bounds(2.34, 2.34)
    assert seen.interval == Bounds(2.05, 2.75)
    assert seen.maximum == Bounds(2.9, 2.9) and seen.percentiles == {}
    assert seen.failures_at_most == pytest.approx(1 - 0.05 ** (1 / 9))
    assert lines([seen]) == [
        "play, 9 plays",
        "  ✓ back: 0 of 9 failed, a share of 28.3% is still possible; median 2.34 s (2.05 to 2.75 "
        "in 95 of 100 cases); maximum 2.9",
    ]


def test_a_trial_without_an_end_is_not_a_number() -> None:
    """A mean with the timeout put in would be 10.1 s, and says less the longer one waits."""
    seen = of(2.0, 2.1, 2.2, 2.3, 2.4, 2.5, 2.6, lost=(60.0,))
    assert seen.median == pytest.approx((2.35, 2.35))
    assert seen.interval == Bounds(2.0, math.inf)
    assert seen.maximum == Bounds(60.0, math.inf) and seen.censored == 1
    (told,) = lines([seen])[1:]
    assert "maximum over 60" in told and "1 had not ended when the record did" in told
    assert "(2 to unbounded in 95 of 100 cases)" in told and "1 of 8 failed" in told


def test_the_median_itself_may_be_without_an_end() -> None:
    seen = of(2.0, 3.0, lost=(60.0, 60.0, 60.0))
    assert seen.median == Bounds(60.0, math.inf)
    early = of(2.0, 3.0, 9.0, lost=(1.0, 1.0))  # cut short: they may have been quick or slow
    assert early.median == Bounds(2.0, 9.0)


def test_few_trials_carry_no_interval_and_no_percentile() -> None:
    assert of(1, 2, 3, 4, 5).interval is None and of(1, 2, 3, 4, 5, 6).interval == Bounds(1, 6)
    assert "no interval from 5" in lines([of(1, 2, 3, 4, 5)])[1]
    naive = statistics.quantiles([1, 2, 3, 4, 5, 6, 7, 8, 9], n=20)[-1]  # "p95" of nine
    assert naive > 9 and of(*range(1, 10)).percentiles == {}


@pytest.mark.parametrize(("p", "least"), [(0.9, 29), (0.95, 59), (0.99, 299)])
def test_percentiles_need_their_number(p: float, least: int) -> None:
    assert upper_rank(least - 1, p) == 0 and upper_rank(least, p) == least
    assert p in of(*range(least)).percentiles and p not in of(*range(least - 1)).percentiles


@pytest.mark.parametrize(("n", "bound"), [(30, 0.095), (100, 0.030), (300, 0.010)])
def test_no_loss_in_n_bounds_the_loss_rate(n: int, bound: float) -> None:
    assert of(*[1.0] * n).failures_at_most == pytest.approx(bound, abs=0.0005)
    assert of(*[1.0] * n).failures_at_most < 3 / n


def test_no_decided_trial_bounds_nothing() -> None:
    seen = Repeats(scenario="play", claim="back", unit="s", trials=(Trial(I, 3.0), Trial(I, None)))
    assert seen.failures_at_most == 1.0 and seen.median is None and seen.maximum is None
    assert seen.outcome is Outcome.INCONCLUSIVE and "2 decided nothing" in lines([seen])[1]


@pytest.mark.parametrize("n", [6, 7, 9, 15, 30, 61, 300])
def test_the_interval_covers_as_often_as_it_says(n: int) -> None:
    """Exactly, from the binomial of how many lie below the median; one rank more would not."""

    def covered(rank: int) -> float:
        return sum(comb(n, k) for k in range(rank, n - rank + 1)) / 2**n

    rank = median_rank(n)
    assert covered(rank) >= 0.95 > covered(rank + 1)


times = st.lists(st.floats(0.1, 50), min_size=1, max_size=40)
cuts = st.lists(st.floats(0.1, 50), max_size=10).map(tuple)


@given(values=times, lost=cuts, more=st.floats(0.1, 50))
@settings(max_examples=80, deadline=None, derandomize=True)
def test_a_trial_that_did_not_recover_improves_nothing(values, lost, more) -> None:
    """Against the same trial with any end, however late."""
    with_end, without = of(*values, more, lost=lost), of(*values, lost=(*lost, more))
    for name in ("median", "interval", "maximum"):
        one, two = getattr(with_end, name), getattr(without, name)
        assert (one is None) == (two is None)
        assert one is None or (two.low == one.low and two.high >= one.high)
    assert without.failures_at_most >= with_end.failures_at_most


@given(values=times, lost=cuts, order=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_figures_are_ordered_and_do_not_depend_on_the_order_of_plays(values, lost, order) -> None:
    seen = of(*values, lost=lost)
    assert seen.median is not None and seen.maximum is not None
    assert min(values + list(lost)) <= seen.median.low <= seen.maximum.low
    if seen.interval:
        assert seen.interval.low <= seen.median.low and seen.median.high <= seen.interval.high
    assert all(high <= seen.maximum.high for high in seen.percentiles.values())
    shuffled = list(seen.trials)
    order.shuffle(shuffled)
    other = msgspec.structs.replace(seen, trials=tuple(shuffled))
    assert (other.median, other.interval, other.maximum) == (
        seen.median, seen.interval, seen.maximum,
    )  # fmt: skip


def play(number: int, back_s: float | None = 45.0, bad: bool = False) -> Run:
    """A play whose pods were back at `back_s`, or never; `bad`: its witness saw no fault."""
    events = records.good_events() if not bad else records.fault_did_nothing().events
    if back_s != 45.0:
        kept = records.without(events, lambda e: isinstance(e, records.Pod))
        pods = records.pods(back_s or 45.0)
        lost = max(pods, key=lambda e: e.t_ns)
        events = [*kept, *(pods if back_s else [e for e in pods if e is not lost])]
    meta = msgspec.structs.replace(records.meta(), run_id=f"play-{number}", started_ns=number)
    return Run(meta, events)


def test_plays_are_judged_together() -> None:
    runs = [play(1), play(2, 50.0), play(3, None), play(4, bad=True)]
    found = {each.claim: each for each in repeats(runs)}
    assert found.keys() == {claim.id for claim in judge(runs[0])}
    back = found["replicas"]
    assert [trial.outcome for trial in back.trials] == [P, P, F, I]
    quick, slow, never, _ = back.trials
    assert quick.value is not None and slow.value == pytest.approx(quick.value + 5)
    assert never.censored and never.value == pytest.approx(
        (runs[2].end_ns - records.at(32)) / 1e9, abs=2.5
    )
    assert (len(back.decided), back.failed, back.undecided) == (3, 1, 1)


def test_another_scenario_or_target_is_no_trial_of_the_same() -> None:
    other = play(2)
    scenario = msgspec.structs.replace(other.scenario, name="another")
    other = Run(msgspec.structs.replace(other.meta, scenario=scenario), other.events)
    assert {len(each.trials) for each in repeats([play(1), other])} == {1}


def test_a_run_given_twice_is_refused() -> None:
    with pytest.raises(UsageError, match="given twice"):
        repeats([play(1), play(1)])


def test_the_command_tells_them_and_ends_as_the_worst(tmp_path) -> None:
    paths = []
    for run in (play(1), play(2, None)):
        folder = RunFolder.create(tmp_path / run.meta.run_id, run.meta)
        with folder.journal("all") as journal:
            for event in run.events:
                journal.write(event)
        paths.append(str(folder.path))
    one = CliRunner().invoke(main, ["repeats", paths[0]])
    both = CliRunner().invoke(main, ["repeats", *paths])
    assert (one.exit_code, both.exit_code) == (0, 1)
    assert "replicas: 1 of 2 failed" in both.output and ", 2 plays" in both.output
