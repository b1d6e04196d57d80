"""HARD-46 to HARD-49: isolation, enforcement, who calls ACP and whom ACP calls."""

import json
from typing import Any

import pytest

from acpchaos.record.snapshot import Snapshot

from .asking import (
    ACP,
    asked,
    block,
    fails,
    fails_among,
    into,
    named,
    passes,
    policy,
    probed,
    replaced,
    undecided,
    unread,
    with_policy,
    without,
)
from .building_lab import STORES, hardened
from .functions import functions

ROWS = ("HARD-46", "HARD-47", "HARD-48", "HARD-49", "HARD-50", "HARD-51")
MAIN, WORKERS = f"NetworkPolicy {ACP}/acp", f"NetworkPolicy {ACP}/acp-workers"
TEMPLATE = "spec.template.metadata.labels"
NAME = "kubernetes.io/metadata.name"


def labelled(snapshot: Snapshot, name: str, **labels: Any) -> None:
    """One more namespace."""
    meta = {"name": name, "labels": labels}
    snapshot.objects["Namespace"].append({"kind": "Namespace", "metadata": meta})


@pytest.mark.parametrize("row", ROWS)
def test_the_hardened_lab_passes(row: str) -> None:
    passes(hardened(), row)


# HARD-46


@pytest.mark.parametrize(
    ("gone", "workload"),
    [
        ("acp", f"Deployment {ACP}/acp"), ("acp-workers", f"Deployment {ACP}/acp-workers"),
        ("acp-jobs", f"Job {ACP}/acp-migrate"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["Ingress", "Egress"])
def test_pods_that_no_policy_isolates_fail(gone: str, workload: str, kind: str) -> None:
    snapshot = hardened()
    policy(snapshot, gone)["policyTypes"].remove(kind)
    fails_among(snapshot, "HARD-46", workload, TEMPLATE, f"no NetworkPolicy of type {kind}")
    _, findings = asked(snapshot, "HARD-46")
    remedy = json.loads(findings[0].remedy.split("<<< '")[1].rstrip("'"))
    assert remedy["spec"]["policyTypes"] == [kind]


def test_a_remedy_can_be_applied_and_mends_the_row() -> None:
    snapshot = hardened()
    without(snapshot, "NetworkPolicy", "acp")
    verdict, findings = asked(snapshot, "HARD-46")
    assert [f.object for f in findings] == [f"Deployment {ACP}/acp"] * 2, verdict.why
    for found in findings:
        mended = json.loads(found.remedy.split("<<< '")[1].rstrip("'"))
        snapshot.objects["NetworkPolicy"].append(mended)
    for row in ("HARD-46", "HARD-48", "HARD-49"):
        passes(snapshot, row)


def test_the_label_that_kubernetes_gives_to_a_jobs_pods_counts() -> None:
    snapshot = hardened()
    spec = policy(snapshot, "acp-jobs")
    spec["podSelector"] = {
        "matchExpressions": [{"key": "batch.kubernetes.io/job-name", "operator": "Exists"}]
    }
    passes(snapshot, "HARD-46")


def test_types_left_out_are_those_of_the_rules() -> None:
    snapshot = hardened()
    del policy(snapshot)["policyTypes"]
    passes(snapshot, "HARD-46")
    del policy(snapshot)["egress"]
    fails(snapshot, "HARD-46", f"Deployment {ACP}/acp", TEMPLATE, "of type Egress")


def test_a_policy_of_another_namespace_isolates_nobody_here() -> None:
    snapshot = hardened()
    named(snapshot, "NetworkPolicy", "acp")["metadata"]["namespace"] = "shop"
    fails_among(snapshot, "HARD-46", f"Deployment {ACP}/acp", TEMPLATE)


@pytest.mark.parametrize("row", ["HARD-46", "HARD-48", "HARD-49", "HARD-50", "HARD-51"])
def test_policies_unread_decide_nothing(row: str) -> None:
    snapshot = hardened()
    unread(snapshot, "NetworkPolicy")
    undecided(snapshot, row, "NetworkPolicy objects could not be read: forbidden")


# HARD-47


@pytest.mark.parametrize("row", [*ROWS, "HARD-52", "HARD-53"])
def test_a_network_that_ignores_policies_fails_every_row_that_rests_on_them(row: str) -> None:
    snapshot = hardened()
    functions(snapshot)
    probed(snapshot, "cni deny", "open", "connected in 3 ms")
    fails(snapshot, row, "cluster network", "probe cni deny", "open connected in 3 ms")


def test_without_a_control_that_gets_through_nothing_is_known() -> None:
    snapshot = hardened()
    probed(snapshot, "cni control", "blocked", "timeout")
    undecided(snapshot, "HARD-47", "the control probe cni control is blocked timeout")
    passes(snapshot, "HARD-46")


@pytest.mark.parametrize("name", ["cni control", "cni deny"])
def test_enforcement_not_probed_is_inconclusive(name: str) -> None:
    snapshot = hardened()
    del snapshot.probes[name]
    undecided(snapshot, "HARD-47", f"probe {name} was not run")
    probed(snapshot, name, "unknown", "pods pending")
    undecided(snapshot, "HARD-47", "pods pending")


# HARD-48


@pytest.mark.parametrize(
    ("rule", "at", "saw"),
    [
        ({"ports": [{"port": 8443}]}, "", "any source"),
        ({"from": []}, "", "any source"),
        ({"from": [{"namespaceSelector": {}}]}, ".from[0]", "pods of namespace *"),
        ({"from": [into("ingress"), into("shop")]}, ".from[1]", "pods of namespace shop"),
        ({"from": [{"podSelector": {}}]}, ".from[0]", "pods of namespace acp-system"),
        ({"from": [block("10.0.0.0/8")]}, ".from[0]", "addresses 10.0.0.0/8"),
        ({"from": [into("monitoring")]}, ".from[0]", "namespace monitoring on other ports"),
        ({"from": [into("monitoring")], "ports": [{"port": 8443}]}, ".from[0]", "other ports"),
        (
            {"from": [into("monitoring")], "ports": [{"port": 9000, "endPort": 9443}]},
            ".from[0]",
            "",
        ),
    ],
)
def test_a_source_other_than_ingress_and_scraper_fails(rule: Any, at: str, saw: str) -> None:
    snapshot = hardened()
    policy(snapshot)["ingress"].append(rule)
    fails(snapshot, "HARD-48", MAIN, f"spec.ingress[2]{at}", saw)


@pytest.mark.parametrize(
    "rule",
    [
        {"from": [into("ingress")]},
        {"from": [into("monitoring")], "ports": [{"port": 9000}]},
        {"from": [into("monitoring")], "ports": [{"port": "metrics"}]},
        {"from": [{"namespaceSelector": {"matchExpressions": [
            {"key": NAME, "operator": "In", "values": ["ingress"]}]}}]},
        {"from": [{"namespaceSelector": {"matchLabels": {"team": "nobody"}}}]},
    ],
)  # fmt: skip
def test_the_ingress_namespace_and_scrapers_on_their_port_pass(rule: Any) -> None:
    snapshot = hardened()
    policy(snapshot)["ingress"].append(rule)
    passes(snapshot, "HARD-48")


def test_a_selector_by_label_is_judged_by_the_namespaces_that_carry_it() -> None:
    snapshot = hardened()
    labelled(snapshot, "shop", **{"acpchaos.io/monitoring": "true"})
    fails_among(snapshot, "HARD-48", MAIN, "spec.ingress[1].from[0]", "pods of namespace shop")
    listed = with_policy(snapshot, scraper_namespaces=("monitoring", "shop"))
    passes(listed, "HARD-48")
    unread(snapshot, "Namespace")
    undecided(snapshot, "HARD-48", "Namespace objects could not be read")


def test_workers_and_jobs_are_judged_too() -> None:
    for name in ("acp-workers", "acp-jobs"):
        snapshot = hardened()
        policy(snapshot, name).setdefault("ingress", []).append({"from": [into("shop")]})
        at = len(policy(snapshot, name)["ingress"]) - 1
        where = f"NetworkPolicy {ACP}/{name}"
        fails(snapshot, "HARD-48", where, f"spec.ingress[{at}].from[0]")


@pytest.mark.parametrize("row", ["HARD-48", "HARD-49"])
def test_pods_without_any_policy_are_open(row: str) -> None:
    snapshot = hardened()
    without(snapshot, "NetworkPolicy", "acp-workers")
    fails(snapshot, row, f"Deployment {ACP}/acp-workers", TEMPLATE)


def test_jobs_without_a_policy_are_the_subject_of_isolation_alone() -> None:
    snapshot = hardened()
    without(snapshot, "NetworkPolicy", "acp-jobs")
    for row in ("HARD-48", "HARD-49"):
        passes(snapshot, row)


@pytest.mark.parametrize("port", [8443, 9000, 9443])
def test_a_foreign_pod_that_gets_through_fails_whatever_the_policies_say(port: int) -> None:
    snapshot = hardened()
    probed(snapshot, f"foreign acp:{port}", "open", "connected")
    fails(snapshot, "HARD-48", f"probe foreign acp:{port}", "outcome", "open connected")


def test_sources_need_their_probes_and_a_controller_that_gets_through() -> None:
    snapshot = hardened()
    probed(snapshot, "controller acp:8443", "blocked", "503")
    undecided(snapshot, "HARD-48", "the control probe controller acp:8443 is blocked 503")
    snapshot = hardened()
    del snapshot.probes["foreign acp:8443"]
    undecided(snapshot, "HARD-48", "foreign acp:8443 was not run")


# HARD-49


@pytest.mark.parametrize(
    ("rule", "at", "saw"),
    [
        ({}, "", "any target"),
        ({"ports": [{"port": 53, "protocol": "UDP"}]}, "", "any target"),
        ({"to": [block("0.0.0.0/0", "10.0.0.0/8")]}, ".to[0]", "0.0.0.0/0 except 10.0.0.0/8"),
        ({"to": [into("kube-system")]}, ".to[0]", "pods of namespace kube-system"),
        ({"to": [into("shop")], "ports": [{"port": 5432}]}, ".to[0]", "namespace shop"),
        ({"to": [{"podSelector": {}}]}, ".to[0]", "Deployment acp-system/acp"),
    ],
)
def test_a_target_that_is_no_store_fails(rule: Any, at: str, saw: str) -> None:
    snapshot = hardened()
    policy(snapshot)["egress"].append(rule)
    fails(snapshot, "HARD-49", MAIN, f"spec.egress[4]{at}", saw)


@pytest.mark.parametrize(
    "rule",
    [
        {"to": [into("acp-faas")]},
        {"to": [{"podSelector": {"matchLabels": {"app": "not-there"}}}]},
        {"to": [block("169.254.20.10/32")], "ports": [{"port": 53, "protocol": "UDP"}]},
        {"to": [block("203.0.113.7/32")]},
    ],
)
def test_functions_a_resolver_on_the_node_and_listed_ranges_pass(rule: Any) -> None:
    snapshot = with_policy(hardened(), outside_hosts=("mail.example.test", "203.0.113.0/24"))
    policy(snapshot)["egress"].append(rule)
    passes(snapshot, "HARD-49")


def test_a_link_local_address_is_for_resolvers_only() -> None:
    snapshot = hardened()
    policy(snapshot)["egress"].append({"to": [block("169.254.169.254/32")]})
    fails(snapshot, "HARD-49", MAIN, "spec.egress[4].to[0]")


def test_stores_elsewhere_are_known_by_acps_configuration() -> None:
    snapshot = hardened()
    data = named(snapshot, "Secret", "acp-secret")["data"]
    data["config.yaml"] = data["config.yaml"].replace("timescaledb.acp-system", "tsdb.stores")
    store = {"to": [into("stores")], "ports": [{"port": 5432}]}
    policy(snapshot)["egress"].append(store)
    passes(snapshot, "HARD-49")
    del store["ports"]
    fails(snapshot, "HARD-49", MAIN, "spec.egress[4].to[0]", "pods of namespace stores")


def test_a_store_by_its_address_is_known_by_acps_configuration() -> None:
    snapshot = hardened()
    data = named(snapshot, "Secret", "acp-secret")["data"]
    host = "timescaledb.acp-system.svc.cluster.local"
    data["config.yaml"] = data["config.yaml"].replace(host, "198.51.100.9")
    policy(snapshot)["egress"].append({"to": [block("198.51.100.9/32")]})
    passes(snapshot, "HARD-49")
    policy(snapshot)["egress"].append({"to": [block("198.51.100.0/24")]})
    fails(snapshot, "HARD-49", MAIN, "spec.egress[5].to[0]")


@pytest.mark.parametrize("what", ["unlisted", "kube-api", "metadata"])
def test_what_a_pod_of_acp_must_not_reach(what: str) -> None:
    snapshot = hardened()
    probed(snapshot, f"acp egress {what}", "open", "connected")
    fails(snapshot, "HARD-49", f"probe acp egress {what}", "outcome", "open")
    del snapshot.probes[f"acp egress {what}"]
    undecided(snapshot, "HARD-49", f"acp egress {what} was not run")


@pytest.mark.parametrize("store", STORES)
def test_a_pod_that_reaches_no_store_proves_nothing(store: str) -> None:
    snapshot = hardened()
    probed(snapshot, f"acp egress {store}", "blocked", "timeout")
    undecided(snapshot, "HARD-49", f"the control probe acp egress {store} is blocked timeout")


# manifests


def test_manifests_can_fail_these_rows_and_pass_only_what_needs_no_cluster() -> None:
    snapshot = replaced(hardened(), source="manifests")
    snapshot.probes.clear()
    passes(snapshot, "HARD-46")
    passes(snapshot, "HARD-51")
    undecided(snapshot, "HARD-47", "was not run")
    for row in ("HARD-48", "HARD-49", "HARD-50"):
        undecided(snapshot, row, "were not run" if row == "HARD-50" else "not run")
    policy(snapshot)["ingress"].append({"ports": [{"port": 8443}]})
    fails(snapshot, "HARD-48", MAIN, "spec.ingress[2]", "any source")


def test_namespaces_chosen_by_label_are_unknown_in_manifests() -> None:
    snapshot = replaced(hardened(), source="manifests")
    unread(snapshot, "Namespace", "rendered manifests lack one")
    undecided(snapshot, "HARD-48", "rendered manifests lack one")
    policy(snapshot)["ingress"].append({"from": [{"namespaceSelector": {}}]})
    fails(snapshot, "HARD-48", MAIN, "spec.ingress[2].from[0]", "namespace *")
