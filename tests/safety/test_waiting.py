"""Waits by a given clock: as many looks as the budget has room for, whatever the time really is."""

import pytest

from acpchaos.errors import DeadlinePassed
from acpchaos.wait import eventually
from safety.target import hurried


def looks(budget_s: float, every_s: float, **given: object) -> int:
    """How often something that never comes is looked for."""
    seen: list[int] = []

    def probe() -> None:
        seen.append(1)

    with pytest.raises(DeadlinePassed, match="what never comes"):
        eventually("what never comes", probe, budget_s, every_s, **given)  # type: ignore[arg-type]
    return len(seen)


def test_a_budget_passes_by_the_given_clock() -> None:
    now = [100.0]

    def sleep(for_s: float) -> None:
        now[0] += for_s

    assert looks(10, 1, sleep=sleep, clock=lambda: now[0]) == 11
    assert now == [110.0]


def test_hurried_waits_look_as_often_and_are_soon_over() -> None:
    with hurried(0.0):
        assert looks(600, 1) in (600, 601)  # the time of the looks themselves passes, too
    assert looks(0.02, 0.01) <= 3


def test_what_comes_is_seen_within_its_budget() -> None:
    answers = iter(["", "", "here"])
    with hurried(0.0):
        assert eventually("it", lambda: next(answers), 1000, 400) == "here"
