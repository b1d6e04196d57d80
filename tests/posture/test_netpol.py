"""The semantics of NetworkPolicy, against their definition in words on small worlds."""

import ipaddress
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from acpchaos.check.posture.netpol import (
    Block,
    Endpoint,
    inside,
    network,
    open_between,
    policy_of,
    reachable,
)

NAMESPACES = ("a", "b")
LABELS = [{}, {"app": "x"}, {"app": "y"}, {"app": "x", "tier": "1"}]
ADDRESSES = [f"10.0.0.{n}" for n in range(8)]
PORTS = [80, 443]

labels = st.sampled_from(LABELS)
selectors = st.one_of(
    st.builds(lambda each: {"matchLabels": each}, labels),
    st.builds(
        lambda op, value: {
            "matchExpressions": [
                {"key": "app", "operator": op} | ({"values": [value]} if "In" in op else {})
            ]
        },
        st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
        st.sampled_from(["x", "y"]),
    ),
)
blocks = st.builds(
    lambda cidr, holes: {"ipBlock": {"cidr": cidr, "except": holes}},
    st.sampled_from(["0.0.0.0/0", "10.0.0.0/29", "10.0.0.4/30", "10.0.0.1/32"]),
    st.lists(st.sampled_from(["10.0.0.4/31", "10.0.0.2/32", "10.0.0.0/30"]), max_size=2),
)
namespaced = st.builds(
    lambda name: {"matchLabels": {"kubernetes.io/metadata.name": name}},
    st.sampled_from(NAMESPACES),
)
wide = st.one_of(st.just({}), selectors)  # a policy for everybody in half of the worlds
pod_peers = st.fixed_dictionaries(
    {}, optional={"podSelector": selectors, "namespaceSelector": st.one_of(namespaced, wide)}
).filter(bool)
ports = st.fixed_dictionaries(
    {},
    optional={
        "port": st.sampled_from([80, 443, "web"]),
        "protocol": st.sampled_from(["TCP", "UDP"]),
    },
)


def rules(key: Any) -> Any:
    return st.lists(
        st.fixed_dictionaries(
            {},
            optional={
                key: st.lists(st.one_of(pod_peers, blocks), max_size=2),
                "ports": st.lists(ports, max_size=2),
            },
        ),
        max_size=2,
    )


policies = st.builds(
    lambda name, home, selector, types, ingress, egress: {
        "metadata": {"name": f"p{name}", "namespace": home},
        "spec": {"podSelector": selector, "ingress": ingress, "egress": egress}
        | ({"policyTypes": types} if types else {}),
    },
    st.integers(0, 9),
    st.sampled_from(NAMESPACES),
    wide,
    st.sampled_from([[], ["Ingress"], ["Egress"], ["Ingress", "Egress"]]),
    rules("from"),
    rules("to"),
)
pods = st.builds(
    lambda home, own, address, named: Endpoint(
        namespace=home,
        labels=own,
        namespace_labels={"app": "x"} if home == "a" else {},
        addresses=(address,),
        ports={"web": 80} if named else {},
    ),
    st.sampled_from(NAMESPACES),
    labels,
    st.sampled_from(ADDRESSES),
    st.booleans(),
)
outsiders = st.builds(
    lambda address: Endpoint(namespace=None, addresses=(address,)), st.sampled_from(ADDRESSES)
)
ends = st.one_of(pods, pods, outsiders)


# The definition, straight from the reference: written again, without sharing code.


def chosen(selector: Any, own: Any) -> Any:
    for key, value in (selector.get("matchLabels") or {}).items():
        if key not in own or own[key] != value:
            return False
    for each in selector.get("matchExpressions") or []:
        key, values = each["key"], each.get("values", [])
        held = {
            "In": key in own and own[key] in values,
            "NotIn": key not in own or own[key] not in values,
            "Exists": key in own,
            "DoesNotExist": key not in own,
        }
        if not held[each["operator"]]:
            return False
    return True


def described(peer: Any, home: str, other: Any) -> Any:
    if "ipBlock" in peer:
        every = (
            set(ipaddress.ip_network(peer["ipBlock"]["cidr"], strict=False))
            if peer["ipBlock"]["cidr"] != "0.0.0.0/0"
            else {ipaddress.ip_address(a) for a in ADDRESSES}
        )
        for hole in peer["ipBlock"]["except"]:
            every -= set(ipaddress.ip_network(hole))
        return any(ipaddress.ip_address(address) in every for address in other.addresses)
    if other.namespace is None:
        return False
    space = {"kubernetes.io/metadata.name": other.namespace, **other.namespace_labels}
    if "namespaceSelector" in peer:
        if not chosen(peer["namespaceSelector"], space):
            return False
    elif other.namespace != home:
        return False
    return "podSelector" not in peer or chosen(peer["podSelector"], other.labels)


def governed(found: Any, direction: str) -> Any:
    spec = found["spec"]
    types = spec.get("policyTypes")
    if not types:
        return direction == "Ingress" or bool(spec["egress"])
    return direction in types


def permitted(
    world: Any, pod: Any, other: Any, target: Any, port: int, protocol: Any, direction: str
) -> Any:
    if pod.namespace is None:
        return True
    mine = [
        each
        for each in world
        if each["metadata"]["namespace"] == pod.namespace
        and chosen(each["spec"]["podSelector"], pod.labels)
        and governed(each, direction)
    ]
    if not mine:
        return True
    side, key = ("ingress", "from") if direction == "Ingress" else ("egress", "to")
    for each in mine:
        for rule in each["spec"][side]:
            peers, listed = rule.get(key), rule.get("ports")
            if peers and not any(described(p, pod.namespace, other) for p in peers):
                continue
            if not listed:
                return True
            for entry in listed:
                number = entry.get("port", port)
                number = target.ports.get("web") if number == "web" else number
                if number == port and entry.get("protocol", "TCP") == protocol:
                    return True
    return False


@settings(max_examples=300, deadline=None)
@given(
    st.lists(policies, max_size=3), ends, ends, st.sampled_from(PORTS),
    st.sampled_from(["TCP", "UDP"]),
)  # fmt: skip
def test_what_is_open_is_what_the_reference_says(
    world: Any, source: Any, target: Any, port: int, protocol: Any
) -> None:
    wanted = permitted(world, source, target, target, port, protocol, "Egress") and permitted(
        world, target, source, target, port, protocol, "Ingress"
    )
    parsed = [policy_of(each) for each in world]
    assert open_between(parsed, source, target, port, protocol) is wanted


@settings(max_examples=200, deadline=None)
@given(st.lists(policies, min_size=1, max_size=3), ends, ends, st.sampled_from(PORTS), st.data())
def test_removing_a_rule_never_opens_anything(
    world: Any, source: Any, target: Any, port: int, data: Any
) -> None:
    whole = [policy_of(each) for each in world]
    at = data.draw(st.integers(0, len(world) - 1))
    side = data.draw(st.sampled_from(["ingress", "egress"]))
    # the types that the removed rule may have implied are kept, or the pod would not be isolated
    types = [kind for kind in ("Ingress", "Egress") if governed(world[at], kind)]
    listed = world[at]["spec"][side]
    if not listed:
        return
    gone = data.draw(st.integers(0, len(listed) - 1))
    fewer = {**world[at]["spec"], "policyTypes": types, side: listed[:gone] + listed[gone + 1 :]}
    less = [policy_of({**each, "spec": fewer}) if n == at else policy_of(each)
            for n, each in enumerate(world)]  # fmt: skip
    before = open_between(whole, source, target, port)
    assert before or not open_between(less, source, target, port)


@settings(max_examples=200, deadline=None)
@given(st.lists(policies, max_size=3), policies, pods, pods, st.sampled_from(PORTS))
def test_one_more_policy_opens_nothing_for_pods_that_were_isolated(
    world: Any, more: Any, source: Any, target: Any, port: int
) -> None:
    """Policies add up: a further one can open only what another one's isolation had closed."""
    before = open_between([policy_of(p) for p in world], source, target, port)
    bare = {**more, "spec": {**more["spec"], "ingress": [], "egress": [],
                             "policyTypes": ["Ingress", "Egress"]}}  # fmt: skip
    after = open_between([policy_of(p) for p in [*world, bare]], source, target, port)
    assert before or not after


small = st.builds(
    lambda address, length: network(f"10.0.0.{address}/{length}"),
    st.integers(0, 63),
    st.integers(26, 32),
)


@settings(max_examples=300, deadline=None)
@given(small, st.lists(small, max_size=4), small)
def test_the_reachable_part_of_a_range_is_its_addresses_one_by_one(
    cidr: Any, holes: Any, wanted: Any
) -> None:
    block = Block(cidr, tuple(holes))
    parts = reachable(block, wanted)
    counted = {address for part in parts for address in part}
    assert counted == {each for each in wanted if inside(block, str(each))}
    assert sum(part.num_addresses for part in parts) == len(counted)  # none twice


def test_ranges_of_the_two_versions_of_ip_have_nothing_in_common() -> None:
    everywhere = Block(network("0.0.0.0/0"))
    assert reachable(everywhere, network("fc00::/7")) == []
    assert reachable(Block(network("::/0")), network("fc00::/7")) == [network("fc00::/7")]


def test_a_range_of_ports_and_a_missing_port() -> None:
    def spec(*ports: Any) -> Any:
        return policy_of(
            {
                "metadata": {"name": "p", "namespace": "a"},
                "spec": {"podSelector": {}, "ingress": [{"ports": list(ports)}]},
            }
        )

    source, target = Endpoint(namespace="b"), Endpoint(namespace="a")
    several = [spec({"port": 8000, "endPort": 8002})]
    assert [open_between(several, source, target, p) for p in (7999, 8000, 8002, 8003)] == [
        False, True, True, False,
    ]  # fmt: skip
    every = [spec({"protocol": "UDP"})]
    assert open_between(every, source, target, 1, "UDP")
    assert not open_between(every, source, target, 1)


def test_a_pod_selector_alone_means_the_policys_own_namespace() -> None:
    spec = {
        "podSelector": {},
        "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "x"}}}]}],
    }
    policy = policy_of({"metadata": {"name": "p", "namespace": "a"}, "spec": spec})
    target = Endpoint(namespace="a")

    def reaches(namespace: str, app: str) -> bool:
        return open_between([policy], Endpoint(namespace, labels={"app": app}), target, 80)

    assert reaches("a", "x")
    assert not reaches("b", "x")
    assert not reaches("a", "y")


def test_selectors_of_namespace_and_pod_must_both_hold() -> None:
    peer = {
        "namespaceSelector": {"matchLabels": {"team": "t"}},
        "podSelector": {"matchLabels": {"app": "x"}},
    }
    spec = {"podSelector": {}, "ingress": [{"from": [peer]}]}
    policy = policy_of({"metadata": {"name": "p", "namespace": "a"}, "spec": spec})
    target = Endpoint(namespace="a")
    team, app = {"team": "t"}, {"app": "x"}
    assert open_between([policy], Endpoint("b", labels=app, namespace_labels=team), target, 80)
    assert not open_between([policy], Endpoint("b", labels=app), target, 80)
    assert not open_between([policy], Endpoint("b", namespace_labels=team), target, 80)
