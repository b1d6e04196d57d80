"""P10 on crafted measurements on both sides of each bar, and a small one for real."""

import pytest

from acpchaos.check.judge import judge
from acpchaos.record.run import load_run
from benchmarks import judging
from benchmarks.judging import Cost


@pytest.mark.parametrize(
    ("count", "cost", "met"),
    [
        (18_000_000, Cost(9.9, 999, 5, 3.21), True),
        (18_000_000, Cost(10.1, 999, 5, 3.21), False),  # slow
        (18_000_000, Cost(9.9, 1001, 5, 3.21), False),  # large
        (18_000_000, Cost(9.9, 999, 4, 3.21), False),  # a claim that was not judged
        (18_000_000, Cost(9.9, 999, 5, 3.0), False),  # another outage than the one there was
        (17_000_000, Cost(1.0, 100, 5, 3.21), False),  # another question
    ],
)
def test_judgement_is_measured_by_time_memory_and_truth(count, cost, met):
    assert judging.row(count, cost).met is met


def test_a_made_up_hour_is_judged_for_what_is_in_it(tmp_path):
    judging.make(tmp_path / "run", 250_000)  # more than stay events
    run = load_run(tmp_path / "run")
    judged = judge(run)
    assert [claim.held for claim in judged] == [True] * len(judging.CLAIMS)
    assert judged[0].verdict.measured == pytest.approx(3.2, abs=0.01)
    assert len(run.requests("load")) == 250_000
