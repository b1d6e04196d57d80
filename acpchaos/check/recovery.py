"""Did what was broken come back: pods, nodes, spread over zones, and the service itself.

Room: check. All times run from the moment the fault struck; what did not return within the record
is a failure, never a number.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from acpchaos.check.answer import answer, not_applicable, unproven
from acpchaos.check.binomial import share
from acpchaos.check.counts import failed
from acpchaos.check.offsets import clock_bound_ns, moment
from acpchaos.check.outage import Span
from acpchaos.check.samples import NEVER_SENT
from acpchaos.check.sight import autoscaler_until, nodes_at, pods_at, ready_at, ready_counts
from acpchaos.check.verdict import Verdict
from acpchaos.check.window import Window, disturbed, due_in, seconds, struck_ns
from acpchaos.record.columns import Many
from acpchaos.record.events import Node, Pod, Request
from acpchaos.record.run import Run

SETTLED = 20  # requests of a flow that must follow: one failing 1 in 7 shows in 95 of 100 cases
SETTLED_BAD_RATIO = 0.05  # of the requests after a recovery; more is not recovered

OPEN_NS = 2**63 - 1  # the end of what had not ended when the record did
_NO_FAULT = "the record has no injected fault with a recovery phase"


def replicas_return(run: Run, app: str, within_s: float) -> Verdict:
    """Whenever fewer pods of `app` serve than before the fault, as many do again within `within_s`
    seconds, and still do when the record ends.

    Where an autoscaler wants fewer, its wish counts. A run in which no pod went away shows nothing.
    A drain takes pods one after the other; each loss has its own time, the worst one counts.
    """
    window = disturbed(run)
    if window is None:
        return unproven(_NO_FAULT)
    before = ready_at(run, app, window.begin_ns)
    if not before:
        return unproven(f"no ready pod of {app} was seen before the fault")
    left = ready_at(run, app, run.end_ns).keys()
    lost = [pod for uid, pod in before.items() if uid not in left]
    if not lost:
        return unproven(f"no pod of {app} went away, so none was shown to return")
    fewest, short = shortfalls(run, app, window.begin_ns, len(before))
    seen = f"{len(before)} pods of {app} before, at least {fewest} during, {len(lost)} replaced"
    evidence = tuple(f"gone: {pod.name} on {pod.node}" for pod in lost)
    if short and short[-1].end_ns == OPEN_NS:
        return answer(
            False, f"{seen}; not back when the record ended", "never", within_s, "s", evidence
        )
    worst = max(short, key=lambda each: each.length_s, default=Window(0, 0))
    why = f"{seen}; short of pods for {worst.length_s:.1f} s at most"
    if short:
        evidence += (f"short from {moment(run, worst.begin_ns)} to {moment(run, worst.end_ns)}",)
    return answer(worst.length_s <= within_s, why, worst.length_s, within_s, "s", evidence)


def shortfalls(run: Run, app: str, since_ns: int, wanted: int) -> tuple[int, list[Window]]:
    """(fewest ready pods, stretches with too few of them); an open stretch ends at OPEN_NS."""
    fewest, short_ns, found = wanted, 0, []
    for t_ns, count in ready_counts(run, app):
        if t_ns <= since_ns:
            continue
        wishes = autoscaler_until(run, app, t_ns)
        enough = count >= min(wanted, wishes[-1].desired if wishes else wanted)
        if enough and short_ns:
            found.append(Window(short_ns, t_ns))
        short_ns = 0 if enough else short_ns or t_ns
        fewest = min(fewest, count)
    return fewest, [*found, Window(short_ns, OPEN_NS)] if short_ns else found


def respread(run: Run, app: str, min_zones: float) -> Verdict:
    """Ready pods of `app` stand in at least `min_zones` zones when the record ends."""
    zones = {node.zone for node in nodes_at(run, run.end_ns).values() if node.zone}
    if not zones:
        return unproven("the record shows no node with a zone")
    if len(zones) < min_zones:
        return not_applicable(f"the cluster has {len(zones)} zones, {min_zones:g} are asked for")
    if not any(pod.app == app for pod in run.of(Pod)):
        return unproven(f"the record shows no pod of {app}")
    standing = ready_at(run, app, run.end_ns)
    used = sorted({pod.zone for pod in standing.values() if pod.zone})
    why = f"{len(standing)} ready pods of {app} in zones: {', '.join(used) or 'none'}"
    evidence = tuple(sorted(f"{pod.name} in {pod.zone}" for pod in standing.values()))
    return answer(len(used) >= min_zones, why, len(used), min_zones, "zones", evidence)


def nodes_schedulable(run: Run) -> Verdict:
    """Every node that took pods before the fault takes pods when the record ends."""
    window = disturbed(run)
    if window is None:
        return unproven(_NO_FAULT)
    first = nodes_at(run, window.begin_ns)
    before = {name for name, node in first.items() if _takes_pods(node)}
    closed = {
        node.name
        for node in run.of(Node)
        if node.t_ns > window.begin_ns and not _takes_pods(node) and node.name in before
    }
    if not closed:
        return unproven("no node was closed to pods, so none was shown to open again")
    after = {name for name, node in nodes_at(run, run.end_ns).items() if _takes_pods(node)}
    missing = sorted(before - after)
    why = f"{len(before) - len(missing)} of {len(before)} nodes take pods again"
    if missing:
        why += f"; not: {', '.join(missing)}"
    return answer(not missing, why, len(missing), 0, "nodes", tuple(sorted(closed)))


def _takes_pods(node: Node) -> bool:
    return node.ready and not node.unschedulable and not node.gone


def no_restarts(run: Run, app: str) -> Verdict:
    """No pod of `app` was replaced and no container of one restarted since the fault.

    Pods that the autoscaler gave up by wanting fewer are not replaced ones.
    """
    window = disturbed(run)
    if window is None:
        return unproven(_NO_FAULT)
    since_ns = window.begin_ns
    before = pods_at(run, app, since_ns)
    if not before:
        return unproven(f"no pod of {app} was seen before the fault")
    after = pods_at(run, app, run.end_ns)
    gone = [pod.name for uid, pod in before.items() if uid not in after or after[uid].deleting]
    replaced = max(0, len(gone) - _given_up(run, app, since_ns))
    restarts = {
        pod.name: pod.restarts - (before[uid].restarts if uid in before else 0)
        for uid, pod in after.items()
    }
    restarted = sum(count for count in restarts.values() if count > 0)
    why = f"{replaced} pods replaced, {restarted} container restarts among {len(after)} pods"
    evidence = tuple(f"gone: {name}" for name in sorted(gone)) + tuple(
        f"{name}: {count} restarts" for name, count in sorted(restarts.items()) if count > 0
    )
    return answer(replaced + restarted == 0, why, replaced + restarted, 0, "restarts", evidence)


def _given_up(run: Run, app: str, since_ns: int) -> int:
    """How many pods the autoscaler let go after the fault."""
    wishes = autoscaler_until(run, app, run.end_ns)
    later = [each.desired for each in wishes if each.t_ns > since_ns]
    before = [each.desired for each in wishes if each.t_ns <= since_ns][-1:]
    return sum(max(0, a - b) for a, b in pairwise(before + later))


def service_recovers(run: Run, within_s: float, flow: str = "") -> Verdict:
    """Each flow of the load works again, lastingly, within `within_s` seconds of the fault.

    A flow is back with its first good answer after the last two failures in a row; at least
    SETTLED requests must follow, of which no more than SETTLED_BAD_RATIO fail: more is a failure
    where chance cannot explain it, else undecided. The true moment lies between the last failure
    before that answer and its arrival, give or take the clocks: what lies on both sides of the
    budget is undecided.
    """
    window, since_ns = disturbed(run), struck_ns(run)
    if window is None or since_ns is None:
        return unproven(_NO_FAULT)
    flows = [flow] if flow else sorted(run.scenario.load.mix)
    if not flows:
        return unproven("the record does not name the flows of its load")
    took: dict[str, tuple[float, float]] = {}
    doubts: list[str] = []
    since = Window(min(since_ns, window.begin_ns), window.end_ns)
    for name in flows:
        due = due_in(run.requests("load", name), since)
        back, rest = _settled(due)
        bad = share(failed(rest), len(rest))
        wrong = f"{name}: {bad.failed} of {bad.of} requests failed after its return"
        if (back is None and len(due) >= SETTLED) or bad.low > SETTLED_BAD_RATIO:
            why = wrong if back else f"{name} was still failing when the record ended"
            return answer(False, why, "never", within_s, "s", (moment(run, due[-1].t_ns),))
        if back is None or bad.of < SETTLED:
            doubts.append(f"{name}: {bad.of} requests after its return, {SETTLED} are needed")
        elif bad.failed > SETTLED_BAD_RATIO * bad.of:
            doubts.append(f"{wrong}, too few to tell whether it works lastingly")
        else:
            took[name] = _bounds_s(run, since_ns, back)
    surely_s = max((low_s for low_s, _ in took.values()), default=0.0)
    if doubts and surely_s <= within_s:
        return unproven(doubts[0])
    worst, (least_s, most_s) = max(took.items(), key=lambda item: (item[1][1], item[0]))
    why = (
        f"{len(took)} of {len(flows)}" if doubts else f"all {len(took)}"
    ) + f" flows work again; the last was {worst} after {least_s:.1f} to {most_s:.1f} s"
    evidence = tuple(
        f"{name}: {low_s:.1f} to {high_s:.1f} s" for name, (low_s, high_s) in took.items()
    )
    if surely_s <= within_s < most_s:
        return unproven(
            f"{why}; the budget of {within_s:g} s lies between these bounds", most_s, "s"
        )
    return answer(most_s <= within_s, why, most_s, within_s, "s", evidence)


def _bounds_s(run: Run, since_ns: int, back: Span) -> tuple[float, float]:
    """(least, most) seconds from the fault to a return, told across two clocks."""
    apart_ns = clock_bound_ns(run)
    least_s = seconds(since_ns, back.from_ns - apart_ns)
    most_s = seconds(since_ns, back.until_ns + apart_ns)
    return max(0.0, least_s), max(0.0, most_s)


def _settled(due: Sequence[Request]) -> tuple[Span | None, Sequence[Request]]:
    """(bounds of the recovery or None, requests from its first good one on)."""
    if isinstance(due, Many):
        return _settled_many(due)
    first = 0
    for index, (one, two) in enumerate(pairwise(due)):
        if one.error and two.error:
            first = index + 2
    while first < len(due) and due[first].error:
        first += 1
    rest = due[first:]
    if not rest:
        return None, rest
    if first == 0:  # never away, so back before anything began
        return Span(0, 0), rest
    failed_ns = [r.start_ns for r in due[:first] if r.error and r.error != NEVER_SENT]
    return Span(min(max(failed_ns, default=0), rest[0].t_ns), rest[0].t_ns), rest


def _settled_many(due: Many) -> tuple[Span | None, Sequence[Request]]:
    """The same in columns."""
    bad = due.failed()
    pairs = np.flatnonzero(bad[:-1] & bad[1:])
    first = int(pairs[-1]) + 2 if len(pairs) else int(len(bad) > 0 and bad[0])
    rest = due[first:]
    if not rest:
        return None, rest
    if first == 0:
        return Span(0, 0), rest
    before = due[:first]
    sent = np.flatnonzero(before.failed() & ~before.with_error(NEVER_SENT))
    columns, back_ns = before.columns, rest[0].t_ns
    begun = columns.due[sent] + columns.late[sent]
    last_ns = int(begun.max()) * columns.unit_ns if len(begun) else 0
    return Span(min(last_ns, back_ns), back_ns), rest
