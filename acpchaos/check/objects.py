"""What the cluster's own objects went through: disruption budgets, StatefulSets, and its events.

Room: check. It measures for the page and judges nothing. All moments are by the timeline's clock,
when it saw a change, not by what the API server stamped on it.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from acpchaos.check.window import Window, disturbed
from acpchaos.record.events import ClusterEvent, DisruptionBudget, Fault, StatefulSet
from acpchaos.record.run import Run

# a refused eviction as the API server words it (v1.36.3 pkg/registry/core/pod/storage/eviction.go)
_REFUSED_BY = re.compile(r"disruption budget (\S+) needs")

MADE_ANEW, TAKEN_AWAY, ROLLED, SHORT = "made anew", "taken away", "rolled", "short of pods"


class Held(NamedTuple):
    """A budget in fault and recovery: the stretches in which it let no pod go, the fewest healthy
    pods it saw of those it wants, and how many pods of a drain it still refused at its end."""

    name: str
    none: tuple[Window, ...]
    fewest: int
    wanted: int
    refused: int

    @property
    def none_s(self) -> float:
        return sum(each.length_s for each in self.none)


class Moved(NamedTuple):
    """A StatefulSet that did not stay as it was: what befell it, from when until it had all its
    pods ready at its revision again (None: not within the record), and the fewest ready of all."""

    name: str
    what: tuple[str, ...]
    from_ns: int
    until_ns: int | None
    fewest: int
    replicas: int


class Said(NamedTuple):
    """One reason for one object, said `times` in fault and recovery."""

    reason: str
    about: str
    warning: bool
    times: int
    first_ns: int
    last_ns: int


def budgets(run: Run) -> list[Held]:
    """Every budget of the record, in order of name."""
    window = disturbed(run)
    if window is None:
        return []
    refused = _refused(run)
    found = []
    for name, sights in _by_name(run.of(DisruptionBudget)).items():
        seen = [each for each in _during(sights, window) if each.expected and not each.gone]
        if not seen:
            continue
        least = min(seen, key=lambda each: each.healthy - each.wanted)
        none = _stretches(sights, window)
        found.append(Held(name, none, least.healthy, least.wanted, refused[name]))
    return found


def _stretches(sights: list[DisruptionBudget], window: Window) -> tuple[Window, ...]:
    """The parts of the window in which a budget with pods would have refused each eviction."""
    found: list[Window] = []
    ends_ns = [each.t_ns for each in sights[1:]] + [window.end_ns]
    for sight, end_ns in zip(sights, ends_ns, strict=True):
        part = Window(max(sight.t_ns, window.begin_ns), min(end_ns, window.end_ns))
        if sight.allowed or sight.gone or not sight.expected or part.end_ns <= part.begin_ns:
            continue
        joined = found and found[-1].end_ns == part.begin_ns
        begin_ns = found.pop().begin_ns if joined else part.begin_ns
        found.append(Window(begin_ns, part.end_ns))
    return tuple(found)


def _refused(run: Run) -> Counter[str]:
    """Pods that a drain could not evict, by the budget that refused the last of its attempts."""
    words = [
        str(why)
        for fault in run.of(Fault)
        if isinstance(fault.detail.get("blocked"), dict)
        for why in fault.detail["blocked"].values()
    ]
    return Counter(name for why in words for name in _REFUSED_BY.findall(why)[:1])


def moved(run: Run) -> list[Moved]:
    """Every StatefulSet that changed in fault and recovery, in order of name."""
    window = disturbed(run)
    if window is None:
        return []
    found = []
    for name, sights in _by_name(run.of(StatefulSet)).items():
        if sights[0].t_ns > window.begin_ns:
            continue
        before, *later = _during(sights, window)
        if later and (what := _what(before, later)):
            unlike = [each for each in later if not _settled(each) or _other(before, each)]
            found.append(
                Moved(
                    name, what, unlike[0].t_ns, _whole_ns(later),
                    min(0 if each.gone else each.ready for each in later), later[-1].replicas,
                )
            )  # fmt: skip
    return found


def _what(before: StatefulSet, later: list[StatefulSet]) -> tuple[str, ...]:
    marks = {
        MADE_ANEW: any(each.uid != before.uid for each in later),
        TAKEN_AWAY: later[-1].gone,
        ROLLED: any(each.revision not in ("", before.revision) and each.uid == before.uid
                    for each in later),
        SHORT: any(each.gone or each.ready < min(before.ready, each.replicas) for each in later),
    }  # fmt: skip
    return tuple(what for what, so in marks.items() if so)


def _other(before: StatefulSet, now: StatefulSet) -> bool:
    return now.gone or now.uid != before.uid or now.revision != before.revision


def _settled(each: StatefulSet) -> bool:
    return not each.gone and each.replicas <= min(each.ready, each.updated)


def _whole_ns(later: list[StatefulSet]) -> int | None:
    """The first sight from which on it stayed whole."""
    broken = [index for index, each in enumerate(later) if not _settled(each)]
    first = broken[-1] + 1 if broken else 0
    return later[first].t_ns if first < len(later) else None


def said(run: Run) -> list[Said]:
    """What the cluster said in fault and recovery: warnings first, then by time."""
    window = disturbed(run)
    if window is None:
        return []
    groups: dict[tuple[str, str, bool], list[ClusterEvent]] = defaultdict(list)
    for each in run.of(ClusterEvent):
        if window.holds(each.t_ns):
            groups[each.reason, each.about, each.warning].append(each)
    found = [
        Said(*key, _times(sights), sights[0].t_ns, sights[-1].t_ns)
        for key, sights in groups.items()
    ]
    return sorted(found, key=lambda each: (not each.warning, each.first_ns, each.about))


def _times(sights: list[ClusterEvent]) -> int:
    """By the API server's own count, which may leave sights out; a new object begins at 1 again."""
    return max(len(sights), sights[-1].count - sights[0].count + 1)


def _by_name[E: (DisruptionBudget, StatefulSet)](sights: Sequence[E]) -> dict[str, list[E]]:
    found: dict[str, list[E]] = defaultdict(list)
    for each in sights:
        found[each.name].append(each)
    return dict(sorted(found.items()))


def _during[E: (DisruptionBudget, StatefulSet)](sights: list[E], window: Window) -> list[E]:
    """The last sight before the window, and those in it."""
    before = [each for each in sights if each.t_ns <= window.begin_ns][-1:]
    return before + [each for each in sights if window.begin_ns < each.t_ns < window.end_ns]
