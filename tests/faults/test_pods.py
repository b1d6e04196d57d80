"""Pod loss: exactly the chosen pods, never none, and a witness that cannot be fooled."""

from typing import Any

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.errors import AcpchaosError, PreconditionUnmet
from acpchaos.faults import killing, witness
from acpchaos.faults.fault import Act
from acpchaos.faults.pods import PodLoss
from acpchaos.faults.session import Session
from acpchaos.target.cluster import ApiRefused
from faults.told import undo_records, verbs, witnesses


def loss(session: Session, count: int = 1, share: float = 0.0) -> PodLoss:
    return PodLoss(session, "acp", count, share, 0, 7, 10.0)


@pytest.mark.parametrize(("count", "share", "killed"), [(1, 0.0, 1), (2, 0.0, 2), (1, 0.34, 2)])
def test_kills_that_many_and_sees_successors(
    session: Session, count: int, share: float, killed: int
) -> None:
    act = Act(loss(session, count, share))
    told = act.strike()
    assert len(told["targets"]) == killed
    assert told["witness"] == "installed"
    act.heal()
    saw = f"{killed} of {killed} UIDs gone, {killed} new pods"
    assert witnesses(session) == [("installed", saw)]
    order = ["setup", "inject", "effective", "recover", "recovered", "cleanup"]
    assert verbs(session) == [(verb, True) for verb in order]


def test_other_workloads_are_untouched(api: FakeApi, session: Session) -> None:
    Act(loss(session, 3)).strike()
    deleted = [call for call in api.store.calls if call.startswith("DELETE")]
    assert len(deleted) == 3
    assert all("/pods/acp-" in call and "workers" not in call for call in deleted)


@pytest.mark.parametrize("count", [0, 4])
def test_too_few_or_too_many_targets_kill_nothing(
    api: FakeApi, session: Session, count: int
) -> None:
    with pytest.raises(PreconditionUnmet, match="3 are ready"):
        Act(loss(session, count)).strike()
    assert not [call for call in api.store.calls if call.startswith("DELETE")]


def test_selector_that_matches_nothing_is_not_a_success(session: Session) -> None:
    fault = loss(session)
    fault.workload = fault.workload.model_copy(update={"selector": "app=typo"})
    with pytest.raises(PreconditionUnmet, match="0 are ready"):
        Act(fault).strike()


def test_injector_that_does_nothing_is_not_installed(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PodLoss, "inject", lambda self: None)
    monkeypatch.setattr(killing, "GONE_S", 0.3)
    with pytest.raises(AcpchaosError, match="killed pods to be gone"):
        Act(loss(session)).strike()
    assert witnesses(session) == [("not installed", "0 of 1 UIDs gone, 0 new pods")]


def test_injector_that_lies_about_its_effect_is_not_installed(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nothing(self: PodLoss) -> dict[str, Any]:
        return {}

    monkeypatch.setattr(PodLoss, "inject", nothing)
    monkeypatch.setattr(PodLoss, "effective", nothing)
    assert Act(loss(session)).strike()["witness"] == "not installed"


def test_denied_delete_is_an_error_and_not_installed(api: FakeApi, session: Session) -> None:
    api.store.forbidden.append("DELETE .*/pods/")
    with pytest.raises(ApiRefused, match="403"):
        Act(loss(session)).strike()
    assert [outcome for outcome, _ in witnesses(session)] == ["not installed"]
    assert ("inject", False) in verbs(session)


def test_half_done_is_partial(session: Session) -> None:
    pods_now = session.cluster.list("Pod", NAMESPACE, "app.kubernetes.io/name=acp")
    killed = {p["metadata"]["uid"]: p["metadata"]["ownerReferences"][0]["uid"] for p in pods_now}
    before = set(killed)
    session.cluster.delete("Pod", pods_now[0]["metadata"]["name"], NAMESPACE, grace_s=0)
    assert witness.pods_killed(session.cluster, NAMESPACE, killed, before).outcome == "partial"


def test_profile_must_allow_the_disruption(session: Session) -> None:
    fault = loss(session)
    fault.disrupts = "analytics"  # type: ignore[misc]
    with pytest.raises(PreconditionUnmet, match="may_disrupt"):
        Act(fault).strike()


def test_order_of_verbs_is_enforced(api: FakeApi, session: Session) -> None:
    act = Act(loss(session))
    with pytest.raises(PreconditionUnmet, match="it is new, not struck"):
        act.heal()
    act.strike()
    with pytest.raises(PreconditionUnmet, match="it is struck, not new"):
        act.strike()
    assert undo_records(api) == []
