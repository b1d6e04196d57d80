"""HARD-50 and HARD-51: who may connect to the stores.

Room: check. Pods beside the stores in their own namespace are not foreign; the rules name other
namespaces, addresses and open doors.
"""

from functools import partial

from acpchaos.check.posture.netpol import Allow, Peer
from acpchaos.check.posture.parts import joined
from acpchaos.check.posture.probing import blocked, enforcement
from acpchaos.check.posture.reach import Reach, from_pods, only
from acpchaos.check.posture.rule import Judgement, NotHere, rule
from acpchaos.check.posture.view import Pods, View, containers
from acpchaos.record.snapshot import Object

# Ports to try where a store has them (the vendor's charts).
_PORTS = {
    "redis": (6379, 16379), "sql": (26257, 5432, 8080, 8008), "analytics": (5432, 8008, 8081),
}  # fmt: skip
# Ports where exporters of Redis and PostgreSQL and CockroachDB itself show their metrics.
_EXPORTERS: set[int | str] = {9121, 9187, 8080, "metrics", "http-metrics"}


@rule(
    "HARD-50",
    evidence="probes from a foreign pod to the ports of the stores; ingress rules of the policies "
    "that select them",
    passes="every port is blocked, and no rule lets other namespaces in; scrapers may reach the "
    "exporters",
    source="vendor document, hardening, network policies: databases talk to ACP only",
    remedy="a NetworkPolicy for each store with ACP's pods as sources",
    active=True,
)
def closed(view: View) -> Judgement:
    if not view.neighbours:
        raise NotHere("no store of the profile runs in this cluster")
    reach = view.once(Reach)
    running = sorted({pods.role for pods in view.neighbours})
    return joined(
        [
            partial(enforcement, view),
            *(partial(_sources, view, reach, pods) for pods in view.neighbours),
            *(partial(_foreign, view, store) for store in running),
            *(partial(_every_port, view, pods) for pods in view.neighbours),
        ]
    )


def _sources(view: View, reach: Reach, pods: Pods) -> Judgement:
    allow, bad = _wanted(view, pods), partial(_bad_source, view, reach)
    want = f"pods of namespace {pods.namespace}"
    return reach.judged(pods, "ingress", allow, bad, want, f"ingress: {allow}")


def _wanted(view: View, pods: Pods) -> list[Object]:
    """Sources of a store: ACP, and the store's other pods."""
    return [{"from": from_pods(*view.acp, *view.jobs, pods)}]


def _bad_source(view: View, reach: Reach, allow: Allow, peer: Peer | None) -> str:
    """What is wrong with one source of a store's traffic; empty when nothing is."""
    if peer is None:
        return "any source"
    if peer.block is not None:
        return f"addresses {peer.block}"
    foreign = reach.namespaces(peer) - {peer.home}
    if only(allow.ports, _EXPORTERS):
        foreign -= set(view.policy.scraper_namespaces)
    return f"pods of namespace {', '.join(sorted(foreign))}" if foreign else ""


def _foreign(view: View, store: str) -> Judgement:
    names = view.probes(f"foreign {store}:")
    return blocked(view, names, "blocked from a foreign namespace", f"see the policy of {store}")


def _every_port(view: View, pods: Pods) -> Judgement:
    """Unreadable when a port that the vendor's table names and the store declares was not tried."""
    every = [port for each in containers(pods) for port in each.spec.get("ports") or []]
    declared = {port.get("containerPort") for port in every}
    tried = [f"foreign {pods.role}:{number}" for number in _PORTS[pods.role] if number in declared]
    return Judgement(read=tuple(f"probe {name}" for name in tried if view.probe(name)))


@rule(
    "HARD-51",
    evidence="ingress rules of the policies that select Redis",
    passes="Redis is isolated and each rule has `from`",
    source="the Redis chart: its policy allows every source unless allowExternal is false",
    remedy="chart value networkPolicy: {allowExternal: false}",
)
def redis_policy(view: View) -> Judgement:
    redis = [pods for pods in view.neighbours if pods.role == "redis"]
    if not redis:
        raise NotHere("Redis does not run in this cluster")
    reach = view.once(Reach)
    return joined(
        [partial(enforcement, view), *(partial(_named, view, reach, pods) for pods in redis)]
    )


def _named(view: View, reach: Reach, pods: Pods) -> Judgement:
    allow, want = _wanted(view, pods), "`from` that names who may connect"
    remedy = "networkPolicy: {allowExternal: false}"
    return reach.judged(pods, "ingress", allow, _unnamed, want, remedy)


def _unnamed(_: Allow, peer: Peer | None) -> str:
    return "" if peer else "any source"
