"""Stores hurt by role: the right nodes, what proves it to their witnesses, and what does not."""

from typing import Any

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from fake_api.stores import NAMESPACE as SPACE
from fake_api.stores import Stores, node_id

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import redis_faults, sql_faults, witness_stores
from acpchaos.faults.fault import Act, Fault
from acpchaos.faults.session import Session
from acpchaos.faults.witness_stores import SqlState
from acpchaos.stores import postgres, redis_cluster
from acpchaos.stores.exec import CommandFailed
from acpchaos.stores.redis_cluster import Member, NodeView
from faults.told import undo_records, witnesses


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_faults, "FLUSHED_S", 0.3)


MASTERS = {f"redis-cluster-{n}" for n in range(3)}
REPLICAS = {f"redis-cluster-{n}" for n in range(3, 6)}


def killing(session: Session, role: redis_faults.Role, seed: int = 1) -> redis_faults.RedisKill:
    return redis_faults.RedisKill(session, role, seed, 10.0)


@pytest.mark.parametrize("seed", range(4))
def test_roles_not_names_decide_who_dies(session: Session, stores: Stores, seed: int) -> None:
    def chosen(role: redis_faults.Role) -> set[str]:
        return set(killing(session, role, seed).setup())

    assert len(chosen("master")) == 1 and chosen("master") <= MASTERS
    assert len(chosen("replica")) == 1 and chosen("replica") <= REPLICAS
    assert len(chosen("majority")) == 2 and chosen("majority") <= MASTERS
    [master] = chosen("shard") & MASTERS
    assert chosen("shard") == {master, stores.shards[master]}
    assert chosen("master") == chosen("master")


def test_after_a_failover_the_new_master_is_found(session: Session, stores: Stores) -> None:
    stores.shards = {"redis-cluster-3": "redis-cluster-0", "redis-cluster-1": "redis-cluster-4",
                     "redis-cluster-2": "redis-cluster-5"}  # fmt: skip
    stores.keys = dict.fromkeys(stores.shards, 7)
    seen = {next(iter(killing(session, "master", seed).setup())) for seed in range(20)}
    assert seen == set(stores.shards)


def test_cluster_that_is_not_whole_is_not_hurt(
    api: FakeApi, session: Session, stores: Stores
) -> None:
    with api.store.lock:
        api.store.get(("statefulsets", NAMESPACE, "redis-cluster"))["spec"]["replicas"] = 5
        api.store.terminate_s = 0.0
        for _ in range(2):
            api.store.reconcile()
    faults: tuple[Fault, ...] = (killing(session, "master"), redis_faults.RedisFlush(session, 5.0))
    for fault in faults:
        with pytest.raises(PreconditionUnmet, match="it must be whole before"):
            Act(fault).strike()
    assert stores.commands == []


def test_redis_that_is_no_cluster_is_not_available(session: Session, stores: Stores) -> None:
    experiments = session.profile.experiments.model_copy(update={"redis_cluster": False})
    profile = session.profile.model_copy(update={"experiments": experiments})
    other = Session(profile, session.cluster, "r", session.journal, session.clock, session.undo)
    faults: tuple[Fault, ...] = (killing(other, "master"), redis_faults.RedisFlush(other, 5.0))
    assert all("not a cluster" in fault.available() for fault in faults)


def test_empty_redis_proves_nothing_and_is_not_flushed(session: Session, stores: Stores) -> None:
    stores.keys = dict.fromkeys(stores.keys, 0)
    with pytest.raises(PreconditionUnmet, match="it holds none"):
        Act(redis_faults.RedisFlush(session, 5.0)).strike()
    assert stores.commands == []


def test_flush_hits_masters_only(session: Session, stores: Stores) -> None:
    Act(redis_faults.RedisFlush(session, 5.0)).strike()
    assert sorted(pod for pod, _ in stores.commands) == sorted(MASTERS)
    assert undo_records(stores.api) == []


def view(pod: str, run_id: str, members: tuple[Member, ...] = ()) -> NodeView:
    own = Member(id=node_id(pod), ip="", role="master", slots=1, linked=True, failed=False,
                 myself=True)  # fmt: skip
    return NodeView(pod=pod, reachable=bool(run_id), run_id=run_id, members=(own, *members))


def told_of(pod: str, **facts: Any) -> Member:
    known: dict[str, Any] = {"ip": "", "role": "master", "slots": 1} | facts
    return Member(id=node_id(pod), **known)


DEAF = told_of("a", linked=False, failed=False)
FAILED = told_of("a", linked=True, failed=True)
WELL = told_of("a", linked=True, failed=False)


@pytest.mark.parametrize(
    ("after", "victims", "outcome"),
    [
        ([view("a", "9"), view("b", "2")], {"a"}, "installed"),
        ([view("a", "1"), view("b", "2")], {"a"}, "not installed"),
        ([view("a", ""), view("b", "2", (FAILED,))], {"a"}, "installed"),
        ([view("a", ""), view("b", "2", (DEAF,))], {"a"}, "installed"),
        ([view("a", ""), view("b", "2", (WELL,))], {"a"}, "not installed"),  # only the exec failed
        ([view("a", ""), view("b", "")], {"a"}, "not installed"),  # nobody saw anything
        ([view("a", "9"), view("b", "8")], {"a"}, "partial"),  # another node died, too
        ([view("a", "9"), view("b", "2")], {"a", "b"}, "partial"),
        ([], {"a"}, "not installed"),
    ],
)
def test_what_proves_a_killed_node(after: list[NodeView], victims: set[str], outcome: str) -> None:
    before = [view("a", "1"), view("b", "2")]
    assert witness_stores.redis_killed(before, after, victims).outcome == outcome


@pytest.mark.parametrize(
    ("keys", "calls", "outcome"),
    [
        ({"a": 0, "b": 0}, {"a": 1, "b": 3}, "installed"),
        ({"a": 4, "b": 0}, {"a": 1, "b": 3}, "installed"),  # new keys came already
        ({"a": 5, "b": 7}, {"a": 0, "b": 2}, "not installed"),
        ({"a": 0, "b": 0}, {"a": 0, "b": 2}, "not installed"),  # gone, and not by FLUSHALL
        ({"a": 0, "b": 7}, {"a": 1, "b": 2}, "partial"),
        ({"a": 5, "b": 7}, {"a": 1, "b": 3}, "not installed"),  # counted, and all keys there
        ({"a": 0}, {"a": 1}, "partial"),  # the other one is silent
        ({}, {}, "not installed"),
    ],
)
def test_what_proves_a_flush(keys: dict[str, int], calls: dict[str, int], outcome: str) -> None:
    before, counted = {"a": 5, "b": 7}, {"a": 0, "b": 2}
    assert witness_stores.redis_flushed(before, keys, counted, calls).outcome == outcome


def test_refused_flush_is_an_error(session: Session, stores: Stores) -> None:
    stores.denied = True
    with pytest.raises(CommandFailed, match="NOPERM"):
        Act(redis_faults.RedisFlush(session, 5.0)).strike()
    assert [outcome for outcome, _ in witnesses(session)] == ["not installed"]


def test_flushes_are_read_from_the_statistics() -> None:
    def said(text: str) -> Any:
        return lambda *args, **more: text

    line = "cmdstat_flushall:calls=12,usec=3,usec_per_call=1.00\r\ncmdstat_get:calls=1\r\n"
    assert redis_cluster.flushes(said(line), "a", "redis") == 12
    assert redis_cluster.flushes(said("cmdstat_get:calls=1\r\n"), "a", "redis") == 0


WAS = SqlState(leader="pg-0", started="10:00", follows=False)


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        (SqlState(leader="pg-0", started="10:05", follows=False), "installed"),
        (SqlState(leader="pg-1", started="", follows=None), "installed"),
        (SqlState(leader="pg-0", started="10:00", follows=False), "not installed"),
        (SqlState(leader="pg-1", started="10:00", follows=True), "not installed"),
    ],
)
def test_what_proves_a_killed_leader(now: SqlState, outcome: str) -> None:
    assert witness_stores.sql_killed(WAS, now).outcome == outcome
    assert witness_stores.sql_killed(SqlState(), now).outcome == "indeterminate"


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        (SqlState(leader="pg-1", started="10:05", follows=True), "installed"),
        (SqlState(leader="pg-1", started="10:00", follows=False), "partial"),
        (SqlState(leader="pg-1", started="", follows=None), "partial"),
        (SqlState(leader="pg-0", started="10:00", follows=False), "not installed"),
        (SqlState(leader="", started="10:00", follows=True), "indeterminate"),
    ],
)
def test_what_proves_a_switchover(now: SqlState, outcome: str) -> None:
    assert witness_stores.sql_moved(WAS, now).outcome == outcome


@pytest.mark.parametrize("kind", ["endpoints", "configmaps"])
def test_lock_is_found_by_what_it_says(
    api: FakeApi, session: Session, stores: Stores, kind: str
) -> None:
    with api.store.lock:
        for name in ("postgresql", "timescaledb"):
            api.store.drop(("endpoints", SPACE, name))
        for name, leader in (("x-leader", "postgresql-2"), ("y-leader", "timescaledb-1")):
            words = {"leader": leader, "renewTime": "2026-01-01T00:00:00"}
            api.store.put(kind, {"metadata": {"name": name, "namespace": SPACE,
                                              "annotations": words}})  # fmt: skip
        unlike = {"name": "z", "namespace": SPACE, "annotations": {"leader": "postgresql-1"}}
        api.store.put(kind, {"metadata": unlike})
    holder = witness_stores._lock_holder(session.cluster, SPACE, "postgresql")
    assert holder == "postgresql-2"


def test_leader_is_killed_whoever_it_is(session: Session, stores: Stores) -> None:
    stores.lead("postgresql", "postgresql-2")
    assert sql_faults.SqlKill(session, "sql", 5.0).setup() == ("postgresql-2",)


def test_store_without_patroni_is_not_available(session: Session, stores: Stores) -> None:
    experiments = session.profile.experiments.model_copy(update={"sql_manager": "none"})
    profile = session.profile.model_copy(update={"experiments": experiments})
    other = Session(profile, session.cluster, "r", session.journal, session.clock, session.undo)
    faults: tuple[Fault, ...] = (
        sql_faults.SqlKill(other, "sql", 5.0), sql_faults.SqlSwitchover(other, "sql", 1, 5.0),
    )  # fmt: skip
    assert all("no Patroni manages" in fault.available() for fault in faults)


def test_analytics_has_a_word_of_its_own(session: Session, stores: Stores) -> None:
    fault = sql_faults.SqlKill(session, "analytics", 5.0)
    assert (fault.name, fault.disrupts) == ("analytics_kill_leader", "analytics")
    assert fault.available() == "the profile's experiments.may_disrupt has no 'analytics'"


def test_only_members_that_keep_up_may_take_the_lead() -> None:
    def member(name: str, role: str, state: str = "streaming") -> postgres.Member:
        return postgres.Member(name=name, role=role, state=state)

    leader = member("a", "leader", "running")
    plain, behind = member("b", "replica"), member("c", "replica", "starting")
    assert postgres.candidates((leader, plain, behind)) == ("b",)
    assert postgres.candidates((leader, plain, member("d", "sync_standby"))) == ("d",)
    assert postgres.candidates((leader, behind)) == ()


def test_no_secret_and_no_shell_word_in_a_switchover() -> None:
    asked: list[Any] = []
    postgres.switch_over(lambda *args, **more: asked.append(args) or "", "a", "pg", "b'; rm -rf")
    assert asked[0][2][-1] == '{"leader":"a","candidate":"b\'; rm -rf"}'
    assert "sh" not in asked[0][2]
