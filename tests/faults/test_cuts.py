"""Cuts by NetworkPolicy: just the chosen are kept out, connections prove it, policies come back."""

import copy
from collections.abc import Callable

import pytest
from fake_api.network import POD_NAME, Network
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from fake_api.stores import Stores
from safety.rbac import missing, unused, used

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import cuts, netpol, rehearsal
from acpchaos.faults.fault import Act, Need
from acpchaos.faults.rights import of_fault, of_play, of_undo
from acpchaos.faults.session import Session
from acpchaos.target.profile import PROJECT
from faults.cases import allowing_all
from faults.spoiling import NEVER, hasten, struck
from faults.told import undo_records, witnesses

WHATS = ("sql", "analytics", "redis")
POLICY = {"sql": "postgresql", "analytics": "timescaledb", "redis": "redis-cluster"}
PATCH = r"PATCH /apis/networking.k8s.io/v1/namespaces/[^/]+/networkpolicies/"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    spoiled = any(word in request.node.name for word in ("sabotaged", "partial", "proof"))
    hasten(monkeypatch, cuts, most_s=0.15 if spoiled else 8.0)


@pytest.fixture
def network(api: FakeApi, stores: Stores) -> Network:
    return Network(api, stores)


@pytest.fixture
def ready(session: Session, network: Network) -> Session:
    return allowing_all(session)


def rules(api: FakeApi) -> dict[str, object]:
    with api.store.lock:
        found = api.store.items("networkpolicies", NAMESPACE, "", "")
        return {each["metadata"]["name"]: copy.deepcopy(each["spec"]) for each in found}


def build(session: Session, what: str) -> cuts.Cut:
    return cuts.cut_off(session, what, 8.0, 8.0)


@pytest.mark.parametrize("what", WHATS)
def test_unspoiled_is_installed_and_healed_within_its_rights(
    api: FakeApi, ready: Session, what: str
) -> None:
    before = rules(api)
    fault = build(ready, what)
    api.store.asked.clear()
    act = Act(fault)
    assert act.strike()["witness"] == "installed", witnesses(ready)
    assert rules(api) != before
    act.heal()
    assert rules(api) == before and ready.undo.outstanding() == {}
    called, granted = used(api), of_fault(fault)
    assert missing(granted | of_play(ready.profile) | of_undo(ready.profile), called) == []
    made = {Need(verb, "NetworkPolicy", NAMESPACE) for verb in ("create", "delete")}
    assert unused(granted - made, called) == []


@pytest.mark.parametrize("what", ["sql", "redis"])
def test_only_the_chosen_are_kept_out(
    api: FakeApi, ready: Session, network: Network, what: str
) -> None:
    Act(build(ready, what)).strike()
    acp = network.acp()
    kept_out = {
        (source, target)
        for source in (acp, "postgresql-1", "redis-cluster-0", "redis-cluster-3")
        for target in ("postgresql-0", "redis-cluster-0")
        if not network.reaches(source, target)
    }
    foreign = {("redis-cluster-0", "postgresql-0"), ("redis-cluster-3", "postgresql-0"),
               ("postgresql-1", "redis-cluster-0")}  # fmt: skip
    ours = {(acp, "postgresql-0")} if what == "sql" else {("redis-cluster-3", "redis-cluster-0")}
    assert kept_out == foreign | ours
    ready.undo.revert_all()
    assert network.reaches(acp, "postgresql-0")


def no_op(api: FakeApi, network: Network) -> None:
    api.store.swallowed = [PATCH]


def not_enforced(api: FakeApi, network: Network) -> None:
    network.enforced = False


def wrong_policy(api: FakeApi, network: Network) -> None:
    path = f"/apis/networking.k8s.io/v1/namespaces/{NAMESPACE}/networkpolicies/acp"
    spec = {"podSelector": {"matchLabels": {"a": "b"}}}
    meta = {"name": "acp", "namespace": NAMESPACE}
    api.store.put("networkpolicies", {"metadata": meta, "spec": spec})
    api.store.redirected = [(PATCH + "[^/]+$", path)]


def wrong_namespace(api: FakeApi, network: Network) -> None:
    for name in POLICY.values():
        api.store.put("networkpolicies", {"metadata": {"name": name, "namespace": "elsewhere"},
                                          "spec": {"podSelector": {}}})  # fmt: skip
    prefix = "/apis/networking.k8s.io/v1/namespaces/elsewhere/networkpolicies/"
    api.store.redirected = [(PATCH, prefix)]


def denied(api: FakeApi, network: Network) -> None:
    api.store.forbidden = [PATCH]


def overtaken(api: FakeApi, network: Network) -> None:
    """Someone else narrows the same policies between set-up and injection."""
    with api.store.lock:
        for policy in api.store.items("networkpolicies", NAMESPACE, "", ""):
            del policy["spec"]["ingress"][0]


def unconnected(api: FakeApi, network: Network) -> None:
    """The store ends no connection, and the network lets on what is connected."""
    network.stores.deaf = True


SABOTAGES = [no_op, not_enforced, wrong_policy, wrong_namespace, denied, overtaken, unconnected]


@pytest.mark.parametrize("what", ["sql", "redis"])
@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_sabotaged_is_never_installed(
    api: FakeApi, ready: Session, network: Network, what: str,
    sabotage: Callable[[FakeApi, Network], None],
) -> None:  # fmt: skip
    def heal() -> None:
        with api.store.lock:
            api.store.swallowed, api.store.redirected, api.store.forbidden = [], [], []
        network.enforced, network.stores.deaf = True, False

    outcomes = struck(build(ready, what), lambda: sabotage(api, network), heal)
    assert outcomes and all(outcome in NEVER for outcome in outcomes), witnesses(ready)
    assert ready.undo.outstanding() == {}


def test_one_replica_that_goes_on_is_partial(
    api: FakeApi, ready: Session, network: Network
) -> None:
    outcomes = struck(
        build(ready, "redis"), lambda: network.holes.add("redis-cluster-4"), lambda: None
    )
    assert outcomes == ["partial"], witnesses(ready)


def test_dead_store_is_no_proof_of_a_cut(api: FakeApi, ready: Session, network: Network) -> None:
    fault = build(ready, "sql")
    fault.end_connections = lambda: 0  # type: ignore[method-assign]
    outcomes = struck(fault, lambda: network.silent.add("postgresql-0"), network.silent.clear)
    assert outcomes == ["indeterminate"], witnesses(ready)


def test_store_that_acp_does_not_reach_is_not_cut(
    api: FakeApi, ready: Session, network: Network
) -> None:
    overtaken(api, network)
    before = rules(api)
    with pytest.raises(PreconditionUnmet, match="before the cut"):
        Act(build(ready, "sql")).strike()
    assert rules(api) == before and undo_records(api) == []


def test_without_policies_one_is_made_and_removed(
    api: FakeApi, ready: Session, network: Network
) -> None:
    with api.store.lock:
        for name in POLICY.values():
            api.store.drop(("networkpolicies", NAMESPACE, name))
    act = Act(build(ready, "sql"))
    assert act.strike()["witness"] == "installed"
    assert list(rules(api)) == ["acpchaos-cut-postgresql"]
    assert network.reaches("redis-cluster-0", "postgresql-0")
    act.heal()
    assert rules(api) == {}


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}, "address blocks"),
        ({"podSelector": {"matchLabels": {POD_NAME: "postgresql-1"}}}, "others are not"),
    ],
)
def test_policies_that_cannot_be_narrowed_are_refused(
    api: FakeApi, ready: Session, network: Network, spec: dict[str, object], why: str
) -> None:
    with api.store.lock:
        api.store.get(("networkpolicies", NAMESPACE, "postgresql"))["spec"] |= spec
    before = rules(api)
    with pytest.raises(PreconditionUnmet, match=why):
        Act(build(ready, "sql")).strike()
    assert rules(api) == before


def test_operators_change_of_a_policy_stays(api: FakeApi, ready: Session) -> None:
    act = Act(build(ready, "sql"))
    act.strike()
    with api.store.lock:
        api.store.get(("networkpolicies", NAMESPACE, "postgresql"))["spec"]["ingress"] = [{}]
    act.heal()
    assert rules(api)["postgresql"]["ingress"] == [{}]  # type: ignore[index]


def test_probe_is_taken_for_acp_by_the_network_and_by_nobody_else(
    api: FakeApi, ready: Session
) -> None:
    with api.store.lock:
        for pod in api.store.items("pods", NAMESPACE, "app.kubernetes.io/name=acp", ""):
            pod["metadata"]["labels"]["pod-template-hash"] = "abc"
    Act(build(ready, "sql")).strike()
    probe = ready.cluster.get("Pod", "acpchaos-probe-sql", NAMESPACE)
    labels = probe["metadata"]["labels"]
    assert labels["app.kubernetes.io/name"] == "acp" and "pod-template-hash" not in labels
    assert probe["spec"]["readinessGates"] and probe["spec"]["activeDeadlineSeconds"] == 900
    assert "ownerReferences" not in probe["metadata"]


def test_service_that_publishes_unready_pods_is_told_beforehand(
    api: FakeApi, ready: Session
) -> None:
    spec = {"publishNotReadyAddresses": True, "selector": {"app.kubernetes.io/name": "acp"}}
    api.store.put("services", {"metadata": {"name": "acp", "namespace": NAMESPACE}, "spec": spec})
    assert "publishes pods that are not ready" in build(ready, "sql").available()
    assert build(ready, "redis").available() == ""


@pytest.mark.parametrize("what", WHATS)
def test_consent_and_rights_are_asked_beforehand(
    api: FakeApi, session: Session, network: Network, what: str
) -> None:
    fault = build(allowing_all(session), what)
    for need in fault.needs():
        plural = {"Pod": "pods", "NetworkPolicy": "networkpolicies"}[need.kind]
        api.store.may_not = [f"^{need.verb} {plural}$"]
        assert str(need) in fault.available()
    experiments = session.profile.experiments.model_copy(update={"may_disrupt": ()})
    profile = session.profile.model_copy(update={"experiments": experiments})
    poor = Session(profile, session.cluster, "run-1", session.journal, session.clock, session.undo)
    assert f"may_disrupt has no '{fault.disrupts}'" in build(poor, what).available()


def test_cut_of_a_whole_store_needs_that_consent(session: Session, network: Network) -> None:
    experiments = session.profile.experiments.model_copy(update={"may_lose": ()})
    profile = session.profile.model_copy(update={"experiments": experiments})
    poor = Session(profile, session.cluster, "run-1", session.journal, session.clock, session.undo)
    with pytest.raises(PreconditionUnmet, match="may_lose has no workload"):
        Act(build(poor, "sql")).strike()
    assert build(poor, "redis").setup()


@pytest.mark.parametrize(
    ("selector", "labels", "ok"),
    [
        ({}, {}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "1", "b": "2"}, True),
        ({"matchLabels": {"a": "1"}}, {"a": "2"}, False),
        ({"matchExpressions": [{"key": "a", "operator": "In", "values": ["1"]}]}, {}, False),
        ({"matchExpressions": [{"key": "a", "operator": "NotIn", "values": ["1"]}]}, {}, True),
        ({"matchExpressions": [{"key": "a", "operator": "Exists"}]}, {"a": ""}, True),
        ({"matchExpressions": [{"key": "a", "operator": "DoesNotExist"}]}, {"a": ""}, False),
    ],
)
def test_selectors(selector: dict[str, object], labels: dict[str, str], ok: bool) -> None:
    assert netpol.matches(selector, labels) is ok


def test_terms_of_workloads_without_a_common_label() -> None:
    assert netpol.common_term(["a=1,b=2", "b=3,c!=4"]) == netpol.term("b", ["2", "3"])
    assert netpol.common_term(["a=1", "b in (2,3)"]) is None


def test_rule_for_everyone_becomes_one_for_all_other_pods() -> None:
    but = netpol.term("a", ["1"])
    [rule] = netpol.without([{"ports": [{"port": 1}]}], but)
    assert rule == {"ports": [{"port": 1}], "from": [
        {"namespaceSelector": {}, "podSelector": {"matchExpressions": [but]}}]}  # fmt: skip


@pytest.mark.parametrize("what", ["sql", "redis"])
def test_rehearsal_changes_nothing_and_tells_all(
    api: FakeApi, session: Session, network: Network, what: str
) -> None:
    before = rules(api)
    plan = rehearsal.rehearse(PROJECT / "experiments" / "cut.yaml", session.profile, {"what": what})
    assert plan.refused == "" and plan.targets and plan.then
    patched = [each for each in plan.changes if each.startswith("PATCH")]
    assert len(patched) == 1 and "NotIn" in patched[0]
    assert f"field {POLICY[what]} spec.ingress" in plan.undo
    assert rules(api) == before and network.stores.commands == [] and undo_records(api) == []
