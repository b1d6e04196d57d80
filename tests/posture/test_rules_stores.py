"""HARD-50 and HARD-51: who may connect to the stores."""

from typing import Any

import pytest

from .asking import (
    ACP,
    block,
    fails,
    into,
    not_here,
    passes,
    policy,
    probed,
    undecided,
    without,
)
from .building_lab import hardened

REDIS = f"NetworkPolicy {ACP}/redis-cluster"
TEMPLATE = "spec.template.metadata.labels"


@pytest.mark.parametrize(
    ("rule", "at", "saw"),
    [
        ({"ports": [{"port": 5432}]}, "", "any source"),
        ({"from": [into("shop")]}, ".from[0]", "pods of namespace shop"),
        ({"from": [into("monitoring")]}, ".from[0]", "pods of namespace monitoring"),
        ({"from": [block("0.0.0.0/0")]}, ".from[0]", "addresses 0.0.0.0/0"),
    ],
)
def test_a_store_that_lets_strangers_in_fails(rule: Any, at: str, saw: str) -> None:
    snapshot = hardened()
    policy(snapshot, "postgresql")["ingress"].append(rule)
    fails(snapshot, "HARD-50", f"NetworkPolicy {ACP}/postgresql", f"spec.ingress[2]{at}", saw)
    passes(snapshot, "HARD-51")


def test_scrapers_may_reach_the_exporter_of_a_store() -> None:
    snapshot = hardened()
    exporter = {"from": [into("monitoring")], "ports": [{"port": 9187}]}
    policy(snapshot, "postgresql")["ingress"].append(exporter)
    passes(snapshot, "HARD-50")


def test_a_store_without_a_policy_fails() -> None:
    snapshot = hardened()
    without(snapshot, "NetworkPolicy", "timescaledb")
    where = (f"StatefulSet {ACP}/timescaledb", TEMPLATE)
    fails(snapshot, "HARD-50", *where, "no NetworkPolicy of type Ingress")


@pytest.mark.parametrize("name", ["redis:16379", "sql:8008", "analytics:5432"])
def test_a_port_of_a_store_that_a_foreign_pod_reaches_fails(name: str) -> None:
    snapshot = hardened()
    probed(snapshot, f"foreign {name}", "open", "connected")
    fails(snapshot, "HARD-50", f"probe foreign {name}", "outcome", "open connected")


def test_each_store_that_runs_must_have_been_probed() -> None:
    snapshot = hardened()
    for name in [n for n in snapshot.probes if n.startswith("foreign sql:")]:
        del snapshot.probes[name]
    undecided(snapshot, "HARD-50", "probes foreign sql:* were not run")
    probed(snapshot, "foreign sql:5432", "unknown", "pod pending")
    undecided(snapshot, "HARD-50", "pod pending")


def test_managed_stores_are_not_judged_here() -> None:
    snapshot = hardened()
    snapshot.objects["StatefulSet"].clear()
    not_here(snapshot, "HARD-50", "no store of the profile")
    not_here(snapshot, "HARD-51", "Redis does not run")


def test_the_charts_policy_of_redis_without_from_fails() -> None:
    snapshot = hardened()
    policy(snapshot, "redis-cluster")["ingress"] = [{"ports": [{"port": 6379}]}]
    for row in ("HARD-50", "HARD-51"):
        fails(snapshot, row, REDIS, "spec.ingress[0]", "any source")
    without(snapshot, "NetworkPolicy", "redis-cluster")
    for row in ("HARD-50", "HARD-51"):
        fails(snapshot, row, f"StatefulSet {ACP}/redis-cluster", TEMPLATE)
