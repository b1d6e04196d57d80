"""The whole of the probes: guard and lock first, and nothing left whatever happens."""

from pathlib import Path

import pytest
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.errors import GuardRefused, TargetLeftDirty
from acpchaos.posture import probes
from acpchaos.posture.probes import attempts, network, published, scratch
from acpchaos.posture.probes.scratch import (
    LABEL,
    Image,
    Scratch,
    ScratchClosed,
    probe_pod,
    stand_in_labels,
)
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import Lock
from acpchaos.target.profile import Profile

from .building_target import Network, profile_of, quiet, shut

HOME = scene.NAMESPACE


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "BETWEEN_S", 0.0)
    monkeypatch.setattr(network, "DENY_S", 0.3)
    monkeypatch.setattr(scratch, "START_S", 0.6)
    monkeypatch.setattr(scratch, "LOOK_S", 0.05)
    monkeypatch.setattr(scratch, "GONE_S", 2.0)
    monkeypatch.setattr(published, "from_here", shut)


@pytest.fixture
def profile(api: FakeApi, tmp_path: Path) -> Profile:
    found = profile_of(api, tmp_path, image="probe:1", outside="198.51.100.7:443")
    nowhere = found.service.model_copy(update={"base_url": "https://127.0.0.1:1"})
    return found.model_copy(update={"service": nowhere})


@pytest.fixture
def cluster(profile: Profile) -> Cluster:
    return Cluster.from_profile(profile)


def left(api: FakeApi) -> list[str]:
    """Everything that probes made and that is still there, their lock too."""
    return [
        "/".join(key)
        for key, item in api.store.objects.items()
        if LABEL in (item["metadata"].get("labels") or {}) or key[0] == "leases"
    ]


def changes(api: FakeApi) -> list[str]:
    return [call for call in api.store.calls if not call.startswith("GET")]


def test_every_group_is_told_and_nothing_is_left(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    Network(api)
    before = set(api.store.objects)
    found = probes.run(cluster, profile, quiet)
    assert found["cni deny"].outcome == "blocked"
    assert found["at-rest"].outcome == found["controller acp:8443"].outcome == "unknown"
    assert found["secret built-in-secret"].outcome == "unknown"
    assert found["outside port 9000"].outcome == "blocked"
    assert set(api.store.objects) == before


def test_nothing_is_touched_on_a_target_that_is_not_the_pinned_one(
    api: FakeApi, tmp_path: Path
) -> None:
    pinned = profile_of(api, tmp_path)
    wrong = pinned.cluster.model_copy(update={"kube_system_uid": "another"})
    other = pinned.model_copy(update={"cluster": wrong})
    with pytest.raises(GuardRefused):
        probes.run(Cluster.from_profile(other), other, quiet)
    assert changes(api) == []


def test_the_namespace_must_be_opted_in_but_no_node(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    Network(api)
    for (plural, _, _), item in api.store.objects.items():
        if plural == "nodes":
            item["metadata"]["labels"].pop("acpchaos.io/allowed", None)
    assert probes.run(cluster, profile, quiet)["cni control"].outcome == "open"
    api.store.objects[("namespaces", "", HOME)]["metadata"]["labels"].clear()
    with pytest.raises(GuardRefused, match="opt-in"):
        probes.run(cluster, profile, quiet)


def test_a_target_in_use_is_left_alone(api: FakeApi, cluster: Cluster, profile: Profile) -> None:
    with Lock(cluster, HOME, "a play"):
        before = len(changes(api))
        with pytest.raises(GuardRefused, match="held by a play"):
            probes.run(cluster, profile, quiet)
        assert [c for c in changes(api)[before:] if "leases" not in c] == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_whatever_ends_the_run_everything_is_removed(
    api: FakeApi, cluster: Cluster, profile: Profile, monkeypatch: pytest.MonkeyPatch,
    error: type[BaseException],
) -> None:  # fmt: skip
    Network(api)

    def interrupted(*given: object) -> None:
        assert [each for each in left(api) if each.startswith("pods")]
        raise error

    monkeypatch.setattr(network._Network, "_ask", interrupted)
    with pytest.raises(error):
        probes.run(cluster, profile, quiet)
    assert left(api) == []


def test_what_a_dead_run_left_is_removed_at_the_next_start(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    Network(api)
    dead = Scratch(cluster, profile, "dead")
    dead.open()
    labels = scene.labels("acp")
    name = "acpchaos-posture-acp-dead"
    pod = probe_pod(name, HOME, Image(name="i"), ("idle",), labels=labels, never_ready=True)
    dead.create("Pod", pod, HOME)
    said: list[str] = []
    probes.run(cluster, profile, said.append)
    assert left(api) == []
    assert f"Pod {HOME}/{name}" in said[0] and "Namespace acpchaos-posture-dead" in said[0]


def test_a_label_set_by_mistake_deletes_nothing(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    api.store.objects[("namespaces", "", HOME)]["metadata"]["labels"][LABEL] = "x"
    pod = next(item for key, item in api.store.objects.items() if key[:2] == ("pods", HOME))
    pod["metadata"]["labels"][LABEL] = "x"
    Scratch(cluster, profile, "test").close()
    assert ("namespaces", "", HOME) in api.store.objects
    assert "deletionTimestamp" not in pod["metadata"]


def test_what_cannot_be_removed_is_told_as_dirty(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    made = Scratch(cluster, profile, "test")
    made.open()
    api.store.terminate_s = 60
    made.create("Pod", probe_pod("acpchaos-posture-acp-test", HOME, Image(name="i"), ()), HOME)
    with pytest.raises(TargetLeftDirty, match="still there: Pod acp-system/acpchaos-posture-acp"):
        made.close()


def test_an_api_server_that_went_away_is_told_as_dirty_and_not_as_a_lease_that_stayed(
    api: FakeApi, cluster: Cluster, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    Network(api)
    monkeypatch.setattr(network._Network, "_ask", lambda _: api.close())
    with pytest.raises(TargetLeftDirty):
        probes.run(cluster, profile, quiet)


def test_a_missing_right_to_remove_is_told_at_once(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    api.store.forbidden.append("GET /api/v1/namespaces$")
    with pytest.raises(Exception, match="403"):
        Scratch(cluster, profile, "test").clear()


def test_nothing_is_made_once_closed(api: FakeApi, cluster: Cluster, profile: Profile) -> None:
    made = Scratch(cluster, profile, "test")
    made.close()
    with pytest.raises(ScratchClosed):
        made.open()
    assert left(api) == []


def test_a_probe_pod_is_as_strict_as_pod_security_asks_and_ends_by_itself() -> None:
    pod = probe_pod("p", "n", Image(name="i", nodes=("a", "b")), ("idle",))
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    assert spec["securityContext"]["runAsNonRoot"] and spec["activeDeadlineSeconds"] <= 300
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert spec["automountServiceAccountToken"] is False and "ports" not in container
    assert container["resources"]["requests"]["cpu"]  # an autoscaler fails on a pod without


def test_labels_by_which_an_owner_knows_its_pods_are_left_out() -> None:
    own = ["pod-template-hash", "controller-revision-hash", "rollouts-pod-template-hash",
           "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index", "job-name",
           "batch.kubernetes.io/job-name", "controller-uid"]  # fmt: skip
    kept = {"app.kubernetes.io/name": "acp", "team": "x"}
    pod = {"metadata": {"labels": dict.fromkeys(own, "v") | kept}}
    assert stand_in_labels(pod) == kept


@pytest.mark.parametrize(
    ("status", "why"),
    [
        ({"phase": "Failed", "reason": "DeadlineExceeded"}, "DeadlineExceeded"),
        (
            {"phase": "Pending", "containerStatuses": [
                {"state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
            ]},
            "no such image",
        ),
        (
            {"phase": "Failed", "containerStatuses": [
                {"state": {"terminated": {"reason": "StartError", "message": "no python3"}}}
            ]},
            "no python3",
        ),
        ({"phase": "Pending"}, "did not run within"),
    ],
)  # fmt: skip
def test_a_pod_that_does_not_run_says_why(
    api: FakeApi, cluster: Cluster, profile: Profile, status: dict[str, object], why: str
) -> None:
    made = Scratch(cluster, profile, "test")
    made.open()
    pod = probe_pod("client", made.namespace, Image(name="i"), ())
    pod["spec"]["nodeName"] = "nowhere"  # the fake scheduler leaves it alone
    pod["status"] = status
    running, failed = made.start({"client": pod})
    assert not running and why in failed["client"]
