"""What the page says of outages and returns: bounds per endpoint, three clocks, phases of pods.

Room: report. Every number is the check room's; here it only gets its words. A bound is shown as a
bound, and what is not known as "unknown", never as a zero.
"""

from dataclasses import dataclass

from acpchaos.check.binomial import Share
from acpchaos.check.clocks import clocks, disagreements
from acpchaos.check.endpoints import Endpoint, beside, endpoints, steps
from acpchaos.check.outage import Outage, Reading, Span
from acpchaos.check.phases import PHASES, PodRecovery, pod_recoveries
from acpchaos.check.physics import readings
from acpchaos.record.run import Run
from acpchaos.report.clocks import milliseconds
from acpchaos.report.moments import Zero, zero

UNKNOWN, NONE = "unknown", "–"


@dataclass(frozen=True)
class EndpointRow:
    """One endpoint: its longest outage as bounds, the budget it spent, and when it was back."""

    name: str
    failed: str
    resolution: str
    down: str
    began: str
    ended: str
    impaired: str
    spent: str
    first: str
    sustained: str
    quick: str


@dataclass(frozen=True)
class ClockRow:
    """One witness of the recovery."""

    who: str
    state: str
    at: str
    by: str


@dataclass(frozen=True)
class PodRow:
    """One lost pod: seconds per phase, empty where the record ends before."""

    app: str
    pods: str
    took: tuple[str, ...]
    total: str


@dataclass(frozen=True)
class StepRow:
    """One step of a flow, and what its failures can mean."""

    step: str
    failed: str
    share: str


@dataclass(frozen=True)
class FloorRow:
    """A reading beside the floor that it must not undercut."""

    what: str
    seen: str
    floor: str
    source: str
    impossible: bool


@dataclass(frozen=True)
class OutageView:
    """Everything the page shows of outages and returns of one run. `doubt` is how far the clocks
    may stand apart, by which every moment told across them is widened."""

    endpoints: list[EndpointRow]
    beside: list[EndpointRow]
    doubt: str
    clocks: list[ClockRow]
    findings: list[str]
    pods: list[PodRow]
    steps: list[StepRow]
    floors: list[FloorRow]
    phases: tuple[str, ...] = PHASES


def outage_view(run: Run) -> OutageView:
    """Work out all tables of one run."""
    since, told = zero(run), clocks(run)
    return OutageView(
        endpoints=[_endpoint(each, since) for each in endpoints(run)],
        beside=[_endpoint(each, since) for each in beside(run)],
        doubt=milliseconds(since.bound_ns / 1e6),
        clocks=[ClockRow(each.who, each.state, _span(each.at, since), each.by)
                for each in told],
        findings=disagreements(run, told),
        pods=[_pod(each) for each in pod_recoveries(run)],
        steps=[StepRow(f"{each.flow} · {each.step}", _count(each.failed), _interval(each.failed))
               for each in steps(run)],
        floors=[FloorRow(each.what, f"{each.seen:.1f} {each.unit} at most",
                         f"{each.floor:.1f} {each.unit}", each.source, each.impossible)
                for each in readings(run)],
    )  # fmt: skip


def _endpoint(each: Endpoint, since: Zero) -> EndpointRow:
    back = each.back
    longest = each.down.longest if each.down else None
    seen = longest is not None and bool(longest.failed or longest.slow)
    quick_ns = back.quick_ns if back else None
    return EndpointRow(
        name=each.name,
        failed=f"{_count(each.failed)}, {_interval(each.failed)}" if each.failed.of else UNKNOWN,
        resolution=_resolution(each.down),
        down=length(longest),
        began=_span(longest.begin, since) if longest and seen else NONE,
        ended=_ended(longest, since) if longest and seen else NONE,
        impaired=length(each.impaired.longest) if each.impaired else UNKNOWN,
        spent=UNKNOWN if each.spent is None else _percent(*each.spent),
        first=_span(back.first, since) if back else NONE,
        sustained=_span(back.sustained, since) if back else NONE,
        quick=NONE if not back else UNKNOWN if quick_ns is None else since.span(quick_ns, quick_ns),
    )


def _resolution(reading: Reading | None) -> str:
    """The cadence of asking and the longest answer before the fault: no bound is finer."""
    if reading is None:
        return UNKNOWN
    reaction = "" if reading.reaction_s is None else f" + {reading.reaction_s:.2f}"
    return f"{reading.cadence_s:.2f}{reaction} s"


def length(outage: Outage | None) -> str:
    """How long it lasted, as bounds; what could hide where none was seen."""
    if outage is None:
        return UNKNOWN
    if not outage.failed and not outage.slow:
        return f"none seen, {outage.most_s:.2f} s could hide"
    return f"{outage.least_s:.2f} to {outage.most_s:.2f} s"


def _ended(outage: Outage, since: Zero) -> str:
    return _span(outage.end, since) if outage.ended else "not within the record"


def _span(span: Span | None, since: Zero) -> str:
    return NONE if span is None else since.span(*span)


def _count(share: Share) -> str:
    return f"{share.failed} of {share.of}"


def _interval(share: Share) -> str:
    return _percent(share.low, share.high) if share.of else UNKNOWN


def _percent(low: float, high: float) -> str:
    """Two shares as percent, with as many digits as keep them apart from zero."""
    digits = 1 if high >= 0.01 else 3
    return f"{100 * low:.{digits}f} to {100 * high:.{digits}f} %"


def _pod(each: PodRecovery) -> PodRow:
    took = [f"{value_s:.2f}" for value_s in each.took_s]
    heir = each.successor or "nothing"
    return PodRow(
        app=each.app or "other pods",
        pods=f"{each.lost} → {'itself' if heir == each.lost else heir}",
        took=(*took, *[NONE] * (len(PHASES) - len(took))),
        total="never" if each.total_s is None else f"{each.total_s:.2f} s",
    )
