"""Granted equals used: what is granted for a play and its fault is what they call, both ways."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from fake_api import scene
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.cli import main
from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import health, rights
from acpchaos.faults.changes import create_object
from acpchaos.faults.fault import Act, Fault, Need
from acpchaos.faults.rights import manifests, narrowed, of_experiment
from acpchaos.faults.session import Session
from acpchaos.faults.undo import UndoLog, undo_run
from acpchaos.play import WATCHED
from acpchaos.record.events import Clock
from acpchaos.record.journal import Journal
from acpchaos.stores.exec import following
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster
from acpchaos.target.kinds import path_of
from acpchaos.target.lock import Lock
from acpchaos.target.profile import PROJECT, Profile, load_profile
from safety import rbac, target
from safety.crash_points import FAULTS

EXPERIMENT = {
    "pod_loss": "pod-loss.yaml", "zone_drain": "zone-drain.yaml", "redis_wipe": "redis-wipe.yaml",
}  # fmt: skip


@pytest.fixture
def profile(api: FakeApi, tmp_path: Path) -> Iterator[Profile]:
    with target.impatient():
        target.fresh(api)
        yield load_profile(scene.write_profile(api, tmp_path))


def around(cluster: Cluster, profile: Profile, act: Callable[[UndoLog], None]) -> None:
    """All parts of a play but load and probes, which do not ask the API server."""
    guard.require(cluster, profile)
    lock = Lock(cluster, NAMESPACE, "run-1", lease_s=1)
    with lock:
        for part in health.PARTS:
            health.look(cluster, profile, part)
        for kind in WATCHED.values():
            path = path_of(kind, NAMESPACE)
            version = json.loads(cluster.call("GET", path))["metadata"]["resourceVersion"]
            cluster.open("GET", path, {"watch": "true", "resourceVersion": version}).close()
        stop = threading.Event()
        redis = profile.workloads.redis
        list(following(cluster, NAMESPACE)("redis-cluster-0", redis.container, ["x"], stop))
        act(UndoLog(cluster, NAMESPACE, "run-1", None, Clock()))
        threading.Event().wait(0.5)  # the Lease is renewed after a third of a second


def played(api: FakeApi, profile: Profile, name: str, folder: Path) -> set[Need]:
    """What the calls of a whole play with this fault needed."""
    cluster = Cluster.from_profile(profile)

    def act(undo: UndoLog) -> None:
        with Journal(folder / "chaos.ndjson") as journal:
            session = Session(profile, cluster, "run-1", journal, Clock(), undo)
            fault: Fault = FAULTS[name](session)
            whole = Act(fault)
            whole.strike()
            whole.heal()
        undo.record(create_object("ConfigMap", NAMESPACE, "never-made"))
        undo_run(profile, "all", cluster)

    around(cluster, profile, act)
    return rbac.used(api)


@pytest.mark.parametrize("name", sorted(EXPERIMENT))
def test_granted_is_used(api: FakeApi, profile: Profile, name: str, tmp_path: Path) -> None:
    if name == "zone_drain":  # one pod is tied to its volume, so that the witness looks at all
        with api.store.lock:
            budget = api.store.get(("poddisruptionbudgets", NAMESPACE, "redis-cluster"))
            budget["spec"]["maxUnavailable"] = 0
    needed = played(api, profile, name, tmp_path)
    granted = of_experiment(PROJECT / "experiments" / EXPERIMENT[name], profile)
    assert rbac.missing(granted, needed) == []
    assert rbac.unused(granted, needed) == []


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
