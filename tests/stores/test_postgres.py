"""Patroni's table and the content of tables.

The table is written by hand in the form seen on a live cluster; addresses are made up.
"""

import pytest

from acpchaos.stores import postgres
from acpchaos.stores.postgres import Fingerprint
from tests.stores.fake_exec import FakeExec, recorded

TABLE = recorded("patroni-cluster.json")
PODS = ["postgresql-0", "postgresql-1", "postgresql-2"]


def test_a_table_has_one_leader_and_is_healthy():
    table = postgres.parse_members(TABLE)
    assert {member.name for member in table} == set(PODS)
    assert postgres.leader(table) in PODS
    assert postgres.healthy(table, 3) == (True, "1 leader, 2 streaming of 3")
    assert not postgres.healthy(table, 4)[0]


def test_a_member_whose_lag_is_unknown_is_told_so():
    text = '{"members": [{"name": "a", "role": "replica", "state": "starting", "lag": "unknown"}]}'
    table = postgres.parse_members(text)
    assert table[0].lag == -1
    with pytest.raises(postgres.NoLeader, match="a replica starting"):
        postgres.leader(table)


def test_a_follower_on_an_old_timeline_is_not_streaming():
    table = postgres.parse_members(TABLE)
    old = tuple(
        m if m.role == "leader" else postgres.Member(m.name, m.role, m.state, m.timeline + 1, 0)
        for m in table
    )
    assert postgres.healthy(old, 3) == (False, "1 leader, 0 streaming of 3")


def test_the_next_pod_is_asked_when_one_is_silent():
    run = FakeExec(lambda pod, line: 7 if pod == "postgresql-0" else TABLE)
    assert len(postgres.members(run, PODS, "postgresql")) == 3
    assert [pod for pod, _ in run.asked] == PODS[:2]
    assert postgres.members(FakeExec(lambda pod, line: 7), PODS, "postgresql") == ()


def test_fingerprints_ask_all_tables_in_one_statement():
    def answer(pod, line):
        if "pg_class" in line:
            return 'public.client\npublic."odd Name"\n'
        return 'public.client|12|aa\npublic."odd Name"|0|d41d\n'

    run = FakeExec(answer)
    assert postgres.fingerprints(run, "postgresql-0", "postgresql") == {
        "public.client": Fingerprint(12, "aa"),
        'public."odd Name"': Fingerprint(0, "d41d"),
    }
    assert len(run.asked) == 2
    assert run.asked[1][1].count("UNION ALL") == 1


def test_an_empty_database_has_no_fingerprints():
    assert postgres.fingerprints(FakeExec(lambda pod, line: "\n"), "p", "c") == {}


@pytest.mark.parametrize("mark", ["", "a b", "x'; DROP TABLE client; --"])
def test_a_marker_cannot_carry_sql(mark):
    run = FakeExec(lambda pod, line: "")
    with pytest.raises(ValueError, match="letters, digits"):
        postgres.write_marker(run, "p", "c", mark)
    assert run.asked == []


def test_markers_of_a_store_that_has_none():
    assert postgres.markers(FakeExec(lambda pod, line: ""), "p", "c") == ()
