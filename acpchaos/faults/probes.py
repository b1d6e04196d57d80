"""Steady-state probes of the experiments: all parts are looked at, and each look is an event.

Room: faults. Chaos Toolkit asks before and after the method and stops at the first probe that is
out of tolerance, so one probe looks at everything and answers one truth value.
"""

from contextlib import suppress

from acpchaos.errors import DeadlinePassed
from acpchaos.faults import health
from acpchaos.faults.session import current
from acpchaos.record.events import Health
from acpchaos.wait import eventually

_asked: set[str] = set()


def healthy(parts: str, budget_s: float = 30.0) -> bool:
    """Whether all parts (comma-separated, see health.PARTS) are healthy within `budget_s`.

    The first time a part is looked at counts as before the fault, later times as after.
    """
    names = [part.strip() for part in parts.split(",")]
    session = current()
    last: dict[str, health.Part] = {}

    def whole() -> bool:
        for name in names:
            if name not in last or not last[name].ok:
                last[name] = health.look(session.cluster, session.profile, name)
        return all(part.ok for part in last.values())

    with suppress(DeadlinePassed):  # what was seen last is told below
        eventually(f"healthy {parts}", whole, float(budget_s), 1.0)
    for name, part in last.items():
        when = "after" if name in _asked else "before"
        _asked.add(name)
        event = Health(t_ns=session.clock.now_ns(), when=when, what=name, ok=part.ok, saw=part.saw)
        session.journal.write(event)
    return all(part.ok for part in last.values())
