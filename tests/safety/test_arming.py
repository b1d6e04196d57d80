"""The reaper's Job: confined, away from faults, seen to work before anything changes, gone after;
its rights are what its work needs."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_api import scene
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.errors import PreconditionUnmet, UsageError
from acpchaos.faults import arming, changes
from acpchaos.faults.fault import Need
from acpchaos.faults.rights import of_reaper
from acpchaos.faults.undo import UndoLog
from acpchaos.record.events import Clock
from acpchaos.target.cluster import Cluster
from acpchaos.target.kinds import KINDS
from acpchaos.target.lock import Lock
from acpchaos.target.profile import PROJECT, Profile, Reaper, load_profile
from acpchaos.wait import eventually
from safety import rbac, reaping, target
from safety.test_reaper import cordon, wipe

RUN = "20261128t1200-Zone"
WANTED = Reaper(account="acpchaos-reaper", image="python:3")


@pytest.fixture
def profile(api: FakeApi, tmp_path: Path) -> Iterator[Profile]:
    with target.impatient():
        target.fresh(api)
        loaded = load_profile(scene.write_profile(api, tmp_path))
        yield loaded.model_copy(update={"reaper": WANTED})


@pytest.fixture
def cluster(profile: Profile) -> Cluster:
    return Cluster.from_profile(profile)


def kubelet(api: FakeApi, stop: threading.Event, ended: list[int]) -> None:
    """Runs the Job's container with the environment of its manifest, once Job and script are
    there; ends it when its Job is deleted."""

    def found(plural: str) -> dict[str, Any] | None:
        with api.store.lock:
            return api.store.objects.get((plural, NAMESPACE, arming.reaper_name(RUN)))

    while not (found("jobs") and found("configmaps")):
        if stop.wait(0.02):
            return
    job = found("jobs")
    assert job is not None
    (container,) = job["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each.get("value", "worker-x") for each in container["env"]}
    child = reaping.start(api, RUN, env=env)
    while child.poll() is None and found("jobs"):
        stop.wait(0.02)
    child.kill()
    child.communicate()
    ended.append(child.returncode)


@pytest.fixture
def node(api: FakeApi) -> Iterator[list[int]]:
    stop, ended = threading.Event(), list[int]()
    thread = threading.Thread(target=kubelet, args=(api, stop, ended))
    thread.start()
    yield ended
    stop.set()
    thread.join(20)


def test_it_is_seen_armed_and_goes_with_the_run(
    api: FakeApi, cluster: Cluster, profile: Profile, node: list[int]
) -> None:
    with Lock(cluster, NAMESPACE, RUN), arming.armed(cluster, profile, RUN) as said:
        assert said == "reaper armed on node worker-x"
        script = cluster.get("ConfigMap", arming.reaper_name(RUN), NAMESPACE)
        job = cluster.get("Job", arming.reaper_name(RUN), NAMESPACE)
        assert script["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    eventually("the Job's end", lambda: node, 20)
    assert node == [-9] and cluster.find("Job", arming.reaper_name(RUN), NAMESPACE) is None


def test_it_stays_when_the_play_ends_with_an_error_and_reverts(
    api: FakeApi, cluster: Cluster, profile: Profile, node: list[int]
) -> None:
    undo = UndoLog(cluster, NAMESPACE, RUN, None, Clock())
    before = target.state(api)
    with (
        pytest.raises(ZeroDivisionError),
        Lock(cluster, NAMESPACE, RUN),
        arming.armed(cluster, profile, RUN),
    ):
        undo.record(changes.cordon(cluster.get("Node", "worker-a")))
        meta = {"annotations": {changes.CORDONED_BY: RUN}}
        cluster.patch("Node", "worker-a", {"metadata": meta, "spec": {"unschedulable": True}})
        raise ZeroDivisionError
    eventually("the reaper's end", lambda: node, 20)
    assert node == [0]
    left = target.left_behind(before, target.state(api))
    own = arming.reaper_name(RUN)  # ends with its Job, an hour later
    assert [each for each in left if own not in each] == []


def test_a_play_does_not_begin_without_it(
    cluster: Cluster, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arming, "ARMED_S", 0.3)
    begun = []
    with (
        pytest.raises(PreconditionUnmet, match="arm the reaper"),
        arming.armed(cluster, profile, RUN),
    ):
        begun.append("a fault")
    assert begun == []


def test_without_an_account_there_is_none(api: FakeApi, cluster: Cluster, profile: Profile) -> None:
    without = profile.model_copy(update={"reaper": Reaper()})
    with arming.armed(cluster, without, RUN) as said:
        assert "no reaper" in said
    assert target.changes(api) == []


def test_an_account_needs_an_image(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text(
        '[cluster]\ncontext="c"\n[service]\nbase_url="https://a"\n[reaper]\naccount="x"\n'
    )
    with pytest.raises(UsageError, match="needs an image"):
        load_profile(path)


@pytest.mark.parametrize("spared", [True, False])
def test_the_pod_is_confined_and_away_from_opted_in_nodes(cluster: Cluster, spared: bool) -> None:
    assert arming.spared_nodes(cluster)  # the control plane was not opted in
    job, script = arming.manifests(WANTED, NAMESPACE, NAMESPACE, RUN, spared)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["restartPolicy"] == "OnFailure"
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["command"][:3] == ["python3", "-I", "-S"]
    assert job["spec"]["activeDeadlineSeconds"] == arming.LONGEST_S
    assert ("affinity" in pod) is spared
    if spared:
        assert "acpchaos.io/allowed" in str(pod["affinity"]) and "NotIn" in str(pod["affinity"])
    compile(script["data"]["reaper.py"], "reaper.py", "exec")
    assert len(job["metadata"]["name"]) <= 63


@pytest.mark.parametrize(
    ("experiment", "make"), [("zone-drain.yaml", cordon), ("redis-wipe.yaml", wipe)]
)
def test_its_rights_are_what_its_work_needs(
    api: FakeApi, cluster: Cluster, profile: Profile, experiment: str, make: Any
) -> None:
    lock = Lock(cluster, NAMESPACE, "run-1", lease_s=1).acquire()
    make(cluster, UndoLog(cluster, NAMESPACE, "run-1", None, Clock()))
    lock._stop.set()
    api.store.put("configmaps", {"metadata": {"name": "me", "namespace": NAMESPACE}})
    api.store.asked.clear()
    child = reaping.start(api, "run-1", env={"ACPCHAOS_SELF": f"{NAMESPACE}/me"})
    child.communicate(timeout=20)
    assert child.returncode == 0
    granted, needed = of_reaper(PROJECT / "experiments" / experiment, profile), rbac.used(api)
    assert rbac.missing(granted, needed) == [] and rbac.unused(granted, needed) == []


def test_it_never_may_what_is_no_way_back(profile: Profile) -> None:
    granted = of_reaper(PROJECT / "experiments" / "pod-loss.yaml", profile)
    assert {right.kind for right in granted} == {"Lease", "ConfigMap"}
    restore = of_reaper(PROJECT / "experiments" / "restore.yaml", profile)
    assert not any(right.kind in ("Secret", "Pod") for right in restore)
    assert Need("delete", "Namespace") in restore
    assert "Job" in KINDS
