"""The stretches of time that checks speak about.

Room: check. It must not judge. All times are nanoseconds of the record.
"""

from collections.abc import Sequence
from typing import NamedTuple

from acpchaos.record.columns import Many
from acpchaos.record.events import Fault, Request
from acpchaos.record.run import Run

NS_PER_S = 1_000_000_000


class Window(NamedTuple):
    """Half-open: from `begin_ns` up to but without `end_ns`."""

    begin_ns: int
    end_ns: int

    @property
    def length_s(self) -> float:
        return (self.end_ns - self.begin_ns) / NS_PER_S

    def holds(self, t_ns: int) -> bool:
        return self.begin_ns <= t_ns < self.end_ns


def phase(run: Run, name: str) -> Window | None:
    """A phase as a window; None when it was never begun."""
    bounds = run.phase(name)
    return Window(*bounds) if bounds else None


def disturbed(run: Run) -> Window | None:
    """From the begin of the fault phase to the end of the recovery phase; None unless both are."""
    fault, recovery = run.phase("fault"), run.phase("recovery")
    return Window(fault[0], recovery[1]) if fault and recovery else None


def struck_ns(run: Run) -> int | None:
    """When the first fault was let loose: its set-up had ended and its injection began. Events
    tell the end of a verb, so that a long injection counts from its begin."""
    ready: dict[str, int] = {}
    for fault in run.of(Fault):
        if fault.verb == "setup":
            ready[fault.fault] = fault.t_ns
        elif fault.verb == "inject" and fault.ok:
            return ready.get(fault.fault, fault.t_ns)
    return None


def due_in(requests: Sequence[Request], window: Window) -> Sequence[Request]:
    """Requests that were due in the window, in the order they were due."""
    if isinstance(requests, Many):
        return requests.due_in(*window)
    due = [request for request in requests if window.holds(request.intended_ns)]
    return sorted(due, key=lambda request: (request.intended_ns, request.t_ns))


def seconds(from_ns: int, to_ns: int) -> float:
    """Seconds between two moments."""
    return (to_ns - from_ns) / NS_PER_S
