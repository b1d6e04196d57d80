"""The reaper alone in a bare Python: every kind of change, back to the prior state, when its run is
dead and not before."""

import base64
import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_api import scene
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import changes, fields, objects, reaper
from acpchaos.faults.undo import UndoLog
from acpchaos.record.events import Clock
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import LEASE, Lock, holder_of
from acpchaos.target.profile import load_profile
from acpchaos.wait import eventually
from safety import reaping, target

RUN = "run-1"


@pytest.fixture
def cluster(api: FakeApi, tmp_path: Path) -> Iterator[Cluster]:
    with target.impatient():
        target.fresh(api)
        secret = {"k": base64.b64encode(b"old").decode()}
        api.store.put(
            "secrets", {"metadata": {"name": "s", "namespace": NAMESPACE}, "data": secret}
        )
        yield Cluster.from_profile(load_profile(scene.write_profile(api, tmp_path)))


@pytest.fixture
def undo(cluster: Cluster) -> UndoLog:
    return UndoLog(cluster, NAMESPACE, RUN, None, Clock())


def cordon(cluster: Cluster, undo: UndoLog) -> None:
    undo.record(changes.cordon(cluster.get("Node", "worker-a")))
    meta = {"annotations": {changes.CORDONED_BY: RUN}}
    cluster.patch("Node", "worker-a", {"metadata": meta, "spec": {"unschedulable": True}})


def wipe(cluster: Cluster, undo: UndoLog) -> None:
    found = cluster.get("StatefulSet", "redis-cluster", NAMESPACE)
    undo.record(changes.remove_stateful_set(found))
    cluster.delete("StatefulSet", "redis-cluster", NAMESPACE)


def create(cluster: Cluster, undo: UndoLog) -> None:
    undo.record(changes.create_object("ConfigMap", NAMESPACE, "made"))
    meta = {"name": "made", "labels": {changes.RUN_LABEL: RUN}}
    cluster.create("ConfigMap", {"metadata": meta}, NAMESPACE)


def field(cluster: Cluster, undo: UndoLog) -> None:
    found = cluster.get("Deployment", "acp", NAMESPACE)
    change = fields.change_field("Deployment", found, fields.REPLICAS, 7)
    undo.record(change)
    fields.write_field(cluster, change)


def whole(cluster: Cluster, undo: UndoLog) -> None:
    found = cluster.get("PodDisruptionBudget", "acp", NAMESPACE)
    change = objects.change_object("PodDisruptionBudget", found)
    undo.record(change)
    after = objects.state("PodDisruptionBudget", found)
    after["spec"]["maxUnavailable"] = 3
    objects.write(cluster, "PodDisruptionBudget", change, after)


def gone(cluster: Cluster, undo: UndoLog) -> None:
    found = cluster.get("PodDisruptionBudget", "acp", NAMESPACE)
    undo.record(objects.change_object("PodDisruptionBudget", found))
    cluster.delete("PodDisruptionBudget", "acp", NAMESPACE)


def words(cluster: Cluster, undo: UndoLog) -> None:
    change = objects.change_words("Deployment", cluster.get("Deployment", "acp", NAMESPACE))
    undo.record(change)
    objects.write_words(cluster, change, {"labels": {"other": "x"}, "annotations": {"a": "b"}})


def secret(cluster: Cluster, undo: UndoLog) -> None:
    change = objects.change_secret(cluster.get("Secret", "s", NAMESPACE))
    undo.record(change)
    objects.write_secret(cluster, change, {"k": base64.b64encode(b"new").decode()})


MAKE: list[Callable[[Cluster, UndoLog], None]] = [
    cordon, wipe, create, field, whole, gone, words, secret,
]  # fmt: skip


def reap(api: FakeApi, *, once: bool = True) -> tuple[int, str, str]:
    child = reaping.start(api, RUN, once=once)
    out, err = child.communicate(timeout=30)
    return child.returncode, out, err


@pytest.mark.parametrize("make", MAKE)
def test_each_kind_is_reverted_to_the_prior_state(
    api: FakeApi, cluster: Cluster, undo: UndoLog, make: Callable[[Cluster, UndoLog], None]
) -> None:
    before = target.state(api)
    make(cluster, undo)
    assert target.left_behind(before, target.state(api))
    code, out, err = reap(api)
    assert (code, err) == (0, "") and out.count("reverted") == 1
    assert target.left_behind(before, target.state(api)) == []
    assert reap(api)[0] == 0  # once more: nothing to do
    assert target.left_behind(before, target.state(api)) == []


def test_a_stopped_process_is_replaced_with_its_pod(
    api: FakeApi, cluster: Cluster, undo: UndoLog
) -> None:
    pod = cluster.list("Pod", NAMESPACE, "app.kubernetes.io/name=acp")[0]["metadata"]
    with api.store.lock:
        status = api.store.get(("pods", NAMESPACE, pod["name"]))["status"]
        status["containerStatuses"] = [{"name": "main", "containerID": "containerd://abc"}]
    change = {"kind": "frozen", "name": pod["name"], "namespace": NAMESPACE, "uid": pod["uid"],
              "container": "main", "container_id": "abc", "helper": "h",
              "helper_namespace": NAMESPACE}  # fmt: skip
    undo.record(change)
    assert reap(api)[0] == 0
    left = [each["metadata"]["uid"] for each in cluster.list("Pod", NAMESPACE)]
    assert pod["uid"] not in left


def test_every_kind_of_change_is_known_but_those_outside_of_the_api_server() -> None:
    assert changes.REVERTERS.keys() - reaper.REVERTERS.keys() == {
        "markers",
        "records",
        "file",
        "filled",
    }
    assert reaper.REVERTERS.keys() <= changes.REVERTERS.keys()
    assert (reaper.LEASE, reaper.RUN_LABEL, reaper.CORDONED_BY, reaper.KEPT_SECRET) == (
        LEASE, changes.RUN_LABEL, changes.CORDONED_BY, objects.KEPT,
    )  # fmt: skip


def test_what_it_cannot_revert_stays_recorded_and_is_told(
    api: FakeApi, cluster: Cluster, undo: UndoLog
) -> None:
    undo.record({"kind": "markers", "name": "postgresql"})
    cordon(cluster, undo)
    code, out, err = reap(api)
    assert code == 1 and "markers postgresql" in err and "reverted cordon" in out
    assert [change["kind"] for change in undo.outstanding().values()] == ["markers"]


def test_a_refusal_keeps_no_other_change_from_being_reverted(
    api: FakeApi, cluster: Cluster, undo: UndoLog
) -> None:
    """An older change, one that is refused for a while, and one that nobody can read."""
    before = target.state(api)
    cordon(cluster, undo)
    create(cluster, undo)
    api.store.forbidden.append("DELETE .*/configmaps/made")
    garbled = {"data": {"0009": "{"}}
    cluster.patch("ConfigMap", f"acpchaos-undo-{RUN}", garbled, NAMESPACE)
    child = reaping.start(api, RUN, once=True)
    node = "worker-a"
    eventually("the cordon", lambda: "unschedulable" not in cluster.get("Node", node)["spec"], 20)
    assert child.poll() is None
    api.store.forbidden.clear()
    _, err = child.communicate(timeout=20)
    assert child.returncode == 1 and "no way back from here: unreadable entry 0009" in err
    assert err.count("cannot revert created made now: ") == 1
    assert [name for name in target.left_behind(before, target.state(api)) if "made" in name] == []


def test_what_an_operator_did_stays(api: FakeApi, cluster: Cluster, undo: UndoLog) -> None:
    undo.record(changes.cordon(cluster.get("Node", "worker-a")))
    cluster.patch("Node", "worker-a", {"spec": {"unschedulable": True}})
    assert reap(api)[0] == 0
    assert cluster.get("Node", "worker-a")["spec"]["unschedulable"] is True


def test_a_living_run_is_left_alone_and_an_ended_one_ends_the_reaper(
    api: FakeApi, cluster: Cluster, undo: UndoLog
) -> None:
    with Lock(cluster, NAMESPACE, RUN, lease_s=1):
        cordon(cluster, undo)
        child = reaping.start(api, RUN)
        with contextlib.suppress(TimeoutError):
            begin_s = time.monotonic()
            eventually("three times the lease", lambda: time.monotonic() - begin_s > 3, 4)
        assert child.poll() is None and "unschedulable" in cluster.get("Node", "worker-a")["spec"]
        undo.revert_all()
    out, err = child.communicate(timeout=20)
    assert (child.returncode, out, err) == (0, f"armed for {RUN}\n", "")


def test_a_runner_that_wakes_up_finds_its_lease_taken_and_changes_nothing_more(
    api: FakeApi, cluster: Cluster, undo: UndoLog
) -> None:
    lock = Lock(cluster, NAMESPACE, RUN, lease_s=1).acquire()
    cordon(cluster, undo)
    lock._stop.set()  # it sleeps from here
    undo.record({"kind": "markers", "name": "postgresql"})  # keeps the reaper from finishing
    child = reaping.start(api, RUN)
    assert child.wait(20) == 1
    assert holder_of(cluster, NAMESPACE) == f"reaper of {RUN}"
    assert "unschedulable" not in cluster.get("Node", "worker-a")["spec"]
    with pytest.raises(PreconditionUnmet, match="held by reaper of run-1"):
        undo.record({"kind": "cordon", "name": "worker-b", "uid": "u"})


def test_an_outage_of_the_api_does_not_count_as_death(
    api: FakeApi, cluster: Cluster, undo: UndoLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = [
        {"spec": {"holderIdentity": f"{RUN} (x)", "renewTime": "t", "leaseDurationSeconds": 10}}
    ]
    now = [100.0]
    monkeypatch.setattr(reaper.time, "monotonic", lambda: now[0])
    mine = reaper.Reaper(reaper.Api("http://x", {}), RUN, NAMESPACE, "r", once=False)
    assert not mine._stale(seen[0])
    now[0] += 60  # away for a minute
    mine.lost_sight()
    assert not mine._stale(seen[0])
    now[0] += 9
    assert not mine._stale(seen[0])
    now[0] += 2
    assert mine._stale(seen[0])
