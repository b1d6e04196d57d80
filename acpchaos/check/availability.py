"""Was the service there while the fault lasted: failed share, and the longest outage.

Room: check. Requests count when they were due, so what an outage kept from being sent still counts.
An outage has bounds, not a length (check/outage.py): a budget holds only if the longest possible
outage is within it, and is broken only if the shortest possible one is not.
"""

import math
from collections.abc import Sequence

from acpchaos.check.answer import answer, unproven
from acpchaos.check.counts import by_flow, first_failed
from acpchaos.check.endpoints import streams
from acpchaos.check.offsets import moment
from acpchaos.check.outage import Outage, read
from acpchaos.check.verdict import Verdict
from acpchaos.check.window import Window, disturbed, due_in, phase
from acpchaos.record.events import Request
from acpchaos.record.run import Run

_NO_PHASES = "the record has no fault and recovery phase"


def error_ratio(run: Run, max_ratio: float, flow: str = "") -> Verdict:
    """Failed share of all load requests due in fault and recovery; no flow may fail wholly.

    Fewer requests than one failure could be told by (1 / max_ratio) decide nothing.
    """
    window = disturbed(run)
    if window is None:
        return unproven(_NO_PHASES)
    due = due_in(run.requests("load", flow or None), window)
    needed = math.ceil(1 / max_ratio) if max_ratio > 0 else 1
    if len(due) < needed:
        return unproven(f"only {len(due)} requests were due, {needed} are needed to tell the ratio")
    flows = by_flow(due)
    failed = sum(bad for bad, _ in flows.values())
    ratio = failed / len(due)
    name, (bad, of) = max(flows.items(), key=lambda item: (item[1][0] / item[1][1], item[0]))
    dead = sorted(each for each, (lost, total) in flows.items() if lost == total)
    why = f"{failed} of {len(due)} requests failed; worst flow {name}: {bad} of {of}"
    if dead:
        why += f"; no good answer at all: {', '.join(dead)}"
    return answer(
        ratio <= max_ratio and not dead, why, ratio, max_ratio, "ratio", _first_failures(run, due)
    )


def never_down(run: Run, longest_gap_s: float) -> Verdict:
    """No endpoint was down for longer than `longest_gap_s`: each flow of the prober is held to it,
    and the load as a whole. Down: at most one answer in five is good."""
    window = disturbed(run)
    if window is None:
        return unproven(_NO_PHASES)
    kinds = streams(run)
    sources = all(run.requests(source) for source in ("prober", "load"))
    if not sources or not all(due_in(requests, window) for requests in kinds.values()):
        return unproven("prober or load has no request in fault and recovery")
    return _within(run, kinds, window, longest_gap_s)


def longest_gap(run: Run, max_s: float, source: str = "prober", flow: str = "") -> Verdict:
    """As `never_down`, for one source and flow."""
    window = disturbed(run)
    if window is None:
        return unproven(_NO_PHASES)
    requests = run.requests(source, flow or None)
    if not due_in(requests, window):
        return unproven(f"no request of {source} {flow}".rstrip() + " in fault and recovery")
    return _within(run, {f"{source} {flow}".strip(): requests}, window, max_s)


def _within(
    run: Run, kinds: dict[str, Sequence[Request]], window: Window, budget_s: float
) -> Verdict:
    """Judge the worst outage over all kinds of requests against the budget."""
    steady = phase(run, "steady")
    readings = {kind: read(requests, window, steady) for kind, requests in kinds.items()}
    seen = {kind: reading for kind, reading in readings.items() if reading is not None}
    sure = [(kind, reading.surest) for kind, reading in seen.items()]
    broken = [item for item in sure if item[1].least_s > budget_s]
    if broken:
        kind, surest = max(broken, key=lambda item: (item[1].least_s, item[0]))
        told = _told(kind, surest)
        return answer(False, told, surest.most_s, budget_s, "s", _where(run, surest))
    if silent := sorted(readings.keys() - seen.keys()):
        return unproven(f"nothing was answered in fault and recovery: {', '.join(silent)}")
    possible = {kind: reading.longest for kind, reading in seen.items()}
    kind, worst = max(possible.items(), key=lambda item: (item[1].most_s, item[0]))
    if worst.most_s > budget_s:
        return unproven(
            f"{_told(kind, worst)}; the budget of {budget_s:g} s lies between these bounds",
            worst.most_s,
            "s",
        )
    return answer(True, _told(kind, worst), worst.most_s, budget_s, "s", _where(run, worst))


def _told(kind: str, outage: Outage) -> str:
    if not outage.failed and not outage.slow:
        return (
            f"{kind} was not seen down; an outage of {outage.most_s:.2f} s at most could hide "
            "between two good answers"
        )
    signs = [
        f"{count} {what}" for count, what in ((outage.failed, "failed"), (outage.slow, "slow"))
    ]
    told = ", ".join(sign for sign in signs if not sign.startswith("0 "))
    end = "" if outage.ended else ", and had not ended"
    return f"{kind} was down for {outage.least_s:.2f} to {outage.most_s:.2f} s ({told}{end})"


def _where(run: Run, outage: Outage) -> tuple[str, ...]:
    """The bounds of begin and end: last good answer, first failure, last failure, good again."""
    return (
        f"began between {moment(run, outage.begin.from_ns)} and "
        f"{moment(run, outage.begin.until_ns)}",
        f"ended between {moment(run, outage.end.from_ns)} and {moment(run, outage.end.until_ns)}",
    )


def _first_failures(run: Run, due: Sequence[Request], most: int = 5) -> tuple[str, ...]:
    failed = first_failed(due, most)
    return tuple(f"{moment(run, r.t_ns)}: {r.flow} {r.step} {r.error}" for r in failed)
