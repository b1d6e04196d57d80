"""R10 in small, and proof that it would tell: a guard that lets any selector through, a fault that
takes any workload."""

from pathlib import Path

import pytest
from fake_api.server import FakeApi

from acpchaos.faults.session import Session
from acpchaos.target import guard
from acpchaos.target.profile import Workload
from safety import fuzz, target


def test_nothing_outside_of_the_allow_list_is_changed() -> None:
    seen = fuzz.run(1500, 25)
    assert seen.examples > 1600 and seen.refused > 500
    assert (seen.outside, seen.silent) == ([], [])


def test_a_guard_that_is_asleep_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "require_selector", lambda selector: selector)
    assert any("was let through" in each for each in fuzz.run(50, 1).outside)


def test_a_fault_beyond_its_consent_is_found(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def any_workload(self: Session, name: str, allowed: tuple[str, ...]) -> Workload:
        workload: Workload = getattr(self.profile.workloads, name)
        return workload

    arguments = {"workload": "redis", "count": 2, "share": 0.0, "grace_s": 0, "seed": 1}
    seen = fuzz.Fuzzed()
    with target.impatient():
        fuzz._arguments(seen, api, tmp_path)(arguments)
        assert (seen.outside, seen.refused) == ([], 1)
        monkeypatch.setattr(Session, "workload", any_workload)
        fuzz._arguments(seen, api, tmp_path)(arguments)
    assert len(seen.outside) == 2 and "/pods/redis-cluster-" in seen.outside[0]


@pytest.mark.parametrize(
    ("selector", "everything"),
    [("", False), ("!a", True), ("a!=b", True), ("a notin (b,c)", True), ("a=b", False),
     ("!a,b!=c", True), ("!a,b=c", False), ("a in (b)", False)],
)  # fmt: skip
def test_reference_of_selectors(selector: str, everything: bool) -> None:
    if selector:
        assert fuzz.matches_unlabelled(selector) is everything
