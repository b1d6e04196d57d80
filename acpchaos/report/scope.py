"""What was tested and whether the test was real: the first thing a reader of a result must know.

Room: report. It shows what the record says to the five validity questions; the verdicts, validity
included, are the check room's and are not changed here.
"""

from dataclasses import dataclass

from acpchaos.check.verdict import JudgedClaim, Outcome
from acpchaos.record.events import Fault, Gap, Health, Undo, Witness
from acpchaos.record.run import Run
from acpchaos.report.moments import origin_ns, relative
from acpchaos.report.svg import NS_PER_S
from acpchaos.report.words import plural

P, F, I = Outcome.PASSED, Outcome.FAILED, Outcome.INCONCLUSIVE  # noqa: E741


@dataclass(frozen=True)
class Answer:
    """One validity question answered from the record: a verdict word, a phrase, the details."""

    question: str
    outcome: Outcome
    short: str
    details: tuple[str, ...] = ()


def answers(run: Run, claims: list[JudgedClaim]) -> list[Answer]:
    """The questions, in the order in which a sceptic asks them."""
    dirty = any(claim.verdict.outcome is Outcome.DIRTY for claim in claims)
    return [healthy_before(run), load_was_real(run), fault_bit(run), all_seen(run),
            target_clean(run, dirty)]


def healthy_before(run: Run) -> Answer:
    """Was the target well before anything was done to it?"""
    seen = [event for event in run.of(Health) if event.when == "before"]
    bad = [event for event in seen if not event.ok]
    told = tuple(f"{event.what}: {event.saw}" for event in (bad or seen))
    if not seen:
        return Answer("Healthy before", I, "not looked at")
    short = f"{len(bad)} of {len(seen)} not well" if bad else f"{len(seen)} of {len(seen)} well"
    return Answer("Healthy before", I if bad else P, short, told)


def load_was_real(run: Run) -> Answer:
    """Was the service used while the fault lasted? Numbers only; the bar is the check's."""
    load = run.requests(source="load")
    if not load:
        return Answer("Load was real", I, "no requests recorded")
    good = sum(1 for request in load if not request.error)
    unsent = sum(1 for request in load if request.error == "never_sent")
    first_ns, last_ns = load[0].intended_ns, load[-1].t_ns
    per_s = len(load) / max(1.0, (last_ns - first_ns) / NS_PER_S)
    details = (
        f"{len(load):,} requests due, {good:,} answered as they should be",
        f"{unsent} never sent",
        f"{run.scenario.load.rate_per_s:g} flows/s planned",
    )
    sent = 1 - unsent / len(load)
    return Answer("Load was real", P if sent >= 0.9 else I, f"{per_s:.1f} requests/s", details)


def fault_bit(run: Run) -> Answer:
    """Did a witness that shares no code with the injector see the fault's effect?"""
    zero_ns = origin_ns(run)
    seen = run.of(Witness)
    details = tuple(
        f"{event.fault} {event.outcome} at {relative(event.t_ns, zero_ns)}: {event.saw}"
        for event in seen
    )
    if not seen:
        return Answer("Fault bit", I, "no witness")
    faults = {event.fault for event in run.of(Fault)} | {event.fault for event in seen}
    proven = {event.fault for event in seen if event.outcome == "installed"}
    if faults <= proven:
        return Answer("Fault bit", P, "witnessed", details)
    return Answer("Fault bit", I, f"not proven: {', '.join(sorted(faults - proven))}", details)


def all_seen(run: Run) -> Answer:
    """Was any recorder blind for a while?"""
    gaps = run.of(Gap)
    told = tuple(
        f"{gap.recorder} blind for {(gap.t_ns - gap.from_ns) / NS_PER_S:.1f} s: {gap.why}"
        for gap in gaps
    )
    if gaps:
        return Answer("Recorders saw all", I, f"{len(gaps)} {plural('gap', len(gaps))}", told)
    return Answer("Recorders saw all", P, "no gap")


def target_clean(run: Run, dirty: bool) -> Answer:
    """Is every change undone, and the target as healthy as it was before?"""
    states: dict[str, str] = {event.change: event.state for event in run.of(Undo)}
    open_ = [change for change, state in states.items() if state != "verified"]
    after = [event for event in run.of(Health) if event.when == "after"]
    ill = [f"{event.what}: {event.saw}" for event in after if not event.ok]
    details = (*(f"{change}: {states[change]}" for change in open_), *ill)
    if open_ or dirty:
        return Answer("Target clean", Outcome.DIRTY, "left changed", details)
    if ill:
        return Answer("Target clean", F, "undone, not healthy after", details)
    if not after:
        return Answer("Target clean", I, "not looked at after", details)
    count = len(states)
    undone = f"{count} {plural('change', count)} undone" if states else "nothing to undo"
    return Answer("Target clean", P, undone, details)
