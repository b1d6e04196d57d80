"""Cilium's own policies as those of netpol, as far as they say what netpol can say.

Room: check. Source: Cilium's documentation of CiliumNetworkPolicy, layers 3 and 4. All its policies
and the Kubernetes ones add up, so they can be judged as one list. Rules on layer 7 only narrow what
layer 4 opens, so they are passed over. Anything else that is not known here makes the whole policy
unread: denials, host names, services, nodes.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from acpchaos.check.posture.netpol import (
    NAME_LABEL,
    Allow,
    Block,
    Direction,
    Peer,
    Policy,
    Port,
    network,
)
from acpchaos.check.posture.objects import label, namespace_of, selects
from acpchaos.check.posture.rule import Unreadable
from acpchaos.record.snapshot import Object

KINDS = ("CiliumNetworkPolicy", "CiliumClusterwideNetworkPolicy")
_NAMESPACE = "io.kubernetes.pod.namespace"
_NAMESPACE_LABEL = "io.cilium.k8s.namespace.labels."
_SIDES: tuple[tuple[Direction, str], ...] = (("ingress", "from"), ("egress", "to"))
_WORLD = {
    "world": ("0.0.0.0/0", "::/0"), "world-ipv4": ("0.0.0.0/0",), "world-ipv6": ("::/0",),
}  # fmt: skip
_NODE = {"host", "health", "none"}  # the node of a pod always reaches it, with any policy
_PROTOCOLS = ("TCP", "UDP", "SCTP")


class NotRead(Exception):
    """The place in a policy that is not known here."""


# what an odd policy makes of the reading below, besides
UNREAD = (NotRead, Unreadable, ValueError, KeyError, TypeError, AttributeError)


def policies_of(
    kind: str, found: Object, namespace: str, labels: Mapping[str, str] | None
) -> list[Policy]:
    """What an object means for the pods of a namespace; nothing when it is about others. `labels`
    are the namespace's, None when they are not known. NotRead for what netpol cannot say."""
    home, name = namespace_of(found), label(kind, found)
    if home not in ("", namespace):
        return []
    made = []
    for place, spec in _specs(found):
        if "endpointSelector" not in spec:
            continue  # it is about nodes
        where, pods = _selector(spec["endpointSelector"], place)
        if where is not None:
            if labels is None and asked(where) != {NAME_LABEL}:
                raise NotRead(f"{place}.endpointSelector: labels of namespace {namespace}")
            if not selects(where, {NAME_LABEL: namespace, **(labels or {})}):
                continue
        sides = {side: _side(name, home, side, key, spec, place) for side, key in _SIDES}
        made.append(Policy(name, namespace, pods, sides["ingress"], sides["egress"]))
    return made


def asked(selector: Object) -> set[str]:
    """Keys of the labels that a selector asks for."""
    expressions = selector.get("matchExpressions") or []
    return {*(selector.get("matchLabels") or {}), *(each["key"] for each in expressions)}


def selected(found: Object, labels: Mapping[str, str]) -> bool:
    """Whether an object that is not read may be about pods with these labels."""
    try:
        every = [_selector(spec.get("endpointSelector") or {}, at) for at, spec in _specs(found)]
        return any(selects(pods, dict(labels)) for _, pods in every)
    except UNREAD:
        return True


def _specs(found: Object) -> Iterator[tuple[str, Object]]:
    if found.get("spec"):
        yield "spec", found["spec"]
    for at, spec in enumerate(found.get("specs") or []):
        yield f"specs[{at}]", spec


def _selector(selector: Object, place: str) -> tuple[Object | None, Object]:
    """(selector of namespaces or None, selector of pods): Cilium has both in one."""
    spaces: Object = {"matchLabels": {}, "matchExpressions": []}
    pods: Object = {"matchLabels": {}, "matchExpressions": []}
    for key, value in (selector.get("matchLabels") or {}).items():
        inside, name = _key(key, place)
        (spaces if inside else pods)["matchLabels"][name] = value
    for each in selector.get("matchExpressions") or []:
        inside, name = _key(each["key"], place)
        (spaces if inside else pods)["matchExpressions"].append({**each, "key": name})
    return (spaces if any(spaces.values()) else None), pods


def _key(text: str, place: str) -> tuple[bool, str]:
    """(is it about the namespace, the label's own name)."""
    source, colon, name = text.partition(":")
    if colon and source not in ("k8s", "any"):
        raise NotRead(f"{place}: label {text}")
    name = name if colon else text
    if name == _NAMESPACE:
        return True, NAME_LABEL
    if name.startswith(_NAMESPACE_LABEL):
        return True, name.removeprefix(_NAMESPACE_LABEL)
    if name.startswith("io.cilium."):
        raise NotRead(f"{place}: label {text}")
    return False, name


def _side(
    name: str, home: str, side: Direction, key: str, spec: Object, place: str
) -> tuple[Allow, ...] | None:
    """Rules of a direction, None when the policy leaves it alone."""
    if spec.get(f"{side}Deny"):
        raise NotRead(f"{place}.{side}Deny")
    if (spec.get("enableDefaultDeny") or {}).get(side) is False:
        raise NotRead(f"{place}.enableDefaultDeny.{side}")
    rules = spec.get(side) or []
    if not rules:
        return None
    at = (f"{place}.{side}[{n}]" for n in range(len(rules)))
    found = [_allow(name, home, key, where, rule) for where, rule in zip(at, rules, strict=True)]
    return tuple(each for some in found for each in some)


def _allow(name: str, home: str, key: str, place: str, rule: Object) -> list[Allow]:
    """What one rule opens; nothing for an empty one, which only isolates."""
    if not rule:
        return []
    known = {f"{key}Endpoints", f"{key}Entities", f"{key}CIDR", f"{key}CIDRSet", "toPorts"}
    if other := sorted(rule.keys() - known):
        raise NotRead(f"{place}.{other[0]}")
    ports = _ports(rule["toPorts"], place) if rule.get("toPorts") else None
    if not rule.keys() - {"toPorts"} or "all" in (rule.get(f"{key}Entities") or []):
        return [Allow(name, place, None, ports)]
    peers = tuple(_peers(rule, key, home, place))
    return [Allow(name, place, peers, ports)] if peers else []


def _peers(rule: Object, key: str, home: str, place: str) -> Iterator[Peer]:
    everywhere: Object | None = None if home else {}
    for at, selector in enumerate(rule.get(f"{key}Endpoints") or []):
        field = f"{place}.{key}Endpoints[{at}]"
        spaces, pods = _selector(selector, field)
        yield Peer(field, home, everywhere if spaces is None else spaces, pods)
    for at, entity in enumerate(rule.get(f"{key}Entities") or []):
        field = f"{place}.{key}Entities[{at}]"
        if entity == "cluster":
            yield Peer(field, home, {}, None)
        elif entity not in _WORLD and entity not in _NODE:
            raise NotRead(f"{field} {entity}")
        for cidr in _WORLD.get(entity, ()):
            yield Peer(field, home, block=Block(network(cidr)))
    for at, cidr in enumerate(rule.get(f"{key}CIDR") or []):
        yield Peer(f"{place}.{key}CIDR[{at}]", home, block=Block(network(cidr)))
    for at, each in enumerate(rule.get(f"{key}CIDRSet") or []):
        field = f"{place}.{key}CIDRSet[{at}]"
        if not each.get("cidr"):
            raise NotRead(field)
        holes = tuple(network(hole) for hole in each.get("except") or [])
        yield Peer(field, home, block=Block(network(each["cidr"]), holes))


def _ports(every: list[Object], place: str) -> tuple[Port, ...] | None:
    """Ports of all entries; None when one of them leaves the port open."""
    found: list[Port] = []
    for entry in every:
        if not entry.get("ports"):
            return None
        for each in entry["ports"]:
            kind = str(each.get("protocol") or "ANY").upper()
            if kind not in ("ANY", *_PROTOCOLS):
                raise NotRead(f"{place}.toPorts protocol {kind}")
            first, last = _number(each.get("port")), each.get("endPort")
            for protocol in _PROTOCOLS if kind == "ANY" else (kind,):
                found.append(Port(protocol, first, last))
    return tuple(found)


def _number(text: Any) -> int | str | None:
    """A port is a text there; 0 is every port, and anything else a name."""
    word = str(text or "0")
    return (int(word) or None) if word.isdigit() else word
