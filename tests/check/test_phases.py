"""Six phases of a pod's recovery: each told by its own sight, their sum is the total."""

import pytest
from golden import records
from golden.records import STRUCK_S, at
from hypothesis import given, settings
from hypothesis import strategies as st

from acpchaos.check.phases import PHASES, PodRecovery, pod_recoveries
from acpchaos.record.events import AnyEvent, Endpoints, Pod

from .judging import played


def routes(second: float, *ready: str, service: str = "acp") -> Endpoints:
    return Endpoints(t_ns=at(second), service=service, ready=ready)


def birth(*moments_s: float, number: int = 4) -> list[Pod]:
    """A successor: made, scheduled, started, ready; cut where moments end."""
    states = [
        {"node": "", "phase": "Pending", "ready": False},
        {"phase": "Pending", "ready": False},
        {"phase": "Running", "ready": False},
        {"phase": "Running", "ready": True},
    ]
    return [records.pod(s, number, **state) for s, state in zip(moments_s, states, strict=False)]


def loss(*events: AnyEvent) -> PodRecovery:
    """acp-1 goes at 32.5; `events` follow."""
    before = [records.pod(0, number) for number in range(3)]
    led = routes(0, "acp-0", "acp-1", "acp-2")
    going = [records.pod(32.5, 1, deleting=True), records.pod(34, 1, gone=True, ready=False)]
    (found,) = pod_recoveries(played(*before, led, *going, *events))
    return found


def test_each_phase_ends_with_its_own_sight_and_the_sum_is_the_total() -> None:
    found = loss(*birth(33, 33.5, 36, 45), routes(45.2, "acp-0", "acp-2", "acp-4"))
    assert (found.app, found.lost, found.successor) == ("acp", "acp-1", "acp-4")
    assert dict(zip(PHASES, found.took_s, strict=True)) == pytest.approx(
        {"detected": 0.5, "deleted": 0.5, "scheduled": 0.5, "started": 2.5, "ready": 9.0,
         "routed": 0.2}
    )  # fmt: skip
    assert found.total_s == pytest.approx(45.2 - STRUCK_S) == pytest.approx(sum(found.took_s))


def test_what_is_not_seen_is_no_number() -> None:
    assert loss(*birth(33, 33.5, 36, 45)).total_s is None, "never routed"
    unready = loss(*birth(33, 33.5, 36), routes(36, "acp-0"))
    assert (len(unready.took_s), unready.total_s) == (4, None)
    alone = loss()
    assert (alone.successor, len(alone.took_s), alone.total_s) == ("", 1, None)


def test_a_service_that_leads_to_pods_before_they_are_ready_routes_last_by_the_other() -> None:
    early = routes(34, "acp-0", "acp-2", "acp-4", service="acp-headless")
    both = [routes(0, "acp-1", service="acp-headless"), early]
    found = loss(*both, *birth(33, 33.5, 36, 45), routes(45.5, "acp-4"))
    assert found.total_s == pytest.approx(13.5)
    only_headless = loss(*both, *birth(33, 33.5, 36, 45))
    assert only_headless.total_s is None


def test_sights_that_overtake_each_other_shorten_no_phase_below_zero() -> None:
    found = loss(*birth(33, 33.5, 36, 45), routes(44.9, "acp-4"))
    assert found.took_s[-1] == 0.0
    assert found.total_s == pytest.approx(13.0)


def test_a_stateful_pod_is_followed_by_its_own_name() -> None:
    before = [records.redis_sight(5, 0), records.pod(0, 0, "db"), records.pod(0, 1, "db")]
    led = routes(0, "db-0", "db-1", service="db")
    gone = [records.pod(33, number, "db", gone=True, ready=False) for number in (0, 1)]
    born = [
        records.pod(s, number, "db", uid=f"new-{number}", ready=ready)
        for s, number, ready in ((40, 1, False), (41, 0, False), (50, 1, True), (52, 0, True))
    ]
    found = pod_recoveries(
        played(*before, led, *gone, *born, routes(53, "db-0", "db-1", service="db"))
    )
    assert {(each.lost, each.successor): each.ends_ns[1] for each in found} == {
        ("db-0", "db-0"): at(41), ("db-1", "db-1"): at(40)
    }  # fmt: skip


def test_pods_an_autoscaler_gave_up_and_pods_that_flickered_are_not_lost() -> None:
    four = [records.pod(0, number) for number in range(4)]
    gone = records.pod(60, 3, gone=True, ready=False)
    wishes = [records.autoscaler(40, 4), records.autoscaler(59, 3)]
    assert pod_recoveries(played(*four, gone, *wishes)) == []
    assert len(pod_recoveries(played(*four, gone))) == 1
    flicker = [records.pod(40, 0, ready=False), records.pod(41, 0)]
    assert pod_recoveries(played(*four, *flicker)) == []
    assert pod_recoveries(records.run_of([*four, gone])) == [], "no fault struck"


@given(moments=st.lists(st.floats(32.0, 80.0), min_size=5, max_size=5))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_the_sum_of_the_phases_is_the_total_in_any_order_of_sights(moments: list[float]) -> None:
    found = loss(*birth(*sorted(moments)[:4]), routes(moments[4], "acp-4"))
    assert all(each >= 0 for each in found.took_s)
    if found.total_s is not None:
        assert sum(found.took_s) == pytest.approx(found.total_s, abs=1e-6)
