"""Did the autoscaler follow demand, out and in, inside its own limits, at no cost to users.

Room: check. The surge lasts as long as the fault phase. `name` is both the HPA and its workload.
"""

import math

from acpchaos.check.answer import answer, unproven
from acpchaos.check.counts import failed
from acpchaos.check.hpa import RESOLUTION_S, tolerance
from acpchaos.check.offsets import moment
from acpchaos.check.sight import ready_at, ready_counts
from acpchaos.check.verdict import Verdict
from acpchaos.check.window import NS_PER_S, Window, due_in, phase, seconds
from acpchaos.record.events import Autoscaler, Rate
from acpchaos.record.run import Run

ENOUGH_FOR_P95 = 100  # 5 requests lie beyond the percentile
ENOUGH_FOR_RATIO = 50
SURGE_REAL_RATIO = 0.8  # of the planned surge, as for the steady load


def scales_out(run: Run, name: str, within_s: float) -> Verdict:
    """A new replica serves within `within_s` of the rate that asked for it. Needs a reading above
    what the autoscaler tolerates."""
    surge, sights = phase(run, "fault"), _sights(run, name)
    if surge is None or not sights:
        return unproven(f"the record has no fault phase or no sight of autoscaler {name}")
    start = _before(sights, surge)
    if start is None:
        return unproven(f"autoscaler {name} was not seen before the surge")
    if start.desired >= start.max_replicas:
        return unproven(f"{name} stood at its maximum of {start.max_replicas} before the surge")
    during = [each for each in sights if surge.holds(each.t_ns)]
    over = [each for each in during if _asks(each)]
    if not over:
        return unproven("no CPU reading above what it tolerates: the autoscaler was not asked")
    ready = len(ready_at(run, name, surge.begin_ns))
    if not ready:
        return unproven(f"no ready pod of {name} was seen before the surge")
    wished = max(each.desired for each in during)
    more = [t for t, count in ready_counts(run, name) if surge.holds(t) and count > ready]
    seen = f"{start.desired} replicas wanted before, {wished} during the surge"
    if wished <= start.desired or not more:
        why = f"{seen}; no more than {ready} pods became ready"
        return answer(False, why, "never", within_s, "s")
    begin_ns, per_s = _asking(run, surge, over[0].t_ns)
    took_s = seconds(begin_ns, more[0])
    why = f"{seen}; the first new pod served {took_s:.1f} s after {per_s:g} flows/s were offered"
    return answer(took_s <= within_s, why, took_s, within_s, "s", (moment(run, more[0]),))


def within_limits(run: Run, name: str) -> Verdict:
    """Wanted and ready replicas never left the HPA's own minimum and maximum."""
    sights = _sights(run, name)
    if len({each.desired for each in sights}) < 2:
        return unproven(f"the replicas wanted by {name} never changed, so no limit was approached")
    outside = [
        f"{moment(run, each.t_ns)}: {each.desired} wanted of {each.min_replicas} to "
        f"{each.max_replicas}"
        for each in sights
        if not each.min_replicas <= each.desired <= each.max_replicas
    ]
    most = max(each.max_replicas for each in sights)
    outside += [
        f"{moment(run, t)}: {count} pods ready, {most} allowed"
        for t, count in ready_counts(run, name)
        if count > most
    ]
    low, high = (pick(each.desired for each in sights) for pick in (min, max))
    why = f"{low} to {high} replicas wanted, {sights[-1].min_replicas} to {most} allowed"
    return answer(not outside, why, len(outside), 0, "sights outside", tuple(outside[:10]))


def latency_recovers(run: Run, p95_ms: float, tail_s: float = 20.0) -> Verdict:
    """p95 of the last `tail_s` seconds of the surge, from when requests were due; a failed request
    counts as endless. Needs the surge to be really offered in that time."""
    surge = phase(run, "fault")
    if surge is None:
        return unproven("the record has no fault phase")
    tail = Window(max(surge.begin_ns, surge.end_ns - int(tail_s * NS_PER_S)), surge.end_ns)
    due = due_in(run.requests("load"), tail)
    if len(due) < ENOUGH_FOR_P95:
        return unproven(f"only {len(due)} requests in the last {tail.length_s:.0f} s of the surge")
    planned = _offered(run, tail.end_ns - 1)
    offered = len(due) / tail.length_s
    if offered < SURGE_REAL_RATIO * planned:
        return unproven(f"only {offered:.1f} of {planned:g} requests/s offered when it was judged")
    waits_ms = sorted(math.inf if r.error else (r.t_ns - r.intended_ns) / 1e6 for r in due)
    seen_ms = waits_ms[math.ceil(0.95 * len(waits_ms)) - 1]
    bad = failed(due)
    why = f"{len(due)} requests in the last {tail.length_s:.0f} s of the surge, {bad} failed"
    measured = "endless" if math.isinf(seen_ms) else seen_ms
    return answer(seen_ms <= p95_ms, why, measured, p95_ms, "ms")


def scales_in(run: Run, name: str, max_error_ratio: float) -> Verdict:
    """After the surge the HPA returns to what it wanted before, and requests go on as they did."""
    surge, recovery = phase(run, "fault"), phase(run, "recovery")
    sights = _sights(run, name)
    start = _before(sights, surge) if surge else None
    if surge is None or recovery is None or start is None:
        return unproven(f"the record has no surge with a recovery, or no sight of {name} before it")
    peak = max(each.desired for each in sights)
    if peak <= start.desired:
        return unproven(f"{name} never scaled out, so it could not scale in")
    due = due_in(run.requests("load"), recovery)
    if len(due) < ENOUGH_FOR_RATIO:
        return unproven(f"only {len(due)} requests were due after the surge")
    bad = failed(due)
    ratio = bad / len(due)
    back = [each for each in sights if each.t_ns >= surge.end_ns and each.desired <= start.desired]
    ready = len(ready_at(run, name, run.end_ns))
    why = f"{peak} replicas at the peak, {sights[-1].desired} wanted and {ready} ready at the end"
    if back:
        why += f", back to {start.desired} after {seconds(surge.end_ns, back[0].t_ns):.0f} s"
    why += f"; {bad} of {len(due)} requests failed meanwhile"
    held = bool(back) and 0 < ready < peak and ratio <= max_error_ratio
    return answer(held, why, ratio, max_error_ratio, "ratio")


def _sights(run: Run, name: str) -> list[Autoscaler]:
    return [each for each in run.of(Autoscaler) if each.name == name]


def _before(sights: list[Autoscaler], surge: Window) -> Autoscaler | None:
    earlier = [each for each in sights if each.t_ns <= surge.begin_ns]
    return earlier[-1] if earlier else None


def _asks(each: Autoscaler) -> bool:
    percent, target = each.cpu_percent or 0, each.target_cpu_percent or math.inf
    return percent > target * (1 + tolerance(each.behavior.up if each.behavior else None))


def _asking(run: Run, surge: Window, read_ns: int) -> tuple[int, float]:
    """(since when, flows/s) of the rate that a reading can have seen: one from before the metrics'
    resolution. Where a climb was too quick to tell, the earlier rate, so that no time is lost."""
    seen_ns = max(surge.begin_ns, read_ns - RESOLUTION_S * NS_PER_S)
    climbs = [each.t_ns for each in run.of(Rate) if surge.begin_ns <= each.t_ns <= seen_ns][1:]
    return (climbs[-1] if climbs else surge.begin_ns), _offered(run, seen_ns)


def _offered(run: Run, t_ns: int) -> float:
    """Flows per second that were to be offered at a moment."""
    rates = [each.per_s for each in run.of(Rate) if each.t_ns <= t_ns]
    load = run.scenario.load
    return rates[-1] if rates else load.surge_per_s or load.rate_per_s
