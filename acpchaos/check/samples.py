"""What single requests prove about a service: a moment at which it was there, or was not.

Room: check. It measures only. A moment is known to a span:

- A good answer proves one moment of service, between its sending and its arrival.
- A failure proves one moment without service, not before its sending. Not after its end either, nor
  later than its sending plus the `reaction`: a service that is there answers within the longest
  time any answer took while nothing was broken. So the time a client waits for its own timeout is
  never counted as downtime.
- A good answer slower than the reaction proves both: none at its sending, service at its arrival.
- A request that was due but never sent proves nothing, neither way.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from acpchaos.check.counts import NEVER_SENT as NEVER_SENT
from acpchaos.check.window import NS_PER_S, Window, due_in
from acpchaos.record.columns import Many
from acpchaos.record.events import Request

HOLD_S = 1.0
HOLD_ANSWERS = 5
UNKNOWN_NS = 2**62  # no reaction is known: only sending and end of a request bound anything


class Sample(NamedTuple):
    """A moment of service or of none lies in `lo_ns` to `hi_ns`; it was asked for at `sent_ns`."""

    sent_ns: int
    lo_ns: int
    hi_ns: int
    good: bool
    slow: bool


class Gap(NamedTuple):
    """The time between two neighbouring moments of lasting service.

    Each is known to a span, so the gap reaches at most from `left_ns` to `right_ns`, and at least
    from `seen_ns` to `next_ns`. `wants` are the moments without service that surely lie inside.
    """

    left_ns: int
    seen_ns: int
    next_ns: int
    right_ns: int
    wants: list[Sample]


def answered(requests: Sequence[Request], window: Window) -> Sequence[Request]:
    """Requests due in the window that were sent, in the order they were due."""
    due = due_in(requests, window)
    if isinstance(due, Many):
        sent = ~due.with_error(NEVER_SENT)
        return due if sent.all() else Many(due.columns.taken(sent))
    return [request for request in due if request.error != NEVER_SENT]


def reaction_ns(requests: Sequence[Request], steady: Window | None) -> int:
    """The longest that a request had taken before the fault, failed ones included: what took long
    then may take long later. One that was still under way at the end of the steady time counts as
    far as it had come, and one that was due in it but sent later not at all: the rest of their time
    may be the fault's doing, and a fault must not be its own yardstick."""
    if steady is None:
        return UNKNOWN_NS
    before = answered(requests, steady)
    if isinstance(before, Many):
        sent_ns, t_ns = before.moments_ns()
        took_ns = (t_ns.clip(max=steady.end_ns) - sent_ns)[sent_ns < steady.end_ns]
        return int(took_ns.max()) if len(took_ns) else UNKNOWN_NS
    return max(
        (min(r.t_ns, steady.end_ns) - r.start_ns for r in before if r.start_ns < steady.end_ns),
        default=UNKNOWN_NS,
    )


def samples(requests: Sequence[Request], within_ns: int) -> list[Sample]:
    """Every request that was sent, in the order of sending, which no outcome changes. `within_ns`
    is the reaction."""
    sent = [request for request in requests if request.error != NEVER_SENT]
    return [
        Sample(
            sent_ns=r.start_ns,
            lo_ns=r.start_ns if r.error else max(r.start_ns, r.t_ns - within_ns),
            hi_ns=min(r.t_ns, r.start_ns + within_ns) if r.error else r.t_ns,
            good=not r.error,
            slow=not r.error and r.t_ns - r.start_ns > within_ns,
        )
        for r in sorted(sent, key=lambda r: (r.start_ns, r.t_ns, r.intended_ns))
    ]


def lasting(found: list[Sample], ratio: float) -> list[bool]:
    """For each sample whether it is a good answer of a service that is there.

    A failure takes the service away; a good answer brings it back if, of the answers to what was
    sent from it on, over HOLD_S and at least HOLD_ANSWERS, more than `ratio` are good.
    """
    sent_ns = [each.sent_ns for each in found]
    goods = [0, *accumulate(each.good for each in found)]

    def brings_back(index: int) -> bool:
        held = bisect_left(sent_ns, sent_ns[index] + int(HOLD_S * NS_PER_S))
        after = max(index + HOLD_ANSWERS, held)
        enough = ratio * (after - index)
        return after <= len(found) and goods[after] - goods[index] > enough

    there: list[bool] = []
    up = True
    for index, each in enumerate(found):
        up = each.good and (up or brings_back(index))
        there.append(up)
    return there


def gaps(found: list[Sample], ratio: float, window: Window, within_ns: int) -> list[Gap]:
    """The gaps between moments of lasting service that touch the window, in order; at its edges the
    window stands for the moment that is missing."""
    there = lasting(found, ratio)
    serving = [each for each, up in zip(found, there, strict=True) if up]
    serving.sort(key=lambda each: each.lo_ns)
    wants = [
        each if not each.good else each._replace(lo_ns=each.sent_ns, hi_ns=each.sent_ns + within_ns)
        for each in found
        if each.slow or not each.good
    ]
    begin_ns = min([window.begin_ns, *(each.lo_ns for each in serving[:1])])
    lefts = [begin_ns, *(each.lo_ns for each in serving)]
    seen = [begin_ns, *accumulate((each.hi_ns for each in serving), max)]
    nexts = [*(each.lo_ns for each in serving), window.end_ns]
    rights = [*accumulate((each.hi_ns for each in reversed(serving)), min)][::-1]
    bounds = zip(lefts, seen, nexts, [*rights, window.end_ns], strict=True)
    return [
        Gap(left_ns, seen_ns, next_ns, min(right_ns, window.end_ns),
            [each for each in sent_between(wants, seen_ns, next_ns) if each.hi_ns <= next_ns])
        for left_ns, seen_ns, next_ns, right_ns in bounds
        if right_ns > window.begin_ns and left_ns < window.end_ns
    ]  # fmt: skip


def sent_between(found: list[Sample], from_ns: int, until_ns: int) -> list[Sample]:
    """What was sent between two moments, both included."""
    begin = bisect_left(found, from_ns, key=lambda each: each.sent_ns)
    return found[begin : bisect_right(found, until_ns, key=lambda each: each.sent_ns)]
