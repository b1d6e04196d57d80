"""Floors: possible readings pass, impossible ones make the whole run inconclusive, and what has no
source or no sight has no floor."""

import pytest
from golden import records
from golden.records import STRUCK_S, at, redis_sight

from acpchaos.check.judge import judge
from acpchaos.check.physics import Reading, impossible, readings
from acpchaos.check.validity import by_question
from acpchaos.check.verdict import Outcome
from acpchaos.record.events import AnyEvent, Fault, RedisNode

from .judging import played


def only(*events: AnyEvent) -> Reading:
    (reading,) = readings(played(*events))
    return reading


def failover(lost_s: float, promoted_s: float, timeout_ms: int = 15000) -> list[RedisNode]:
    """Master 0 answers last at `lost_s`; its replica 3 is master at `promoted_s`."""
    known = {"node_timeout_ms": timeout_ms}
    return [
        redis_sight(5, 0, **known),
        redis_sight(5, 3, **known),
        redis_sight(lost_s, 0, **known),
        redis_sight(lost_s + 1, 0, reachable=False, role="", run_id=""),
        redis_sight(promoted_s - 1, 3, **known),
        redis_sight(promoted_s, 3, role="master", **known),
    ]


def test_a_redis_failover_waits_for_the_node_timeout_and_half_a_second() -> None:
    reading = only(*failover(40, 60))
    assert (reading.seen, reading.floor, reading.impossible) == (21.0, 15.5, False)
    assert "Redis Cluster specification" in reading.source
    assert only(*failover(40, 54)).impossible, "15 s at most, that of the recorder included"
    assert not only(*failover(40, 54.6)).impossible
    assert only(*failover(40, 54, timeout_ms=0)).floor == 0.5, "a timeout that was not told"
    assert not only(*failover(40, 42, timeout_ms=1000)).impossible


def test_a_planned_handover_has_no_floor() -> None:
    living = [each for each in failover(40, 41) if each.reachable]
    assert readings(played(*living)) == []


def test_a_failover_before_the_fault_is_not_its() -> None:
    assert readings(played(*failover(10, 12))) == []


def test_a_new_redis_master_is_not_ok_at_once() -> None:
    assert not any(each.impossible for each in readings(played(*records.redis_wipe(50))))
    quick = [redis_sight(40, 0), redis_sight(40.8, 0, run_id="new")]
    reading = only(*quick)
    assert (reading.seen, reading.floor) == (pytest.approx(1.8), 2.0)
    assert reading.impossible
    replica = [redis_sight(40, 4), redis_sight(40.8, 4, run_id="new")]
    assert readings(played(*replica)) == []


def test_a_pod_is_not_ready_before_its_probes_may_begin() -> None:
    def born(ready_s: float, delay_s: int) -> list[AnyEvent]:
        return [
            records.pod(40, 9, ready=False, ready_delay_s=delay_s),
            records.pod(ready_s, 9, ready_delay_s=delay_s),
        ]

    reading = only(*born(46, 5))
    assert (reading.seen, reading.floor, reading.impossible) == (7.0, 4.0, False)
    assert only(*born(42.9, 5)).impossible
    assert readings(played(*born(42, 0))) == [], "without a delay there is no floor"
    old = [records.pod(5, 9, ready_delay_s=9), records.pod(40, 9, ready_delay_s=9)]
    assert readings(played(*old)) == []


def drain(*events: AnyEvent) -> list[Reading]:
    told = [
        Fault(t_ns=at(second), fault="zone_drain", verb=verb, ok=True, targets=("worker1",))
        for verb, second in (("setup", 32), ("inject", 33), ("recover", 60))
    ]
    return readings(records.run_of([*records.phases(), *told, *events]))


def test_a_drain_moves_a_pod_if_there_was_one() -> None:
    stays = [records.pod(0, number) for number in range(3)]
    (reading,) = drain(*stays)
    assert (reading.seen, reading.floor, reading.impossible) == (0, 1, True)
    (moved,) = drain(*stays, records.pod(40, 1, deleting=True))
    assert moved.seen == 1 and not moved.impossible
    (late,) = drain(*stays, records.pod(70, 1, deleting=True))
    assert late.impossible, "gone only after the drain"
    assert drain(records.pod(0, 0), records.pod(0, 2)) == [], "nothing stood on worker1"


def test_an_impossible_reading_decides_nothing_at_all() -> None:
    run = records.run_of([*records.good_events(), *failover(40, 50)])
    assert by_question(run)["fault"] == impossible(run)
    judged = judge(run)
    assert {claim.verdict.outcome for claim in judged} == {Outcome.INCONCLUSIVE}
    assert "took over from a lost master: 11.0 s at most, not below 15.5 s" in judged[0].verdict.why


def test_without_a_fault_nothing_has_a_floor() -> None:
    assert readings(records.run_of([*records.phases(), *failover(40, 41)])) == []
    assert STRUCK_S > 30
