"""Which budget let no pod go, which StatefulSet rolled, what the cluster said: by what it saw."""

import msgspec
import pytest
from golden.records import at

from acpchaos.check.objects import (
    MADE_ANEW,
    ROLLED,
    SHORT,
    TAKEN_AWAY,
    Held,
    Moved,
    Said,
    budgets,
    moved,
    said,
)
from acpchaos.check.window import Window
from acpchaos.record.events import AnyEvent, ClusterEvent, DisruptionBudget, Fault, StatefulSet
from acpchaos.record.run import Run
from tests.check.judging import played


def budget(second: float, allowed: int, healthy: int = 3, **more: object) -> DisruptionBudget:
    return msgspec.structs.replace(
        DisruptionBudget(
            t_ns=at(second), name="acp", allowed=allowed, healthy=healthy, wanted=2, expected=3
        ),
        **more,
    )


def kept(second: float, **more: object) -> StatefulSet:
    whole = StatefulSet(
        t_ns=at(second), name="redis", uid="u", replicas=6, ready=6, updated=6, revision="r1"
    )
    return msgspec.structs.replace(whole, **more)


def the_budget(*sights: AnyEvent) -> Held:
    (found,) = budgets(played(*sights))
    return found


def the_set(*sights: StatefulSet) -> list[Moved]:
    return moved(played(*sights))


def test_a_budget_is_blocked_while_it_lets_no_pod_go() -> None:
    found = the_budget(
        budget(1, 1), budget(34, 0, 2), budget(36, 0, 2), budget(40, 1), budget(50, 0, 1),
        budget(51.5, 1),
    )  # fmt: skip
    assert found.none == (Window(at(34), at(40)), Window(at(50), at(51.5)))
    assert (found.none_s, found.fewest, found.wanted) == (7.5, 1, 2)


def test_only_fault_and_recovery_count_and_what_held_before_holds_on() -> None:
    assert the_budget(budget(5, 0), budget(7, 1)).none == ()
    assert the_budget(budget(5, 0)).none == (Window(at(30), at(80)),)


def test_a_budget_that_is_gone_or_has_no_pods_refuses_nothing() -> None:
    assert the_budget(budget(1, 1), budget(40, 0), budget(42, 0, gone=True)).none_s == 2.0
    assert the_budget(budget(1, 1), budget(40, 0, expected=0)).none == ()


def test_a_refused_eviction_names_the_budget_that_refused_it() -> None:
    why = (
        "Cannot evict pod as it would violate the pod's disruption budget. "
        "(The disruption budget acp needs 2 healthy pods and has 2 currently)"
    )
    blocked = {"blocked": {"acp-1": why, "acp-2": why, "x": "two budgets"}}
    drain = Fault(t_ns=at(45), fault="zone_drain", verb="effective", ok=True, detail=blocked)
    assert the_budget(budget(1, 0), drain).refused == 2
    assert the_budget(budget(1, 0)).refused == 0


def test_a_set_that_stays_whole_is_not_told() -> None:
    assert the_set(kept(1), kept(40)) == []
    assert the_set(kept(1), kept(40, replicas=3, ready=3, updated=3)) == [], "scaled by intent"
    assert the_set(kept(40, ready=1)) == [], "nothing is known of before"


def test_a_rolling_set_is_told_from_its_new_revision_until_all_pods_have_it() -> None:
    (found,) = the_set(
        kept(1), kept(35, revision="r2", updated=0), kept(38, revision="r2", updated=1, ready=5),
        kept(44, revision="r2"),
    )  # fmt: skip
    assert found == Moved("redis", (ROLLED, SHORT), at(35), at(44), 5, 6)


@pytest.mark.parametrize("later", [(), (kept(70, ready=5, updated=5),)], ids=["never", "relapse"])
def test_a_set_that_is_not_lastingly_whole_is_not_back(later: tuple[StatefulSet, ...]) -> None:
    sights = [kept(1), kept(35, ready=4), *([kept(50)] if later else []), *later]
    (found,) = the_set(*sights)
    assert (found.what, found.until_ns) == ((SHORT,), None)


def test_a_set_that_was_deleted_and_made_again_is_not_the_same() -> None:
    gone = kept(35, gone=True)
    (found,) = the_set(kept(1), gone, kept(36, uid="v", ready=0, updated=0), kept(60, uid="v"))
    assert (found.what, found.fewest) == ((MADE_ANEW, SHORT), 0)
    assert (found.from_ns, found.until_ns) == (at(35), at(60))
    (found,) = the_set(kept(1), gone)
    assert found.what == (TAKEN_AWAY, SHORT) and found.until_ns is None


def word(second: float, count: int = 1, reason: str = "Unhealthy", **more: bool) -> ClusterEvent:
    about = "Pod/acp-1"
    return ClusterEvent(t_ns=at(second), reason=reason, about=about, count=count, **more)


def test_events_are_told_once_for_each_reason_by_the_servers_count() -> None:
    run = played(
        word(5, 1, warning=True), word(31, 3, "Pulled"), word(40, 7, warning=True),
        word(50, 12, warning=True), word(52, 1, "Killing"), word(53, 1, "Killing"),
    )  # fmt: skip
    assert said(run) == [
        Said("Unhealthy", "Pod/acp-1", True, 6, at(40), at(50)),
        Said("Pulled", "Pod/acp-1", False, 1, at(31), at(31)),
        Said("Killing", "Pod/acp-1", False, 2, at(52), at(53)),
    ]


def test_without_phases_nothing_is_told() -> None:
    bare = Run(played().meta, [budget(1, 0), kept(1), word(2)])
    assert (budgets(bare), moved(bare), said(bare)) == ([], [], [])
