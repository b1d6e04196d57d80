"""Policies of other makers: Cilium's are read as far as netpol goes, all others leave doubt."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from acpchaos.check.posture import cilium
from acpchaos.posture.manifests import from_manifests
from acpchaos.record.snapshot import Object, Snapshot
from acpchaos.target.profile import load_profile

from .asking import ACP, fails_among, passes, undecided, unread, without
from .building_lab import MANIFESTS, PROJECT, hardened
from .functions import functions

NAME = "io.kubernetes.pod.namespace"
CALICO, ANTREA = "crd.projectcalico.org", "crd.antrea.io"
MAIN = {"app.kubernetes.io/name": "acp"}
ROWS = ("HARD-46", "HARD-48", "HARD-49")


def added(snapshot: Snapshot, kind: str, namespace: str = ACP, **spec: Any) -> Object:
    """One more policy of a kind; returns its specification."""
    meta = {"name": "more", **({"namespace": namespace} if namespace else {})}
    snapshot.objects[kind].append({"metadata": meta, "spec": spec})
    return spec


def ported(*numbers: int) -> list[Object]:
    return [{"ports": [{"port": str(number), "protocol": "TCP"} for number in numbers]}]


def in_cilium(snapshot: Snapshot) -> Object:
    """ACP's own policy taken away and written again as Cilium's; returns its specification."""
    without(snapshot, "NetworkPolicy", "acp")
    stores = ("redis-cluster", "postgresql")
    egress = [
        {"toEndpoints": [{"matchLabels": {f"k8s:{NAME}": "kube-system", "k8s-app": "kube-dns"}}],
         "toPorts": [{"ports": [{"port": "53", "protocol": "ANY"}],
                      "rules": {"dns": [{"matchPattern": "*"}]}}]},
        *({"toEndpoints": [{"matchLabels": {"app.kubernetes.io/name": each}}],
           "toPorts": ported(6379, 5432)} for each in stores),
        {"toEndpoints": [{"matchLabels": {"any:app": "timescaledb"}}], "toPorts": ported(5432)},
    ]  # fmt: skip
    ingress = [
        {"fromEndpoints": [{"matchLabels": {NAME: "ingress"}}], "toPorts": ported(8443)},
        {"fromEndpoints": [{"matchLabels": {NAME: "monitoring"}}], "toPorts": ported(9000)},
    ]
    return added(
        snapshot, "CiliumNetworkPolicy", endpointSelector={"matchLabels": MAIN}, ingress=ingress,
        egress=egress,
    )  # fmt: skip


def test_a_sound_policy_of_cilium_is_as_good_as_kubernetes_own() -> None:
    snapshot = hardened()
    in_cilium(snapshot)
    for row in ROWS:
        passes(snapshot, row)


@pytest.mark.parametrize(
    ("rule", "field", "saw"),
    [
        ({"fromEntities": ["all"]}, "spec.ingress[2]", "any source"),
        ({"toPorts": ported(8443)}, "spec.ingress[2]", "any source"),
        ({"fromEntities": ["cluster"]}, "spec.ingress[2].fromEntities[0]", "pods of namespace *"),
        ({"fromEntities": ["world"]}, "spec.ingress[2].fromEntities[0]", "addresses 0.0.0.0/0"),
        ({"fromCIDR": ["10.0.0.0/8"]}, "spec.ingress[2].fromCIDR[0]", "addresses 10.0.0.0/8"),
        ({"fromCIDRSet": [{"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}]},
         "spec.ingress[2].fromCIDRSet[0]", "except 10.1.0.0/16"),
        ({"fromEndpoints": [{"matchLabels": {NAME: "payroll"}}]},
         "spec.ingress[2].fromEndpoints[0]", "pods of namespace payroll"),
        ({"fromEndpoints": [{}]}, "spec.ingress[2].fromEndpoints[0]", f"pods of namespace {ACP}"),
    ],
)  # fmt: skip
def test_what_cilium_lets_in_is_found(rule: Object, field: str, saw: str) -> None:
    snapshot = hardened()
    in_cilium(snapshot)["ingress"].append(rule)
    fails_among(snapshot, "HARD-48", f"CiliumNetworkPolicy {ACP}/more", field, saw)


def test_a_wider_policy_of_cilium_beside_a_sound_one_is_found() -> None:
    snapshot = hardened()
    added(snapshot, "CiliumClusterwideNetworkPolicy", "", endpointSelector={},
          egress=[{"toEntities": ["all"]}])  # fmt: skip
    where = "CiliumClusterwideNetworkPolicy more"
    fails_among(snapshot, "HARD-49", where, "spec.egress[0]", "any target")
    functions(snapshot)
    fails_among(snapshot, "HARD-53", where, "spec.egress[0]", "10.0.0.0/8")


@pytest.mark.parametrize("rules", [[], [{}], [{"fromEndpoints": []}], [{"fromEntities": ["host"]}]])
def test_an_empty_rule_of_cilium_isolates_and_an_empty_list_does_not(rules: list[Object]) -> None:
    snapshot = hardened()
    in_cilium(snapshot)["ingress"] = rules
    if rules:
        passes(snapshot, "HARD-46")
    else:
        place = "spec.template.metadata.labels"
        fails_among(snapshot, "HARD-46", f"Deployment {ACP}/acp", place, "no NetworkPolicy")


@pytest.mark.parametrize(
    "more",
    [
        {"egressDeny": [{"toEntities": ["world"]}]},
        {"egress": [{"toFQDNs": [{"matchName": "idp.example.test"}]}]},
        {"egress": [{"toServices": [{"k8sService": {"serviceName": "a"}}]}]},
        {"egress": [{"toEntities": ["kube-apiserver"]}]},
        {"egress": [{"toCIDRSet": [{"cidrGroupRef": "office"}]}]},
        {"egress": [{"toCIDR": ["none"]}]},
        {"egress": [{"toEndpoints": [{"matchLabels": {"reserved:host": ""}}]}]},
        {"enableDefaultDeny": {"egress": False}, "egress": [{"toEntities": ["all"]}]},
        {"egress": "all"},
    ],
)
def test_what_is_not_understood_of_cilium_leaves_the_row_undecided(more: Object) -> None:
    snapshot = hardened()
    spec = added(snapshot, "CiliumNetworkPolicy", endpointSelector={"matchLabels": MAIN}, **more)
    undecided(snapshot, "HARD-49", f"CiliumNetworkPolicy {ACP}/more may decide")
    spec["endpointSelector"] = {"matchLabels": {"app": "another"}}
    passes(snapshot, "HARD-49")


def test_policies_about_nodes_and_other_namespaces_are_passed_over() -> None:
    snapshot = hardened()
    deny = {"egressDeny": [{"toEntities": ["all"]}]}
    added(snapshot, "CiliumClusterwideNetworkPolicy", "", nodeSelector={}, **deny)
    added(snapshot, "CiliumNetworkPolicy", "payroll", endpointSelector={}, **deny)
    other = {"matchLabels": {NAME: "payroll"}}
    added(snapshot, "CiliumClusterwideNetworkPolicy", "", endpointSelector=other,
          ingress=[{"fromEntities": ["all"]}])  # fmt: skip
    for row in ROWS:
        passes(snapshot, row)


def admin(action: str, **subject: Any) -> Object:
    rule = {"action": action, "from": [{"namespaces": {}}]}
    return {"priority": 9, "subject": subject or {"namespaces": {}}, "ingress": [rule]}


@pytest.mark.parametrize(
    ("kind", "namespace", "spec"),
    [
        ("AdminNetworkPolicy", "", admin("Allow")),
        ("AdminNetworkPolicy", "",
         admin("Allow", pods={"namespaceSelector": {}, "podSelector": {"matchLabels": MAIN}})),
        ("ClusterNetworkPolicy.policy.networking.k8s.io", "", {**admin("Accept"), "tier": "Admin"}),
        (f"NetworkPolicy.{CALICO}", ACP, {"selector": "all()", "ingress": [{"action": "Allow"}]}),
        (f"NetworkPolicy.{CALICO}", ACP,
         {"selector": "app.kubernetes.io/name == 'acp'", "ingress": [{"action": "Allow"}]}),
        (f"GlobalNetworkPolicy.{CALICO}", "", {"ingress": [{"action": "Allow"}]}),
        (f"NetworkPolicy.{ANTREA}", ACP, {"ingress": [{"action": "Allow"}]}),
    ],
)  # fmt: skip
def test_a_policy_that_may_open_first_leaves_doubt(kind: str, namespace: str, spec: Object) -> None:
    snapshot = hardened()
    added(snapshot, kind, namespace, **spec)
    undecided(snapshot, "HARD-46", "may decide over")
    undecided(snapshot, "HARD-48", f"{kind} {namespace + '/' if namespace else ''}more may decide")
    passes(snapshot, "HARD-49")  # it is about the other direction


@pytest.mark.parametrize(
    ("kind", "namespace", "spec"),
    [
        ("AdminNetworkPolicy", "", admin("Deny")),
        ("BaselineAdminNetworkPolicy", "", admin("Allow")),
        ("AdminNetworkPolicy", "",
         admin("Allow", namespaces={"matchLabels": {"kubernetes.io/metadata.name": "payroll"}})),
        ("AdminNetworkPolicy", "",
         admin("Allow", pods={"namespaceSelector": {}, "podSelector": {"matchLabels": {"a": "b"}},
                              })),
        (f"NetworkPolicy.{CALICO}", "payroll", {"ingress": [{"action": "Allow"}]}),
        (f"NetworkPolicy.{CALICO}", ACP, {"types": ["Egress"], "egress": [{"action": "Deny"}]}),
        (f"NetworkPolicy.{CALICO}", ACP,
         {"selector": "app.kubernetes.io/name == 'idle'", "ingress": [{"action": "Allow"}]}),
    ],
)  # fmt: skip
def test_one_that_opens_nothing_of_these_pods_casts_no_doubt(
    kind: str, namespace: str, spec: Object
) -> None:
    snapshot = hardened()
    added(snapshot, kind, namespace, **spec)
    for row in ("HARD-46", "HARD-48"):
        passes(snapshot, row)


def test_pods_that_only_another_maker_isolates_are_not_called_open() -> None:
    snapshot = hardened()
    without(snapshot, "NetworkPolicy", "acp")
    added(snapshot, f"GlobalNetworkPolicy.{CALICO}", "", types=["Ingress", "Egress"])
    undecided(snapshot, "HARD-46", "may decide over Deployment acp-system/acp")


@pytest.mark.parametrize(
    "kind",
    ["CiliumNetworkPolicy", "AdminNetworkPolicy", f"NetworkPolicy.{CALICO}",
     f"NetworkPolicy.{ANTREA}"],
)  # fmt: skip
def test_a_kind_that_could_not_be_read_leaves_doubt(kind: str) -> None:
    snapshot = hardened()
    unread(snapshot, kind, "HTTP 403: forbidden")
    undecided(snapshot, "HARD-46", f"{kind} objects could not be read: HTTP 403")


def test_an_odd_port_is_told() -> None:
    rule = {"toPorts": [{"ports": [{"port": "53", "protocol": "ICMP"}]}]}
    spec = {"endpointSelector": {}, "egress": [rule]}
    found = {"metadata": {"name": "a", "namespace": "b"}, "spec": spec}
    with pytest.raises(cilium.NotRead, match=r"spec.egress\[0\].toPorts protocol ICMP"):
        cilium.policies_of("CiliumNetworkPolicy", found, "b", None)


def test_calicos_policy_in_manifests_is_not_taken_for_kubernetes_own(tmp_path: Path) -> None:
    """Both are of kind NetworkPolicy: read as Kubernetes' own it would isolate every pod."""
    text = (MANIFESTS / "acp" / "acp.yaml").read_text()
    policy = {
        "apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy",
        "metadata": {"name": "open", "namespace": ACP},
        "spec": {"types": ["Ingress", "Egress"], "ingress": [{"action": "Allow"}]},
    }  # fmt: skip
    (tmp_path / "all.yaml").write_text(f"{text}\n---\n{yaml.safe_dump(copy.deepcopy(policy))}")
    profile = load_profile(PROJECT / "targets" / "kind.toml")
    found = from_manifests(tmp_path, profile, "2026-11-24T12:00:00+00:00")
    assert found.objects["NetworkPolicy"] == []
    undecided(found, "HARD-46", f"NetworkPolicy.projectcalico.org {ACP}/open may decide")
