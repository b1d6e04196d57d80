"""The gate: all parts healthy at once, not one after the other."""

from typing import Any

import pytest

from acpchaos.faults import health
from acpchaos.faults.health import Part


def test_a_part_that_fails_while_others_settle_is_not_healthy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Redis is back at the third look, when ACP has long been well, and has failed since."""
    looks: list[str] = []

    def look(_cluster: Any, _profile: Any, what: str) -> Part:
        looks.append(what)
        ok = looks.count("acp") == 1 if what == "acp" else looks.count("redis") >= 3
        return Part(what, ok, "x")

    monkeypatch.setattr(health, "look", look)
    cluster: Any = None
    seen = health.settle(cluster, cluster, ("acp", "redis"), 4.0)
    assert (seen["acp"].ok, seen["redis"].ok) == (False, True)
    looks.clear()
    monkeypatch.setattr(health, "look", lambda *given: Part(given[2], True, str(len(looks))))
    assert all(part.ok for part in health.settle(cluster, cluster, ("acp", "redis"), 4.0).values())
