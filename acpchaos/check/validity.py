"""Was the test real. A run is valid only on proof; what is missing is said, and decides nothing.

Room: check. Proof of: healthy before, fault installed as an independent witness saw it and no
reading that physics forbids, load really flowing before and while it lasted, no recorder blind
meanwhile, all changes undone. It must not know what the run's claims are.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from acpchaos.check.counts import by_flow, failed, flows_begun, unsent
from acpchaos.check.offsets import apart
from acpchaos.check.physics import impossible
from acpchaos.check.window import NS_PER_S, Window, disturbed, due_in, phase
from acpchaos.record.events import STOPPED, Fault, Gap, Health, Observation, Request, Undo, Witness
from acpchaos.record.run import PHASES, Run

OFFERED_RATIO = 0.8  # of the planned flows; below it the generator, not the target, was measured
STEADY_SUCCESSES = 3  # of each flow before the fault: one may be luck, and rare flows are few
STEADY_ERROR_RATIO = 0.01  # more failures than this without any fault is not a healthy baseline
NEVER_SENT_RATIO = 0.1  # of what was due; beyond it too much of an outage is guessed
PROBER_PERIODS = 5  # missed in a row before the prober counts as blind
# what is shown beside the claims: nothing is decided by it, so its recorders may be blind
SHOWN_ONLY = ("timeline-poddisruptionbudgets", "timeline-statefulsets", "timeline-events")
BLIND_S = 1.0  # shorter blindness hides nothing that a budget in seconds could miss


def objections(run: Run) -> list[str]:
    """Why this run decides nothing; empty when it is valid."""
    return [line for lines in by_question(run).values() for line in lines]


def by_question(run: Run) -> dict[str, list[str]]:
    """The same, by the question each line answers with no; an empty list is a yes."""
    return {
        "phases": _phases(run),
        "health": _health(run),
        "fault": [*_fault(run), *impossible(run)],
        "load": [*_steady_load(run), *_load_meanwhile(run)],
        "recorders": [*_prober(run), *_recorders(run), *apart(run)],
    }


def left_changed(run: Run) -> list[str]:
    """Changes whose undo was not verified: the target is dirty. Two changes may bear one name, so
    each of them needs a word of its own."""
    states: defaultdict[str, list[str]] = defaultdict(list)
    for undo in run.of(Undo):
        states[undo.change].append(undo.state)
    return [
        f"{change} ({'recorded' if told[-1] == 'verified' else told[-1]})"
        for change, told in states.items()
        if told[-1] != "verified" or told.count("recorded") > told.count("verified")
    ]


def unwell_after(run: Run) -> list[str]:
    """What the healthy-after gate missed; a run that ends so may fail a claim, never prove one."""
    return _not_ok(run, "after")


def _phases(run: Run) -> list[str]:
    missing = [name for name in PHASES if run.phase(name) is None]
    lines = [f"the play was cut short: no phase {', '.join(missing)}"] if missing else []
    return lines + [f"the play was stopped: {stop['why']}" for stop in stops(run)]


def stops(run: Run) -> list[dict[str, str]]:
    """What ended the play early: `by` file, alarm, burn or lease, and `why`."""
    return [seen.value for seen in run.of(Observation) if seen.name == STOPPED]


def _health(run: Run) -> list[str]:
    return [f"not healthy before: {line}" for line in _not_ok(run, "before")]


def _not_ok(run: Run, when: str) -> list[str]:
    """Lines of a gate that ended badly, by their last look; no line at all is one, too."""
    last = {health.what: health for health in run.of(Health) if health.when == when}
    if not last:
        return ["nothing was looked at"]
    return [f"{health.what}: {health.saw}" for health in last.values() if not health.ok]


def _fault(run: Run) -> list[str]:
    """Each fault was injected, and its witness saw it in full at every look."""
    injected = [fault for fault in run.of(Fault) if fault.verb == "inject"]
    if not injected:
        return ["no fault was injected"]
    lines = [f"injection of {each.fault} failed" for each in injected if not each.ok]
    looks = run.of(Witness)
    seen = {witness.fault for witness in looks}
    lines += [f"no witness saw {name}" for name in sorted({e.fault for e in injected} - seen)]
    lines += [
        f"the witness of {look.fault} says {look.outcome}: {look.saw}"
        for look in looks
        if look.outcome != "installed"
    ]
    return lines


def _steady_load(run: Run) -> list[str]:
    """Enough of every planned flow before the fault, and hardly a failure among them."""
    steady, mix = phase(run, "steady"), run.scenario.load.mix
    if steady is None:
        return []  # told by the phases
    if not mix:
        return ["run.json does not name the flows of the load"]
    due = due_in(run.requests("load"), steady)
    lines = _too_thin(due, steady, run.scenario.load.rate_per_s)
    good = Counter({flow: of - bad for flow, (bad, of) in by_flow(due).items()})
    lines += [
        f"flow {flow} succeeded {good[flow]} times before the fault, {STEADY_SUCCESSES} are needed"
        for flow, weight in sorted(mix.items())
        if weight > 0 and good[flow] < STEADY_SUCCESSES
    ]
    bad = failed(due)
    if bad > STEADY_ERROR_RATIO * len(due):
        lines.append(f"{bad} of {len(due)} requests failed before any fault")
    return lines


def _load_meanwhile(run: Run) -> list[str]:
    """The load went on, by schedule, while the fault lasted, and was really sent."""
    fault, whole = phase(run, "fault"), disturbed(run)
    if fault is None or whole is None:
        return []
    requests = run.requests("load")
    lines = _too_thin(due_in(requests, fault), fault, run.scenario.load.rate_per_s)
    due = due_in(requests, whole)
    missing = unsent(due)
    if missing > NEVER_SENT_RATIO * len(due):
        lines.append(f"{missing} of {len(due)} requests were due but never sent")
    return lines


def _too_thin(due: Sequence[Request], window: Window, planned_per_s: float) -> list[str]:
    """The offered rate in flows per second against the plan."""
    if window.length_s <= 0:
        return ["a phase has no length"]
    offered = flows_begun(due) / window.length_s
    if offered >= OFFERED_RATIO * planned_per_s:
        return []
    return [
        f"load too thin: {offered:.1f} of {planned_per_s:g} flows/s offered in "
        f"{window.length_s:.0f} s"
    ]


def _prober(run: Run) -> list[str]:
    """The prober kept its cadence from before the fault until the recovery phase ended."""
    window = disturbed(run)
    if window is None:
        return []
    flows = sorted({request.flow for request in run.requests("prober")})
    if not flows:
        return ["the prober recorded nothing"]
    lines = []
    for flow in flows:
        due = sorted(request.intended_ns for request in run.requests("prober", flow))
        steps = sorted(two - one for one, two in pairwise(due))
        period_ns = steps[len(steps) // 2] if steps else 0
        bar_ns = max(PROBER_PERIODS * period_ns, int(BLIND_S * NS_PER_S))
        inside = [t_ns for t_ns in due if window.holds(t_ns)]
        worst_ns = max(two - one for one, two in pairwise([window[0], *inside, window[1]]))
        if worst_ns > bar_ns:
            lines.append(f"prober {flow} was silent for {worst_ns / NS_PER_S:.1f} s")
    return lines


def _recorders(run: Run) -> list[str]:
    """No recorder that a claim may rest on was blind between the begin of the fault and the end of
    the recovery."""
    window = disturbed(run)
    if window is None:
        return []
    lines = []
    for gap in run.of(Gap):
        blind_s = (min(gap.t_ns, window.end_ns) - max(gap.from_ns, window.begin_ns)) / NS_PER_S
        torn_at_end = gap.from_ns < window.end_ns <= gap.t_ns
        if gap.recorder in SHOWN_ONLY:
            continue
        if blind_s > BLIND_S or torn_at_end:
            lines.append(f"recorder {gap.recorder} was blind for {blind_s:.1f} s: {gap.why}")
    return lines
