"""When flows should begin and which: the offered load, apart from how the server fares.

Room: load. Pure: no clock, no sleep, seeded. A stalled server must not slow these arrivals.

Arrivals are marks on the integral of the rate: the next one is due where the integral has grown by
one gap (mean 1). So a rate that steps, climbs or is changed midway moves arrivals, but loses and
doubles none (time rescaling; with gaps of an exponential law it is the Poisson process of that
rate).
"""

import math
import random
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from acpchaos.scenario import Gaps, Stage

NEVER = math.inf


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


class _Piece(NamedTuple):
    """A stretch of the shape in which the rate goes straight from `first` to `last` times the
    offered one. Seconds from the begin; the last piece has no end."""

    begin_s: float
    end_s: float
    first: float
    last: float

    def at(self, t_s: float) -> float:
        """Times the offered rate at a moment of this piece."""
        if self.first == self.last:
            return self.first
        share = (t_s - self.begin_s) / (self.end_s - self.begin_s)
        return self.first + share * (self.last - self.first)

    def area(self, from_s: float, to_s: float) -> float:
        """Integral over a part of this piece."""
        return (self.at(from_s) + self.at(to_s)) / 2 * (to_s - from_s)

    def reach(self, from_s: float, area: float) -> float:
        """When the integral from `from_s` has grown by `area`; at most the piece's end."""
        begin, rise = self.at(from_s), 0.0
        if self.first != self.last:
            rise = (self.last - self.first) / (self.end_s - self.begin_s)
        root = math.sqrt(max(0.0, begin * begin + 2 * rise * area))
        if begin + root <= 0:
            return self.end_s
        return min(self.end_s, from_s + 2 * area / (begin + root))  # no difference of near equals


def _pieces(stages: tuple[Stage, ...]) -> list[_Piece]:
    """The shape as pieces without gaps; after the last stage its rate stays."""
    found, at_s, level = [], 0.0, 0.0
    for stage in stages:
        first = level if stage.ramp else stage.times
        found.append(_Piece(at_s, at_s + stage.for_s, first, stage.times))
        at_s, level = at_s + stage.for_s, stage.times
    stays = level if stages else 1.0
    return [*found, _Piece(at_s, NEVER, stays, stays)]


class Schedule:
    """Arrivals at a rate that may change. Times are seconds on the caller's clock.

    `stages` shape the rate from `begin_s` on: it is `rate_per_s` times what they say. Gaps are
    "constant" (the mean, spread by half of it, so that arrivals do not beat with other periods) or
    "poisson" (as independent callers come).
    """

    def __init__(
        self, rate_per_s: float, begin_s: float, seed: int, *,
        gaps: Gaps = "constant", stages: tuple[Stage, ...] = (),
    ) -> None:  # fmt: skip
        self._rate_per_s, self._begin_s, self._at_s = rate_per_s, begin_s, 0.0
        self._pieces, self._gap = _pieces(stages), _gap(gaps, random.Random(seed))
        self._owed = self._gap()  # of the integral, until the next arrival
        self._ready: list[float] = []
        self._next_s = self._reach()

    @property
    def next_s(self) -> float:
        """When the next arrival is due, as far as is known now; NEVER while the rate is 0."""
        return self._ready[0] if self._ready else self._begin_s + self._next_s

    def set_rate(self, rate_per_s: float, now_s: float) -> None:
        """Change the rate; arrivals already due stay due, and a gap under way goes on at the new
        rate. During a pause (rate 0) nothing becomes due, and nothing is owed after it."""
        if rate_per_s == self._rate_per_s:
            return
        self._advance(now_s - self._begin_s)
        self._rate_per_s = rate_per_s
        self._next_s = self._reach()

    def due(self, now_s: float) -> list[float]:
        """Intended times up to `now_s`, each handed out once."""
        self._advance(now_s - self._begin_s)
        found, self._ready = self._ready, []
        return found

    def _advance(self, to_s: float) -> None:
        """Go on to a moment, seconds from the begin; a moment already passed changes nothing."""
        while self._next_s <= to_s:
            self._ready.append(self._begin_s + self._next_s)
            self._at_s, self._owed = self._next_s, self._gap()
            self._next_s = self._reach()
        if to_s > self._at_s:
            self._owed = max(0.0, self._owed - self._grown(to_s))
            self._at_s = to_s

    def _grown(self, to_s: float) -> float:
        """Arrivals, as a mean, from where it stands to a moment."""
        return self._rate_per_s * sum(
            piece.area(max(self._at_s, piece.begin_s), min(to_s, piece.end_s))
            for piece in self._pieces
            if piece.end_s > self._at_s and piece.begin_s < to_s
        )

    def _reach(self) -> float:
        """When the owed part of the integral is reached, seconds from the begin."""
        if self._rate_per_s <= 0:
            return NEVER
        area, at_s = self._owed / self._rate_per_s, self._at_s
        while len(self._pieces) > 1 and self._pieces[0].end_s <= self._at_s:
            del self._pieces[0]
        for piece in self._pieces:
            whole = piece.area(at_s, piece.end_s) if piece.end_s < NEVER else NEVER
            if whole >= area and piece.at(at_s) + piece.last > 0:
                return piece.reach(at_s, area)
            area, at_s = area - whole, piece.end_s
        return NEVER


def _gap(gaps: Gaps, dice: random.Random) -> Callable[[], float]:
    if gaps == "poisson":
        return lambda: dice.expovariate(1.0)
    return lambda: dice.uniform(0.5, 1.5)
