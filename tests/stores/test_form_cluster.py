"""The rules by which the lab's Redis pods find their shards; they run inside the image."""

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

from tests.stores.fake_exec import recorded

SCRIPT = Path(__file__).parents[2] / "lab/manifests/stores/redis-cluster/form_cluster.py"
spec = importlib.util.spec_from_file_location("form_cluster", SCRIPT)
form = importlib.util.module_from_spec(spec)
sys.modules["form_cluster"] = form
spec.loader.exec_module(form)


def pods(zones):
    return [form.Pod(f"redis-cluster-{n}", f"10.0.0.{n}", f"zone-{z}") for n, z in enumerate(zones)]


@pytest.mark.parametrize("zones", ["abcabc", "aabbcc", "cbabca", "abbcca"])
def test_a_shard_is_never_in_one_zone_and_each_pod_is_in_one_shard(zones):
    pairs = form.shards(pods(zones))
    assert all(master.zone != replica.zone for master, replica in pairs)
    assert len({master.zone for master, _ in pairs}) == 3
    assert len({pod.name for pair in pairs for pod in pair}) == 6


@pytest.mark.parametrize("zones", ["aaabbc", "aaaaaa", "abcab"])
def test_a_lopsided_placement_is_refused_by_name(zones):
    with pytest.raises(RuntimeError, match="two pods are needed in each zone, seen"):
        form.shards(pods(zones))


def test_partners_are_mutual():
    pairs = form.shards(pods("abcabc"))
    for pod in pods("abcabc"):
        other = form.partner(pod.name, pairs)
        assert form.partner(other.name, pairs).name == pod.name


def test_slot_ranges_cover_all_slots_once():
    ranges = form.slot_ranges(3)
    assert [slot for low, high in ranges for slot in range(low, high + 1)] == list(range(16384))


def test_a_recorded_table_is_read():
    view = form.parse_nodes(recorded("redis-cluster-0.txt"))
    assert len(view) == 6
    assert form.myself(view).ip == "10.77.0.10"
    assert sum("master" in node.flags for node in view) == 3


class Nodes:
    """Six nodes without a cluster, or what is left of one; commands are noted, not obeyed."""

    def __init__(self, slots=(), silent=()):
        self.sent, self.slots, self.silent = [], dict(slots), silent
        self.pods = pods("abcabc")

    def line(self, pod, me):
        flags = ("myself," if pod is me else "") + "master"
        return (
            f"{pod.name[-1] * 40} {pod.ip}:6379@16379 {flags} - 0 0 0 connected"
            f" {self.slots.get(pod.name, '')}"
        )

    async def redis(self, ip, *command):
        me = next(pod for pod in self.pods if pod.ip == ip)
        if me.name in self.silent:
            raise RuntimeError("no answer")
        if command == ("CLUSTER", "NODES"):
            return "\n".join(self.line(pod, me) for pod in self.pods)
        self.sent.append((me.name, *command))
        return "cluster_state:ok"


def step(nodes, name, monkeypatch):
    monkeypatch.setattr(form, "redis", nodes.redis)
    monkeypatch.setattr(form, "discover", lambda namespace: nodes.pods)
    return asyncio.run(form.step(name, "ns", 6))


def test_only_pod_0_hands_out_slots(monkeypatch):
    nodes = Nodes()
    assert "pod 0 has not" in step(nodes, "redis-cluster-1", monkeypatch)
    assert nodes.sent == []
    assert step(nodes, "redis-cluster-0", monkeypatch) == "slots are handed out"
    assert [sent[2] for sent in nodes.sent] == ["ADDSLOTSRANGE"] * 3


def test_no_slots_are_handed_out_while_a_node_is_silent(monkeypatch):
    nodes = Nodes(silent=("redis-cluster-5",))
    assert step(nodes, "redis-cluster-0", monkeypatch) == "5 of 6 nodes answer"
    assert nodes.sent == []


def test_a_shard_that_lost_both_nodes_is_not_made_up(monkeypatch):
    """Slots exist elsewhere, so pod 0 and its partner are empty new nodes of an old cluster."""
    nodes = Nodes(slots={"redis-cluster-1": "5461-10922", "redis-cluster-2": "10923-16383"})
    assert step(nodes, "redis-cluster-0", monkeypatch) == "the partner holds no slots yet"
    assert nodes.sent == []


def test_an_empty_node_follows_its_partner(monkeypatch):
    nodes = Nodes(slots={"redis-cluster-0": "0-16383"})
    step(nodes, "redis-cluster-4", monkeypatch)
    assert nodes.sent == [("redis-cluster-4", "CLUSTER", "REPLICATE", "0" * 40)]
