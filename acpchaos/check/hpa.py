"""The arithmetic of the HorizontalPodAutoscaler, on bounds instead of numbers.

Room: check. It knows no record. Semantics of `autoscaling/v2` as Kubernetes v1.36.3 carries them
out (pkg/controller/podautoscaler: horizontal.go and replica_calculator.go; defaults of
pkg/apis/autoscaling/v2 and of the controller manager). Every quantity that a record shows only
roughly is a pair (low, high), and every rule here is monotone, so that bounds go in and bounds come
out.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from acpchaos.record.events import HPA_TOLERANCE, Behavior, ScalingPolicy, ScalingRules

DOWN_WINDOW_S = 300  # --horizontal-pod-autoscaler-downscale-stabilization
RESOLUTION_S = 15  # --metric-resolution of metrics-server
SYNC_S = 15  # --horizontal-pod-autoscaler-sync-period

_UP = (ScalingPolicy(kind="Pods", value=4, period_s=15),
       ScalingPolicy(kind="Percent", value=100, period_s=15))  # fmt: skip
_DOWN = (ScalingPolicy(kind="Percent", value=100, period_s=15),)


class Bounds(NamedTuple):
    """What a number of replicas may be."""

    low: int
    high: int


def recommended(
    percent: int, target_percent: int, current: int, surely_ready: int, behavior: Behavior
) -> Bounds:
    """Replicas asked for by one CPU reading, before windows and limits.

    The reading is the mean over pods that count. How many of `current` pods counted is known only
    to lie between `surely_ready` and all: pods that start, end or have no metrics yet count as idle
    when it reads high, and as busy or not at all when it reads low.
    """
    ratio = percent / target_percent
    up, down = (tolerance(rules) for rules in (behavior.up, behavior.down))
    if 1 - down <= ratio <= 1 + up or current <= 0:
        return Bounds(current, current)
    counted = min(max(surely_ready, 1), current)  # without one there would be no reading
    if ratio > 1:
        least = max(current, math.ceil(ratio * counted))
        idle_ratio = ratio * counted / current
        return Bounds(least if idle_ratio > 1 + up else current, math.ceil(ratio * current))
    busy = (counted * percent + (current - counted) * max(100, target_percent)) / target_percent
    most = math.ceil(busy) if busy < current * (1 - down) else current
    return Bounds(min(math.ceil(ratio * counted), most), most)


def tolerance(rules: ScalingRules | None) -> float:
    """The share by which a reading may miss the target without a step."""
    return HPA_TOLERANCE if rules is None or rules.tolerance is None else rules.tolerance


def up_window_s(behavior: Behavior) -> int:
    """How long a wish must last before it is followed out."""
    return (behavior.up.window_s or 0) if behavior.up else 0


def down_window_s(behavior: Behavior) -> int:
    """How long a wish must last before it is followed in."""
    found = behavior.down.window_s if behavior.down else None
    return DOWN_WINDOW_S if found is None else found


def stabilised(current: int, lowest: Bounds, highest: Bounds, behavior: Behavior) -> Bounds:
    """What the windows leave: no more than the lowest wish of the window for scaling out, no less
    than the highest one of that for scaling in, else as it is. Without any behavior the highest
    wish of the window counts even for scaling out."""
    low, high = (min(max(current, out), into) for out, into in zip(lowest, highest, strict=True))
    return Bounds(low, max(high, highest.high) if _older(behavior) else high)


def _older(behavior: Behavior) -> bool:
    """Whether the fixed rules from before there was any behavior hold."""
    return behavior.up is None and behavior.down is None


Changed = Callable[[int], tuple[Bounds, Bounds]]
"""period_s -> (replicas added, replicas removed) within it, as far as the record can tell."""


def out_limit(current: int, behavior: Behavior, changed: Changed) -> Bounds:
    """The most replicas that the policies for scaling out allow now."""
    if _older(behavior):
        limit = max(2 * current, 4)
        return Bounds(limit, limit)
    limits = _limits(current, behavior.up, _UP, changed, _out)
    return Bounds(max(limits.low, current), max(limits.high, current))


def in_limit(current: int, behavior: Behavior, changed: Changed) -> Bounds:
    """The fewest replicas that the policies for scaling in allow now."""
    if _older(behavior):
        return Bounds(0, 0)
    limits = _limits(current, behavior.down, _DOWN, changed, _in)
    return Bounds(min(limits.low, current), min(limits.high, current))


def _out(policy: ScalingPolicy, start: int) -> int:
    if policy.kind == "Pods":
        return start + policy.value
    return math.ceil(start * (1 + policy.value / 100))


def _in(policy: ScalingPolicy, start: int) -> int:
    if policy.kind == "Pods":
        return start - policy.value
    return int(start * (1 - policy.value / 100))


def _limits(
    current: int,
    rules: ScalingRules | None,
    usual: tuple[ScalingPolicy, ...],
    changed: Changed,
    apply: Callable[[ScalingPolicy, int], int],
) -> Bounds:
    """Each policy counts from what there was when its period began; `select` chooses the largest
    or the smallest change."""
    select = rules.select if rules else "Max"
    if select == "Disabled":
        return Bounds(current, current)
    policies = (rules.policies if rules else ()) or usual
    low, high = [], []
    for policy in policies:
        added, removed = changed(policy.period_s)
        low.append(apply(policy, current - added.high + removed.low))
        high.append(apply(policy, current - added.low + removed.high))
    widest = max if (apply is _out) == (select == "Max") else min
    return Bounds(widest(low), widest(high))
