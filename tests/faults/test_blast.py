"""Blast radius: pods, zones, votes and slots, counted before anything is touched."""

import pytest
from fake_api.server import FakeApi
from fake_api.stores import Stores
from hypothesis import given
from hypothesis import strategies as st

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import blast, redis_faults
from acpchaos.faults.blast import Blast
from acpchaos.faults.fault import Act, Fault
from acpchaos.faults.session import Session
from acpchaos.stores.redis_cluster import NodeView
from acpchaos.target.cluster import Object
from faults.cases import CASES
from faults.told import undo_records

ZONES = {"n1": "a", "n2": "b", "n3": "c", "n4": "a"}


def pods(*nodes: str) -> list[Object]:
    return [{"spec": {"nodeName": node}} for node in nodes]


@pytest.mark.parametrize(("voters", "needed"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4)])
def test_majority(voters: int, needed: int) -> None:
    assert blast.majority(voters) == needed


@given(st.integers(1, 50), st.data())
def test_quorum_is_lost_exactly_when_less_than_a_majority_is_left(
    voters: int, data: st.DataObject
) -> None:
    lost = data.draw(st.integers(0, voters))
    found = blast.of_voters(Blast(lost, voters, 1, 1), voters, lost)
    assert ("quorum" in found.loses) == ((voters - lost) * 2 <= voters)


def test_pods_and_zones_are_counted() -> None:
    every = pods("n1", "n2", "n3", "n4")
    assert blast.of_pods(every[:1] + every[3:], every, ZONES) == Blast(2, 4, 1, 3)
    whole = blast.of_pods(every, every, ZONES)
    assert (whole.zones, whole.loses, whole.why) == (3, ("workload",), "all 4 pods at once")


def test_pods_without_a_known_zone_count_for_none() -> None:
    every = pods("n1", "elsewhere")
    assert blast.of_pods(every[1:], every, ZONES) == Blast(1, 2, 0, 1)


def views(api: FakeApi, session: Session, stores: Stores) -> tuple[NodeView, ...]:
    return tuple(redis_faults.whole_cluster(session))


@pytest.mark.parametrize(
    ("victims", "loses"),
    [
        ((0,), ()),
        ((3,), ()),
        ((3, 4, 5), ()),
        ((0, 3), ("shard",)),
        ((0, 1), ("quorum",)),
        ((0, 1, 3), ("quorum", "shard")),
        ((0, 4), ()),
    ],
)
def test_redis_by_votes_and_slots(
    api: FakeApi, session: Session, stores: Stores, victims: tuple[int, ...], loses: tuple[str, ...]
) -> None:
    names = {f"redis-cluster-{number}" for number in victims}
    found = blast.of_redis(Blast(0, 6, 1, 3), views(api, session, stores), names)
    assert found.loses == loses
    assert ("redis-cluster-0" in found.why) == ("shard" in loses)


def allowing(session: Session, *words: str) -> Session:
    experiments = session.profile.experiments.model_copy(update={"may_lose": words})
    profile = session.profile.model_copy(update={"experiments": experiments})
    return Session(profile, session.cluster, "run-1", session.journal, session.clock, session.undo)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("workers_loss", "workload"),
        ("redis_kill_shard", "shard"),
        ("redis_kill_majority", "quorum"),
        ("sql_minority", "quorum"),
        ("dns_gone", "workload"),
        ("metrics_gone", "workload"),
    ],
)
def test_what_the_profile_does_not_let_go_is_refused_untouched(
    api: FakeApi, session: Session, stores: Stores, name: str, word: str
) -> None:
    others = {"workload", "quorum", "shard"} - {word}
    fault: Fault = CASES[name].build(allowing(session, *others))
    with pytest.raises(PreconditionUnmet, match=f"may_lose has no {word}"):
        Act(fault).strike()
    changing = [call for call in api.store.calls if not call.startswith("GET")]
    assert not [call for call in changing if "accessreviews" not in call]
    assert undo_records(api) == []


@pytest.mark.parametrize("name", ["pod_loss", "redis_kill_master", "rolling_restart"])
def test_single_pods_need_no_more_than_the_word_of_the_part(
    api: FakeApi, session: Session, stores: Stores, name: str
) -> None:
    fault = CASES[name].build(allowing(session))
    assert fault.setup()
