"""The API server's clock is bounded by its Date, and the bounds always hold the truth."""

import email.utils
import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acpchaos.target import clock_faces
from acpchaos.target.clock_faces import ASKED, api_server
from acpchaos.target.cluster import ApiRefused


class Simulated:
    """A cluster whose server's clock is `ahead_s` of ours; each way of a call takes its time."""

    def __init__(self, ahead_s: list[float], there_s: float, back_s: float) -> None:
        self.now_s, self.asked = 1_764_000_000.0, 0
        self._ahead_s, self._there_s, self._back_s = ahead_s, there_s, back_s

    def open(self, method: str, path: str) -> Any:
        self.now_s += self._there_s
        date = self.now_s + self._ahead_s[self.asked % len(self._ahead_s)]
        self.asked += 1
        self.now_s += self._back_s
        headers = {"Date": email.utils.formatdate(math.floor(date), usegmt=True)}
        return SimpleNamespace(headers=headers, read=bytes, release_conn=bytes)

    def wait(self, until_s: float) -> None:
        self.now_s = max(self.now_s, until_s)


def bounds(monkeypatch: pytest.MonkeyPatch, cluster: Any) -> clock_faces.Bounds:
    with monkeypatch.context() as patch:
        patch.setattr(clock_faces, "time", SimpleNamespace(monotonic=lambda: cluster.now_s))
        patch.setattr(clock_faces, "pause_until", cluster.wait)
        return api_server(cluster, lambda: cluster.now_s)


@given(ahead_s=st.floats(-100, 100), there_s=st.floats(0, 0.2), back_s=st.floats(0, 0.2))
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_the_truth_lies_within_narrow_bounds(
    ahead_s: float, there_s: float, back_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Simulated([ahead_s], there_s, back_s)
    low_s, high_s, _ = bounds(monkeypatch, cluster)
    assert low_s is not None and high_s is not None
    assert low_s - 1e-6 <= ahead_s <= high_s + 1e-6
    assert high_s - low_s <= 2.0 ** (1 - ASKED) + 2 * (there_s + back_s) + 1e-6
    assert cluster.now_s - 1_764_000_000 < 2 * ASKED, "a few seconds"


def test_servers_that_contradict_each_other_are_told_as_all_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    low_s, high_s, how = bounds(monkeypatch, Simulated([0.0, 7.0], 0.01, 0.01))
    assert low_s is not None and high_s is not None
    assert low_s <= 0.0 and high_s >= 7.0 and "contradict" in how


def test_no_answer_and_no_date_are_unknown_never_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(method: str, path: str) -> Any:
        raise ApiRefused("GET /version", 403, "forbidden")

    cluster = Simulated([0.0], 0.01, 0.01)
    monkeypatch.setattr(cluster, "open", refuse)
    assert bounds(monkeypatch, cluster)[:2] == (None, None)
    bare = SimpleNamespace(headers={}, read=bytes, release_conn=bytes)
    monkeypatch.setattr(cluster, "open", lambda *_: bare)
    assert bounds(monkeypatch, cluster)[:2] == (None, None)
