"""HARD-19 to HARD-23: encryption at rest, who may reach secrets, what ACP itself may do."""

from typing import Any

import pytest

from acpchaos.check.posture.view import View
from acpchaos.check.verdict import Outcome
from acpchaos.record.snapshot import Snapshot

from .asking import (
    ACP,
    asked,
    fails,
    fails_among,
    named,
    passes,
    probed,
    replaced,
    undecided,
    unread,
    with_policy,
    without,
)
from .building_lab import binding, hardened

ROWS = ("HARD-19", "HARD-20", "HARD-21", "HARD-22", "HARD-23")
APISERVER = "kube-apiserver-acpchaos-control-plane"
MAKES = {"HARD-20": ("", "secrets", "get"), "HARD-21": ("", "secrets", "create"),
         "HARD-22": ("", "pods", "create")}  # fmt: skip
KEYS = {"HARD-20": "secret_readers", "HARD-21": "secret_writers", "HARD-22": "pod_creators"}


def granted(snapshot, subject, rule, *, kind="RoleBinding", role_kind="Role", names=()):
    """A role of one rule, bound to one subject."""
    group, resource, verb = rule
    entry = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
    if names:
        entry["resourceNames"] = list(names)
    meta = {"name": "given"} | ({"namespace": ACP} if role_kind == "Role" else {})
    snapshot.objects[role_kind].append({"kind": role_kind, "metadata": meta, "rules": [entry]})
    snapshot.objects[kind].append(binding(kind, "given", "given", subject, role_kind))


@pytest.mark.parametrize("row", ROWS)
def test_the_hardened_lab_passes(row: str) -> None:
    passes(hardened(), row)


# HARD-19


class Attested:
    date, owner = "2026-11-01", "platform"


def hidden(snapshot: Snapshot) -> None:
    """A managed cluster: no pod of the control plane, no access to etcd."""
    without(snapshot, "Pod", APISERVER, "kube-system")
    del snapshot.probes["at-rest"]


def test_an_api_server_without_the_flag_fails_even_when_the_probe_was_not_run() -> None:
    snapshot = hardened()
    command = named(snapshot, "Pod", APISERVER, "kube-system")["spec"]["containers"][0]["command"]
    del command[1]
    where = (f"Pod kube-system/{APISERVER}", "spec.containers[0].command")
    fails(snapshot, "HARD-19", *where, "no --encryption-provider-config")
    del snapshot.probes["at-rest"]
    fails(snapshot, "HARD-19", *where)


def test_a_plain_value_in_etcd_fails_whatever_the_flag_says() -> None:
    snapshot = hardened()
    probed(snapshot, "at-rest", "plain", "k8s\\x00")
    fails(snapshot, "HARD-19", "probe at-rest", "outcome", "plain")


def test_the_flag_alone_proves_nothing_since_the_provider_may_be_identity() -> None:
    snapshot = hardened()
    del snapshot.probes["at-rest"]
    undecided(snapshot, "HARD-19", "the flag is set, which does not tell the provider")
    probed(snapshot, "at-rest", "unknown", "etcd is read in a lab only")
    undecided(snapshot, "HARD-19", "etcd is read in a lab only")


def test_a_managed_cluster_fails_until_somebody_attests(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = hardened()
    hidden(snapshot)
    verdict, findings = asked(snapshot, "HARD-19")
    assert verdict.outcome is Outcome.FAILED and "attestation" in findings[0].object.lower()
    attest(monkeypatch)
    passes(snapshot, "HARD-19")


def test_pods_that_could_not_be_read_are_no_managed_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshot = hardened()
    hidden(snapshot)
    unread(snapshot, "Pod")
    undecided(snapshot, "HARD-19", "Pod objects could not be read: forbidden")
    attest(monkeypatch)
    passes(snapshot, "HARD-19")


def test_an_attestation_does_not_outweigh_a_missing_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = hardened()
    del snapshot.probes["at-rest"]
    command = named(snapshot, "Pod", APISERVER, "kube-system")["spec"]["containers"][0]["command"]
    del command[1]
    attest(monkeypatch)
    fails(snapshot, "HARD-19", f"Pod kube-system/{APISERVER}", "spec.containers[0].command")


def attest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(View, "attestation", lambda _self, _row: Attested())


# HARD-20 to HARD-22


@pytest.mark.parametrize("row", MAKES)
@pytest.mark.parametrize("subject", ["User:intern", "Group:devs", "ServiceAccount:tools/builder"])
def test_a_subject_that_nobody_listed_fails(row: str, subject: str) -> None:
    snapshot = hardened()
    granted(snapshot, subject, MAKES[row])
    found = fails(snapshot, row, f"RoleBinding {ACP}/given", "subjects[0]", subject)
    assert f'{KEYS[row]} = ["{subject}"]' in found.remedy
    assert f"kubectl -n {ACP} delete rolebinding given" in found.remedy


@pytest.mark.parametrize("row", MAKES)
def test_a_listed_subject_passes_by_name_or_pattern(row: str) -> None:
    snapshot = hardened()
    granted(snapshot, "ServiceAccount:flux-system/deployer", MAKES[row])
    for pattern in ("ServiceAccount:flux-system/deployer", "ServiceAccount:flux-system/*"):
        allowed = (*getattr(snapshot.scope.policy, KEYS[row]), pattern)
        passes(with_policy(snapshot, **{KEYS[row]: allowed}), row)


@pytest.mark.parametrize("row", MAKES)
@pytest.mark.parametrize(
    "subject",
    [
        "Group:system:authenticated", "Group:system:unauthenticated", "User:system:anonymous",
        "Group:system:serviceaccounts", f"Group:system:serviceaccounts:{ACP}",
        f"ServiceAccount:{ACP}/default", "User:system:serviceaccount:tools:default",
    ],
)  # fmt: skip
def test_everybody_and_default_accounts_fail_even_when_listed(row: str, subject: str) -> None:
    snapshot = hardened()
    granted(snapshot, subject, MAKES[row])
    open_policy = with_policy(snapshot, **{KEYS[row]: ("*",)})
    found = fails(open_policy, row, f"RoleBinding {ACP}/given", "subjects[0]")
    assert "posture" not in found.remedy


@pytest.mark.parametrize("row", MAKES)
def test_control_plane_subjects_are_allowed_by_their_full_name_only(row: str) -> None:
    snapshot = hardened()
    granted(snapshot, "Group:system:masters", MAKES[row])
    passes(snapshot, row)
    snapshot = hardened()
    granted(snapshot, "ServiceAccount:elsewhere/generic-garbage-collector", MAKES[row])
    fails(snapshot, row, f"RoleBinding {ACP}/given", "subjects[0]")


@pytest.mark.parametrize("row", MAKES)
@pytest.mark.parametrize("part", range(3))
def test_a_wildcard_of_group_resource_or_verb_grants_it(row: str, part: int) -> None:
    snapshot = hardened()
    rule = list(MAKES[row])
    rule[part] = "*"
    granted(snapshot, "User:intern", rule)
    fails(snapshot, row, f"RoleBinding {ACP}/given", "subjects[0]", "User:intern")


@pytest.mark.parametrize("row", MAKES)
def test_a_cluster_role_counts_bound_here_or_cluster_wide_and_not_in_another_namespace(
    row: str,
) -> None:
    snapshot = hardened()
    granted(snapshot, "User:intern", MAKES[row], role_kind="ClusterRole")
    fails(snapshot, row, f"RoleBinding {ACP}/given", "subjects[0]", "through ClusterRole given")
    snapshot.objects["RoleBinding"][-1]["metadata"]["namespace"] = "shop"
    passes(snapshot, row)
    given = binding("ClusterRoleBinding", "wide", "given", "User:intern")
    snapshot.objects["ClusterRoleBinding"].append(given)
    fails(snapshot, row, "ClusterRoleBinding wide", "subjects[0]")


@pytest.mark.parametrize("row", MAKES)
def test_aggregated_cluster_roles_hold_what_their_parts_hold(row: str) -> None:
    snapshot = hardened()
    group, resource, verb = MAKES[row]
    part = {"apiGroups": [group], "resources": [resource], "verbs": [verb]}
    label = {"aggregate-to-team": "true"}
    selector = {"aggregationRule": {"clusterRoleSelectors": [{"matchLabels": label}]}}
    snapshot.objects["ClusterRole"] += [
        {"kind": "ClusterRole", "metadata": {"name": "team"}, **selector},
        {"kind": "ClusterRole", "metadata": {"name": "p", "labels": label}, "rules": [part]},
    ]
    snapshot.objects["RoleBinding"].append(binding("RoleBinding", "team", "team", "Group:devs"))
    fails(snapshot, row, f"RoleBinding {ACP}/team", "subjects[0]", "Group:devs")


def test_cluster_roles_that_aggregate_each_other_end_somewhere() -> None:
    snapshot = hardened()
    for name, wants in (("left", "right"), ("right", "left")):
        rule = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["list"]}
        selector = {"clusterRoleSelectors": [{"matchLabels": {"role": wants}}]}
        meta = {"name": name, "labels": {"role": name}}
        rules = [rule] if name == "right" else []
        snapshot.objects["ClusterRole"].append(
            {"kind": "ClusterRole", "metadata": meta, "aggregationRule": selector, "rules": rules}
        )
    snapshot.objects["RoleBinding"].append(binding("RoleBinding", "l", "left", "User:intern"))
    fails(snapshot, "HARD-20", f"RoleBinding {ACP}/l", "subjects[0]", "list secrets")


def test_a_binding_to_a_role_that_does_not_exist_grants_nothing() -> None:
    snapshot = hardened()
    snapshot.objects["RoleBinding"].append(binding("RoleBinding", "x", "gone", "User:intern"))
    for row in MAKES:
        passes(snapshot, row)


@pytest.mark.parametrize(
    ("row", "rule"),
    [
        ("HARD-20", ("", "secrets", "list")), ("HARD-20", ("", "secrets", "watch")),
        ("HARD-21", ("", "secrets", "update")), ("HARD-21", ("", "secrets", "patch")),
        ("HARD-21", ("", "secrets", "delete")), ("HARD-22", ("", "pods", "patch")),
        ("HARD-22", ("apps", "deployments", "patch")), ("HARD-22", ("batch", "jobs", "create")),
        ("HARD-22", ("batch", "cronjobs", "update")), ("HARD-22", ("", "pods/exec", "create")),
        ("HARD-22", ("", "pods/exec", "get")), ("HARD-22", ("", "pods/attach", "create")),
        ("HARD-22", ("", "pods/ephemeralcontainers", "patch")),
        ("HARD-22", ("*", "*/exec", "create")), ("HARD-22", ("apps", "statefulsets", "create")),
    ],
)  # fmt: skip
def test_every_way_counts_for_its_row_alone(row: str, rule: Any) -> None:
    snapshot = hardened()
    granted(snapshot, "User:intern", rule)
    fails(snapshot, row, f"RoleBinding {ACP}/given", "subjects[0]")
    for other in MAKES.keys() - {row}:
        passes(snapshot, other)


@pytest.mark.parametrize(
    "rule",
    [
        ("apps", "secrets", "get"), ("", "configmaps", "get"), ("", "pods", "get"),
        ("", "pods/log", "get"), ("", "pods", "delete"), ("apps", "deployments/scale", "patch"),
        ("", "pods/status", "patch"), ("", "pods/*", "create"),
    ],
)  # fmt: skip
def test_other_rights_do_not_count(rule: Any) -> None:
    snapshot = hardened()
    granted(snapshot, "User:intern", rule)
    for row in MAKES:
        passes(snapshot, row)


def test_a_grant_on_names_counts_when_the_named_secret_is_here() -> None:
    snapshot = hardened()
    granted(snapshot, "User:intern", ("", "secrets", "get"), names=["other-tls"])
    passes(snapshot, "HARD-20")
    snapshot = hardened()
    granted(snapshot, "User:intern", ("", "secrets", "get"), names=["other-tls", "acp-secret"])
    fails(snapshot, "HARD-20", f"RoleBinding {ACP}/given", "subjects[0]")


def test_names_never_grant_create() -> None:
    snapshot = hardened()
    granted(snapshot, "User:intern", ("", "secrets", "create"), names=["acp-secret"])
    passes(snapshot, "HARD-21")


def test_patroni_may_patch_pods_of_its_own_set_only() -> None:
    snapshot = hardened()
    role = named(snapshot, "Role", "postgresql")
    own = next(rule for rule in role["rules"] if rule.get("resourceNames"))
    own["resourceNames"].append("acp-5d4f-x")
    fails(snapshot, "HARD-22", f"RoleBinding {ACP}/postgresql", "subjects[0]", "patch pods")
    del own["resourceNames"]
    fails(snapshot, "HARD-22", f"RoleBinding {ACP}/postgresql", "subjects[0]")


@pytest.mark.parametrize("row", MAKES)
@pytest.mark.parametrize("kind", ["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"])
def test_a_kind_of_rbac_that_was_not_read_decides_nothing(row: str, kind: str) -> None:
    snapshot = hardened()
    unread(snapshot, kind)
    if kind == "Role":  # asked for only when a binding needs it
        granted(snapshot_with(snapshot, "Role"), "User:intern", MAKES[row])
        snapshot.objects.pop("Role")
    undecided(snapshot, row, f"{kind} objects could not be read: forbidden")


def snapshot_with(snapshot: Snapshot, kind: str) -> Any:
    snapshot.objects[kind] = []
    return snapshot


@pytest.mark.parametrize("row", MAKES)
def test_manifests_can_fail_a_row_but_never_pass_it(row: str) -> None:
    snapshot = replaced(hardened(), source="manifests")
    undecided(snapshot, row, "roles and bindings that the cluster has")
    granted(snapshot, "User:intern", MAKES[row])
    fails(snapshot, row, f"RoleBinding {ACP}/given", "subjects[0]")


# HARD-23


@pytest.mark.parametrize(
    ("kind", "name"), [("Deployment", "acp"), ("Deployment", "acp-workers"), ("Job", "acp-import")]
)
@pytest.mark.parametrize("value", [True, None])
def test_a_mounted_token_fails(kind: str, name: str, value: Any) -> None:
    snapshot = hardened()
    named(snapshot, kind, name)["spec"]["template"]["spec"]["automountServiceAccountToken"] = value
    field = "spec.template.spec.automountServiceAccountToken"
    fails(snapshot, "HARD-23", f"{kind} {ACP}/{name}", field, "true")


def test_the_pod_decides_over_its_account_and_the_account_when_the_pod_is_silent() -> None:
    snapshot = hardened()
    spec = named(snapshot, "Deployment", "acp")["spec"]["template"]["spec"]
    account = {"metadata": {"name": "default", "namespace": ACP}}
    snapshot.objects["ServiceAccount"].append({**account, "automountServiceAccountToken": False})
    del spec["automountServiceAccountToken"]
    passes(snapshot, "HARD-23")
    spec["automountServiceAccountToken"] = True
    field = "spec.template.spec.automountServiceAccountToken"
    fails(snapshot, "HARD-23", f"Deployment {ACP}/acp", field, "true")


def test_a_binding_of_acps_account_fails_but_rules_of_fission_do_not() -> None:
    snapshot = hardened()
    spec = named(snapshot, "Deployment", "acp")["spec"]["template"]["spec"]
    spec |= {"serviceAccountName": "acp", "automountServiceAccountToken": True}
    granted(snapshot, f"ServiceAccount:{ACP}/acp", ("fission.io", "functions", "create"))
    passes(snapshot, "HARD-23")
    named(snapshot, "Role", "given")["rules"][0]["apiGroups"] = [""]
    place = (f"RoleBinding {ACP}/given", "subjects[0]")
    fails_among(snapshot, "HARD-23", *place, "bound to Role given")
    _, findings = asked(snapshot, "HARD-23")
    assert len(findings) == 2  # the token is mounted for nothing, too


def test_bindings_without_an_automounted_token_still_fail() -> None:
    snapshot = hardened()
    granted(snapshot, f"ServiceAccount:{ACP}/default", ("", "configmaps", "get"))
    fails(snapshot, "HARD-23", f"RoleBinding {ACP}/given", "subjects[0]", f"{ACP}/default")


def test_bindings_unread_decide_nothing() -> None:
    snapshot = hardened()
    unread(snapshot, "ClusterRoleBinding")
    undecided(snapshot, "HARD-23", "ClusterRoleBinding objects could not be read")
