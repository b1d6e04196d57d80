"""Checks of redis: each passes on a record that shows its claim, fails for its own
reason, and decides nothing when the record is silent."""

from golden import records

from acpchaos.check import (
    redis,
)

from .judging import F, I, P, expect, played


def test_a_wiped_cluster_is_whole_again() -> None:
    run = played(*records.redis_wipe(back_s=50))
    verdict = expect(redis.cluster_recovered(run, within_s=60), P, "3 masters, 16384 slots")
    assert verdict.measured == 18.0
    expect(redis.cluster_recovered(run, within_s=10), F, "18.0 s")


def test_a_cluster_with_missing_slots_is_not_whole() -> None:
    run = played(
        *records.redis_wipe(50),
        records.redis_sight(60, 1, run_id="new1", slots=10923, state="fail"),
    )
    expect(redis.cluster_recovered(run, 60), F, "10923 slots")


def test_a_replica_without_its_link_is_not_whole() -> None:
    run = played(*records.redis_wipe(50), records.redis_sight(60, 4, run_id="new4", link_up=False))
    expect(redis.cluster_recovered(run, 60), F, "not whole")


def test_an_old_run_id_means_the_wipe_did_not_bite() -> None:
    sights = [records.redis_sight(s, n) for n in range(6) for s in (5, 50)]
    expect(redis.cluster_recovered(played(*sights), 60), I, "kept their run id")
    expect(redis.cluster_recovered(played(*sights), 60, wiped=False), P, "6 of 6 nodes ok")


def test_a_cluster_never_seen_decides_nothing() -> None:
    expect(redis.cluster_recovered(played(), 60), I, "not whole before")
    before = [records.redis_sight(5, n) for n in range(6)]
    expect(redis.cluster_recovered(played(*before), 60), I, "no node was looked at")
