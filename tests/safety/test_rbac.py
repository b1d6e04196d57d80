"""Granted equals used: what is granted for a play and its fault is what they call, both ways."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.cli import main
from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import rights
from acpchaos.faults.fault import Need
from acpchaos.faults.rights import manifests, narrowed, of_experiment
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import PROJECT, Profile, load_profile
from safety import granted, rbac, target


@pytest.fixture
def profile(api: FakeApi, tmp_path: Path) -> Iterator[Profile]:
    with target.impatient():
        target.fresh(api)
        yield load_profile(scene.write_profile(api, tmp_path))


@pytest.mark.parametrize("name", sorted(granted.EXPERIMENT))
def test_granted_is_used(api: FakeApi, profile: Profile, name: str, tmp_path: Path) -> None:
    assert granted.of_whole_play(api, profile, name, tmp_path) == ([], [])


def test_too_little_and_too_much_is_told() -> None:
    pods = Need("list", "Pod", "a")
    assert rbac.missing([pods], [Need("list", "Pod")]) == ["list Pod"]
    assert rbac.missing([pods], [Need("get", "Pod", "a", "", "x")]) == ["get Pod x in a"]
    assert rbac.unused([pods, Need("delete", "Pod", "a")], [pods]) == ["delete Pod in a"]


def test_review_refuses_and_names_what_is_missing(api: FakeApi, profile: Profile) -> None:
    cluster = Cluster.from_profile(profile)
    wanted = of_experiment(PROJECT / "experiments" / "pod-loss.yaml", profile)
    rights.require(cluster, wanted)
    api.store.may_not.append("delete pods|update leases")
    with pytest.raises(PreconditionUnmet) as caught:
        rights.require(cluster, wanted)
    assert "delete Pod in acp-system; update Lease acpchaos in acp-system" in caught.value.seen
    assert "acpchaos rbac" in caught.value.next_step
    assert target.changes(api) == []


def test_narrowed_keeps_the_widest() -> None:
    wide, narrow = Need("get", "Pod"), Need("get", "Pod", "a", "", "x")
    assert narrowed([narrow, wide]) == {wide}
    assert narrowed([wide, Need("list", "Pod")]) == {wide, Need("list", "Pod")}


def test_manifests_are_one_role_per_namespace_without_wildcards() -> None:
    made = manifests("n", [Need("get", "Lease", "a", "", "l"), Need("patch", "Node")], ("s", "x"))
    assert [each["kind"] for each in made] == [
        "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding",
    ]  # fmt: skip
    role = made[2]
    assert role["metadata"] == {"name": "n", "namespace": "a"}
    assert role["rules"] == [
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"],
         "resourceNames": ["l"]},
    ]  # fmt: skip
    assert made[3]["subjects"] == [{"kind": "ServiceAccount", "namespace": "s", "name": "x"}]


def test_the_command_prints_every_experiment_and_no_wildcard(profile: Profile) -> None:
    done = CliRunner().invoke(main, ["rbac"])
    assert done.exit_code == 0, done.output
    roles = [each for each in yaml.safe_load_all(done.output) if "rules" in each]
    assert {role["kind"] for role in roles} == {"Role", "ClusterRole"}
    rules: list[dict[str, Any]] = [rule for role in roles for rule in role["rules"]]
    assert all("*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"] for rule in rules)
    assert ["deletecollection"] not in [rule["verbs"] for rule in rules]
    nodes = [rule["verbs"] for rule in rules if rule["resources"] == ["nodes"]]
    assert nodes == [["get", "list", "patch", "watch"]]
