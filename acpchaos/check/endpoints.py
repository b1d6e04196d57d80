"""What each endpoint went through: outages, error budget spent, and when it was back, three times.

Room: check. It measures for the page and for other checks; it judges nothing. An endpoint is what
the prober asks, each by itself, and the load as a whole. What it asks beside, other endpoints and
the way in through each zone, is measured alike, but no claim about the whole counts it: a zone that
is drained has no way in.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from acpchaos.check.binomial import Share, share
from acpchaos.check.outage import SUSTAINED_RATIO, Reading, Span, read
from acpchaos.check.samples import answered
from acpchaos.check.window import Window, disturbed, phase, struck_ns
from acpchaos.record.events import ENDPOINT, PROBER, ZONE_PATH, Request
from acpchaos.record.run import Run

SLO_RATIO = 0.999  # good answers that the budget of a month allows for
PERIOD_S = 30 * 24 * 3600.0
BASELINE_ANSWERS = 10  # of which the median must be as quick as 95 % were before the fault

LOAD = "load"


class Return(NamedTuple):
    """Three ways to be back, in this order. None: not within the record, or not shown by it."""

    first: Span | None  # one good answer after the first failure
    sustained: Span | None  # the last impairment ended
    quick_ns: int | None  # from here on answers take no longer than before the fault


class Endpoint(NamedTuple):
    """One endpoint in fault and recovery. `down` and `impaired` are None for zero samples."""

    name: str
    down: Reading | None
    impaired: Reading | None
    failed: Share
    spent: tuple[float, float] | None  # least and most of a month's error budget, as ratios of it
    back: Return | None  # None when nothing failed after the fault struck


class Step(NamedTuple):
    """One step of one flow of the load in fault and recovery."""

    flow: str
    step: str
    failed: Share


def streams(run: Run) -> dict[str, Sequence[Request]]:
    """Requests by endpoint, in order of name, the load last."""
    load = run.requests("load")
    return _of(run, PROBER) | ({LOAD: load} if load else {})


def _of(run: Run, source: str) -> dict[str, Sequence[Request]]:
    flows = sorted({request.flow for request in run.requests(source)})
    return {f"prober {flow}": run.requests(source, flow) for flow in flows}


def endpoints(run: Run) -> list[Endpoint]:
    """Every endpoint of the record; empty without fault and recovery phase."""
    return _measured(run, streams(run))


def beside(run: Run) -> list[Endpoint]:
    """Every endpoint and every zone's way in that no claim counts; empty as above."""
    return _measured(run, _of(run, ENDPOINT) | _of(run, ZONE_PATH))


def ways_in(run: Run) -> list[Endpoint]:
    """Each zone's way in, by itself; empty where the profile named none."""
    return _measured(run, _of(run, ZONE_PATH))


def _measured(run: Run, found: dict[str, Sequence[Request]]) -> list[Endpoint]:
    window = disturbed(run)
    if window is None:
        return []
    return [_endpoint(run, name, requests, window) for name, requests in found.items()]


def _endpoint(run: Run, name: str, requests: Sequence[Request], window: Window) -> Endpoint:
    steady = phase(run, "steady")
    seen = answered(requests, window)
    failed = share(sum(bool(request.error) for request in seen), len(seen))
    impaired = read(requests, window, steady, SUSTAINED_RATIO)
    return Endpoint(
        name=name,
        down=read(requests, window, steady),
        impaired=impaired,
        failed=failed,
        spent=_spent(failed, window) if seen else None,
        back=_return(run, seen, impaired, answered(requests, steady) if steady else []),
    )


def _spent(failed: Share, window: Window) -> tuple[float, float]:
    """Bad time over the time a month may be bad: the failed share counts as that share of the
    window's seconds, so that a partial outage spends its part."""
    budget_s = PERIOD_S * (1 - SLO_RATIO)
    return failed.low * window.length_s / budget_s, failed.high * window.length_s / budget_s


def _return(
    run: Run, seen: Sequence[Request], impaired: Reading | None, before: Sequence[Request]
) -> Return | None:
    since_ns = struck_ns(run)
    if since_ns is None or impaired is None:
        return None
    bad_ns = [max(since_ns, r.start_ns) for r in seen if r.error and r.t_ns >= since_ns]
    if not bad_ns:
        return None
    return Return(
        first=_first(seen, bad_ns),
        sustained=_sustained(impaired, since_ns),
        quick_ns=_quick_ns(seen, before, min(bad_ns)),
    )


def _first(seen: Sequence[Request], bad_ns: list[int]) -> Span | None:
    """Between the last failure before it and the arrival of the first good answer to what was
    sent after the first failure."""
    first_ns = min(bad_ns)
    later = [r for r in seen if not r.error and r.start_ns >= first_ns]
    lucky = min(later, key=lambda r: r.t_ns, default=None)
    if lucky is None:
        return None
    return Span(max(t_ns for t_ns in bad_ns if t_ns <= lucky.start_ns), lucky.t_ns)


def _sustained(impaired: Reading, since_ns: int) -> Span | None:
    """End of the last impairment of more than one failure, since one failed request alone is an
    error, not a relapse; None where one did not end."""
    failing = [each for each in impaired.outages if each.failed and each.end.until_ns > since_ns]
    if not failing or not all(each.ended for each in failing):
        return None
    relapses = [each for each in failing if each.failed > 1] or failing[:1]
    return max(each.end for each in relapses)


def _quick_ns(seen: Sequence[Request], before: Sequence[Request], since_ns: int) -> int | None:
    """When the last answer came that was part of a slow group of BASELINE_ANSWERS; None while the
    record ends slowly or there is no baseline. Failures count as endless."""
    usual = sorted(r.t_ns - r.intended_ns for r in before if not r.error)
    if len(usual) < BASELINE_ANSWERS or len(seen) < BASELINE_ANSWERS:
        return None
    bar_ns = usual[math.ceil(0.95 * len(usual)) - 1]
    later = [r for r in seen if r.intended_ns >= since_ns]
    took = [math.inf if r.error else float(r.t_ns - r.intended_ns) for r in later]
    half = BASELINE_ANSWERS // 2
    groups = [sum(t > bar_ns for t in took[i : i + BASELINE_ANSWERS]) > half
              for i in range(len(took) - BASELINE_ANSWERS + 1)]  # fmt: skip
    if not groups or groups[-1]:
        return None
    last = max((i for i, slow in enumerate(groups) if slow), default=-1)
    return later[last + half].t_ns if last >= 0 else since_ns


def steps(run: Run) -> list[Step]:
    """Every step of every flow of the load, with what its failures can mean."""
    window = disturbed(run)
    if window is None:
        return []
    due: Counter[tuple[str, str]] = Counter()
    bad: Counter[tuple[str, str]] = Counter()
    for request in answered(run.requests("load"), window):
        due[request.flow, request.step] += 1
        bad[request.flow, request.step] += bool(request.error)
    return [Step(flow, step, share(bad[flow, step], n)) for (flow, step), n in sorted(due.items())]
