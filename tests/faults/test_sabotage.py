"""Sabotaged injectors: every fault, spoiled in every way, is never judged installed.

The spoiling happens in the API server or in the store, so injector, witness and state machine run
as they are. The same faults unspoiled must be judged installed, else this page would prove nothing.
"""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from fake_api.stores import Stores
from safety.target import hurried

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import killing, process, scaling, sql_faults
from acpchaos.faults.fault import Act, Fault
from acpchaos.faults.session import Session
from faults.cases import BY_EXEC, BY_HELPER, CASES, SEEN_BY_API, SEVERAL, allowing_all
from faults.spoiling import NEVER, hasten, spoiled
from faults.told import undo_records, witnesses

Spoil = Callable[[FakeApi, Stores, Fault], None]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[None]:
    """Faults look some times for what will never come, and as often as they like for what comes;
    the time between their looks hardly passes."""
    most_s = 8.0 if "unspoiled" in request.node.name else 0.6
    hasten(monkeypatch, killing, process, scaling, sql_faults, most_s=most_s)
    with hurried():
        yield


@pytest.fixture
def ready(session: Session, stores: Stores) -> Session:
    """On the larger scene, with all consents."""
    return allowing_all(session)


def struck(fault: Fault, spoil: Spoil, api: FakeApi, stores: Stores) -> list[str]:
    """Outcomes of all looks, the fault being spoiled once its targets are frozen."""
    try:
        return spoiled(fault, lambda: spoil(api, stores, fault))
    finally:
        restore(api, stores)


def restore(api: FakeApi, stores: Stores) -> None:
    store = api.store
    with store.lock:
        store.swallowed, store.redirected, store.forbidden, store.stale = [], [], [], None
        stores.deaf, stores.denied, stores.instead = False, False, {}


@pytest.mark.parametrize("name", CASES)
def test_unspoiled_is_installed_and_healed(
    api: FakeApi, ready: Session, stores: Stores, name: str
) -> None:
    act = Act(CASES[name].build(ready))
    assert act.strike()["witness"] == "installed"
    act.heal()
    assert ready.undo.outstanding() == {}


def deaf(api: FakeApi, stores: Stores, name: str) -> Spoil:
    """Every change is answered as done, and none is."""

    def spoil(api: FakeApi, stores: Stores, fault: Fault) -> None:
        stores.deaf = name in BY_EXEC
        api.store.swallowed = [CASES[name].change or "^never$"]

    return spoil


def lying(api: FakeApi, stores: Stores, name: str) -> Spoil:
    """A watch that hangs tells the injector that all is done, though it sent nothing."""

    def spoil(api: FakeApi, stores: Stores, fault: Fault) -> None:
        deaf(api, stores, name)(api, stores, fault)
        fault.effective = dict  # type: ignore[method-assign, assignment]

    return spoil


def wrong_selector(api: FakeApi, stores: Stores, name: str) -> Spoil:
    """Another workload of the namespace is hit."""

    def spoil(api: FakeApi, stores: Stores, fault: Fault) -> None:
        if name in BY_EXEC:
            targets = ("redis-cluster-0", "redis-cluster-1", "redis-cluster-2")
            stores.instead = dict.fromkeys(targets, "redis-cluster-5")
            stores.instead |= {"postgresql-0": "timescaledb-0", "timescaledb-0": "postgresql-0"}
        elif name in BY_HELPER:
            other = api.store.get(("pods", NAMESPACE, "redis-cluster-0"))
            wrong = other["status"]["containerStatuses"][0]["containerID"].rpartition("/")[2]
            right = fault._id  # type: ignore[attr-defined]
            seen: list[int] = []

            def id_of(pod: Any) -> str:  # the check right before sees the chosen container
                seen.append(1)
                return right(pod) if len(seen) == 1 else wrong

            fault._id = id_of  # type: ignore[attr-defined]
        else:
            api.store.redirected = [(CASES[name].change, CASES[name].decoy)]

    return spoil


def wrong_namespace(api: FakeApi, stores: Stores, name: str) -> Spoil:
    """The same names in another namespace are hit."""

    def spoil(api: FakeApi, stores: Stores, fault: Fault) -> None:
        if name in BY_HELPER:
            meta = {"name": "acp-0", "namespace": "elsewhere"}
            status = {"phase": "Running", "containerStatuses": []}
            api.store.put("pods", {"metadata": meta, "spec": {"nodeName": "worker-a"},
                                   "status": status})  # fmt: skip
            fault._id = lambda pod: "0" * 64  # type: ignore[attr-defined]
            fault._require_alive = lambda pod: None  # type: ignore[attr-defined]
            return
        for pod in getattr(fault, "victims", []):
            twin = {"name": pod["metadata"]["name"], "namespace": "elsewhere", "labels": {}}
            api.store.put("pods", {"metadata": twin, "spec": {"nodeName": "worker-a"}})
        prefix = CASES[name].elsewhere.rpartition("/")[0] + "/"
        path = "/api/v1/namespaces/[^/]+/pods/" if "pods" in prefix else ""
        if path:
            api.store.redirected = [("DELETE " + path, prefix)]
        else:
            api.store.redirected = [(CASES[name].change, CASES[name].elsewhere)]

    return spoil


def denied(api: FakeApi, stores: Stores, name: str) -> Spoil:
    """RBAC, or the store's own permissions, forbid the change."""

    def spoil(api: FakeApi, stores: Stores, fault: Fault) -> None:
        stores.denied = name in BY_EXEC
        api.store.forbidden = [CASES[name].change or "^never$"]

    return spoil


def overtaken(api: FakeApi, stores: Stores, name: str) -> Spoil:
    """What was to be hit is already dead: someone else did it after set-up."""
    return CASES[name].overtaken


SABOTAGES = {
    "no-op": deaf,
    "stale watch": lying,
    "wrong selector": wrong_selector,
    "wrong namespace": wrong_namespace,
    "rbac denied": denied,
    "already dead": overtaken,
}


SPOILED = [
    (name, sabotage)
    for name in CASES
    for sabotage in SABOTAGES
    if not (sabotage == "wrong namespace" and name in BY_EXEC)  # they go to a pod, by its name
]


@pytest.mark.parametrize(("name", "sabotage"), SPOILED)
def test_sabotaged_is_never_installed(
    api: FakeApi, ready: Session, stores: Stores, name: str, sabotage: str
) -> None:
    fault = CASES[name].build(ready)
    outcomes = struck(fault, SABOTAGES[sabotage](api, stores, name), api, stores)
    assert outcomes and all(outcome in NEVER for outcome in outcomes), witnesses(ready)
    if sabotage != "already dead":
        assert outcomes[0] == "not installed", witnesses(ready)
    assert ready.undo.outstanding() == {}


@pytest.mark.parametrize("name", SEEN_BY_API)
def test_reads_from_a_cache_that_hangs_prove_nothing(
    api: FakeApi, ready: Session, stores: Stores, name: str
) -> None:
    def spoil(api: FakeApi, stores: Stores, fault: Fault) -> None:
        api.store.freeze_reads()

    outcomes = struck(CASES[name].build(ready), spoil, api, stores)
    assert outcomes == ["not installed"], witnesses(ready)


@pytest.mark.parametrize("name", SEVERAL)
def test_half_done_is_partial(api: FakeApi, ready: Session, stores: Stores, name: str) -> None:
    fault = CASES[name].build(ready)

    def spoil(api: FakeApi, stores: Stores, fault: Fault) -> None:
        spared = fault.victims[0]["metadata"]["name"]  # type: ignore[attr-defined]
        api.store.swallowed = [f"DELETE .*/pods/{spared}$"]

    assert struck(fault, spoil, api, stores) == ["partial"], witnesses(ready)


@pytest.mark.parametrize("name", CASES)
def test_profile_must_allow_it(api: FakeApi, ready: Session, stores: Stores, name: str) -> None:
    experiments = ready.profile.experiments.model_copy(update={"may_disrupt": ()})
    profile = ready.profile.model_copy(update={"experiments": experiments})
    session = Session(profile, ready.cluster, "run-1", ready.journal, ready.clock, ready.undo)
    fault = CASES[name].build(session)
    with pytest.raises(PreconditionUnmet, match=f"may_disrupt has no '{fault.disrupts}'"):
        Act(fault).strike()
    changing = [call for call in api.store.calls if not call.startswith("GET")]
    assert not [call for call in changing if "accessreviews" not in call]
    assert not stores.commands and undo_records(api) == []


@pytest.mark.parametrize("name", CASES)
def test_missing_permission_is_told_beforehand(
    api: FakeApi, ready: Session, stores: Stores, name: str
) -> None:
    fault = CASES[name].build(ready)
    for need in fault.needs():
        plural = {"Pod": "pods", "Deployment": "deployments", "StatefulSet": "statefulsets"}
        api.store.may_not = [f"^{need.verb} {plural[need.kind]}$"]
        assert str(need) in fault.available()
    assert fault.needs()
    api.store.may_not = []
    assert fault.available() == ""
