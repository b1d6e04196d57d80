"""An outage as interval bounds: it began within one span, it ended within another.

Room: check. It measures only; budgets are judged elsewhere. What single requests prove stands in
check/samples.py. Between two neighbouring moments of lasting service lies at most one outage. It
began between the last good answer and the first failure, and ended between the last failure and the
next good answer that lasts. So it lasted at least from the first failure to the last one, and at
most from good answer to good answer.

How many of the answers must be good for the first of them to last is the caller's: SERVING_RATIO
for "down" (one lucky answer does not split an outage, and one replica of three that answers is not
down), SUSTAINED_RATIO for "impaired" (as good as before, for all who ask).
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from acpchaos.check.counts import failed
from acpchaos.check.millions import median_step_ns, telling_gaps
from acpchaos.check.samples import UNKNOWN_NS, Gap, answered, gaps, reaction_ns, samples
from acpchaos.check.window import NS_PER_S, Window, due_in, seconds
from acpchaos.record.columns import Many
from acpchaos.record.events import Request

SERVING_RATIO = 0.2  # down: at most one answer in five is good
SUSTAINED_RATIO = 0.9  # impaired: more than one in ten is bad


class Span(NamedTuple):
    """A moment known only to lie within these bounds."""

    from_ns: int
    until_ns: int

    @property
    def resolution_s(self) -> float:
        return seconds(self.from_ns, self.until_ns)


class Outage(NamedTuple):
    """`begin` reaches from the last good answer to the first failure, `end` from the last failure
    to the first lasting good answer. Without any sign of want it is a silence: nobody saw an
    outage, but one could have begun and ended in it."""

    begin: Span
    end: Span
    failed: int = 0
    slow: int = 0
    ended: bool = True

    @property
    def least_s(self) -> float:
        """It surely lasted this long: from first to last failure."""
        return max(0.0, seconds(self.begin.until_ns, self.end.from_ns))

    @property
    def most_s(self) -> float:
        """It surely lasted no longer: from last to next good answer."""
        return seconds(self.begin.from_ns, self.end.until_ns)


class Reading(NamedTuple):
    """What one stream of requests says about a window."""

    answers: int
    failed: int
    unsent: int
    cadence_s: float  # median time between two requests that were due
    reaction_s: float | None
    outages: tuple[Outage, ...]
    longest: Outage  # the stretch that may have lasted longest, seen or not

    @property
    def surest(self) -> Outage:
        """The stretch that surely lasted longest."""
        found = (*self.outages, self.longest)
        return max(found, key=lambda each: (each.least_s, each.most_s))


def read(
    requests: Sequence[Request],
    window: Window,
    steady: Window | None,
    ratio: float = SERVING_RATIO,
) -> Reading | None:
    """All outages that touch the window; None when nothing was answered in it: zero samples are
    unknown, never zero seconds. `steady` is where the reaction is learnt, `ratio` the share of good
    answers above which the service is there."""
    answers = answered(requests, window)
    if not answers:
        return None
    within_ns = reaction_ns(requests, steady)
    if isinstance(requests, Many):
        between = telling_gaps(requests, ratio, window, within_ns)
    else:
        between = gaps(samples(requests, within_ns), ratio, window, within_ns)
    stretches = [_stretch(gap, window) for gap in between]
    due = due_in(requests, window)
    return Reading(
        answers=len(answers),
        failed=failed(answers),
        unsent=len(due) - len(answers),
        cadence_s=_median_step_s(due),
        reaction_s=None if within_ns == UNKNOWN_NS else within_ns / NS_PER_S,
        outages=tuple(each for each in stretches if each.failed or each.least_s > 0),
        longest=max(stretches, key=lambda each: (each.most_s, each.least_s)),
    )


def _median_step_s(due: Sequence[Request]) -> float:
    if isinstance(due, Many):
        return median_step_ns(due) / NS_PER_S
    steps = sorted(b.intended_ns - a.intended_ns for a, b in pairwise(due))
    return steps[len(steps) // 2] / NS_PER_S if steps else 0.0


def _stretch(gap: Gap, window: Window) -> Outage:
    """The outage that may lie in a gap, with what surely shows it."""
    first_ns = min((each.hi_ns for each in gap.wants), default=gap.right_ns)
    last_ns = max((each.lo_ns for each in gap.wants), default=gap.left_ns)
    return Outage(
        begin=Span(gap.left_ns, min(first_ns, gap.right_ns)),
        end=Span(min(last_ns, gap.right_ns), gap.right_ns),
        failed=sum(not each.good for each in gap.wants),
        slow=sum(each.good for each in gap.wants),
        ended=gap.right_ns < window.end_ns,
    )
