"""What was tested and whether the test was real: the first thing a reader of a result must know.

Room: report. Whether an answer is yes is the check room's to say (check/validity.py); the words
and numbers beside it are what the record shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from acpchaos.check.validity import by_question, left_changed, unwell_after
from acpchaos.check.verdict import Outcome
from acpchaos.record.events import Gap, Health, Request, Undo, Witness
from acpchaos.record.run import Run
from acpchaos.report.moments import origin_ns, relative
from acpchaos.report.svg import NS_PER_S
from acpchaos.report.words import plural
from acpchaos.scenario import Load

LATE_MS = (
    100  # a tenth of the prober's patience; beyond it no user was free, or the machine was busy
)


@dataclass(frozen=True)
class Answer:
    """One validity question answered: a verdict word, a phrase, and the lines behind it."""

    question: str
    outcome: Outcome
    short: str
    details: tuple[str, ...] = ()


def answers(run: Run) -> list[Answer]:
    """The questions, in the order in which a sceptic asks them."""
    against = by_question(run)
    return [
        _answer("Healthy before", against["health"], *_health(run)),
        _answer("Load was real", against["load"], *_load(run)),
        _answer("Fault bit", against["fault"], *_fault(run)),
        _seen(run, against["phases"] + against["recorders"]),
        _clean(run),
    ]


def _answer(question: str, against: list[str], short: str, details: tuple[str, ...]) -> Answer:
    """Objections come before the details, since they decide."""
    outcome = Outcome.INCONCLUSIVE if against else Outcome.PASSED
    return Answer(question, outcome, short, (*against, *details))


def _health(run: Run) -> tuple[str, tuple[str, ...]]:
    last = {event.what: event for event in run.of(Health) if event.when == "before"}
    if not last:
        return "not looked at", ()
    well = [event for event in last.values() if event.ok]
    told = tuple(f"{event.what}: {event.saw}" for event in well)
    return f"{len(well)} of {len(last)} well", told


def _load(run: Run) -> tuple[str, tuple[str, ...]]:
    load = run.requests("load")
    if not load:
        return "no requests", ()
    good = sum(not request.error for request in load)
    unsent = sum(request.error == "never_sent" for request in load)
    due_ns = [request.intended_ns for request in load]
    per_s = len(load) / max(1.0, (max(due_ns) - min(due_ns)) / NS_PER_S)
    told = f"{len(load):,} requests due, {good:,} good, {unsent:,} never sent"
    details = (told, _lateness(load), _planned(run.scenario.load))
    return f"{per_s:.1f} requests/s", details


def _lateness(load: Sequence[Request]) -> str:
    """How late the generator itself was: from when a request was due to when it was begun."""
    late_ms = [(request.start_ns - request.intended_ns) / 1e6 for request in load]
    count = sum(late > LATE_MS for late in late_ms)
    return f"{count:,} begun over {LATE_MS} ms late, the latest by {max(late_ms):,.0f} ms"


def _planned(load: Load) -> str:
    """The offered rate, how arrivals follow each other and how the rate moves."""
    told = f"{load.rate_per_s:g} flows/s planned"
    if load.gaps:
        told += f", {load.gaps} arrivals"
    for stage in load.stages:
        told += f", {'to ' if stage.ramp else ''}{stage.times:g} times for {stage.for_s:g} s"
    return told


def _fault(run: Run) -> tuple[str, tuple[str, ...]]:
    """Every look of every witness, in order of time."""
    zero_ns = origin_ns(run)
    looks = run.of(Witness)
    told = tuple(
        f"{look.fault} {look.outcome}, seen at {relative(look.t_ns, zero_ns)}: {look.saw}"
        for look in looks
    )
    proven = bool(looks) and all(look.outcome == "installed" for look in looks)
    return ("witnessed" if proven else "not proven" if looks else "no witness"), told


def _seen(run: Run, against: list[str]) -> Answer:
    """Objections name each gap that matters; gaps too short to matter are counted."""
    gaps = len(run.of(Gap))
    short = f"{gaps} {plural('gap', gaps)}" if gaps else "no gap"
    return _answer("Record whole", against, short, ())


def _clean(run: Run) -> Answer:
    """Every change undone, and the target as well as it was."""
    question, dirty, unwell = "Target clean", left_changed(run), unwell_after(run)
    if dirty:
        return Answer(question, Outcome.DIRTY, "left changed", (*dirty, *unwell))
    if unwell:
        return Answer(question, Outcome.INCONCLUSIVE, "undone, not well after", tuple(unwell))
    count = len({event.change for event in run.of(Undo)})
    told = f"{count} {plural('change', count)} undone" if count else "nothing to undo"
    return Answer(question, Outcome.PASSED, told)
