"""The gaps of check/samples.py for millions of requests: the same rules, by whole columns.

Room: check. Nearly all of millions of gaps tell nothing. Only these are given back: every gap with
a sign of want in it, the widest of the others, and those at the edges of the window. So whoever
looks for outages and for the longest silence finds what he would find among all. Samples.py is the
meaning; a property test holds the two together.
"""

from typing import Any, Literal, NamedTuple

import numpy as np

from acpchaos.check.samples import HOLD_ANSWERS, HOLD_S, NEVER_SENT, Gap, Sample, sent_between
from acpchaos.check.window import NS_PER_S, Window
from acpchaos.record.columns import Many, Numbers


class _Sent(NamedTuple):
    """What was sent, in the order of sending, in units since `base`."""

    base: int
    unit_ns: int
    sent: Numbers
    took: Numbers
    good: Numbers  # a mask

    def ns(self, moment: Any) -> int:
        """A moment as nanoseconds since 1970."""
        return (self.base + int(moment)) * self.unit_ns


class _Serving(NamedTuple):
    """Moments of lasting service, by `lo`; `seen` is the latest `hi` so far, `right` the earliest
    one from here on."""

    lo: Numbers
    seen: Numbers
    right: Numbers


def median_step_ns(due: Many) -> int:
    """Median time between two requests that were due; 0 without two."""
    steps = np.diff(due.columns.due)
    middle = len(steps) // 2
    return int(np.partition(steps, middle)[middle]) * due.columns.unit_ns if len(steps) else 0


def telling_gaps(requests: Many, ratio: float, window: Window, within_ns: int) -> list[Gap]:
    """Those of `samples.gaps` that tell anything, in order."""
    sent = _in_order(requests)
    there = _lasting(sent, ratio)
    wants = _wants(sent, within_ns)
    serving = _serving(sent, there, within_ns)
    first_ns = min([window.begin_ns, *(sent.ns(lo) for lo in serving.lo[:1])])
    chosen = _chosen(sent, serving, window, wants)
    found = []
    for at in chosen:
        left_ns = sent.ns(serving.lo[at - 1]) if at else first_ns
        seen_ns = max(first_ns, sent.ns(serving.seen[at - 1])) if at else first_ns
        inside = at < len(serving.lo)
        next_ns = sent.ns(serving.lo[at]) if inside else window.end_ns
        right_ns = sent.ns(serving.right[at]) if inside else window.end_ns
        if right_ns > window.begin_ns and left_ns < window.end_ns:
            lacking = _between(wants, seen_ns, next_ns)
            found.append(Gap(left_ns, seen_ns, next_ns, min(right_ns, window.end_ns), lacking))
    return found


def _in_order(requests: Many) -> _Sent:
    """By begin, then end, then when due."""
    columns = requests.columns
    if (unsent := requests.with_error(NEVER_SENT)).any():
        requests = Many(columns.taken(~unsent))
        columns = requests.columns
    begun = columns.due + columns.late
    base = int(begun.min()) if len(begun) else 0
    begun -= base
    longest = int(columns.took.max()) if len(begun) else 0
    if len(begun) and int(begun.max()) + longest < 2**32:
        begun = begun.astype(np.uint32)  # 71 minutes in microseconds, at half the memory
    order = np.argsort(begun)
    _settle_ties(order, begun, columns.took, columns.due)
    good = ~requests.failed()
    return _Sent(base, columns.unit_ns, begun[order], columns.took[order], good[order])


def _settle_ties(order: Numbers, begun: Numbers, took: Numbers, due: Numbers) -> None:
    """Put those that were sent at the same moment into the order of their end, then when due."""
    same = begun[order[1:]] == begun[order[:-1]]
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    rows = order[tied]
    order[tied] = rows[np.lexsort((due[rows], took[rows], begun[rows]))]


def _lasting(sent: _Sent, ratio: float) -> Numbers:
    """As `samples.lasting`. From each failure on it looks ahead only until service is back."""
    there = sent.good.copy()
    bads = np.flatnonzero(~sent.good)
    at, count = 0, len(there)
    if not len(bads):
        return there
    goods = np.zeros(count + 1, dtype=np.int32)
    np.cumsum(sent.good, out=goods[1:])
    while at < len(bads):
        down = int(bads[at])
        up = _back(sent, goods, down, count, ratio)
        there[down:up] = False
        at = int(np.searchsorted(bads, up))
    return there


def _back(sent: _Sent, goods: Numbers, down: int, count: int, ratio: float) -> int:
    """The first good answer after `down` that brings the service back; `count` for none."""
    begin, size = down + 1, 16
    while begin < count:
        some = np.arange(begin, min(begin + size, count))
        until = sent.sent[some].astype(np.int64) + int(HOLD_S * NS_PER_S) // sent.unit_ns
        limit = np.iinfo(sent.sent.dtype).max
        held = np.searchsorted(sent.sent, np.minimum(until, limit).astype(sent.sent.dtype))
        held[until > limit] = count
        after = np.maximum(some + HOLD_ANSWERS, held)
        known = np.minimum(after, count)
        enough = (after <= count) & (goods[known] - goods[some] > ratio * (after - some))
        found = np.flatnonzero(enough & sent.good[some])
        if len(found):
            return int(some[found[0]])
        begin, size = begin + size, min(size * 4, 1 << 16)
    return count


def _wants(sent: _Sent, within_ns: int) -> list[Sample]:
    """Every moment without service that something shows, in the order of sending."""
    within = within_ns // sent.unit_ns
    slow = sent.good & (sent.took > within)
    found = []
    for at in np.flatnonzero(slow | ~sent.good).tolist():
        sent_ns, took_ns = sent.ns(sent.sent[at]), int(sent.took[at]) * sent.unit_ns
        hi_ns = sent_ns + min(took_ns, within_ns)
        good = bool(sent.good[at])
        found.append(Sample(sent_ns, sent_ns, hi_ns, good, good))
    return found


def _serving(sent: _Sent, there: Numbers, within_ns: int) -> _Serving:
    within = min(within_ns // sent.unit_ns, int(sent.took.max(initial=0)))
    if (long := np.flatnonzero(sent.good & (sent.took > within))).size:
        sent.sent[long] += (sent.took[long] - within).astype(sent.sent.dtype)
    quick = np.minimum(sent.took, within)[there]
    lo = sent.sent[there]
    if long.size and (lo[1:] < lo[:-1]).any():
        order = np.argsort(lo, kind="stable")
        lo, quick = lo[order], quick[order]
    hi = lo + quick.astype(lo.dtype)
    seen = np.maximum.accumulate(hi)
    right = np.minimum.accumulate(hi[::-1])[::-1]
    return _Serving(lo, seen, right)


def _chosen(sent: _Sent, serving: _Serving, window: Window, wants: list[Sample]) -> list[int]:
    """Which gaps tell anything. Gap n lies before serving moment n, the last one after all."""
    lo, right, count = serving.lo, serving.right, len(serving.lo)
    picked = {0, count}
    # all failures of one outage lie in one gap, so there are few different pairs
    sent_ns = sorted({want.sent_ns for want in wants})
    first = _ranks(lo, sent_ns, sent, before=False)  # the first gap that ends no earlier
    last = _ranks(serving.seen, sent_ns, sent, before=True)  # the last one begun by then
    for at, until in {*zip(first, last, strict=True)}:
        picked.update(range(at, min(until, count) + 1))
    begin = _rank(right, window.begin_ns, sent, before=True)
    end = min(_rank(lo, window.end_ns, sent, before=False) + 1, count)
    beyond = _rank(right, window.end_ns, sent, before=True)
    picked.update(range(max(beyond, 1), end))
    begin = max(begin, 1)
    if begin < min(beyond, end):
        inside = slice(begin, min(beyond, end))
        wide = right[inside] - lo[begin - 1 : min(beyond, end) - 1]
        picked.add(begin + int(np.argmax(wide)))
    return sorted(picked)


def _rank(moments: Numbers, t_ns: int, sent: _Sent, *, before: bool) -> int:
    """How many of the moments are earlier than `t_ns`, or, with `before`, not later."""
    return _ranks(moments, [t_ns], sent, before=before)[0]


def _ranks(moments: Numbers, times_ns: list[int], sent: _Sent, *, before: bool) -> list[int]:
    """The same for many."""
    limits, unit = np.iinfo(moments.dtype), sent.unit_ns
    edges = [(t_ns // unit if before else -(-t_ns // unit)) - sent.base for t_ns in times_ns]
    inside = [min(max(edge, int(limits.min)), int(limits.max)) for edge in edges]
    side: Literal["left", "right"] = "right" if before else "left"
    found = np.searchsorted(moments, np.array(inside, dtype=moments.dtype), side=side).tolist()
    return [
        0 if edge < limits.min else len(moments) if edge > limits.max else rank
        for edge, rank in zip(edges, found, strict=True)
    ]


def _between(wants: list[Sample], from_ns: int, until_ns: int) -> list[Sample]:
    """What was sent between two moments and wanted for by the second."""
    return [each for each in sent_between(wants, from_ns, until_ns) if each.hi_ns <= until_ns]
