"""Published probes: which ports of ACP and its stores answer from outside of the cluster.

Room: posture. Asked from the machine that runs the probes, at every address by which the target is
known outside: the host of base_url, load balancers of ACP, its functions and the ingress, and
nodes. Objects tell the ways in that rules know; this finds the others, such as a TCP route in the
settings of an ingress controller, or a load balancer that somebody made by hand. An address of this
machine itself says nothing of the cluster and is left out.
"""

import ipaddress
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from acpchaos.errors import AcpchaosError
from acpchaos.posture.probes import inside, places
from acpchaos.posture.probes.attempts import (
    BLOCKED,
    TIMEOUT_S,
    Attempt,
    Place,
    settled,
    told,
    unknown,
)
from acpchaos.record.snapshot import PUBLISHED, PUBLISHED_PORTS, Probe
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.profile import Profile

CLOSED = 17018  # nobody listens there; where it looks open, something answers in between
NODES_AT_MOST = 20
BASE_URL = "base_url"
_ANSWERS = ("open", "refused", "rejected")
_SHUT = BLOCKED | {"refused", "unreachable"}  # a port where nobody listens is not published either


class Address(NamedTuple):
    """An address of the target, and what it is called."""

    what: str
    host: str


def run(cluster: Cluster, profile: Profile) -> dict[str, Probe]:
    """One outcome for each port: open when any address answers there, blocked when none does."""
    ports = list(PUBLISHED_PORTS)
    try:
        stores = places.foreign(places.look(cluster, profile))
        ports = sorted({*ports, *_numbers(stores)})
        found = _usable(addresses(cluster, profile))
    except AcpchaosError as error:
        return dict.fromkeys(map(name_of, ports), unknown(error.seen))
    tried = [Place(each.what, each.host, port) for each in found for port in (*ports, CLOSED)]
    attempts = settled(lambda: from_here(tried)) if tried else []
    if why := _proves_nothing(attempts):
        return dict.fromkeys(map(name_of, ports), unknown(why))
    return {
        name_of(port): _outcome([a for a in attempts if a.place.port == port]) for port in ports
    }


def name_of(port: int) -> str:
    """The name of a port's probe."""
    return f"{PUBLISHED}{port}"


def addresses(cluster: Cluster, profile: Profile) -> Iterator[Address]:
    """All by which the target is known outside, as they are written."""
    yield Address(BASE_URL, urlsplit(profile.service.base_url).hostname or "")
    for path in profile.service.zone_paths.values():
        yield Address("zone_paths", path.rpartition(":")[0])
    names = profile.namespaces
    for namespace in dict.fromkeys([names.acp, names.faas, names.ingress]):
        for kind in ("Service", "Ingress"):
            for each in cluster.list(kind, namespace):
                yield from _balancers(kind, each)
    for node in cluster.list("Node")[:NODES_AT_MOST]:
        for address in (node.get("status") or {}).get("addresses") or []:
            if address["type"] in ("InternalIP", "ExternalIP"):
                yield Address(node["metadata"]["name"], address["address"])


def _balancers(kind: str, found: Object) -> Iterator[Address]:
    what = f"{kind} {found['metadata']['name']}"
    status = (found.get("status") or {}).get("loadBalancer") or {}
    for each in status.get("ingress") or []:
        yield Address(what, each.get("ip") or each.get("hostname") or "")
    for each in (found.get("spec") or {}).get("externalIPs") or []:
        yield Address(what, each)


def _usable(found: Iterable[Address]) -> list[Address]:
    """Looked up, each once; without names that nobody knows and without this machine."""
    kept: dict[str, Address] = {}
    for each in found:
        with suppress(OSError):
            for *_, place in socket.getaddrinfo(each.host, None, type=socket.SOCK_STREAM):
                host = str(place[0])
                if not ipaddress.ip_address(host).is_loopback:
                    kept.setdefault(host, Address(each.what, host))
    return list(kept.values())


def from_here(tried: list[Place]) -> list[Attempt]:
    """All at once, from this machine."""
    answers = inside.connect([(each.host, each.port) for each in tried], TIMEOUT_S)
    return [Attempt(place, word, ms) for place, (word, ms) in zip(tried, answers, strict=True)]


def _numbers(tried: Iterable[str]) -> Iterator[int]:
    """Ports that a foreign pod tries too, but for the one that the ingress leads to."""
    found = (int(name.rpartition(":")[2]) for name in tried)
    return (port for port in found if port != places.ACP_PORTS[0])


def _proves_nothing(attempts: list[Attempt]) -> str:
    """Why none of the attempts says anything; empty when they do."""
    if not attempts:
        return "this machine knows no address of the cluster but its own"
    if between := [a for a in attempts if a.place.port == CLOSED and a.word == "open"]:
        return f"a port where nobody listens looks open: {told(between)}"
    # base_url has a control of its own, the way through the ingress
    reached = (a.place.what == BASE_URL or a.word in _ANSWERS for a in attempts)
    return "" if any(reached) else f"this machine reaches no address of it: {told(attempts)}"


def _outcome(attempts: list[Attempt]) -> Probe:
    if opened := [each for each in attempts if each.word == "open"]:
        return Probe(outcome="open", saw=told(opened))
    if unclear := [each for each in attempts if each.word not in _SHUT]:
        return unknown(f"no proof either way: {told(unclear)}")
    return Probe(outcome="blocked", saw=told(attempts))
