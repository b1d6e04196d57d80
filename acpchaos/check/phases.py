"""The recovery of a pod in six phases: detected, deleted, scheduled, started, ready, routed.

Room: check. It measures only. Every moment is the sight of a watch, so that all six stand on one
clock, and each phase begins where the one before ended: their sum is the total by construction.

| phase | ends with |
| --- | --- |
| detected | the lost pod is marked for deletion, no longer ready, or gone |
| deleted | its place is free: its successor exists |
| scheduled | the successor has a node |
| started | its containers run |
| ready | it passes its readiness probes |
| routed | every Service that led to the lost pod leads to the successor |
"""

from collections import defaultdict
from itertools import pairwise
from typing import NamedTuple

from acpchaos.check.sight import autoscaler_until, ready_at, serves
from acpchaos.check.window import seconds, struck_ns
from acpchaos.record.events import Endpoints, Pod
from acpchaos.record.run import Run

PHASES = ("detected", "deleted", "scheduled", "started", "ready", "routed")


class PodRecovery(NamedTuple):
    """One lost pod and what took its place, empty while nothing did. `ends_ns` holds the end of
    each phase, in order, as far as the record shows them."""

    app: str
    lost: str
    successor: str
    since_ns: int
    ends_ns: tuple[int, ...]

    @property
    def took_s(self) -> tuple[float, ...]:
        """Length of each phase that ended."""
        begins = (self.since_ns, *self.ends_ns)
        return tuple(seconds(a, b) for a, b in zip(begins, self.ends_ns, strict=False))

    @property
    def total_s(self) -> float | None:
        """From the fault until the successor is routed; None when it never was."""
        whole = len(self.ends_ns) == len(PHASES)
        return seconds(self.since_ns, self.ends_ns[-1]) if whole else None


def pod_recoveries(run: Run) -> list[PodRecovery]:
    """Every pod that served when the fault struck and went away after it, in that order.

    In a drain `detected` holds the time a pod waited for its turn. Pods that an autoscaler gave up
    have no successor and are left out.
    """
    since_ns = struck_ns(run)
    if since_ns is None:
        return []
    lives: defaultdict[str, list[Pod]] = defaultdict(list)
    for pod in run.of(Pod):
        lives[pod.uid].append(pod)
    apps = {pod.app for pod in run.of(Pod)}
    served = {uid for app in apps for uid in ready_at(run, app, since_ns)}
    lost = [(gone_ns, uid) for uid in served
            if (gone_ns := _going_ns(lives[uid], since_ns)) is not None]  # fmt: skip
    heirs = {uid: sights for uid, sights in lives.items() if sights[0].t_ns > since_ns}
    found = []
    for gone_ns, uid in sorted(lost):
        heir = _heir(heirs, lives[uid][0], gone_ns)
        if not heir and _given_up(run, lives[uid][0].app, since_ns):
            continue
        found.append(_recovery(run, lives[uid][0], heir, since_ns, gone_ns))
    return found


def _going_ns(sights: list[Pod], since_ns: int) -> int | None:
    """When a pod was first seen on its way out, if it did not come back itself."""
    if serves(sights[-1]):
        return None
    return next((p.t_ns for p in sights if p.t_ns > since_ns and not serves(p)), None)


def _heir(heirs: dict[str, list[Pod]], lost: Pod, gone_ns: int) -> list[Pod]:
    """Sights of the pod that takes a place, taken out of `heirs`: the one of the same name, else
    the first one of the same workload that was made after the loss and has no place yet."""
    fit = [uid for uid, sights in heirs.items()
           if sights[0].app == lost.app and sights[0].t_ns >= gone_ns]  # fmt: skip
    named = [uid for uid in fit if heirs[uid][0].name == lost.name]
    chosen = min(named or fit, key=lambda uid: heirs[uid][0].t_ns, default=None)
    return heirs.pop(chosen) if chosen else []


def _given_up(run: Run, app: str, since_ns: int) -> bool:
    """Whether the workload's autoscaler wanted fewer after the fault."""
    wishes = [
        each.desired for each in autoscaler_until(run, app, run.end_ns) if each.t_ns > since_ns
    ]
    return any(two < one for one, two in pairwise(wishes))


def _recovery(run: Run, lost: Pod, heir: list[Pod], since_ns: int, gone_ns: int) -> PodRecovery:
    """The chain of moments; each counts from the one before, which a late sight may overtake."""
    name = heir[0].name if heir else ""
    moments: list[int | None] = [
        gone_ns,
        heir[0].t_ns if heir else None,
        next((p.t_ns for p in heir if p.node), None),
        next((p.t_ns for p in heir if p.phase == "Running"), None),
        next((p.t_ns for p in heir if serves(p)), None),
        _routed_ns(run, lost.name, name, since_ns, heir[0].t_ns) if heir else None,
    ]
    ends: list[int] = []
    for moment_ns in moments:
        if moment_ns is None:
            break
        ends.append(max(moment_ns, *ends[-1:], since_ns))
    return PodRecovery(lost.app, lost.name, name, since_ns, tuple(ends))


def _routed_ns(run: Run, lost: str, name: str, since_ns: int, born_ns: int) -> int | None:
    """When the last of the Services that led to the lost pod led to its successor; None when one
    never did, or when no Service was seen to lead to either."""
    led = {
        each.service for each in run.of(Endpoints) if each.t_ns <= since_ns and lost in each.ready
    }
    reached: dict[str, int] = {}
    for each in run.of(Endpoints):
        if each.service in led and each.t_ns >= born_ns and name in each.ready:
            reached.setdefault(each.service, each.t_ns)
    return max(reached.values()) if led and reached.keys() == led else None
