"""Redis wipe: volumes really go, the same object comes back, and the nodes must be new ones."""

from typing import Any

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults.fault import Act
from acpchaos.faults.redis_wipe import RedisWipe, compare
from acpchaos.faults.session import Session
from acpchaos.stores.redis_cluster import NodeView
from faults.told import undo_records, witnesses


def cascade(api: FakeApi) -> None:
    """Volumes follow their claims, as the lab's provisioner does it."""
    drop = api.store.drop

    def both(key: tuple[str, str, str]) -> None:
        if key[0] == "persistentvolumeclaims":
            volume = api.store.get(key)["spec"]["volumeName"]
            drop(("persistentvolumes", "", volume))
        drop(key)

    api.store.drop = both  # type: ignore[method-assign]


def test_wipe_and_redeploy(api: FakeApi, session: Session) -> None:
    cascade(api)
    claims = session.cluster.list("PersistentVolumeClaim", NAMESPACE)
    act = Act(RedisWipe(session, 20.0))
    told = act.strike()
    assert (told["witness"], told["keys_before"]) == ("installed", 21)
    assert session.cluster.find("StatefulSet", "redis-cluster", NAMESPACE) is None
    left = {claim["metadata"]["name"] for claim in session.cluster.list("PersistentVolumeClaim")}
    assert left == {c["metadata"]["name"] for c in claims if "redis" not in c["metadata"]["name"]}
    assert undo_records(api) == ["acpchaos-undo-run-1"]
    act.heal()
    assert [outcome for outcome, _ in witnesses(session)] == ["installed", "installed"]
    assert "0 run ids kept" in witnesses(session)[-1][1]
    assert session.undo.outstanding() == {}


def test_failed_wipe_is_redeployed(api: FakeApi, session: Session) -> None:
    api.store.forbidden.append("DELETE .*/persistentvolumeclaims/")
    with pytest.raises(Exception, match="403"):
        Act(RedisWipe(session, 20.0)).strike()
    assert session.cluster.get("StatefulSet", "redis-cluster", NAMESPACE)["spec"]["replicas"] == 3
    assert undo_records(api) == []


def test_unhealthy_redis_is_not_wiped(api: FakeApi, session: Session) -> None:
    api.on_exec = lambda pod, argv: ("", 1)
    with pytest.raises(PreconditionUnmet, match="must be whole before"):
        Act(RedisWipe(session, 5.0)).strike()
    assert not [call for call in api.store.calls if call.startswith("DELETE")]


def node(pod: str, run_id: str, **more: Any) -> NodeView:
    facts: dict[str, Any] = {
        "role": "master", "state": "ok", "slots_ok": 16384, "keys": 5, "replicas": 1,
    } | more  # fmt: skip
    return NodeView(pod=pod, reachable=bool(run_id), run_id=run_id, **facts)


@pytest.mark.parametrize(
    ("after", "outcome"),
    [
        ([node("a", "3", keys=0), node("b", "4", keys=0)], "installed"),
        ([node("a", "1"), node("b", "2")], "not installed"),
        ([node("a", "1"), node("b", "4")], "partial"),
        ([node("a", "3"), node("b", "")], "indeterminate"),
        ([], "indeterminate"),
    ],
)
def test_run_ids_decide(after: list[NodeView], outcome: str) -> None:
    assert compare([node("a", "1"), node("b", "2")], after).outcome == outcome
