"""When things happened in a run, told relative to the fault.

Room: report. Shared by the chart and the tables, so that both speak of the same zero.
"""

from dataclasses import dataclass

from acpchaos.check.offsets import clock_bound_ns
from acpchaos.check.window import struck_ns
from acpchaos.record.events import Fault, Phase
from acpchaos.record.run import Run
from acpchaos.report.svg import NS_PER_S

SHOWN_S = 0.01  # bounds are told to this


@dataclass(frozen=True)
class Zero:
    """The zero of relative times, and how far another clock may stand from it: each moment that is
    told from here is widened by that."""

    ns: int
    bound_ns: int

    def span(self, from_ns: int, until_ns: int) -> str:
        """ "+0.80 to +1.01 s", or "+0.80 s" where both ends are shown alike."""
        early, late = self._told(from_ns - self.bound_ns), self._told(until_ns + self.bound_ns)
        close = until_ns == from_ns and 2 * self.bound_ns < SHOWN_S * NS_PER_S
        return f"{self._told(from_ns)} s" if close else f"{early} to {late} s"

    def _told(self, t_ns: int) -> str:
        value_s = (t_ns - self.ns) / NS_PER_S
        return f"{'−' if value_s < 0 else '+'}{abs(value_s):.2f}"


@dataclass(frozen=True)
class FaultWindow:
    """From the injection to the moment recovery was seen; `recover_ns` is when repair began."""

    fault: str
    begin_ns: int
    recover_ns: int
    end_ns: int
    targets: tuple[str, ...]


def bounds_ns(run: Run) -> tuple[int, int]:
    """First phase mark to last event; the whole record when no phase was marked."""
    times = [event.t_ns for event in run.events]
    if not times:
        return 0, 1
    marks = [mark.t_ns for mark in run.of(Phase)]
    begin_ns = min(marks) if marks else min(times)
    return begin_ns, max(max(times), begin_ns + 1)


def fault_windows(run: Run) -> list[FaultWindow]:
    """One window per injection, in order, from the end of its set-up (as the checks have it).

    Without any later verb it lasts to the end of the fault phase.
    """
    faults = run.of(Fault)
    phase = run.phase("fault")
    last_ns = phase[1] if phase else bounds_ns(run)[1]
    windows: list[FaultWindow] = []
    ready_ns: dict[str, int] = {}
    for position, injected in enumerate(faults):
        if injected.verb == "setup":
            ready_ns[injected.fault] = injected.t_ns
        if injected.verb != "inject":
            continue
        later: dict[str, int] = {}
        for event in faults[position + 1 :]:
            if event.fault != injected.fault:
                continue
            if event.verb == "inject":
                break
            later.setdefault(event.verb, event.t_ns)
        end_ns = later.get("recovered", later.get("recover", max(last_ns, injected.t_ns)))
        recover_ns = min(later.get("recover", end_ns), end_ns)
        begin_ns = ready_ns.pop(injected.fault, injected.t_ns)
        windows.append(FaultWindow(injected.fault, begin_ns, recover_ns, end_ns, injected.targets))
    return windows


def origin_ns(run: Run) -> int:
    """The zero of all relative times: when the checks say the fault struck, else the phase."""
    struck = struck_ns(run)
    if struck is not None:
        return struck
    phase = run.phase("fault")
    return phase[0] if phase else bounds_ns(run)[0]


def zero(run: Run) -> Zero:
    """The zero of the page's relative times."""
    return Zero(origin_ns(run), clock_bound_ns(run))


def relative(t_ns: int, zero_ns: int) -> str:
    """A moment as people read it beside a fault: "−12.0 s", "+0.4 s", "+3:05"."""
    seconds = (t_ns - zero_ns) / NS_PER_S
    sign, size_s = ("−" if seconds < 0 else "+"), abs(seconds)
    if size_s < 120:
        return f"{sign}{size_s:.1f} s"
    minutes, rest_s = divmod(round(size_s), 60)
    return f"{sign}{minutes}:{rest_s:02d}"
