"""When things happened in a run, told relative to the fault.

Room: report. Shared by the chart and the tables, so that both speak of the same zero.
"""

from dataclasses import dataclass

from acpchaos.check.window import struck_ns
from acpchaos.record.events import Fault, Phase
from acpchaos.record.run import Run
from acpchaos.report.svg import NS_PER_S


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


def relative(t_ns: int, zero_ns: int) -> str:
    """A moment as people read it beside a fault: "−12.0 s", "+0.4 s", "+3:05"."""
    seconds = (t_ns - zero_ns) / NS_PER_S
    sign, size_s = ("−" if seconds < 0 else "+"), abs(seconds)
    if size_s < 120:
        return f"{sign}{size_s:.1f} s"
    minutes, rest_s = divmod(round(size_s), 60)
    return f"{sign}{minutes}:{rest_s:02d}"
