"""HARD-30 to HARD-38: the security contexts of every container, and the level of the namespace."""

from typing import Any

import pytest

from acpchaos.check.posture.containers import ENFORCE
from acpchaos.record.snapshot import Object, Snapshot

from .asking import (
    ACP,
    asked,
    fails,
    fails_among,
    not_here,
    passes,
    replaced,
    undecided,
    unread,
    with_policy,
)
from .building import CONTAINER, FAAS, MAIN, POD, container, installation, pod_spec
from .building_lab import hardened

ROWS = tuple(f"HARD-{number}" for number in range(30, 39))
# row -> field of the security context, a value that breaks it
FIELDS: dict[str, tuple[str, Any]] = {
    "HARD-31": ("runAsGroup", 0),
    "HARD-32": ("runAsNonRoot", False),
    "HARD-33": ("runAsUser", 0),
    "HARD-34": ("readOnlyRootFilesystem", False),
    "HARD-35": ("allowPrivilegeEscalation", True),
    "HARD-36": ("capabilities", {"drop": ["NET_RAW"]}),
}
POD_LEVEL = ("HARD-31", "HARD-32", "HARD-33")
WORKLOADS = [
    ("Deployment", "acp", ACP), ("Deployment", "acp-primary", ACP),
    ("Deployment", "acp-workers", ACP), ("Deployment", "acp-workers-primary", ACP),
    ("Job", "acp-migrate", ACP), ("CronJob", "acp-export", ACP),
    ("Deployment", "acp-faas-node-v5", FAAS),
]  # fmt: skip


def context(snapshot: Snapshot, name: str = "acp", kind: str = "Deployment") -> Object:
    found: Object = container(snapshot, name, kind)["securityContext"]
    return found


def path_of(kind: str) -> str:
    return f"spec.jobTemplate.{POD}" if kind == "CronJob" else POD


@pytest.mark.parametrize("row", ROWS)
def test_a_sound_installation_passes(row: str) -> None:
    passes(installation(), row)
    passes(hardened(), row)


@pytest.mark.parametrize("row", FIELDS)
@pytest.mark.parametrize(("kind", "name", "namespace"), WORKLOADS)
def test_a_bad_value_in_any_workload_fails(row: str, kind: str, name: str, namespace: str) -> None:
    snapshot, (field, bad) = installation(), FIELDS[row]
    context(snapshot, name, kind)[field] = bad
    holder = container(snapshot, name, kind)["name"]
    where = f"{kind} {namespace}/{name} container {holder}"
    place = f"{path_of(kind)}.containers[0].securityContext.{field}"
    found = fails(snapshot, row, where, place, repr(bad))
    assert field in found.remedy


@pytest.mark.parametrize("row", FIELDS)
def test_a_missing_value_fails(row: str) -> None:
    snapshot, (field, _) = installation(), FIELDS[row]
    del context(snapshot)[field]
    where = f"{MAIN} container acp"
    fails(snapshot, row, where, f"{CONTAINER}.securityContext.{field}", "not set")


@pytest.mark.parametrize("row", FIELDS)
def test_init_containers_count(row: str) -> None:
    snapshot, (field, bad) = installation(), FIELDS[row]
    pod_spec(snapshot)["initContainers"][0]["securityContext"][field] = bad
    place = f"{POD}.initContainers[0].securityContext.{field}"
    fails(snapshot, row, f"{MAIN} container wait", place)


@pytest.mark.parametrize("row", POD_LEVEL)
def test_the_pods_value_counts_where_the_container_has_none(row: str) -> None:
    snapshot, (field, bad) = installation(), FIELDS[row]
    good = context(snapshot).pop(field)
    pod_spec(snapshot)["securityContext"][field] = good
    passes(snapshot, row)
    pod_spec(snapshot)["securityContext"][field] = bad
    fails(snapshot, row, f"{MAIN} container acp", f"{POD}.securityContext.{field}", repr(bad))


@pytest.mark.parametrize("row", POD_LEVEL)
def test_the_containers_value_wins_over_the_pods(row: str) -> None:
    snapshot, (field, bad) = installation(), FIELDS[row]
    pod_spec(snapshot)["securityContext"][field] = bad
    passes(snapshot, row)


@pytest.mark.parametrize("row", sorted(set(FIELDS) - set(POD_LEVEL)))
def test_the_pods_value_does_not_count_where_kubernetes_knows_none(row: str) -> None:
    snapshot, (field, _) = installation(), FIELDS[row]
    pod_spec(snapshot)["securityContext"][field] = context(snapshot).pop(field)
    fails(snapshot, row, f"{MAIN} container acp", f"{CONTAINER}.securityContext.{field}")


@pytest.mark.parametrize("value", [True, -1, "65535", 0])
def test_only_a_number_above_zero_is_a_user(value: Any) -> None:
    snapshot = installation()
    context(snapshot)["runAsUser"] = value
    fails(snapshot, "HARD-33", f"{MAIN} container acp", f"{CONTAINER}.securityContext.runAsUser")


@pytest.mark.parametrize("number", [1, 1000, 65535])
def test_any_number_above_zero_is_one(number: int) -> None:
    snapshot = installation()
    context(snapshot).update(runAsUser=number, runAsGroup=number)
    pod_spec(snapshot)["securityContext"]["fsGroup"] = number
    for row in ("HARD-30", "HARD-31", "HARD-33"):
        passes(snapshot, row)


@pytest.mark.parametrize("value", [None, 0])
@pytest.mark.parametrize(("kind", "name", "namespace"), WORKLOADS)
def test_a_pod_without_its_own_group_fails(
    kind: str, name: str, namespace: str, value: int | None
) -> None:
    snapshot = installation()
    pod_spec(snapshot, name, kind)["securityContext"]["fsGroup"] = value
    where = f"{path_of(kind)}.securityContext.fsGroup"
    fails(snapshot, "HARD-30", f"{kind} {namespace}/{name}", where)


def test_a_group_of_a_container_is_none_of_the_pods() -> None:
    snapshot = installation()
    context(snapshot)["fsGroup"] = pod_spec(snapshot)["securityContext"].pop("fsGroup")
    fails(snapshot, "HARD-30", MAIN, f"{POD}.securityContext.fsGroup", "not set")


def test_a_privileged_container_fails_even_when_it_may_not_gain_more() -> None:
    snapshot = installation()
    context(snapshot)["privileged"] = True
    fails(snapshot, "HARD-35", f"{MAIN} container acp", f"{CONTAINER}.securityContext.privileged")


@pytest.mark.parametrize(
    "capabilities", [{"drop": ["ALL"], "add": ["NET_ADMIN"]}, {"add": []}, {"drop": []}, "ALL"]
)
def test_all_capabilities_are_dropped_and_none_added(capabilities: Any) -> None:
    snapshot = installation()
    context(snapshot)["capabilities"] = capabilities
    where = f"{CONTAINER}.securityContext.capabilities"
    fails(snapshot, "HARD-36", f"{MAIN} container acp", where)


def test_a_container_without_any_security_context_fails_all_rows() -> None:
    snapshot = installation()
    pod_spec(snapshot)["securityContext"] = None
    container(snapshot)["securityContext"] = None
    for row in (*FIELDS, "HARD-37"):
        assert asked(snapshot, row)[1], row


# HARD-38


@pytest.mark.parametrize("name", ["redis-cluster", "postgresql", "timescaledb"])
@pytest.mark.parametrize("field", ["runAsNonRoot", "runAsUser", "readOnlyRootFilesystem",
                                   "allowPrivilegeEscalation", "capabilities"])  # fmt: skip
def test_each_store_is_held_to_the_same_rules(name: str, field: str) -> None:
    snapshot = installation()
    del context(snapshot, name, "StatefulSet")[field]
    where = f"StatefulSet {ACP}/{name} container {name}"
    fails(snapshot, "HARD-38", where, f"{CONTAINER}.securityContext.{field}", "not set")


def test_stores_elsewhere_are_no_neighbours() -> None:
    snapshot = installation()
    snapshot.objects["StatefulSet"].clear()
    not_here(snapshot, "HARD-38", "no store of the profile runs in this cluster")


@pytest.mark.parametrize(("row", "kind"), [("HARD-30", "Job"), ("HARD-33", "Deployment"),
                                           ("HARD-38", "StatefulSet")])  # fmt: skip
def test_a_kind_that_could_not_be_listed_leaves_the_row_undecided(row: str, kind: str) -> None:
    snapshot = installation()
    unread(snapshot, kind)
    undecided(snapshot, row, f"{kind} objects could not be read: forbidden")


# HARD-37


@pytest.mark.parametrize("namespace", [ACP, FAAS])
@pytest.mark.parametrize("level", ["", "baseline", "privileged", "Restricted"])
def test_a_weaker_level_fails(namespace: str, level: str) -> None:
    snapshot = installation()
    at = [ACP, FAAS].index(namespace)
    snapshot.objects["Namespace"][at]["metadata"]["labels"] = {ENFORCE: level}
    where = (f"Namespace {namespace}", f"metadata.labels[{ENFORCE}]", level or "not set")
    assert f"kubectl label namespace {namespace}" in fails(snapshot, "HARD-37", *where).remedy


def test_the_policy_names_the_least_level() -> None:
    snapshot = with_policy(installation(), pod_security="baseline")
    for level in ("baseline", "restricted"):
        snapshot.objects["Namespace"][0]["metadata"]["labels"] = {ENFORCE: level}
        passes(snapshot, "HARD-37")
    snapshot.objects["Namespace"][0]["metadata"]["labels"] = None
    fails(snapshot, "HARD-37", f"Namespace {ACP}", f"metadata.labels[{ENFORCE}]", "not set")


def test_the_functions_namespace_counts_only_where_functions_run() -> None:
    snapshot = installation()
    del snapshot.objects["Namespace"][1]
    undecided(snapshot, "HARD-37", f"Namespace {FAAS} is not in the evidence")
    deployments = snapshot.objects["Deployment"]
    deployments[:] = [each for each in deployments if each["metadata"]["namespace"] != FAAS]
    passes(snapshot, "HARD-37")


@pytest.mark.parametrize("profile", [None, {"type": "Unconfined"}, {}])
def test_an_unconfined_pod_fails(profile: Object | None) -> None:
    snapshot = installation()
    pod_spec(snapshot)["securityContext"]["seccompProfile"] = profile
    place = f"{CONTAINER if profile is None else POD}.securityContext.seccompProfile"
    fails_among(snapshot, "HARD-37", f"{MAIN} container acp", place)


def test_a_container_may_be_confined_by_itself_or_released() -> None:
    snapshot = installation()
    for each in (*pod_spec(snapshot)["initContainers"], container(snapshot)):
        local = {"type": "Localhost", "localhostProfile": "acp.json"}
        each["securityContext"]["seccompProfile"] = local
    del pod_spec(snapshot)["securityContext"]["seccompProfile"]
    passes(snapshot, "HARD-37")
    context(snapshot)["seccompProfile"] = {"type": "Unconfined"}
    where = f"{CONTAINER}.securityContext.seccompProfile"
    fails(snapshot, "HARD-37", f"{MAIN} container acp", where, "Unconfined")


def test_what_manifests_show_fails_although_the_namespace_is_not_among_them() -> None:
    snapshot = replaced(installation(), source="manifests")
    unread(snapshot, "Namespace", "rendered manifests do not tell")
    undecided(snapshot, "HARD-37", "rendered manifests do not tell")
    context(snapshot)["seccompProfile"] = {"type": "Unconfined"}
    where = f"{CONTAINER}.securityContext.seccompProfile"
    fails(snapshot, "HARD-37", f"{MAIN} container acp", where)


@pytest.mark.parametrize(
    ("field", "value", "place"),
    [
        ("hostPID", True, "hostPID"), ("hostIPC", True, "hostIPC"),
        ("volumes", [{"name": "x", "hostPath": {"path": "/"}}], "volumes[0].hostPath"),
        ("securityContext", {"fsGroup": 1, "seccompProfile": {"type": "RuntimeDefault"},
                             "sysctls": [{"name": "kernel.msgmax", "value": "1"}]},
         "securityContext.sysctls[0].name"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("level", ["baseline", "restricted"])
def test_what_the_level_would_not_admit_again_fails(
    level: str, field: str, value: object, place: str
) -> None:
    snapshot = with_policy(installation(), pod_security=level)
    pod_spec(snapshot, "acp-workers")[field] = value
    where = f"Deployment {ACP}/acp-workers"
    found = fails(snapshot, "HARD-37", where, f"{POD}.{place}")
    assert "/spec/template/spec/" in found.remedy


def test_the_strict_level_admits_fewer_volumes_and_both_a_plain_proc_only() -> None:
    loose = with_policy(installation(), pod_security="baseline")
    pod_spec(loose)["volumes"] = [{"name": "x", "nfs": {}}, {"name": "y", "emptyDir": {}}]
    pod_spec(loose)["securityContext"]["sysctls"] = [{"name": "net.ipv4.tcp_syncookies"}]
    passes(loose, "HARD-37")
    fails(with_policy(loose, pod_security="restricted"), "HARD-37", MAIN, f"{POD}.volumes[0].nfs")
    context(loose)["procMount"] = "Unmasked"
    place = f"{CONTAINER}.securityContext.procMount"
    fails(loose, "HARD-37", f"{MAIN} container acp", place, "Unmasked")
