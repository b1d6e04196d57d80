"""Does the autoscaler do what its own specification says, no more, no less, not early, not late.

Room: check. The controller is replayed (check/hpa.py) over what its object said of itself: each
status holds the reading, the replicas it started from and the replicas it chose. The result is a
band of replicas that were allowed at each sight, wide by what a record cannot show:

- A reading may be LAG_S old: two rounds of the controller (15 s each) and one of the metrics server
  (15 s). Any reading of that time may have been the one that counted.
- A status that does not change is not sent again, so the moment of a round is known to SYNC_S.
- Which pods counted is known only for those ready for longer than LAG_S.
- What was wished or changed before the record began may have been anything.
"""

from bisect import bisect_right
from itertools import groupby, pairwise
from typing import NamedTuple

import msgspec

from acpchaos.check.answer import answer, unproven
from acpchaos.check.hpa import (
    RESOLUTION_S,
    SYNC_S,
    Bounds,
    down_window_s,
    in_limit,
    out_limit,
    recommended,
    stabilised,
    up_window_s,
)
from acpchaos.check.offsets import moment
from acpchaos.check.sight import serves
from acpchaos.check.verdict import Verdict
from acpchaos.check.window import NS_PER_S, Window, phase, seconds
from acpchaos.record.events import Autoscaler, Behavior, Pod
from acpchaos.record.run import Run

LAG_S = 2 * SYNC_S + RESOLUTION_S
SPARSE_S = 4 * SYNC_S  # under load readings change with every round, so silence means blindness

_LAG_NS, _SYNC_NS = LAG_S * NS_PER_S, SYNC_S * NS_PER_S


class Judged(NamedTuple):
    """One sight with what was allowed then. `word` is empty where it conforms."""

    sight: Autoscaler
    asked: Bounds  # by its own reading alone
    allowed: Bounds
    word: str


def conforms(run: Run, name: str) -> Verdict:
    """Every number of replicas that autoscaler `name` wanted was one that its specification allows
    for its own readings, and its pods found a place. `name` is both the HPA and its workload."""
    sights = [each for each in run.of(Autoscaler) if each.name == name]
    surge = phase(run, "fault")
    if surge is None or not sights:
        return unproven(f"the record has no fault phase or no sight of autoscaler {name}")
    if against := _cannot_judge(sights, surge):
        return unproven(against)
    judged = replay(run, name)
    wrong = [each for each in judged if each.word]
    steps = [each for each in judged if each.sight.desired != each.sight.current]
    if wrong:
        word = wrong[0].word
        why = f"{word}: {len(wrong)} of {len(judged)} sights outside the allowed band"
        return answer(False, why, len(wrong), 0, "sights", _lines(run, wrong))
    if waiting_s := _unplaced_s(run, name):
        why = f"cannot schedule: a pod of {name} had no node for {waiting_s:.0f} s"
        return answer(False, why, len(wrong), 0, "sights", _lines(run, steps))
    if not steps:
        return unproven(f"autoscaler {name} made no step, so none was shown to be allowed")
    capped = any(each.asked.low > each.sight.max_replicas for each in judged)
    word = f"capped at {sights[-1].max_replicas} as it must" if capped else "conforms"
    why = f"{word}: {len(judged)} sights, {len(steps)} steps, all inside the allowed band"
    return answer(True, why, 0, 0, "sights", _lines(run, steps))


def _cannot_judge(sights: list[Autoscaler], surge: Window) -> str:
    """Why the record cannot decide; empty when it can."""
    if any(each.behavior is None for each in sights):
        return "the record does not hold the autoscaler's behavior"
    if any(each.metrics != 1 or not each.target_cpu_percent for each in sights):
        return "it scales by other metrics than the share of CPU, whose readings are not recorded"
    inside = [each.t_ns for each in sights if surge.holds(each.t_ns)]
    silent_s = max(
        seconds(one, two) for one, two in pairwise([surge.begin_ns, *inside, surge.end_ns])
    )
    if silent_s > SPARSE_S:
        return f"too few sights: none for {silent_s:.0f} s of the surge"
    blind_s = _blind_s(sights)
    return f"no metrics: no CPU reading for {blind_s:.0f} s" if blind_s > LAG_S else ""


def _blind_s(sights: list[Autoscaler]) -> float:
    """The longest time the autoscaler had no reading."""
    longest_s, since_ns = 0.0, 0
    for each in sights:
        if since_ns:
            longest_s = max(longest_s, seconds(since_ns, each.t_ns))
        since_ns = 0 if each.cpu_percent is not None else since_ns or each.t_ns
    return longest_s


def replay(run: Run, name: str) -> list[Judged]:
    """The allowed band at each sight of an autoscaler, and the word for what was done instead.
    Sights that repeat the one before are left out: nothing was decided anew."""
    found = (each for each in run.of(Autoscaler) if each.name == name)
    sights = [next(same) for _, same in groupby(found, key=_decided)]
    history = _History(sights, _surely_ready(run, sights))
    return [_judged(history, index) for index in range(len(sights))]


def _decided(sight: Autoscaler) -> Autoscaler:
    return msgspec.structs.replace(sight, t_ns=0)


def _judged(history: "_History", index: int) -> Judged:
    sight, wished = history.sights[index], history.wished[index]
    allowed = history.allowed(index)
    word = ""
    if sight.desired < allowed.low:
        word = "late" if sight.desired >= sight.current else "early"
    elif sight.desired > allowed.high:
        out = sight.desired > sight.current
        word = ("early" if sight.desired <= wished.high else "overshoot") if out else "late"
    return Judged(sight, history.asked[index], allowed, word)


class _History:
    """What the controller remembers between its rounds, as bounds."""

    def __init__(self, sights: list[Autoscaler], ready: list[int]) -> None:
        self.sights = sights
        self._times_ns = [each.t_ns for each in sights]
        self.asked = [_asked(each, count) for each, count in zip(sights, ready, strict=True)]
        self.wished = [  # what a round may have asked for, by any reading not older than LAG_S
            Bounds(min(each.low for each in found), max(each.high for each in found))
            for index, t_ns in enumerate(self._times_ns)
            if (found := self.asked[self._in_force(t_ns - _LAG_NS, index) : index + 1])
        ]

    def allowed(self, index: int) -> Bounds:
        """The band of replicas: wishes held by the windows, policies, then the limits."""
        sight = self.sights[index]
        current, least, most = sight.current, sight.min_replicas, sight.max_replicas
        if not least <= current <= most:  # brought back inside at once, whatever is read
            bound = least if current < least else most
            return Bounds(bound, bound)
        behavior = sight.behavior or Behavior()
        held = stabilised(current, self._lowest(index), self._highest(index), behavior)
        out = out_limit(current, behavior, lambda period_s: self._changed(index, period_s))
        into = in_limit(current, behavior, lambda period_s: self._changed(index, period_s))
        return Bounds(
            _limited(held.low, current, min(most, out.low), max(least, into.low)),
            _limited(held.high, current, min(most, out.high), max(least, into.high)),
        )

    def _lowest(self, index: int) -> Bounds:
        """The lowest wish of the window for scaling out."""
        window_ns = up_window_s(self.sights[index].behavior or Behavior()) * NS_PER_S
        sure, maybe, known = self._window(index, window_ns)
        low = min(each.low for each in maybe) if known else self.sights[index].min_replicas
        return Bounds(min(low, *(each.high for each in sure)), min(each.high for each in sure))

    def _highest(self, index: int) -> Bounds:
        """The highest wish of the window for scaling in."""
        window_ns = down_window_s(self.sights[index].behavior or Behavior()) * NS_PER_S
        sure, maybe, known = self._window(index, window_ns)
        high = max(each.high for each in maybe)
        if not known:
            high = max(high, self.sights[index].max_replicas)
        return Bounds(max(each.low for each in sure), high)

    def _window(self, index: int, window_ns: int) -> tuple[list[Bounds], list[Bounds], bool]:
        """(wishes surely in a window that ends here, those that may be, are these all known)."""
        wishes, t_ns = self.wished[: index + 1], self._times_ns[index]
        if window_ns == 0:
            return wishes[-1:], wishes[-1:], True
        sure = self._in_force(t_ns - max(0, window_ns - _SYNC_NS), index)
        maybe_ns = t_ns - window_ns - _SYNC_NS
        return (
            wishes[sure:],
            wishes[self._in_force(maybe_ns, index) :],
            maybe_ns >= self._times_ns[0],
        )

    def _in_force(self, from_ns: int, index: int) -> int:
        """Index of the sight that was in force at a moment, `index` at the latest."""
        return min(index, max(0, bisect_right(self._times_ns, from_ns) - 1))

    def _changed(self, index: int, period_s: int) -> tuple[Bounds, Bounds]:
        """(added, removed) by the controller in the period before a sight."""
        t_ns, period_ns = self._times_ns[index], period_s * NS_PER_S
        sure, maybe = t_ns - max(0, period_ns - _SYNC_NS), t_ns - period_ns - _SYNC_NS
        changes = [(each.t_ns, each.desired - each.current) for each in self.sights[:index]]
        bounds = []
        for sign in (1, -1):
            low = sum(sign * by for at_ns, by in changes if at_ns > sure and sign * by > 0)
            high = sum(sign * by for at_ns, by in changes if at_ns > maybe and sign * by > 0)
            if maybe < self._times_ns[0]:
                high += self.sights[index].max_replicas
            bounds.append(Bounds(low, high))
        return bounds[0], bounds[1]


def _asked(sight: Autoscaler, ready: int) -> Bounds:
    """What one round asks for; without a reading, what there is."""
    if sight.cpu_percent is None or not sight.target_cpu_percent:
        return Bounds(sight.current, sight.current)
    behavior = sight.behavior or Behavior()
    return recommended(sight.cpu_percent, sight.target_cpu_percent, sight.current, ready, behavior)


def _limited(wish: int, current: int, most: int, least: int) -> int:
    if wish > current:
        return max(current, min(wish, most))
    return min(current, max(wish, least)) if wish < current else current


def _surely_ready(run: Run, sights: list[Autoscaler]) -> list[int]:
    """For each sight, how many pods of its workload had been serving for longer than LAG_S."""
    since: dict[str, int] = {}
    counts: list[int] = []
    names = {sight.name for sight in sights}
    pods = [pod for pod in run.of(Pod) if pod.app in names]
    position = 0
    for sight in sights:
        while position < len(pods) and pods[position].t_ns <= sight.t_ns:
            pod = pods[position]
            if serves(pod):
                since.setdefault(pod.uid, pod.t_ns)
            else:
                since.pop(pod.uid, None)
            position += 1
        counts.append(sum(sight.t_ns - t_ns > _LAG_NS for t_ns in since.values()))
    return counts


def _unplaced_s(run: Run, name: str) -> float:
    """The longest time a pod of the workload waited for a node, if longer than LAG_S, else 0."""
    waiting: dict[str, int] = {}
    longest_s = 0.0
    for pod in run.of(Pod):
        if pod.app != name:
            continue
        since_ns = waiting.setdefault(pod.uid, pod.t_ns)
        longest_s = max(longest_s, seconds(since_ns, pod.t_ns))
        if pod.node or pod.gone:
            waiting[pod.uid] = run.end_ns
    left_s = max((seconds(t_ns, run.end_ns) for t_ns in waiting.values()), default=0.0)
    longest_s = max(longest_s, left_s)
    return longest_s if longest_s > LAG_S else 0.0


def _lines(run: Run, judged: list[Judged]) -> tuple[str, ...]:
    return tuple(
        f"{moment(run, each.sight.t_ns)}: {each.sight.current} to {each.sight.desired} at "
        f"{each.sight.cpu_percent} % CPU, {each.allowed.low} to {each.allowed.high} allowed"
        + (f", {each.word}" if each.word else "")
        for each in judged[:20]
    )
