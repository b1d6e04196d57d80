"""The longest time without a good answer, with both bounds, from a request history.

Room: check. It measures only. The upper bound is what nobody can dispute: good answer to good
answer. The lower bound is what was seen to fail: first bad request due to last bad one ended.
"""

from bisect import bisect_left
from itertools import pairwise
from typing import NamedTuple

from acpchaos.check.window import Window, seconds
from acpchaos.record.events import Request


class Outage(NamedTuple):
    """A stretch without a good answer. `least_s` <= true length <= `most_s`."""

    from_ns: int
    until_ns: int
    least_s: float
    most_s: float


def longest_outage(requests: list[Request], window: Window) -> Outage:
    """The worst stretch that touches the window, for requests of one kind.

    A stretch ends with the answer of the next good request, or with the window. The last good
    answer before the window opens the first stretch.
    """
    by_end = sorted(requests, key=lambda request: request.t_ns)
    good = [request for request in by_end if not request.error]
    earlier = [request.t_ns for request in good if request.t_ns < window.begin_ns]
    inside = [request for request in good if window.holds(request.t_ns)]
    edges: list[tuple[int, Request | None]] = [(max(earlier, default=window.begin_ns), None)]
    edges += [(request.t_ns, request) for request in inside]
    edges.append((window.end_ns, None))
    bad = sorted((r for r in requests if r.error), key=lambda request: request.intended_ns)
    outages = [_between(begin, end, closing, bad) for (begin, _), (end, closing) in pairwise(edges)]
    return max(outages, key=lambda outage: (outage.most_s, outage.least_s))


def _between(from_ns: int, until_ns: int, closing: Request | None, bad: list[Request]) -> Outage:
    """Both bounds of one stretch; `bad` is sorted by when it was due. A good but slow closing
    answer was itself a wait."""
    first, last = (bisect_left(bad, t, key=lambda r: r.intended_ns) for t in (from_ns, until_ns))
    failed = bad[first:last]
    waited_s = seconds(max(from_ns, closing.intended_ns), closing.t_ns) if closing else 0.0
    seen_s = 0.0
    if failed:
        last_ns = min(until_ns, max(request.t_ns for request in failed))
        seen_s = seconds(failed[0].intended_ns, last_ns)
    return Outage(from_ns, until_ns, max(seen_s, waited_s, 0.0), seconds(from_ns, until_ns))
