"""A surge climbs only as far as it must, never blindly, and never beyond its bound."""

import threading
from collections.abc import Callable

import pytest

from acpchaos.errors import DeadlinePassed
from acpchaos.load.surge import ENOUGH, LEAST_STEP, MOST_STEP, climbing, next_rate


@pytest.mark.parametrize(
    ("asked", "rate"),
    [(1.0, 60 * 1.25), (ENOUGH / 2, 120), (0.01, 60 * MOST_STEP), (1.19, 60 * LEAST_STEP)],
)
def test_next_rate(asked: float, rate: float) -> None:
    assert next_rate(60, 1000, asked) == pytest.approx(rate)
    assert next_rate(60, 70, asked) == 70


class Target:
    """Reads in proportion to what is offered, as a target would."""

    def __init__(self, per_flow: float) -> None:
        self.per_flow, self.rates, self.looks = per_flow, [0.0], 0
        self.done = threading.Event()

    def offer(self, rate_per_s: float) -> None:
        self.rates.append(rate_per_s)

    def asked(self) -> float:
        self.looks += 1
        if self.looks >= 60:
            self.done.set()
        return self.per_flow * self.rates[-1]

    def climb(self, asked: Callable[[], float] | None = None) -> list[float]:
        with climbing(60, 240, self.offer, asked or self.asked, rung_s=0.01, look_s=0.002) as _:
            self.done.wait(0.5)
        return self.rates[1:]


def test_enough_at_once_is_left_alone() -> None:
    assert Target(2 / 60).climb() == [60]


def test_climbs_until_enough() -> None:
    rates = Target(1 / 60).climb()
    assert rates[0] == 60 and rates[-1] / 60 >= ENOUGH and len(rates) == 2


def test_never_beyond_its_bound() -> None:
    assert Target(0.0001).climb() == [60, 180, 240]


@pytest.mark.parametrize("error", [True, False])
def test_without_a_reading_nothing_is_raised(error: bool) -> None:
    target = Target(0)

    def blind() -> float:
        target.asked()
        if error:
            raise DeadlinePassed("read", "nothing", "wait")
        return 0.0

    assert target.climb(blind) == [60]
    assert target.looks > 10


def test_the_end_of_the_surge_ends_the_climb() -> None:
    target = Target(0.0001)
    with climbing(60, 240, target.offer, target.asked, rung_s=60, look_s=0.001):
        pass
    assert target.rates[1:] == [60]
    assert not any(thread.name == "surge" for thread in threading.enumerate())
