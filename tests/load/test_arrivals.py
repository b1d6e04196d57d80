"""Arrivals keep their rate and their mix, whatever the server does."""

from collections import Counter
from itertools import islice

import pytest

from acpchaos.load.arrivals import Schedule, flows

MIX = {"client_credentials": 6, "refresh": 3, "revoke": 1, "userinfo": 0}


def test_each_cycle_holds_every_flow_by_weight() -> None:
    order = flows(MIX, seed=7)
    for _ in range(20):
        cycle = Counter(islice(order, 10))
        assert cycle == {"client_credentials": 6, "refresh": 3, "revoke": 1}


def test_same_seed_same_order() -> None:
    assert list(islice(flows(MIX, 3), 50)) == list(islice(flows(MIX, 3), 50))
    assert list(islice(flows(MIX, 3), 50)) != list(islice(flows(MIX, 4), 50))


def test_a_mix_without_weight_is_refused() -> None:
    with pytest.raises(ValueError, match="weight above 0"):
        next(flows({"refresh": 0}, 1))


def test_a_late_look_hands_out_all_that_was_due() -> None:
    schedule = Schedule(rate_per_s=50, begin_s=0, seed=1)
    due = schedule.due(10)  # nobody looked for ten seconds: a stalled generator
    assert len(due) == pytest.approx(500, rel=0.1)
    assert due == sorted(due) and schedule.due(10) == []


def test_a_new_rate_counts_from_now() -> None:
    schedule = Schedule(rate_per_s=1, begin_s=0, seed=1)
    schedule.due(10)
    schedule.set_rate(100, now_s=10)
    assert len(schedule.due(12)) == pytest.approx(200, rel=0.1)
    schedule.set_rate(0, now_s=12)
    schedule.due(13)
    assert schedule.due(1000) == []


def test_a_pause_owes_nothing_when_it_ends() -> None:
    schedule = Schedule(rate_per_s=10, begin_s=0, seed=3)
    schedule.due(1)
    schedule.set_rate(0, now_s=1)
    schedule.set_rate(10, now_s=100)
    resumed = schedule.due(110)
    assert min(resumed) > 100
    assert len(resumed) == pytest.approx(100, rel=0.1)
