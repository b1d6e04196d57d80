"""Exact intervals against published values, and their promise kept."""

import math

import pytest

from acpchaos.check.binomial import share


@pytest.mark.parametrize(
    ("failed", "of", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),  # 1 - 0.025 ** (1 / 10)
        (10, 10, 0.6915, 1.0),
        (5, 10, 0.1871, 0.8129),
        (1, 100, 0.000253, 0.05446),
        (0, 0, 0.0, 1.0),
    ],
)
def test_known_intervals(failed: int, of: int, low: float, high: float) -> None:
    found = share(failed, of)
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_zero_failures_bound_the_rate_as_the_rule_of_three_says() -> None:
    for of, high in ((30, 0.095), (100, 0.030), (300, 0.010)):
        assert share(0, of, confidence=0.9).high == pytest.approx(high, abs=0.0005)


def test_the_interval_covers_as_often_as_it_says() -> None:
    for of in (1, 7, 40):
        intervals = [share(failed, of) for failed in range(of + 1)]
        for p in (0.001, 0.02, 0.3, 0.5, 0.99):
            covered = sum(
                math.comb(of, each.failed) * p**each.failed * (1 - p) ** (of - each.failed)
                for each in intervals
                if each.low <= p <= each.high
            )
            assert covered >= 0.95


def test_more_failures_move_both_bounds_up() -> None:
    found = [share(failed, 200) for failed in range(201)]
    assert found == sorted(found, key=lambda each: (each.low, each.high))
    assert all(each.low <= each.failed / 200 <= each.high for each in found)


def test_large_counts_stay_quick_and_sane() -> None:
    found = share(1_200_000, 18_000_000)
    assert found.low == pytest.approx(0.06655, abs=1e-5)
    assert found.high == pytest.approx(0.06678, abs=1e-5)
