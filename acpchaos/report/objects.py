"""What the page says of disruption budgets, StatefulSets and the cluster's own events.

Room: report. Only what helps a reader: budgets that let no pod go, StatefulSets that did not stay
as they were, and the events of fault and recovery, warnings first.
"""

from dataclasses import dataclass

from acpchaos.check.objects import Held, Moved, Said, budgets, moved, said
from acpchaos.check.window import Window
from acpchaos.record.events import LEFT_OUT, Observation
from acpchaos.record.run import Run
from acpchaos.report.moments import Zero, zero

MOST_ROWS = 60  # of events; the record has them all


@dataclass(frozen=True)
class BudgetRow:
    """One budget that let no pod go for a while."""

    name: str
    none: str
    longest: str
    healthy: str
    refused: str


@dataclass(frozen=True)
class SetRow:
    """One StatefulSet that changed."""

    name: str
    what: str
    began: str
    whole: str
    fewest: str


@dataclass(frozen=True)
class EventRow:
    """One reason for one object."""

    reason: str
    about: str
    warning: bool
    times: int
    at: str


@dataclass(frozen=True)
class ObjectsView:
    """All of it; `more` events are not shown, `left_out` were not even recorded."""

    budgets: list[BudgetRow]
    sets: list[SetRow]
    events: list[EventRow]
    warnings: int
    more: int
    left_out: int


def objects_view(run: Run) -> ObjectsView:
    """Work out all tables of one run."""
    since, told = zero(run), said(run)
    left = [int(each.value) for each in run.of(Observation) if each.name == LEFT_OUT]
    return ObjectsView(
        budgets=[_budget(each, since) for each in budgets(run) if each.none or each.refused],
        sets=[_set(each, since) for each in moved(run)],
        events=[_event(each, since) for each in told[:MOST_ROWS]],
        warnings=sum(each.warning for each in told),
        more=max(0, len(told) - MOST_ROWS),
        left_out=sum(left),
    )


def _budget(each: Held, since: Zero) -> BudgetRow:
    longest = max(each.none, key=lambda part: part.length_s, default=Window(0, 0))
    return BudgetRow(
        name=each.name,
        none=f"{each.none_s:.2f} s",
        longest=since.span(*longest) if each.none else "–",
        healthy=f"{each.fewest} of {each.wanted}",
        refused=str(each.refused) if each.refused else "–",
    )


def _set(each: Moved, since: Zero) -> SetRow:
    whole = each.until_ns
    return SetRow(
        name=each.name,
        what=", ".join(each.what),
        began=since.span(each.from_ns, each.from_ns),
        whole="not within the record" if whole is None else since.span(whole, whole),
        fewest=f"{each.fewest} of {each.replicas}",
    )


def _event(each: Said, since: Zero) -> EventRow:
    at = since.span(each.first_ns, each.last_ns)
    return EventRow(each.reason, each.about, each.warning, each.times, at)
