"""What NetworkPolicy objects allow: which policies select a pod, is it isolated, who may connect.

Room: check. Pure semantics of networking.k8s.io/v1, no opinion about what should be allowed. An
ipBlock is taken to match pod addresses too; implementations differ there, and the wider reading is
the one that finds holes.
"""

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from acpchaos.check.posture.view import label, namespace_of, selects
from acpchaos.record.snapshot import Object

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Direction = Literal["ingress", "egress"]
NAME_LABEL = "kubernetes.io/metadata.name"  # every namespace carries its name under this key


@dataclass(frozen=True)
class Endpoint:
    """One end of a connection: a pod, or with `namespace` None an address outside of the cluster.

    `ports` are the pod's named ports; `namespace_labels` need not repeat the name's label.
    """

    namespace: str | None
    labels: dict[str, str] = field(default_factory=dict)
    namespace_labels: dict[str, str] = field(default_factory=dict)
    addresses: tuple[str, ...] = ()
    ports: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Port:
    """One entry of `ports`: `first` None is every port; a text is the name of a port."""

    protocol: str
    first: int | str | None
    last: int | None = None


@dataclass(frozen=True)
class Peer:
    """One entry of `from` or `to`. `block` excludes selectors; `namespaces` None means the
    policy's own namespace, `pods` None every pod of the namespaces."""

    field: str
    home: str  # the policy's namespace
    namespaces: Object | None = None
    pods: Object | None = None
    block: "Block | None" = None


@dataclass(frozen=True)
class Block:
    """An ipBlock: a range without its exceptions."""

    cidr: Network
    exceptions: tuple[Network, ...] = ()

    def __str__(self) -> str:
        holes = ", ".join(str(each) for each in self.exceptions)
        return f"{self.cidr}{' except ' + holes if holes else ''}"


@dataclass(frozen=True)
class Allow:
    """One rule. `peers` None allows every peer, `ports` None every port."""

    policy: str  # "NetworkPolicy namespace/name"
    field: str  # spec.ingress[0]
    peers: tuple[Peer, ...] | None
    ports: tuple[Port, ...] | None


@dataclass(frozen=True)
class Policy:
    """One NetworkPolicy; a direction that it does not govern is None."""

    name: str
    namespace: str
    pods: Object
    ingress: tuple[Allow, ...] | None
    egress: tuple[Allow, ...] | None

    def rules(self, direction: Direction) -> tuple[Allow, ...] | None:
        """Rules of a direction, None when the policy leaves it alone."""
        return self.ingress if direction == "ingress" else self.egress


def policy_of(found: Object) -> Policy:
    """A NetworkPolicy object, defaults filled in as the API server does."""
    spec = found.get("spec") or {}
    kinds = spec.get("policyTypes") or ["Ingress", *(["Egress"] if spec.get("egress") else [])]
    name, home = label("NetworkPolicy", found), namespace_of(found)
    sides: dict[Direction, tuple[Allow, ...] | None] = {}
    side: Direction
    for side, kind in (("ingress", "Ingress"), ("egress", "Egress")):
        rules = [_allow(name, home, side, at, r) for at, r in enumerate(spec.get(side) or [])]
        sides[side] = tuple(rules) if kind in kinds else None
    return Policy(name, home, spec.get("podSelector") or {}, sides["ingress"], sides["egress"])


def _allow(name: str, home: str, direction: Direction, at: int, rule: Object) -> Allow:
    key, place = ("from" if direction == "ingress" else "to"), f"spec.{direction}[{at}]"
    peers = rule.get(key) or None  # an empty list allows everything, like a missing one
    ports = rule.get("ports") or None
    return Allow(
        name,
        place,
        tuple(_peer(f"{place}.{key}[{n}]", home, p) for n, p in enumerate(peers))
        if peers
        else None,
        tuple(Port(p.get("protocol") or "TCP", p.get("port"), p.get("endPort")) for p in ports)
        if ports
        else None,
    )


def _peer(place: str, home: str, peer: Object) -> Peer:
    block = peer.get("ipBlock")
    if block is not None:
        holes = tuple(network(each) for each in block.get("except") or [])
        return Peer(place, home, block=Block(network(block["cidr"]), holes))
    return Peer(place, home, peer.get("namespaceSelector"), peer.get("podSelector"))


def network(text: Any) -> Network:
    """A range, or the range of one address; ValueError for any other text."""
    return _network(str(text))


@lru_cache(maxsize=4096)  # policies of one cluster name the same few ranges again and again
def _network(text: str) -> Network:
    return ipaddress.ip_network(text, strict=False)


def selecting(policies: Iterable[Policy], namespace: str, labels: dict[str, str]) -> list[Policy]:
    """Policies that select a pod of these labels."""
    return [p for p in policies if p.namespace == namespace and selects(p.pods, labels)]


def rules_for(
    policies: Iterable[Policy], namespace: str, labels: dict[str, str], direction: Direction
) -> list[Allow] | None:
    """All rules that allow something to a pod in a direction; None when it is not isolated."""
    governing = [r for p in selecting(policies, namespace, labels) for r in [p.rules(direction)]]
    isolating = [rules for rules in governing if rules is not None]
    return [allow for rules in isolating for allow in rules] if isolating else None


def open_between(
    policies: Iterable[Policy], source: Endpoint, target: Endpoint, port: int, protocol: str = "TCP"
) -> bool:
    """Do the policies let `source` connect to `target`? Both ends must allow it."""
    every = list(policies)
    return _allowed(every, source, target, target, port, protocol, "egress") and _allowed(
        every, target, source, target, port, protocol, "ingress"
    )


def _allowed(
    policies: list[Policy],
    pod: Endpoint,
    other: Endpoint,
    target: Endpoint,
    port: int,
    protocol: str,
    direction: Direction,
) -> bool:
    if pod.namespace is None:
        return True  # policies govern pods only
    rules = rules_for(policies, pod.namespace, pod.labels, direction)
    if rules is None:
        return True
    return any(
        opens(allow.ports, port, protocol, target.ports)
        and (allow.peers is None or any(matches(peer, other) for peer in allow.peers))
        for allow in rules
    )


def opens(
    ports: tuple[Port, ...] | None, number: int, protocol: str, named: dict[str, int]
) -> bool:
    """Is a port of the target among those of a rule?"""
    return ports is None or any(
        each.protocol == protocol and _holds(each, number, named) for each in ports
    )


def _holds(port: Port, number: int, named: dict[str, int]) -> bool:
    if port.first is None:
        return True
    if isinstance(port.first, str):
        return named.get(port.first) == number
    return port.first <= number <= (port.last or port.first)


def matches(peer: Peer, end: Endpoint) -> bool:
    """Is an endpoint one that a peer describes?"""
    if peer.block is not None:
        return any(inside(peer.block, address) for address in end.addresses)
    if end.namespace is None:
        return False
    if peer.namespaces is None:
        home = end.namespace == peer.home
    else:
        home = selects(peer.namespaces, {NAME_LABEL: end.namespace, **end.namespace_labels})
    return home and (peer.pods is None or selects(peer.pods, end.labels))


def inside(block: Block, address: str) -> bool:
    """Is an address in the range and in none of its exceptions?"""
    found = ipaddress.ip_address(address)
    return found in block.cidr and not any(found in hole for hole in block.exceptions)


def reachable(block: Block, wanted: Network) -> list[Network]:
    """The parts of `wanted` that a block allows, as few ranges as possible."""
    if block.cidr.version != wanted.version or not block.cidr.overlaps(wanted):
        return []
    left: list[Any] = [max(block.cidr, wanted, key=lambda each: each.prefixlen)]
    for hole in block.exceptions:
        left = [part for each in left for part in _without(each, hole)]
    return sorted(ipaddress.collapse_addresses(left))


def _without(whole: Any, hole: Any) -> list[Any]:
    if whole.version != hole.version or not whole.overlaps(hole):
        return [whole]
    return [] if hole.supernet_of(whole) else list(whole.address_exclude(hole))


def contains(outer: Network, inner: Network) -> bool:
    """Does a range hold all of another? False for different versions of IP."""
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]
