"""Room lab/standin: how long one request may wait for Redis, all its calls together.

A request makes several calls; a budget for each would add up to a hang. The deadline travels with
the request's task. It must not know what is called.
"""

from __future__ import annotations

import time
from contextvars import ContextVar

_deadline_s: ContextVar[float] = ContextVar("deadline_s")


def begin(budget_s: float) -> None:
    """From now on all that this task asks of Redis ends within `budget_s`."""
    _deadline_s.set(time.monotonic() + budget_s)


def left_s(most_s: float) -> float:
    """Seconds that the next call may take: `most_s`, or what the request has left of it."""
    deadline_s = _deadline_s.get(None)
    return most_s if deadline_s is None else max(0.0, min(most_s, deadline_s - time.monotonic()))
