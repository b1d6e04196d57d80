"""HARD-52 and HARD-53: functions run foreign code, so they may reach the outside and nothing else.

Room: check. The vendor's own policy excepts 172.16.0.0/20 and forgets link-local and shared
addresses: what a policy really lets through is computed, not read off.
"""

import ipaddress
import json
from functools import partial

from acpchaos.check.posture.controlplane import cluster_ranges
from acpchaos.check.posture.netpol import (
    Allow,
    Block,
    Network,
    Peer,
    contains,
    network,
    reachable,
)
from acpchaos.check.posture.parts import joined
from acpchaos.check.posture.probing import blocked, enforcement
from acpchaos.check.posture.reach import DNS_NAMESPACES, DNS_RULE, Reach, only_dns
from acpchaos.check.posture.rule import Judgement, NotHere, broken, rule
from acpchaos.check.posture.view import Pods, View
from acpchaos.record.snapshot import Object

INSIDE: dict[Network, str] = {
    network("10.0.0.0/8"): "private addresses",
    network("172.16.0.0/12"): "private addresses, container bridges among them",
    network("192.168.0.0/16"): "private addresses",
    network("100.64.0.0/10"): "shared addresses, which providers use for nodes",
    network("169.254.0.0/16"): "link-local, the metadata service among them",
    network("fc00::/7"): "private addresses",
    network("fe80::/10"): "link-local",
}
_ANYWHERE = (network("0.0.0.0/0"), network("::/0"))


def _functions(view: View) -> list[Pods]:
    """Workloads of functions; NotHere when the namespace does not exist or is empty."""
    name = view.scope.faas_namespace
    if view.faas:
        return view.faas
    raise NotHere(f"no functions run in namespace {name}")


def _wanted_rules() -> list[Object]:
    holes = [str(each) for each in INSIDE if each.version == 4]
    return [DNS_RULE, {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": holes}}]}]


@rule(
    "HARD-52",
    evidence="egress rules of the policies that select functions; probes from a function's pod",
    passes="they reach DNS and addresses outside only; the Kubernetes API, ACP, Redis, a node and "
    "the metadata address are blocked where an outside host answers",
    source="vendor document, hardening, functions: external egress only",
    remedy="egress to an ipBlock with exceptions, and to DNS; no selector besides",
    active=True,
)
def outside_only(view: View) -> Judgement:
    functions, reach = _functions(view), view.once(Reach)
    return joined(
        [
            partial(enforcement, view),
            *(partial(_targets, reach, pods) for pods in functions),
            partial(_outside, view),
            partial(_probes, view),
        ]
    )


def _targets(reach: Reach, pods: Pods) -> Judgement:
    allow, bad = _wanted_rules(), partial(_bad_target, reach)
    remedy = f"egress: {json.dumps(allow)}"
    return reach.judged(pods, "egress", allow, bad, "outside addresses or DNS", remedy)


def _bad_target(reach: Reach, allow: Allow, peer: Peer | None) -> str:
    """What is wrong with one target; the ranges of address blocks are HARD-53's."""
    if peer is None:
        return "any target"
    if peer.block is not None:
        return ""
    names = reach.namespaces(peer)
    if not names or (names <= DNS_NAMESPACES and only_dns(allow)):
        return ""
    return f"pods of namespace {', '.join(sorted(names))}"


def _outside(view: View) -> Judgement:
    """What functions are there for; the probe is blocked only where others get through."""
    name = "faas egress outside"
    probe, read = view.probe(name), (f"probe {name}",)
    if probe.outcome == "open":
        return Judgement(read=read)
    remedy = f"egress: {json.dumps(_wanted_rules())}"
    found = broken(f"probe {name}", "outcome", str(probe), "open for functions", remedy)
    return Judgement(findings=(found,), read=read)


def _probes(view: View) -> Judgement:
    inside = ["kube-api", "acp", "node", "metadata"]
    inside += ["redis"] if any(pods.role == "redis" for pods in view.neighbours) else []
    names = [f"faas egress {what}" for what in inside]
    return blocked(view, names, "blocked for functions", f"egress: {json.dumps(_wanted_rules())}")


@rule(
    "HARD-53",
    evidence="ipBlock of egress rules that select functions; ranges of pods, services and nodes",
    passes="`except` covers this cluster's ranges, link-local, private and shared addresses",
    source="facts on the chart's policy: it excepts 172.16.0.0/20 only and no link-local address",
    remedy="except: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, 100.64.0.0/10, 169.254.0.0/16]",
)
def exceptions(view: View) -> Judgement:
    functions, reach = _functions(view), view.once(Reach)
    parts = [partial(_blocks, reach, pods, INSIDE) for pods in functions]
    return joined(
        [partial(enforcement, view), *parts, partial(_own_ranges, view, reach, functions)]
    )


def _own_ranges(view: View, reach: Reach, functions: list[Pods]) -> Judgement:
    """The same with this cluster's ranges, which may be public addresses."""
    ranges = cluster_ranges(view)
    public = {
        each: what
        for each, what in ranges.items()
        if not any(contains(outer, each) for outer in INSIDE)
    }
    read = tuple(f"{each} ({what})" for each, what in ranges.items())
    parts = [partial(_blocks, reach, pods, public) for pods in functions]
    return joined([partial(Judgement, read=read), *parts])


def _blocks(reach: Reach, pods: Pods, inside: dict[Network, str]) -> Judgement:
    holes = [str(each) for each in ipaddress.collapse_addresses(_v4(INSIDE | inside))]
    leaks, remedy = partial(_leaks, inside), f"except: {json.dumps(holes)}"
    return reach.judged(pods, "egress", _wanted_rules(), leaks, "excepted", remedy)


def _v4(ranges: dict[Network, str]) -> list[ipaddress.IPv4Network]:
    return [each for each in ranges if isinstance(each, ipaddress.IPv4Network)]


def _leaks(inside: dict[Network, str], allow: Allow, peer: Peer | None) -> str:
    """What a rule lets through of the inside; empty when nothing."""
    if (peer is not None and peer.block is None) or only_dns(allow):
        return ""  # a selector is HARD-52's; a resolver may stand inside
    blocks = [peer.block] if peer and peer.block else [Block(each) for each in _ANYWHERE]
    found = [
        f"{', '.join(str(part) for part in parts[:4])} ({what})"
        for block in blocks
        for wanted, what in inside.items()
        if (parts := reachable(block, wanted))
    ]
    more = f" and {len(found) - 6} more" if len(found) > 6 else ""
    return f"open for {'; '.join(found[:6])}{more}" if found else ""
