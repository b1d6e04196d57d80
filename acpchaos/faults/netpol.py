"""NetworkPolicies narrowed so that some pods are no longer let in: arithmetic on objects alone.

Room: faults. Policies add up, so no policy can forbid what another one allows: a cut leaves out of
each policy that selects the target the pods to be kept out, and where none selects it adds one that
lets everyone else in. Pods that are cut apart as a whole bear a label: all policies spare those
with it, and one of its own lets them reach each other alone. It must not ask the cluster.
"""

import copy
import re
from collections.abc import Iterable, Mapping
from typing import Any

from acpchaos.target.cluster import Object

INGRESS = ("spec", "ingress")
EXPRESSIONS = ("spec", "podSelector", "matchExpressions")
CUT = "acpchaos.io/cut"  # label of pods that are cut apart, with the run


def term(key: str, values: Iterable[str]) -> Object:
    """A match expression for all pods but those whose label `key` is one of `values`."""
    return {"key": key, "operator": "NotIn", "values": sorted(set(values))}


def common_term(selectors: Iterable[str]) -> Object | None:
    """For all pods but those of several workloads, by a label that each selector fixes; None where
    they have no such label in common."""
    every = [_equalities(selector) for selector in selectors]
    for key in every[0] if every else ():
        if all(key in each for each in every):
            return term(key, (each[key] for each in every))
    return None


def _equalities(selector: str) -> dict[str, str]:
    terms = re.split(r",(?![^()]*\))", selector)
    found = (re.fullmatch(r"\s*([\w./-]+)\s*==?\s*([\w.-]+)\s*", each) for each in terms)
    return {each[1]: each[2] for each in found if each}


def isolating(policies: Iterable[Object], labels: Mapping[str, str]) -> list[Object]:
    """Those that say who may come in to a pod with these labels."""
    return [
        policy
        for policy in policies
        if "Ingress" in (policy["spec"].get("policyTypes") or ["Ingress"])
        and matches(policy["spec"].get("podSelector") or {}, labels)
    ]


def matches(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """A Kubernetes label selector on labels; an empty one matches all."""
    wanted = (selector.get("matchLabels") or {}).items()
    return wanted <= labels.items() and all(
        _expressed(each, labels) for each in selector.get("matchExpressions") or []
    )


def _expressed(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


def selecting(policies: Iterable[Object], labels: Mapping[str, str]) -> list[Object]:
    """Those that say anything of a pod with these labels, in or out."""
    return [each for each in policies if matches(each["spec"].get("podSelector") or {}, labels)]


def sparing(policy: Object, run: str) -> list[Object]:
    """The selector's expressions of a policy that spares the pods which `run` cuts apart."""
    given = (policy["spec"].get("podSelector") or {}).get("matchExpressions") or []
    return [*copy.deepcopy(given), term(CUT, [run])]


def apart(name: str, run: str, labels: Mapping[str, str]) -> Object:
    """The policy that lets the pods which `run` cuts apart reach each other and nobody else."""
    own = {"podSelector": {"matchLabels": {CUT: run}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": own | {
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [own]}], "egress": [{"to": [own]}],
        },
    }  # fmt: skip


def address_blocks(policies: Iterable[Object]) -> list[str]:
    """Names of those that let address blocks in, from which no pod can be left out."""
    return [
        policy["metadata"]["name"]
        for policy in policies
        if any(
            "ipBlock" in peer
            for rule in policy["spec"].get("ingress") or []
            for peer in rule.get("from") or []
        )
    ]


def without(rules: Iterable[Object], but: Object) -> list[Object]:
    """Ingress rules as they are, less the pods that `but` does not match."""
    return [{**copy.deepcopy(rule), "from": _peers(rule.get("from"), but)} for rule in rules]


def _peers(peers: list[Object] | None, but: Object) -> list[Object]:
    if not peers:  # everyone; from outside of the cluster nobody is left in
        return [{"namespaceSelector": {}, "podSelector": {"matchExpressions": [dict(but)]}}]
    narrowed = copy.deepcopy(peers)
    for peer in narrowed:
        selector = peer.setdefault("podSelector", {})
        selector["matchExpressions"] = [*(selector.get("matchExpressions") or []), dict(but)]
    return narrowed


def everyone(name: str, selector: Object, but: Object, labels: Mapping[str, str]) -> Object:
    """A policy for pods that no other one selects: all pods are let in but those."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "labels": dict(labels)},
        "spec": {
            "podSelector": selector,
            "policyTypes": ["Ingress"],
            "ingress": [{"from": _peers(None, but)}],
        },
    }
