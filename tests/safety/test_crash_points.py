"""R7 in small, and proof that it would tell: a fault that records too late, an unhooked cluster."""

from typing import Any

import pytest

from acpchaos.faults import changes, nodes
from acpchaos.faults.changes import Change
from acpchaos.faults.engine import Engine
from acpchaos.faults.zone_drain import ZoneDrain
from acpchaos.target.cluster import Cluster
from safety import crash_points, mortal
from safety.place import as_it_is


@pytest.mark.parametrize(("name", "every"), [("pod_loss", 3), ("zone_drain", 9), ("redis_wipe", 9)])
def test_nothing_is_left_wherever_the_process_dies(name: str, every: int) -> None:
    tally = crash_points.enumerate_crashes(name, every)
    assert tally.points > 15
    assert (tally.dirty, tally.unmatched, tally.broken) == ([], [], [])


@pytest.mark.parametrize("name", sorted(crash_points.CATALOGUE))
def test_the_rest_of_the_catalogue_at_some_points(name: str) -> None:
    quick = crash_points.CATALOGUE[name].begin is as_it_is  # others start processes
    every = 397 if "policy" in name else 47 if quick else 97  # 1,070 steps of a cut by policies
    tally = crash_points.enumerate_crashes(name, every)
    assert tally.points >= 1
    assert (tally.dirty, tally.unmatched, tally.broken) == ([], [], [])


def test_no_fault_of_the_catalogue_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert crash_points.never_crashed() == []
    monkeypatch.delitem(crash_points.CATALOGUE, "restore")
    assert crash_points.never_crashed() == ["restore"]


def test_a_node_that_is_stopped_before_its_record_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = nodes.NodeFreeze.record

    def careless(self: nodes.NodeFreeze, change: Change) -> None:
        Engine(self.cluster).change(change["container"], ("pause", change["container"]))
        record(self, change)

    monkeypatch.setattr(nodes.NodeFreeze, "record", careless)
    monkeypatch.setattr(nodes.NodeFreeze, "make", lambda self, change: None)
    tally = crash_points.enumerate_crashes("node_freeze", 1, only="before POST")
    assert any("worker-b: paused instead of running" in each for each in tally.dirty)


def test_a_change_made_before_its_record_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(self: ZoneDrain) -> None:
        for name, node in self.nodes.items():
            meta = {"annotations": {changes.CORDONED_BY: self.session.run_id}}
            body = {"metadata": meta, "spec": {"unschedulable": True}}
            self.cluster.patch("Node", name, body)
            self.record(changes.cordon(node))

    monkeypatch.setattr(ZoneDrain, "inject", careless)
    tally = crash_points.enumerate_crashes("zone_drain", 3)
    assert any("nodes//worker-a" in each and "unschedulable" in each for each in tally.dirty)


def test_a_call_that_is_not_journalled_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Cluster._send

    def unseen(self: Any, method: str, *more: Any, **words: Any) -> Any:
        return sent(self, method, *more, **words)

    monkeypatch.setattr(mortal.MortalCluster, "open", unseen)
    tally = crash_points.enumerate_crashes("pod_loss", 7)
    assert any("not in the journal: POST" in each for each in tally.unmatched)
