"""The replay of the autoscaler: its arithmetic, a simulated controller that always conforms, and
one that breaks each rule in turn."""

import math
import random
from dataclasses import dataclass, field

import pytest
from golden import records
from golden.records import at
from hypothesis import given, settings
from hypothesis import strategies as st

from acpchaos.check import conformity, hpa
from acpchaos.check.hpa import Bounds, recommended
from acpchaos.record.events import (
    AnyEvent,
    Autoscaler,
    Behavior,
    Phase,
    Pod,
    ScalingPolicy,
    ScalingRules,
)
from acpchaos.record.run import Run

from .judging import F, I, P, expect

PLAIN = Behavior()
LAB = Behavior(
    up=ScalingRules(window_s=0, policies=(ScalingPolicy(kind="Pods", value=4, period_s=30),)),
    down=ScalingRules(window_s=60, policies=(ScalingPolicy(kind="Pods", value=2, period_s=60),)),
)


def policy(kind: str, value: int, period_s: int) -> ScalingPolicy:
    return ScalingPolicy(kind=kind, value=value, period_s=period_s)


def none_changed(_: int) -> tuple[Bounds, Bounds]:
    return Bounds(0, 0), Bounds(0, 0)


# The arithmetic.


@pytest.mark.parametrize(
    ("percent", "current", "ready", "asked"),
    [
        (214, 3, 3, (10, 10)),  # 3 x 3.057
        (77, 3, 3, (3, 3)),  # within a tenth
        (78, 3, 3, (4, 4)),
        (63, 3, 3, (3, 3)),
        (20, 6, 6, (2, 2)),
        (112, 5, 3, (5, 8)),  # two starting pods count as idle, or have begun to count
        (162, 5, 3, (7, 12)),
        (24, 6, 4, (2, 5)),  # two without metrics count as busy, or not at all
        (60, 3, 1, (1, 3)),
    ],
)
def test_what_one_reading_asks_for(
    percent: int, current: int, ready: int, asked: tuple[int, int]
) -> None:
    assert recommended(percent, 70, current, ready, PLAIN) == asked


def test_a_tolerance_of_its_own_holds_for_its_direction() -> None:
    strict = Behavior(up=ScalingRules(tolerance=0.01), down=ScalingRules(tolerance=0.5))
    assert recommended(72, 70, 10, 10, strict) == (11, 11)
    assert recommended(40, 70, 10, 10, strict) == (10, 10)


def test_windows_have_the_defaults_of_the_controller() -> None:
    assert (hpa.up_window_s(PLAIN), hpa.down_window_s(PLAIN)) == (0, 300)
    assert (hpa.up_window_s(LAB), hpa.down_window_s(LAB)) == (0, 60)


def test_policies_count_from_the_beginning_of_their_period() -> None:
    def changed(period_s: int) -> tuple[Bounds, Bounds]:
        return Bounds(2, 4), Bounds(0, 1)

    assert hpa.out_limit(6, LAB, changed) == (6, 9)  # 6 - 4 + 0 + 4 to 6 - 2 + 1 + 4
    assert hpa.in_limit(6, LAB, changed) == (0, 3)
    half = Behavior(down=ScalingRules(policies=(policy("Percent", 50, 60),)))
    assert hpa.in_limit(5, half, none_changed) == (2, 2), "cut"
    tenth = Behavior(up=ScalingRules(policies=(policy("Percent", 10, 60),)))
    assert hpa.out_limit(5, tenth, none_changed) == (6, 6), "rounded up"


@pytest.mark.parametrize(
    ("select", "out", "into"), [("Max", 20, 5), ("Min", 12, 8), ("Disabled", 10, 10)]
)
def test_select_policy(select: str, out: int, into: int) -> None:
    rules = ScalingRules(select=select, policies=(policy("Pods", 2, 60), policy("Percent", 50, 60)))
    double = ScalingRules(
        select=select, policies=(policy("Pods", 2, 60), policy("Percent", 100, 60))
    )
    behavior = Behavior(up=double, down=rules)
    assert hpa.out_limit(10, behavior, none_changed) == (out, out)
    assert hpa.in_limit(10, behavior, none_changed) == (into, into)


def test_without_behavior_it_doubles_or_goes_to_four() -> None:
    assert hpa.out_limit(1, PLAIN, none_changed) == (4, 4)
    assert hpa.out_limit(3, PLAIN, none_changed) == (6, 6)
    assert hpa.in_limit(9, PLAIN, none_changed) == (0, 0)


# A controller of its own, in plain numbers.


@dataclass
class Controller:
    """autoscaling/v2 with a fixed round of 15 s; `flaw` breaks one rule."""

    behavior: Behavior
    least: int = 3
    most: int = 12
    target: int = 70
    replicas: int = 3
    flaw: str = ""
    wishes: list[tuple[float, int]] = field(default_factory=list)
    changes: list[tuple[float, int]] = field(default_factory=list)

    def round(self, now_s: float, percent: int, ready: int) -> Autoscaler:
        before = self.replicas
        wish = self._wish(percent, ready)
        up, down = (max(0, window) for window in self._windows())
        lowest = min([wish, *(w for t, w in self.wishes if t > now_s - up)])
        highest = max([wish, *(w for t, w in self.wishes if t > now_s - down)])
        self.wishes.append((now_s, wish))
        held = min(max(before, lowest), highest)
        wanted = self._limited(now_s, held, before)
        if wanted != before:
            self.changes.append((now_s, wanted - before))
        self.replicas = wanted
        return Autoscaler(
            t_ns=at(now_s), name="acp", min_replicas=self.least, max_replicas=self.most,
            current=before, desired=wanted, target_cpu_percent=self.target, cpu_percent=percent,
            behavior=self.behavior,
        )  # fmt: skip

    def _wish(self, percent: int, ready: int) -> int:
        ratio = percent / self.target
        if self.flaw == "deaf" or 0.9 <= ratio <= 1.1:
            return self.replicas
        if self.flaw == "greedy" and ratio > 1.1:
            return 3 * math.ceil(ratio * self.replicas)
        starting = self.replicas - ready
        if ratio > 1.1 and starting:
            idle = ratio * ready / self.replicas
            return math.ceil(ratio * ready) if idle > 1.1 else self.replicas
        return math.ceil(ratio * ready)

    def _windows(self) -> tuple[int, int]:
        up, down = hpa.up_window_s(self.behavior), hpa.down_window_s(self.behavior)
        return up, 0 if self.flaw == "hasty" else down

    def _limited(self, now_s: float, wish: int, before: int) -> int:
        if self.flaw == "unbounded":
            return min(max(wish, self.least), self.most)
        if wish > before:
            return max(before, min(wish, self.most, self._policies(now_s, before, True)))
        if wish < before:
            return min(before, max(wish, self.least, self._policies(now_s, before, False)))
        return before

    def _policies(self, now_s: float, before: int, out: bool) -> int:
        rules = self.behavior.up if out else self.behavior.down
        assert rules is not None
        if rules.select == "Disabled":
            return before
        ends = []
        for each in rules.policies:
            start = before - sum(by for t, by in self.changes if t > now_s - each.period_s)
            share = each.value / 100
            by_share = math.ceil(start * (1 + share)) if out else int(start * (1 - share))
            by_count = start + each.value if out else start - each.value
            ends.append(by_count if each.kind == "Pods" else by_share)
        return max(ends) if out == (rules.select == "Max") else min(ends)


def simulate(
    controller: Controller, load: list[int], ready_after_s: float = 40.0, wobble: int = 1
) -> Run:
    """Rounds every 15 s; `load` is the total need in percent of one pod, each second reading
    `wobble` higher; a status that does not change is not sent again. The fault phase spans all."""
    start_s = 45.0
    started = dict.fromkeys(range(controller.replicas), -1000.0)
    events: list[AnyEvent] = [pod(n, 0.0) for n in started]
    last: Autoscaler | None = None
    number = len(started)
    for index, need in enumerate(load):
        now_s = start_s + 15 * index
        ready = [n for n, since_s in started.items() if now_s - since_s >= ready_after_s]
        percent = need // max(1, len(ready)) + wobble * (index % 2)
        sight = controller.round(now_s, percent, len(ready))
        if last is None or records.msgspec.structs.replace(sight, t_ns=last.t_ns) != last:
            events.append(sight)
            last = sight
        while len(started) < controller.replicas:
            started[number] = now_s
            events += [pod(number, now_s + 1, ready=False), pod(number, now_s + ready_after_s)]
            number += 1
        while len(started) > controller.replicas:
            gone, _ = started.popitem()
            events.append(pod(gone, now_s + 1, ready=False, deleting=True, gone=True))
    end_s = start_s + 15 * len(load)
    marks = {"steady": 40.0, "fault": start_s - 1, "recovery": end_s, "end": end_s + 5}
    marked = [Phase(t_ns=at(second), name=name) for name, second in marks.items()]
    return records.run_of([*events, *marked])


def pod(number: int, second: float, **changes: bool) -> Pod:
    return records.pod(second, number, **changes)


def words(run: Run) -> set[str]:
    return {each.word for each in conformity.replay(run, "acp") if each.word}


SURGE = [120] * 6 + [1500] * 12 + [150] * 40  # percent of one pod: 3 pods idle, 12 busy, idle


def test_a_surge_and_its_end_conform() -> None:
    run = simulate(Controller(LAB), SURGE)
    verdict = expect(conformity.conforms(run, "acp"), P, "capped at 12 as it must")
    assert any("3 to 7" in line for line in verdict.evidence), verdict.evidence
    low = simulate(Controller(LAB), [120] * 6 + [500] * 12 + [150] * 40)
    expect(conformity.conforms(low, "acp"), P, "conforms: ")


@pytest.mark.parametrize(
    ("flaw", "word"),
    [("deaf", "late"), ("greedy", "overshoot"), ("hasty", "early"), ("unbounded", "early")],
)
def test_each_broken_rule_has_its_word(flaw: str, word: str) -> None:
    load = SURGE if flaw != "greedy" else [120] * 6 + [300] * 12 + [150] * 40
    verdict = expect(
        conformity.conforms(simulate(Controller(LAB, flaw=flaw), load), "acp"), F, word
    )
    assert verdict.why.startswith(word)
    assert verdict.measured and word in verdict.evidence[0]


def test_scaling_in_that_never_comes_is_late() -> None:
    run = simulate(Controller(LAB), SURGE[:18])
    stuck = [event for event in run.events if not isinstance(event, Phase)]
    tail = [
        records.msgspec.structs.replace(
            next(e for e in reversed(stuck) if isinstance(e, Autoscaler)),
            t_ns=at(330 + 15 * n), current=12, desired=12, cpu_percent=10 + n % 2,
        )
        for n in range(14)
    ]  # fmt: skip
    phases = [
        Phase(t_ns=at(s), name=n) for n, s in (("fault", 44), ("recovery", 540), ("end", 545))
    ]
    expect(conformity.conforms(records.run_of([*stuck, *tail, *phases]), "acp"), F, "late")


def changed_sights(run: Run, **changes: object) -> Run:
    return Run(
        run.meta, records.changed(run.events, lambda e: isinstance(e, Autoscaler), **changes)
    )


def test_a_record_that_cannot_show_it_decides_nothing() -> None:
    run = simulate(Controller(LAB), SURGE)
    expect(conformity.conforms(run, "other"), I, "no sight of autoscaler other")
    expect(conformity.conforms(changed_sights(run, behavior=None), "acp"), I, "behavior")
    expect(conformity.conforms(changed_sights(run, metrics=2), "acp"), I, "other metrics")
    expect(
        conformity.conforms(changed_sights(run, target_cpu_percent=None), "acp"), I, "other metrics"
    )
    expect(conformity.conforms(changed_sights(run, cpu_percent=None), "acp"), I, "no metrics")
    calm = simulate(Controller(LAB), [200 + n % 3 for n in range(30)])
    expect(conformity.conforms(calm, "acp"), I, "made no step")
    thin = records.without(
        run.events, lambda e: isinstance(e, Autoscaler) and at(130) < e.t_ns < at(250)
    )
    expect(conformity.conforms(records.run_of(thin), "acp"), I, "too few sights")


def test_a_pod_without_a_place_is_said_so() -> None:
    run = simulate(Controller(LAB), SURGE)
    homeless = records.pod(150, 90, ready=False, node="", phase="Pending")
    expect(
        conformity.conforms(records.run_of([*run.events, homeless]), "acp"), F, "cannot schedule"
    )
    placed = records.pod(160, 90, ready=False)
    expect(conformity.conforms(records.run_of([*run.events, homeless, placed]), "acp"), P, "capped")


rules = st.builds(
    ScalingRules,
    window_s=st.sampled_from([0, 15, 30, 60, 120, 300]),
    select=st.sampled_from(["Max", "Min", "Disabled"]),
    policies=st.lists(
        st.builds(
            ScalingPolicy,
            kind=st.sampled_from(["Pods", "Percent"]),
            value=st.integers(1, 100),
            period_s=st.sampled_from([15, 30, 60, 90, 600]),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
)


@given(
    up=rules,
    down=rules,
    ready_after_s=st.sampled_from([5.0, 20.0, 40.0]),
    seed=st.integers(0, 10_000),
    wobble=st.integers(0, 9),
)
@settings(max_examples=150, deadline=None, derandomize=True)
def test_a_controller_that_keeps_its_rules_always_conforms(
    up: ScalingRules, down: ScalingRules, ready_after_s: float, seed: int, wobble: int
) -> None:
    random_ = random.Random(seed)
    load = [
        need
        for _ in range(8)
        for need in [random_.choice([60, 150, 210, 400, 800, 1500])] * random_.randint(1, 10)
    ]
    controller = Controller(Behavior(up=up, down=down))
    run = simulate(controller, load, ready_after_s, wobble)
    assert words(run) == set()
    later = at(45 + 15 * random_.randint(0, len(load) // 2))
    joined = [e for e in run.events if not isinstance(e, Autoscaler) or e.t_ns >= later]
    assert words(records.run_of(joined)) == set(), "a record that begins later knows less"
