"""The cluster over real HTTP: preconditions, errors, watches that survive, commands in pods."""

import itertools
import stat
import threading
from pathlib import Path

import pytest
import yaml
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.errors import UsageError
from acpchaos.record import shapes
from acpchaos.target import access
from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.target.execute import execute
from acpchaos.target.profile import Profile
from acpchaos.target.watching import follow


def test_delete_by_uid_never_hits_the_successor(api: FakeApi, cluster: Cluster) -> None:
    pod = cluster.list("Pod", NAMESPACE, "app.kubernetes.io/name=redis-cluster")[0]
    meta = pod["metadata"]
    cluster.delete("Pod", meta["name"], NAMESPACE, uid=meta["uid"], grace_s=0)
    successor = cluster.get("Pod", meta["name"], NAMESPACE)
    assert successor["metadata"]["uid"] != meta["uid"]
    with pytest.raises(ApiRefused) as caught:
        cluster.delete("Pod", meta["name"], NAMESPACE, uid=meta["uid"], grace_s=0)
    assert caught.value.status == 409
    assert (
        cluster.get("Pod", meta["name"], NAMESPACE)["metadata"]["uid"]
        == (successor["metadata"]["uid"])
    )


def test_patch_with_the_wrong_uid_changes_nothing(cluster: Cluster) -> None:
    with pytest.raises(ApiRefused):
        body = {"metadata": {"uid": "x"}, "spec": {"unschedulable": True}}
        cluster.patch("Node", "worker-a", body)
    assert "unschedulable" not in cluster.get("Node", "worker-a")["spec"]


def test_absent_objects(cluster: Cluster) -> None:
    assert cluster.find("Pod", "none", NAMESPACE) is None
    assert cluster.delete("Pod", "none", NAMESPACE) is False
    with pytest.raises(UsageError, match="target/kinds"):
        cluster.list("Gadget")


def test_refused_eviction_names_the_budget(api: FakeApi, cluster: Cluster) -> None:
    pods = cluster.list("Pod", NAMESPACE, "app.kubernetes.io/name=redis-cluster")
    api.store.terminate_s = 30
    cluster.evict(pods[0]["metadata"]["name"], NAMESPACE, uid=pods[0]["metadata"]["uid"])
    with pytest.raises(ApiRefused, match="disruption budget redis-cluster needs") as caught:
        cluster.evict(pods[1]["metadata"]["name"], NAMESPACE, uid=pods[1]["metadata"]["uid"])
    assert caught.value.status == 429


def test_forbidden_and_unreachable_say_what_to_do(api: FakeApi, cluster: Cluster) -> None:
    api.store.forbidden.append("GET .*/nodes")
    with pytest.raises(ApiRefused, match="grant this verb") as caught:
        cluster.list("Node")
    assert caught.value.status == 403
    api.close()
    with pytest.raises(ApiRefused, match="reachable") as caught:
        cluster.get("Node", "worker-a")
    assert caught.value.status == 0


def test_follow_resumes_and_lists_again_when_its_version_is_gone(
    api: FakeApi, cluster: Cluster
) -> None:
    stop = threading.Event()
    changes = follow(cluster, "nodes", "", stop, shapes.Node)
    first = list(itertools.islice(changes, 5))
    assert [change.what for change in first] == ["ADDED"] * 4 + ["SYNCED"]
    cluster.patch("Node", "worker-a", {"spec": {"unschedulable": True}})
    told = next(changes)
    assert told.what == "MODIFIED" and told.item is not None and told.item.spec.unschedulable
    api.store.drop(("nodes", "", "control-plane"))
    api.store.compact()  # the open watch is now too old: HTTP 410 inside the stream
    seen = []
    for change in changes:
        seen.append((change.what, change.item.metadata.name if change.item else change.missed))
        if change.what == "SYNCED":
            break
    stop.set()
    assert seen == [("LOST", False), ("DELETED", "control-plane"), ("SYNCED", True)], (
        "what did not change is not told again"
    )


def test_command_in_a_pod(api: FakeApi, cluster: Cluster) -> None:
    asked = []

    def answer(pod: str, argv: list[str]) -> tuple[str, int]:
        asked.append((pod, argv))
        return "out\n" * 50, 3

    api.on_exec = answer
    ended = execute(cluster, NAMESPACE, "redis-cluster-0", "redis-cluster", ["a", "b c"])
    assert asked == [("redis-cluster-0", ["a", "b c"])]
    assert (ended.stdout, ended.code) == ("out\n" * 50, 3)


def test_kubeconfig_for_children_is_private_and_has_one_context(
    profile: Profile, tmp_path: Path
) -> None:
    path = access.write_kubeconfig(profile, tmp_path / "chaos" / "kubeconfig")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    content = yaml.safe_load(path.read_text())
    assert content["current-context"] == "fake"
    assert [len(content[key]) for key in ("contexts", "clusters", "users")] == [1, 1, 1]


def test_missing_context_is_named(profile: Profile) -> None:
    section = profile.cluster.model_copy(update={"context": "absent"})
    with pytest.raises(UsageError, match="absent"):
        Cluster.from_profile(profile.model_copy(update={"cluster": section}))
