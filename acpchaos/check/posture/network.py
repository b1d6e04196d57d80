"""HARD-46 to HARD-49: who may connect to ACP, and to what ACP may connect.

Room: check. Rules of policies are one half of the proof, probes the other.
"""

import json
from collections.abc import Callable
from functools import cache, partial
from urllib.parse import urlsplit

from acpchaos.check.posture.netpol import Allow, Direction, Network, Peer, contains, network
from acpchaos.check.posture.parts import joined
from acpchaos.check.posture.probing import blocked, control_open, enforcement
from acpchaos.check.posture.reach import (
    DNS_NAMESPACES,
    DNS_RULE,
    Reach,
    exposed,
    from_namespace,
    from_pods,
    only,
    only_dns,
)
from acpchaos.check.posture.rule import Judgement, rule
from acpchaos.check.posture.view import Pods, View
from acpchaos.record.snapshot import CONTROL, DENY, Object

SOURCE = "vendor document, hardening, network policies"
Hosts = Callable[[], list[str]]  # of the stores, as the configuration names them
_STORE_PORTS: set[int | str] = {6379, 26257, 5432}
_LINK_LOCAL = network("169.254.0.0/16")


@rule(
    "HARD-46",
    evidence="NetworkPolicies that select the pods of ACP, its workers, its jobs and all else that "
    "runs its image, Cilium's too; here as in HARD-48 to 53 a policy of Calico, Antrea or a "
    "cluster administrator that may open them leaves the row undecided",
    passes="each of them is isolated for ingress and for egress",
    source=SOURCE,
    remedy="a NetworkPolicy with policyTypes: [Ingress, Egress] for each workload",
)
def isolated(view: View) -> Judgement:
    reach = view.once(Reach)
    workloads = [*view.acp, *view.jobs]
    return joined(
        [partial(enforcement, view), *(partial(_isolated, view, reach, p) for p in workloads)]
    )


def _isolated(view: View, reach: Reach, pods: Pods) -> Judgement:
    policies = tuple(policy.name for policy in reach.selecting(pods))
    wanted: dict[Direction, list[Object]] = {
        "ingress": _ingress_rules(view, pods), "egress": _egress_rules(view),
    }  # fmt: skip
    sides = (partial(_side, reach, pods, each, allow) for each, allow in wanted.items())
    return joined([partial(Judgement, read=(str(pods), *policies)), *sides])


def _side(reach: Reach, pods: Pods, direction: Direction, allow: list[Object]) -> Judgement:
    known = reach.understood(pods, direction)
    return known if reach.rules(pods, direction) is not None else exposed(pods, direction, allow)


def _ingress_rules(view: View, pods: Pods) -> list[Object]:
    """What ACP's pods need to be called by; nobody calls workers and jobs."""
    source = from_namespace(view.scope.ingress_namespace)
    return [{"from": [source], "ports": [{"port": 8443}]}] if pods.role == "acp" else []


def _egress_rules(view: View) -> list[Object]:
    """What ACP's pods need to reach: DNS and those stores that run beside them."""
    return [DNS_RULE, *({"to": from_pods(each)} for each in view.neighbours)]


@rule(
    "HARD-47",
    evidence="probes: one pod calls another in a scratch namespace, before and under a deny policy",
    passes="open before, blocked under the policy; else HARD-46 and HARD-48 to 53 fail with it",
    source="an extension of the vendor document: policies without an enforcer change nothing",
    remedy="a network plug-in that enforces NetworkPolicy",
    active=True,
)
def enforced(view: View) -> Judgement:
    control_open(view, CONTROL)
    if view.probe(DENY).outcome == "open":
        return enforcement(view)
    return Judgement(read=(f"probe {CONTROL}", f"probe {DENY}"))


@rule(
    "HARD-48",
    evidence="ingress rules of the policies that select ACP; probes from a foreign namespace and "
    "through the ingress controller",
    passes="sources are the ingress namespace, and scrapers on port 9000; a foreign pod is blocked "
    "where the controller gets through",
    source=SOURCE,
    remedy="from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: INGRESS}}}]",
    active=True,
)
def sources(view: View) -> Judgement:
    reach = view.once(Reach)
    workloads = [*view.acp, *view.jobs]
    return joined(
        [
            partial(enforcement, view),
            *(partial(_sources, view, reach, pods) for pods in workloads),
            partial(control_open, view, "controller acp:8443"),
            partial(_foreign, view),
        ]
    )


def _sources(view: View, reach: Reach, pods: Pods) -> Judgement:
    if _unguarded_job(reach, pods, "ingress"):
        return Judgement(read=(str(pods),))
    allow, bad = _ingress_rules(view, pods), partial(_bad_source, view, reach)
    want = f"namespace {view.scope.ingress_namespace}, or a scraper on port 9000"
    return reach.judged(pods, "ingress", allow, bad, want, _from_ingress(view))


def _unguarded_job(reach: Reach, pods: Pods, direction: Direction) -> bool:
    """A job without isolation is left to HARD-46, since its pods neither listen nor stay."""
    return pods.role == "job" and reach.rules(pods, direction) is None


def _from_ingress(view: View) -> str:
    return f"from: [{json.dumps(from_namespace(view.scope.ingress_namespace))}]"


def _bad_source(view: View, reach: Reach, allow: Allow, peer: Peer | None) -> str:
    """What is wrong with one source of ACP's traffic; empty when nothing is."""
    if peer is None:
        return "any source"
    if peer.block is not None:
        return f"addresses {peer.block}"
    scrapers = reach.namespaces(peer) - {view.scope.ingress_namespace}
    if foreign := scrapers - set(view.policy.scraper_namespaces):
        return f"pods of namespace {', '.join(sorted(foreign))}"
    if scrapers and not only(allow.ports, {9000, "metrics"}):
        return f"namespace {', '.join(sorted(scrapers))} on other ports than 9000"
    return ""


def _foreign(view: View) -> Judgement:
    names = dict.fromkeys(["foreign acp:8443", *view.probes("foreign acp:")])
    return blocked(view, names, "blocked from a foreign namespace", _from_ingress(view))


@rule(
    "HARD-49",
    evidence="egress rules of the policies that select ACP; probes from a pod of ACP",
    passes="targets are its stores, DNS, functions and posture.outside_hosts; an unlisted target, "
    "the Kubernetes API and the metadata address are blocked where the stores answer",
    source=SOURCE,
    remedy="to: [{podSelector: {matchLabels: {app.kubernetes.io/name: redis-cluster}}}], one entry "
    "for each store",
    active=True,
)
def targets(view: View) -> Judgement:
    reach = view.once(Reach)
    workloads = [*view.acp, *view.jobs]
    return joined(
        [
            partial(enforcement, view),
            *(partial(_targets, view, reach, pods) for pods in workloads),
            *(partial(control_open, view, f"acp egress {store}") for store in _controls(view)),
            partial(_acp_egress, view),
        ]
    )


def _targets(view: View, reach: Reach, pods: Pods) -> Judgement:
    if _unguarded_job(reach, pods, "egress"):
        return Judgement(read=(str(pods),))
    hosts = cache(partial(_store_hosts, view, pods))
    allow, bad = _egress_rules(view), partial(_bad_target, view, reach, hosts)
    want = "a store, DNS, a function, or a range of posture.outside_hosts"
    remedy = f"egress: {json.dumps(allow)}; a needed range belongs into [posture] outside_hosts"
    return reach.judged(pods, "egress", allow, bad, want, remedy)


def _bad_target(view: View, reach: Reach, hosts: Hosts, allow: Allow, peer: Peer | None) -> str:
    """What is wrong with one target of ACP's traffic; empty when nothing is."""
    if peer is None:
        return "any target"
    if peer.block is not None:
        listed = any(contains(each, peer.block.cidr) for each in _ranges(view, hosts, allow))
        return "" if listed else f"addresses {peer.block}"
    names = reach.namespaces(peer)
    if names <= DNS_NAMESPACES and only_dns(allow):
        return ""
    if peer.home in names:
        stores = {str(each) for each in view.neighbours}
        others = [str(p) for p in reach.workloads(peer.home, peer) if str(p) not in stores]
        if others:
            return f"pods of {', '.join(others)}"
    foreign = names - {peer.home, view.scope.faas_namespace}
    if foreign and only(allow.ports, _STORE_PORTS):
        foreign -= _store_namespaces(hosts)
    return f"pods of namespace {', '.join(sorted(foreign))}" if foreign else ""


def _ranges(view: View, hosts: Hosts, allow: Allow) -> list[Network]:
    """Address ranges that policy or configuration name."""
    texts = [*view.policy.outside_hosts, *hosts()]
    if only_dns(allow):  # a resolver on the node, or the cluster's DNS by its address
        texts += [str(_LINK_LOCAL), *view.policy.cluster_cidrs]
    return [found for text in texts if (found := _range(text)) is not None]


def _range(text: str) -> Network | None:
    """A range or address; None for a host name."""
    try:
        return network(text)
    except ValueError:
        return None


def _store_hosts(view: View, pods: Pods) -> list[str]:
    """Hosts of the stores as ACP's configuration names them."""
    found = []
    for path in ("sql.url", "timescale.url", "redis.addrs", "redis.address"):
        for door in view.setting(pods, path)[-1:]:
            given = door.value if isinstance(door.value, list) else str(door.value).split(",")
            for each in given:
                text = str(each).strip()
                found.append(urlsplit(text if "//" in text else f"//{text}").hostname or "")
    return [host for host in found if host]


def _store_namespaces(hosts: Hosts) -> set[str]:
    """Namespaces in names like redis.stores.svc.cluster.local."""
    parts = [host.split(".") for host in hosts()]
    return {each[1] for each in parts if len(each) > 2 and each[2] == "svc"}


def _controls(view: View) -> list[str]:
    """Stores that a pod of ACP must be seen to reach: those that run here or were probed."""
    here = {pods.role for pods in view.neighbours}
    probed = {s for s in ("redis", "sql", "analytics") if f"acp egress {s}" in view.snapshot.probes}
    return sorted(here | probed) or ["redis"]


def _acp_egress(view: View) -> Judgement:
    names = [f"acp egress {what}" for what in ("unlisted", "kube-api", "metadata")]
    return blocked(view, names, "blocked for ACP's pods", "remove the rule that lets it through")
