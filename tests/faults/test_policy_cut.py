"""Nodes and zones cut by NetworkPolicies: their pods and no others, proven by connections that were
possible before, and taken back by whoever is left."""

import copy
import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_api.network import Network
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from fake_api.stores import Stores
from safety import reaping
from safety.rbac import missing, unused, used

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import cuts, netpol, network_cut, rehearsal, witness_network
from acpchaos.faults.fault import Act, Need
from acpchaos.faults.rights import of_fault, of_play, of_undo
from acpchaos.faults.session import Session
from acpchaos.faults.undo import undo_run
from acpchaos.faults.witness_network import Ways, parted
from acpchaos.stores import redis_cluster
from acpchaos.target.profile import PROJECT, load_profile
from faults.cases import allowing_all
from faults.spoiling import NEVER, hasten, struck
from faults.told import undo_records, witnesses

POLICY = r"PATCH /apis/networking.k8s.io/v1/namespaces/[^/]+/networkpolicies/"
LABEL = r"PATCH /api/v1/namespaces/[^/]+/pods/[^/]+$"
MADE = r"POST /apis/networking.k8s.io/v1/namespaces/[^/]+/networkpolicies$"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    spoiled = any(word in request.node.name for word in ("sabotaged", "partial", "proof"))
    hasten(monkeypatch, cuts, network_cut, most_s=0.15 if spoiled else 60.0)


@pytest.fixture
def profile_path(profile_path: Path) -> Path:
    profile_path.write_text(profile_path.read_text() + '[nodes]\ncut = "network-policy"\n')
    return profile_path


@pytest.fixture
def network(api: FakeApi, stores: Stores) -> Network:
    return spread(api, stores)


def spread(api: FakeApi, stores: Stores) -> Network:
    """One pod of each store and of ACP on each worker, the Redis ones in pairs."""
    network = Network(api, stores)
    with api.store.lock:
        for pod in api.store.items("pods", NAMESPACE, "", ""):
            owner, _, number = pod["metadata"]["name"].rpartition("-")
            if owner in ("postgresql", "timescaledb", "redis-cluster"):
                pod["spec"]["nodeName"] = f"worker-{'abc'[int(number) % 3]}"
    return network


@pytest.fixture
def ready(session: Session, network: Network) -> Session:
    return allowing_all(session)


def build(session: Session, scope: Any = "zone", direction: Any = "both") -> network_cut.PolicyCut:
    name = "worker-b" if scope == "node" else "zone-b"
    return network_cut.PolicyCut(session, scope, direction, name, 1, 0.1, 8.0)


def state(api: FakeApi) -> dict[str, object]:
    """What a cut changes: policies, and labels of pods."""
    with api.store.lock:
        policies = api.store.items("networkpolicies", NAMESPACE, "", "")
        pods = api.store.items("pods", NAMESPACE, "", "")
        found = {p["metadata"]["name"]: copy.deepcopy(p["spec"]) for p in policies}
        return found | {p["metadata"]["name"]: dict(p["metadata"]["labels"]) for p in pods}


def acp_of(api: FakeApi, node: str, here: bool = True) -> str:
    with api.store.lock:
        pods = api.store.items("pods", NAMESPACE, "app.kubernetes.io/name=acp", "")
        found = [p for p in pods if p["metadata"].get("ownerReferences")]
        return str(next(p["metadata"]["name"] for p in found
                        if (p["spec"]["nodeName"] == node) == here))  # fmt: skip


@pytest.mark.parametrize("scope", ["node", "zone"])
def test_unspoiled_is_installed_and_healed_within_its_rights(
    api: FakeApi, ready: Session, scope: str
) -> None:
    before = state(api)
    fault = build(ready, scope)
    assert fault.available() == ""
    api.store.asked.clear()
    act = Act(fault)
    told = act.strike()
    assert told["witness"] == "installed", witnesses(ready)
    assert act.targets == ("worker-b",) and act.fault.name == f"{scope}_policy_cut"
    assert "0 of " in told["saw"] and told["blast"]["zones"] == 1
    act.heal()
    assert state(api) == before and ready.undo.outstanding() == {}
    called, granted = used(api), of_fault(fault)
    assert missing(granted | of_play(ready.profile) | of_undo(ready.profile), called) == []
    assert unused(granted - {Need("get", "Pod", NAMESPACE)}, called) == []


def test_within_and_outside_are_parted_and_each_goes_on(
    api: FakeApi, ready: Session, network: Network
) -> None:
    Act(build(ready)).strike()
    here, there = acp_of(api, "worker-b"), acp_of(api, "worker-b", here=False)
    for source, target in (
        (here, "postgresql-0"), (there, "postgresql-1"), ("postgresql-1", "postgresql-0"),
        ("redis-cluster-0", "redis-cluster-1"), ("redis-cluster-4", "redis-cluster-3"),
    ):  # fmt: skip
        assert not network.reaches(source, target), (source, target)
    for source, target in (
        (here, "postgresql-1"), (there, "postgresql-0"), ("redis-cluster-1", "redis-cluster-4"),
        ("postgresql-2", "postgresql-0"),
    ):  # fmt: skip
        assert network.reaches(source, target), (source, target)
    # who was never let in outside is not let in now either
    assert not network.reaches("redis-cluster-0", "postgresql-0")
    ready.undo.revert_all()
    assert network.reaches(here, "postgresql-0")


def no_policy(api: FakeApi, network: Network) -> None:
    api.store.swallowed = [MADE]


def no_label(api: FakeApi, network: Network) -> None:
    api.store.swallowed = [LABEL]


def not_narrowed(api: FakeApi, network: Network) -> None:
    api.store.swallowed = [POLICY]


def not_enforced(api: FakeApi, network: Network) -> None:
    network.enforced = False


def denied(api: FakeApi, network: Network) -> None:
    api.store.forbidden = [POLICY]


def overtaken(api: FakeApi, network: Network) -> None:
    """Someone else changes the same selectors between set-up and injection."""
    other = {"key": "x", "operator": "NotIn", "values": ["y"]}
    with api.store.lock:
        for policy in api.store.items("networkpolicies", NAMESPACE, "", ""):
            policy["spec"]["podSelector"]["matchExpressions"] = [other]


def wrong_pods(api: FakeApi, network: Network) -> None:
    """Another pod than the chosen ones gets the label."""
    api.store.redirected = [(LABEL, f"/api/v1/namespaces/{NAMESPACE}/pods/timescaledb-0")]


def unconnected(api: FakeApi, network: Network) -> None:
    """The stores end no connection, and the network lets on what is connected."""
    network.stores.deaf = True


SABOTAGES = [no_policy, no_label, not_narrowed, not_enforced, denied, overtaken, wrong_pods,
             unconnected]  # fmt: skip


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_sabotaged_is_never_installed(
    api: FakeApi, ready: Session, network: Network, sabotage: Callable[[FakeApi, Network], None]
) -> None:
    def heal() -> None:
        with api.store.lock:
            api.store.swallowed, api.store.redirected, api.store.forbidden = [], [], []
        network.enforced, network.stores.deaf = True, False

    outcomes = struck(build(ready), lambda: sabotage(api, network), heal)
    assert outcomes and all(outcome in NEVER for outcome in outcomes), witnesses(ready)
    assert ready.undo.outstanding() == {}


WAYS = Ways(
    (("in", "out:1"), ("out", "in:1")), (("in", "in:1"), ("out", "out:1"), ("out", "out:2"))
)


@pytest.mark.parametrize(
    ("now", "outcome"),
    [
        (Ways((), WAYS.beside), "installed"),
        (Ways((), WAYS.beside[:2]), "installed"),  # a store may restart meanwhile
        (WAYS, "not installed"),
        (Ways(WAYS.through[1:], WAYS.beside), "partial"),
        (Ways((), WAYS.beside[1:]), "indeterminate"),  # the probe within may be deaf to all
        (Ways((("out", "new:1"),), WAYS.beside), "installed"),  # was no way before
        (Ways(), "indeterminate"),
        (None, "indeterminate"),
    ],
)
def test_closed_ways_are_proof_only_beside_open_ones(now: Ways | None, outcome: str) -> None:
    assert parted(WAYS, now).outcome == outcome
    assert parted(Ways(), now).outcome == "indeterminate"


def test_a_probe_that_dies_is_no_proof(api: FakeApi, ready: Session, network: Network) -> None:
    within = network_cut.PROBES[0]
    outcomes = struck(build(ready), lambda: network.silent.add(within), network.silent.clear)
    assert outcomes == ["indeterminate"], witnesses(ready)


def test_where_pods_like_acps_reach_nothing_before_nothing_is_cut(
    api: FakeApi, ready: Session, network: Network
) -> None:
    with api.store.lock:
        for policy in api.store.items("networkpolicies", NAMESPACE, "", ""):
            del policy["spec"]["ingress"][0]
    before = state(api)
    with pytest.raises(PreconditionUnmet, match="before the cut 0 ways lead through it"):
        Act(build(ready)).strike()
    assert state(api) == before and undo_records(api) == []


@pytest.mark.parametrize("by", ["undo", "reaper"])
def test_whoever_is_left_takes_it_back(
    api: FakeApi, ready: Session, profile_path: Path, by: str
) -> None:
    before = state(api)
    Act(build(ready)).strike()
    if by == "undo":
        assert any(
            "acpchaos.io/cut" in each for each in undo_run(load_profile(profile_path), "all")
        )
    else:
        reaper = reaping.start(api, "run-1", once=True)
        assert reaper.wait(30) == 0
        reaper.communicate()
    assert state(api) == before and undo_records(api) == []


def test_what_it_does_not_reach_is_said(session: Session, network: Network) -> None:
    reason = build(session, direction="inbound").available()
    assert reason.startswith("not applicable: NetworkPolicies know no packets")
    plain = session.profile.model_copy(update={"nodes": type(session.profile.nodes)()})
    other = build(replace(session, profile=plain)).available()
    assert other == "not applicable: [nodes] cut of the profile names no NetworkPolicy"
    doc = network_cut.__doc__ or ""
    assert "The node, its kubelet" in doc and "are not" in doc


def test_pods_with_the_network_of_their_node_are_not_among_the_cut(
    api: FakeApi, ready: Session
) -> None:
    with api.store.lock:
        api.store.get(("pods", NAMESPACE, "postgresql-1"))["spec"]["hostNetwork"] = True
    fault = build(ready)
    act = Act(fault)
    act.strike()
    names = {pod["metadata"]["name"] for pod in fault.within}
    assert "postgresql-1" not in names and "timescaledb-1" in names
    act.heal()


def test_what_goes_with_a_zone_is_reckoned_before(api: FakeApi, ready: Session) -> None:
    before = state(api)
    with api.store.lock:
        api.store.get(("pods", NAMESPACE, "postgresql-0"))["spec"]["nodeName"] = "worker-b"
    none = ready.profile.experiments.model_copy(update={"may_lose": ()})
    profile = ready.profile.model_copy(update={"experiments": none})
    with pytest.raises(PreconditionUnmet, match=r"sql: 1 of 3 members left, 2 are a majority"):
        Act(build(replace(ready, profile=profile))).strike()
    assert state(api) == before and undo_records(api) == []


def test_rehearsal_tells_and_cuts_nothing(api: FakeApi, ready: Session) -> None:
    before = state(api)
    plan = rehearsal.rehearse(
        PROJECT / "experiments" / "node-cut.yaml", ready.profile, {"name": "worker-b"}
    )
    assert plan.refused == "" and plan.fault == "node_policy_cut", plan
    assert any(netpol.CUT in each for each in plan.undo)
    assert any("networkpolicies" in each for each in plan.changes) and state(api) == before


def test_selectors_keep_what_they_say(api: FakeApi) -> None:
    own = {"key": "a", "operator": "Exists"}
    policy = {"spec": {"podSelector": {"matchExpressions": [own]}}}
    assert netpol.sparing(policy, "r") == [own, netpol.term(netpol.CUT, ["r"])]
    assert policy == {"spec": {"podSelector": {"matchExpressions": [own]}}}
    [kept] = netpol.selecting([policy, {"spec": {"podSelector": {"matchLabels": {"b": "c"}}}}],
                              {"a": "x"})  # fmt: skip
    assert kept is policy


def test_probe_tries_real_addresses(tmp_path: Path) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as shut:
        shut.bind(("127.0.0.1", 0))
        here = f"127.0.0.1:{server.getsockname()[1]}"
        there = f"127.0.0.1:{shut.getsockname()[1]}"
        argv = ["python3", "-c", witness_network._TRY_ALL, here, there]
        said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    assert said.split() == [here]


def test_redis_hangs_up_on_just_these_addresses(tmp_path: Path) -> None:
    """The script runs for real, with a client that lists what Redis 7 does."""
    cli = tmp_path / "redis-cli"
    listed = "".join(
        f"id={n} addr=10.0.0.{n}:4{n}1 laddr=10.0.0.9:6379 fd=8 name= age=3\\n" for n in (1, 2, 12)
    )
    cli.write_text(
        f'#!/bin/sh\ncase "$*" in *LIST) printf "{listed}" ;;\n'
        f'*) echo "$*" >>{tmp_path}/said ;; esac\n'
    )
    cli.chmod(0o755)
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}

    def run(pod: str, container: str, argv: Any, **_: Any) -> str:
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
        return done.stdout

    assert redis_cluster.end_clients(run, "p", "c", ["10.0.0.1", "10.0.0.7", "", "10.0.0.12"]) == 2
    said = (tmp_path / "said").read_text().splitlines()
    assert [each.rpartition(" ")[2] for each in said] == ["1", "12"]
    assert redis_cluster.end_clients(run, "p", "c", [""]) == 0
    with pytest.raises(ValueError):
        redis_cluster.end_clients(run, "p", "c", ["x; reboot"])
