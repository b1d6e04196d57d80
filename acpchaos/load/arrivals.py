"""When flows should begin and which: the offered load, apart from how the server fares.

Room: load. Pure: no clock, no sleep, seeded. A stalled server must not slow these arrivals.
"""

import random
from collections.abc import Iterator, Mapping


def flows(mix: Mapping[str, int], seed: int) -> Iterator[str]:
    """Endless flow names: each cycle holds every flow as often as its weight, in seeded order.

    Cycles instead of dice, so that a rare flow is offered in every cycle.
    """
    cycle = [flow for flow, weight in sorted(mix.items()) for _ in range(weight)]
    if not cycle:
        raise ValueError("the mix has no flow with a weight above 0")
    order = random.Random(seed)
    while True:
        order.shuffle(cycle)
        yield from cycle


class Schedule:
    """Arrivals at a rate that may change. Times are seconds on the caller's clock."""

    def __init__(self, rate_per_s: float, begin_s: float, seed: int) -> None:
        self._rate_per_s, self._next_s = rate_per_s, begin_s
        self._jitter = random.Random(seed)

    def set_rate(self, rate_per_s: float, now_s: float) -> None:
        """Change the rate; arrivals already due stay due."""
        if rate_per_s != self._rate_per_s:
            paused = self._rate_per_s <= 0  # what was planned before a pause is not owed after it
            self._rate_per_s = rate_per_s
            fresh_s = now_s + self._gap_s()
            self._next_s = fresh_s if paused else min(self._next_s, fresh_s)

    def due(self, now_s: float) -> list[float]:
        """Intended times up to `now_s`, each handed out once."""
        found = []
        while self._rate_per_s > 0 and self._next_s <= now_s:
            found.append(self._next_s)
            self._next_s += self._gap_s()
        return found

    def _gap_s(self) -> float:
        """The mean gap, spread by half of it, so that arrivals do not beat with other periods."""
        return self._jitter.uniform(0.5, 1.5) / max(self._rate_per_s, 1e-9)
