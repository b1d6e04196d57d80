"""Views of a real six-node cluster, recorded; then spoiled one line at a time."""

import pytest

from acpchaos.stores import redis_cluster
from tests.stores.fake_exec import FakeExec, recorded

PODS = [f"redis-cluster-{n}" for n in range(6)]
ZONES = {pod: "zone-" + "abc"[n % 3] for n, pod in enumerate(PODS)}


def views(spoil=lambda pod, text: text):
    run = FakeExec(lambda pod, _: spoil(pod, recorded(f"{pod}.txt")))
    return redis_cluster.look(run, PODS, "redis-cluster")


def test_a_recorded_cluster_is_whole_and_spread():
    seen = views()
    assert redis_cluster.healthy(seen) == (True, "6 nodes, 3 masters")
    assert {view.role for view in seen} == {"master", "slave"}
    assert sum(m.slots for m in seen[0].members) == redis_cluster.SLOTS
    assert len({view.run_id for view in seen}) == 6
    assert redis_cluster.unspread(seen, ZONES) == ()
    assert {s.master: s.replicas for s in redis_cluster.shards(seen, ZONES)} == {
        "redis-cluster-0": ("redis-cluster-4",),
        "redis-cluster-1": ("redis-cluster-5",),
        "redis-cluster-2": ("redis-cluster-3",),
    }


def test_the_password_is_in_no_command():
    run = FakeExec(lambda pod, _: recorded(f"{pod}.txt"))
    redis_cluster.look(run, PODS[:1], "redis-cluster")
    assert "-a " not in run.asked[0][1] and "REDISCLI_AUTH" in run.asked[0][1]


@pytest.mark.parametrize(
    ("pod", "old", "new", "why"),
    [
        ("redis-cluster-0", "cluster_state:ok", "cluster_state:fail", "state fail"),
        ("redis-cluster-1", "cluster_slots_ok:16384", "cluster_slots_ok:10923", "10923 slots"),
        ("redis-cluster-4", "master_link_status:up", "master_link_status:down", "without a link"),
        ("redis-cluster-2", "connected_slaves:1", "connected_slaves:0", "without a replica"),
        ("redis-cluster-3", " slave ", " slave,fail ", "failed members"),
    ],
)
def test_each_wound_is_named(pod, old, new, why):
    seen = views(lambda each, text: text.replace(old, new) if each == pod else text)
    ok, saw = redis_cluster.healthy(seen)
    assert not ok
    assert f"{pod}: " in saw and why in saw


def test_a_silent_node_is_a_fact():
    seen = views(lambda pod, text: 1 if pod == "redis-cluster-5" else text)
    assert not seen[5].reachable
    assert "redis-cluster-5: does not answer" in redis_cluster.healthy(seen)[1]
    assert redis_cluster.unspread(seen, ZONES) == ("redis-cluster-1",)


def test_an_error_answer_is_not_a_view():
    assert not redis_cluster.parse("p", "NOAUTH Authentication required.").reachable
    assert not redis_cluster.parse("p", "").reachable


def test_a_shard_in_one_zone_is_not_spread():
    collapsed = ZONES | {"redis-cluster-4": "zone-a"}
    assert redis_cluster.unspread(views(), collapsed) == ("redis-cluster-0",)


def test_a_replica_without_its_zone_known_does_not_count():
    unknown = {pod: zone for pod, zone in ZONES.items() if pod != "redis-cluster-4"}
    assert redis_cluster.unspread(views(), unknown) == ("redis-cluster-0",)


def test_nodes_that_know_different_members_are_not_one_cluster():
    line = next(x for x in recorded("redis-cluster-0.txt").splitlines() if "-5.redis" in x)
    seen = views(lambda pod, text: text.replace(line, "") if pod == "redis-cluster-0" else text)
    assert "tables of nodes differ" in redis_cluster.healthy(seen)[1]


def test_the_stream_yields_one_view_per_look():
    text = recorded("redis-cluster-0.txt")
    broken = ["Could not connect to Redis at 127.0.0.1:6379: Connection refused", "--look--"]
    lines = [*text.splitlines(), *broken, *text.splitlines(), "half a look"]
    seen = list(redis_cluster.stream(lines, "redis-cluster-0"))
    assert [view.reachable for view in seen] == [True, False, True]
    assert seen[0].t_usec > 0


def test_lag_is_the_distance_to_the_own_master():
    def behind(pod, text):
        if pod != "redis-cluster-0":
            return text
        lines = [x for x in text.splitlines() if not x.startswith("master_repl_offset")]
        return "\n".join(["master_repl_offset:114", *lines])

    assert redis_cluster.lag_bytes(views(behind))["redis-cluster-4"] == 100


def test_no_views_are_not_healthy():
    assert not redis_cluster.healthy(())[0]


def test_the_node_timeout_is_read_where_a_node_tells_it():
    told = recorded("redis-cluster-0.txt")
    assert redis_cluster.parse("redis-cluster-0", told).node_timeout_ms == 0
    asked = redis_cluster.QUESTIONS.index(f"CONFIG GET {redis_cluster.TIMEOUT}")
    assert asked < redis_cluster.QUESTIONS.index("DBSIZE"), "the last number is that of the keys"
    keys = redis_cluster.parse("redis-cluster-0", told).keys
    head, count, mark = told.rstrip().rsplit("\n", 2)
    text = "\n".join((head, redis_cluster.TIMEOUT, "15000", count, mark))
    view = redis_cluster.parse("redis-cluster-0", text)
    assert (view.node_timeout_ms, view.keys) == (15000, keys)
