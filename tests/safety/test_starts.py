"""R13 in small, and proof that it would tell: a gate that is asleep, a drain that does not look."""

import pytest

from acpchaos.faults import probes, room
from safety import starts


def test_nothing_is_injected_where_recovery_is_in_doubt() -> None:
    seen = starts.begin(16, seed=3)
    assert (seen.done, seen.refused, seen.whole) == (16, 14, 2)
    assert (seen.injected, seen.idle, seen.played) == ([], [], 2)


def test_every_precondition_matters_to_some_fault() -> None:
    ways = starts.gates()
    assert len(ways) > 30
    for what, unmet in starts.UNMET.items():
        assert [name for name in ways if starts._hits(unmet, name, ways[name])], what


def test_a_gate_that_is_asleep_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "healthy", lambda parts, budget_s: True)
    only = {"node under pressure": starts.UNMET["node under pressure"]}
    monkeypatch.setattr(starts, "UNMET", only)
    monkeypatch.setattr(starts, "gates", lambda: {"pod_loss": "acp,nodes"})
    seen = starts.begin(2, seed=3)
    assert any("DELETE" in each and "/pods/acp-" in each for each in seen.injected)


def test_a_drain_that_does_not_look_for_a_way_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    only = {"budget at 0": starts.UNMET["budget at 0"]}
    monkeypatch.setattr(starts, "UNMET", only)
    assert starts.begin(2, seed=3).injected == []
    monkeypatch.setattr(room, "require_way_out", lambda *_: None)
    assert any("PATCH /api/v1/nodes/" in each for each in starts.begin(2, seed=3).injected)
