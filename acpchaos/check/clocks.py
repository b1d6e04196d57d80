"""Three ideas of "recovered" side by side: Kubernetes', the clients', the store's.

Room: check. Each is a span after the fault, by its own witnesses. Where two spans stand apart even
when the clocks' offset is added, that is a finding of its own: whoever trusts the earlier one is
wrong by that much.
"""

from itertools import combinations
from typing import NamedTuple

from acpchaos.check.endpoints import endpoints
from acpchaos.check.offsets import clock_bound_ns
from acpchaos.check.outage import Span
from acpchaos.check.recovery import OPEN_NS, shortfalls
from acpchaos.check.redis import whole
from acpchaos.check.sight import ready_at
from acpchaos.check.window import disturbed, seconds, struck_ns
from acpchaos.record.events import Pod, RedisNode
from acpchaos.record.run import Run

KUBERNETES, CLIENTS, STORE = "Kubernetes", "the clients", "the store"

UNHARMED, BACK, NEVER, UNKNOWN = "unharmed", "back", "not back", "not seen"


class Clock(NamedTuple):
    """What one witness says: a state, when, and by what."""

    who: str
    state: str
    at: Span | None
    by: str


def clocks(run: Run) -> list[Clock]:
    """All three, in this order; empty without a fault."""
    window, since_ns = disturbed(run), struck_ns(run)
    if window is None or since_ns is None:
        return []
    return [_kubernetes(run, since_ns), _clients(run), _store(run, since_ns)]


def disagreements(run: Run, told: list[Clock] | None = None) -> list[str]:
    """Each pair whose spans cannot be the same moment, and what only the clients noticed. `told` is
    what `clocks` says, where that is known already."""
    told = clocks(run) if told is None else told
    if not told:
        return []
    kubernetes, clients, store = told
    found = [_apart(run, *pair) for pair in combinations(told, 2)]
    if clients.state in (BACK, NEVER) and UNHARMED in (kubernetes.state, store.state):
        others = [each for each in (kubernetes, store) if each.state != UNKNOWN]
        if all(each.state == UNHARMED for each in others):
            found.append(f"only the clients noticed: {'; '.join(each.by for each in others)}")
    return [line for line in found if line]


def _kubernetes(run: Run, since_ns: int) -> Clock:
    """When the last workload had as many serving pods again as before."""
    apps = sorted({pod.app for pod in run.of(Pod)})
    before = {app: len(ready_at(run, app, since_ns)) for app in apps}
    if not any(before.values()):
        return Clock(KUBERNETES, UNKNOWN, None, "no serving pod was seen before")
    ends: list[tuple[int, str]] = []
    for app, wanted in before.items():
        ends += [(short.end_ns, app) for short in shortfalls(run, app, since_ns, wanted)[1]]
    if not ends:
        return Clock(KUBERNETES, UNHARMED, None, "no workload was short of pods")
    end_ns, app = max(ends)
    if end_ns == OPEN_NS:
        return Clock(KUBERNETES, NEVER, None, f"{app} was short of pods when the record ended")
    return Clock(KUBERNETES, BACK, Span(end_ns, end_ns), f"{app} had all its pods ready, the last")


def _clients(run: Run) -> Clock:
    """When the last endpoint answered lastingly again."""
    seen = [each for each in endpoints(run) if each.down is not None]
    if not seen:
        return Clock(CLIENTS, UNKNOWN, None, "no endpoint was asked")
    harmed = [(each.name, each.back) for each in seen if each.back is not None]
    if not harmed:
        return Clock(CLIENTS, UNHARMED, None, "no request failed after the fault struck")
    if failing := [name for name, back in harmed if back.sustained is None]:
        return Clock(CLIENTS, NEVER, None, f"{failing[0]} was not lastingly back")
    name, span = max(
        ((name, back.sustained) for name, back in harmed if back.sustained),
        key=lambda item: (item[1].until_ns, item[0]),
    )
    return Clock(CLIENTS, BACK, span, f"{name} answered lastingly, the last")


def _store(run: Run, since_ns: int) -> Clock:
    """When Redis, as its nodes see it, was whole again."""
    sights = run.of(RedisNode)
    now = {node.pod: node for node in sights if node.t_ns <= since_ns}
    if not now:
        return Clock(STORE, UNKNOWN, None, "no node of Redis was looked at before")
    before, bad_ns, back_ns = dict(now), 0, 0
    if not whole(before, before):
        return Clock(STORE, UNKNOWN, None, "Redis was not whole before")
    for node in sights:
        if node.t_ns <= since_ns:
            continue
        now[node.pod] = node
        if not whole(now, before):
            bad_ns, back_ns = node.t_ns, 0
        elif bad_ns and not back_ns:
            back_ns = node.t_ns
    if not bad_ns:
        return Clock(STORE, UNHARMED, None, "every node of Redis saw it whole")
    if not back_ns:
        return Clock(STORE, NEVER, None, "Redis was not whole when the record ended")
    return Clock(STORE, BACK, Span(bad_ns, back_ns), "every node of Redis saw all slots, linked")


def _apart(run: Run, one: Clock, two: Clock) -> str:
    """How two witnesses contradict each other; empty where they may be right both."""
    if {one.state, two.state} == {BACK, NEVER}:
        early, late = (one, two) if one.state == BACK else (two, one)
        return f"recovered by {early.who}, not by {late.who}: {late.by}"
    if one.at is None or two.at is None:
        return ""
    (early_at, early), (late_at, late) = sorted(((one.at, one), (two.at, two)))
    apart_s = seconds(early_at.until_ns, late_at.from_ns - clock_bound_ns(run))
    if apart_s <= 0:
        return ""
    return (
        f"recovered by {early.who} {apart_s:.1f} s or more before {late.who}: {early.by}; {late.by}"
    )
