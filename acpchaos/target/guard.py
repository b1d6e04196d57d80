"""The guard: refuses every target that is not exactly the pinned, opted-in cluster.

Room: target. Asked before anything is changed, by every door. It reads only.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from acpchaos.errors import GuardRefused
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.profile import Profile

OPT_IN = "acpchaos.io/allowed"
CONTROL_PLANE = "control-plane"  # the label's value on nodes of the control plane


@dataclass(frozen=True)
class Finding:
    """One line of the guard's table."""

    what: str
    ok: bool
    saw: str
    remedy: str


def inspect(cluster: Cluster, profile: Profile, *, nodes: bool = True) -> list[Finding]:
    """All findings, for `doctor`; `require` refuses on the first that is not ok."""
    findings = [_names(profile), _host(cluster, profile)]
    if not all(finding.ok for finding in findings):
        return findings  # a wrong host is not even asked
    findings += [_identity(cluster, profile), _namespace(cluster, profile)]
    return [*findings, _nodes(cluster)] if nodes else findings


def require(cluster: Cluster, profile: Profile, *, nodes: bool = True) -> None:
    """Return only for the pinned cluster whose namespace was opted in, and a node of it unless what
    follows disturbs no node."""
    for finding in inspect(cluster, profile, nodes=nodes):
        if not finding.ok:
            raise GuardRefused(
                f"check that {profile.name!r} may be disrupted: {finding.what}",
                finding.saw,
                finding.remedy,
            )


def require_identity(cluster: Cluster, profile: Profile) -> None:
    """Return only for the pinned cluster; enough for reading, which needs no opt-in."""
    for look in (_host, _identity):  # a wrong host is not even asked
        finding = look(cluster, profile)
        if not finding.ok:
            raise GuardRefused(
                f"check that {profile.name!r} is the cluster to read: {finding.what}",
                finding.saw,
                finding.remedy,
            )


def require_nodes(nodes: Iterable[Object], value: str = "true") -> None:
    """Refuse unless every one of these nodes carries the opt-in label, and there is one."""
    names = {
        node["metadata"]["name"]: (node["metadata"].get("labels") or {}).get(OPT_IN) == value
        for node in nodes
    }
    if not names:
        raise GuardRefused("choose nodes to disrupt", "none was chosen", "name a zone that exists")
    if unlabelled := sorted(name for name, allowed in names.items() if not allowed):
        raise GuardRefused(
            f"check that nodes {', '.join(names)} may be disrupted",
            f"no label {OPT_IN}={value} on {', '.join(unlabelled)}",
            f"kubectl label node {unlabelled[0]} {OPT_IN}={value}",
        )


def require_selector(selector: str) -> str:
    """The selector, unless it could match everything: it needs one label with one value."""
    terms = [term.strip() for term in re.split(r",(?![^()]*\))", selector)]
    if not any(re.fullmatch(r"[\w./-]+\s*==?\s*[\w.-]+", term) for term in terms):
        raise GuardRefused(
            f"use label selector {selector!r}",
            "it is empty or so wide that it may match everything",
            "give at least one label=value",
        )
    return selector


def _opted_in(item: Object) -> bool:
    return (item["metadata"].get("labels") or {}).get(OPT_IN) == "true"


def _names(profile: Profile) -> Finding:
    seen = {
        "context": profile.cluster.context,
        "API host": profile.cluster.api_host,
        "namespace": profile.namespaces.acp,
        "service": profile.service.base_url,
    }
    for what, name in seen.items():
        for pattern in profile.namespaces.deny:
            if re.search(pattern, name, re.IGNORECASE):
                return Finding(
                    "names", False, f"{what} {name!r} matches the deny pattern {pattern!r}",
                    "this looks like production; point the profile elsewhere",
                )  # fmt: skip
    return Finding("names", True, "no deny pattern matches", "")


def _host(cluster: Cluster, profile: Profile) -> Finding:
    pin, saw = profile.cluster.api_host, cluster.api_host
    remedy = f"set cluster.api_host to {saw!r} if that is the right cluster"
    if not pin:
        return Finding("API host pin", False, "the profile has no cluster.api_host", remedy)
    return Finding("API host pin", pin == saw, f"{saw}, pinned {pin}", remedy)


def _identity(cluster: Cluster, profile: Profile) -> Finding:
    pin = profile.cluster.kube_system_uid
    saw = cluster.get("Namespace", "kube-system")["metadata"]["uid"]
    remedy = f"set cluster.kube_system_uid to {saw!r} if that is the right cluster"
    if not pin:
        return Finding("cluster identity", False, "the profile has no kube_system_uid", remedy)
    return Finding("cluster identity", pin == saw, f"kube-system UID {saw}, pinned {pin}", remedy)


def _namespace(cluster: Cluster, profile: Profile) -> Finding:
    name = profile.namespaces.acp
    remedy = f"kubectl label namespace {name} {OPT_IN}=true"
    namespace = cluster.find("Namespace", name)
    if namespace is None:
        return Finding("namespace opt-in", False, f"no namespace {name}", "deploy ACP first")
    allowed = _opted_in(namespace)
    return Finding("namespace opt-in", allowed, f"{name}: {OPT_IN}={allowed}".lower(), remedy)


def _nodes(cluster: Cluster) -> Finding:
    allowed = [node["metadata"]["name"] for node in cluster.list("Node", selector=f"{OPT_IN}=true")]
    remedy = f"kubectl label node NAME {OPT_IN}=true"
    return Finding("node opt-in", bool(allowed), ", ".join(allowed) or "no node", remedy)
