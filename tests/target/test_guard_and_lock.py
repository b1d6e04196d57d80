"""The guard refuses all but the pinned, opted-in cluster; the lock admits one run."""

from pathlib import Path
from typing import Any

import pytest
from fake_api import scene
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.errors import GuardRefused
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import LEASE, Lock, holder_of
from acpchaos.target.profile import Profile, load_profile
from acpchaos.wait import eventually

MUTATING = ("POST", "PUT", "PATCH", "DELETE")


def mutations(api: FakeApi) -> list[str]:
    return [call for call in api.store.calls if call.startswith(MUTATING)]


def test_the_right_cluster_passes_untouched(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    guard.require(cluster, profile)
    assert mutations(api) == []


@pytest.mark.parametrize(
    ("pins", "expected"),
    [
        ({"uid": ""}, "no kube_system_uid"),
        ({"uid": "other"}, "UID uid-of-kube-system, pinned other"),
        ({"host": ""}, "no cluster.api_host"),
        ({"host": "prod.example.test"}, "deny pattern"),
        ({"host": "elsewhere:6443"}, "pinned elsewhere"),
    ],
)
def test_wrong_pins_are_refused(
    api: FakeApi, tmp_path: Path, pins: dict[str, str], expected: str
) -> None:
    profile = load_profile(scene.write_profile(api, tmp_path, **pins))
    with pytest.raises(GuardRefused, match=expected) as caught:
        guard.require(Cluster.from_profile(profile), profile)
    assert caught.value.exit_code == 4


def test_wrong_host_is_not_even_asked(api: FakeApi, tmp_path: Path) -> None:
    profile = load_profile(scene.write_profile(api, tmp_path, host="elsewhere:6443"))
    with pytest.raises(GuardRefused):
        guard.require(Cluster.from_profile(profile), profile)
    assert api.store.calls == []


def test_opt_in_of_namespace_and_nodes_is_needed(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    api.store.get(("namespaces", "", NAMESPACE))["metadata"]["labels"].clear()
    with pytest.raises(GuardRefused, match="kubectl label namespace acp-system"):
        guard.require(cluster, profile)
    nodes = cluster.list("Node")
    with pytest.raises(GuardRefused, match="on control-plane"):
        guard.require_nodes(nodes)
    with pytest.raises(GuardRefused, match="none was chosen"):
        guard.require_nodes([])
    guard.require_nodes([node for node in nodes if node["metadata"]["name"] != "control-plane"])


@pytest.mark.parametrize("selector", ["", " ", "app", "!app", "app!=x", "app in (a,b)", ","])
def test_wide_selectors_are_refused(selector: str) -> None:
    with pytest.raises(GuardRefused, match="may match everything"):
        guard.require_selector(selector)


@pytest.mark.parametrize("selector", ["app=x", "a.b/c==d,tier", "x in (a,b),app=y"])
def test_narrow_selectors_pass(selector: str) -> None:
    assert guard.require_selector(selector) == selector


def test_second_run_is_refused_and_told_the_holder(cluster: Cluster) -> None:
    with Lock(cluster, NAMESPACE, "run-1"):
        with pytest.raises(GuardRefused, match=r"held by run-1 \("):
            Lock(cluster, NAMESPACE, "run-2").acquire()
        assert holder_of(cluster, NAMESPACE).startswith("run-1 ")
    with Lock(cluster, NAMESPACE, "run-2"):
        assert holder_of(cluster, NAMESPACE).startswith("run-2 ")
    assert cluster.find("Lease", LEASE, NAMESPACE) is None


def test_expired_lease_is_taken_over_and_its_old_holder_notices(cluster: Cluster) -> None:
    old = Lock(cluster, NAMESPACE, "old", lease_s=1)
    old.acquire()
    lease = cluster.get("Lease", LEASE, NAMESPACE)
    lease["spec"]["renewTime"] = "2020-01-01T00:00:00.000000Z"
    cluster.replace("Lease", lease, NAMESPACE)
    with Lock(cluster, NAMESPACE, "new"):
        eventually("the old holder to notice", old.lost.is_set, 5, 0.05)
        old.release()
        assert holder_of(cluster, NAMESPACE).startswith("new ")


def test_lease_is_renewed(cluster: Cluster) -> None:
    with Lock(cluster, NAMESPACE, "run", lease_s=1):
        first = cluster.get("Lease", LEASE, NAMESPACE)["spec"]["renewTime"]
        assert eventually(
            "renewal",
            lambda: cluster.get("Lease", LEASE, NAMESPACE)["spec"]["renewTime"] != first,
            5,
            0.05,
        )


def test_a_holder_that_slept_too_long_does_not_remove_the_lease_of_its_successor(
    api: FakeApi, cluster: Cluster
) -> None:
    """A take-over keeps the Lease's UID, so only its version tells whose it is."""
    old = Lock(cluster, NAMESPACE, "old").acquire()
    seen = cluster.find

    def find(*given: str) -> Any:
        lease = seen(*given)
        taken = cluster.get("Lease", LEASE, NAMESPACE)  # between its look and its delete
        taken["spec"]["holderIdentity"] = "new (x)"
        cluster.replace("Lease", taken, NAMESPACE)
        return lease

    cluster.find = find  # type: ignore[method-assign]
    old.release()
    assert holder_of(cluster.hooked(None), NAMESPACE) == "new (x)"


def test_a_lease_released_between_two_looks_is_taken(cluster: Cluster) -> None:
    held = Lock(cluster, NAMESPACE, "old").acquire()
    mine = Lock(cluster, NAMESPACE, "new")
    look = mine._taken_over

    def late() -> bool:
        held.release()
        return look()

    mine._taken_over = late  # type: ignore[method-assign]
    mine.acquire()
    assert holder_of(cluster, NAMESPACE).startswith("new (")
    mine.release()
