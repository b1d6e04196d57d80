"""HARD-52 and HARD-53: functions reach the outside and nothing else."""

from typing import Any

import pytest

from .asking import (
    block,
    fails,
    fails_among,
    into,
    named,
    not_here,
    passes,
    probed,
    undecided,
    unread,
    with_policy,
    without,
)
from .building_lab import hardened
from .functions import INSIDE, functions

TEMPLATE = "spec.template.metadata.labels"
FAAS = "NetworkPolicy acp-faas/acp-faas"


def test_functions_with_external_egress_only_pass() -> None:
    snapshot = hardened()
    functions(snapshot)
    passes(snapshot, "HARD-52")
    passes(snapshot, "HARD-53")


def test_an_installation_without_functions_is_not_judged() -> None:
    for row in ("HARD-52", "HARD-53"):
        not_here(hardened(), row, "no functions run in namespace acp-faas")
        snapshot = hardened()
        unread(snapshot, "Deployment")
        undecided(snapshot, row, "Deployment objects could not be read")


@pytest.mark.parametrize(
    ("rule", "at", "saw"),
    [
        ({"to": [into("acp-system")]}, ".to[0]", "pods of namespace acp-system"),
        ({"to": [{"podSelector": {}}]}, ".to[0]", "pods of namespace acp-faas"),
        ({"to": [into("kube-system")]}, ".to[0]", "pods of namespace kube-system"),
        ({"to": [into("shop")], "ports": [{"port": 53}]}, ".to[0]", "pods of namespace shop"),
    ],
)
def test_a_way_inside_fails_the_row_of_targets_alone(rule: Any, at: str, saw: str) -> None:
    snapshot = hardened()
    functions(snapshot).append(rule)
    fails(snapshot, "HARD-52", FAAS, f"spec.egress[2]{at}", saw)
    passes(snapshot, "HARD-53")


@pytest.mark.parametrize("what", ["kube-api", "acp", "redis", "node", "metadata"])
def test_what_a_function_must_not_reach(what: str) -> None:
    snapshot = hardened()
    functions(snapshot)
    probed(snapshot, f"faas egress {what}", "open", "connected")
    fails(snapshot, "HARD-52", f"probe faas egress {what}", "outcome", "open connected")
    del snapshot.probes[f"faas egress {what}"]
    undecided(snapshot, "HARD-52", f"faas egress {what} was not run")


def test_functions_that_are_kept_from_the_outside_fail() -> None:
    snapshot = hardened()
    functions(snapshot)
    probed(snapshot, "faas egress outside", "blocked", "no route")
    fails(snapshot, "HARD-52", "probe faas egress outside", "outcome", "blocked no route")
    probed(snapshot, "faas egress outside", "unknown", "nobody gets there")
    undecided(snapshot, "HARD-52", "probe faas egress outside proved nothing: nobody gets there")


@pytest.mark.parametrize("gone", INSIDE)
def test_a_range_that_is_not_excepted_fails(gone: str) -> None:
    snapshot = hardened()
    functions(snapshot)[1]["to"][0]["ipBlock"]["except"].remove(gone)
    found = fails(snapshot, "HARD-53", FAAS, "spec.egress[1].to[0]", gone)
    assert gone in found.remedy
    passes(snapshot, "HARD-52")


def test_the_charts_own_exceptions_leave_the_container_bridge_and_metadata_open() -> None:
    snapshot = hardened()
    holes = ["10.0.0.0/8", "192.168.0.0/16", "172.16.0.0/20"]
    functions(snapshot)[1]["to"][0] = block("0.0.0.0/0", *holes)
    found = fails(snapshot, "HARD-53", FAAS, "spec.egress[1].to[0]", "172.16.16.0/20")
    assert "169.254.0.0/16" in found.saw and "100.64.0.0/10" in found.saw


def test_exceptions_in_pieces_are_added_up() -> None:
    snapshot = hardened()
    holes = ["10.0.0.0/9", "10.128.0.0/9", *INSIDE[1:]]
    functions(snapshot)[1]["to"][0] = block("0.0.0.0/0", *holes)
    passes(snapshot, "HARD-53")


def test_public_ranges_of_this_cluster_count_too() -> None:
    snapshot = hardened()
    egress = functions(snapshot)
    node = snapshot.objects["Node"][0]
    node["spec"] = {"podCIDR": "203.0.113.0/25"}
    fails(snapshot, "HARD-53", FAAS, "spec.egress[1].to[0]", "203.0.113.0/25 (pods of the cluster)")
    egress[1]["to"][0]["ipBlock"]["except"].append("203.0.113.0/24")
    passes(snapshot, "HARD-53")
    node["status"]["addresses"][0]["address"] = "198.51.100.1"
    fails(snapshot, "HARD-53", FAAS, "spec.egress[1].to[0]", "198.51.100.1/32 (nodes")


def test_the_service_range_comes_from_the_api_server() -> None:
    snapshot = hardened()
    functions(snapshot)
    name = "kube-apiserver-acpchaos-control-plane"
    command = named(snapshot, "Pod", name, "kube-system")["spec"]["containers"][0]["command"]
    command[2] = "--service-cluster-ip-range=34.118.224.0/20"
    fails(snapshot, "HARD-53", FAAS, "spec.egress[1].to[0]", "34.118.224.0/20 (services")


def test_ranges_that_nobody_tells_are_inconclusive_until_the_profile_lists_them() -> None:
    snapshot = hardened()
    functions(snapshot)
    without(snapshot, "Pod", "kube-apiserver-acpchaos-control-plane", "kube-system")
    undecided(snapshot, "HARD-53", "the range of services is not in the evidence")
    passes(with_policy(snapshot, cluster_cidrs=("10.96.0.0/12",)), "HARD-53")
    fails(
        with_policy(snapshot, cluster_cidrs=("34.118.224.0/20",)), "HARD-53", FAAS,
        "spec.egress[1].to[0]", "posture.cluster_cidrs",
    )  # fmt: skip


def test_a_rule_without_targets_excepts_nothing() -> None:
    snapshot = hardened()
    functions(snapshot).append({})
    for row in ("HARD-52", "HARD-53"):
        fails_among(snapshot, row, FAAS, "spec.egress[2]")


def test_functions_without_a_policy_fail_both_rows() -> None:
    snapshot = hardened()
    functions(snapshot)
    without(snapshot, "NetworkPolicy", "acp-faas", "acp-faas")
    for row in ("HARD-52", "HARD-53"):
        fails(snapshot, row, "Deployment acp-faas/acp-faas-node-v5", TEMPLATE)


def test_redis_is_tried_where_it_runs_only() -> None:
    snapshot = hardened()
    functions(snapshot)
    del snapshot.probes["faas egress redis"]
    undecided(snapshot, "HARD-52", "faas egress redis was not run")
    without(snapshot, "StatefulSet", "redis-cluster")
    passes(snapshot, "HARD-52")
