"""Steady-state probes of the experiments: all parts are looked at, and each look is an event.

Room: faults. Chaos Toolkit asks before and after the method and stops at the first probe that is
out of tolerance, so one probe looks at everything and answers one truth value.
"""

from acpchaos.faults import health
from acpchaos.faults.session import current

_asked: set[str] = set()


def healthy(parts: str, budget_s: float = 30.0) -> bool:
    """Whether all parts (comma-separated, see health.PARTS) are healthy within `budget_s`.

    The first time a part is looked at counts as before the fault, later times as after.
    """
    names = [part.strip() for part in parts.split(",")]
    session = current()
    parts_seen = health.settle(session.cluster, session.profile, names, float(budget_s))
    whens = {name: "after" if name in _asked else "before" for name in names}
    _asked.update(names)
    health.tell(parts_seen, whens, session.journal, session.clock)
    return all(part.ok for part in parts_seen.values())
