"""A rotated Redis password: every node refuses the old one, nobody writes a secret down, and each
node gets back what its pod knows, whoever undoes it."""

import base64
import json

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from fake_api.stores import Answer, Stores
from safety import reaping
from safety.rbac import missing, unused, used

from acpchaos.errors import AcpchaosError
from acpchaos.faults import passwords, witness_stores
from acpchaos.faults.fault import Act, Need
from acpchaos.faults.passwords import SECRET, RedisPassword
from acpchaos.faults.rights import of_fault, of_play, of_undo
from acpchaos.faults.session import Session
from acpchaos.faults.undo import undo_run
from acpchaos.record.mutations import Mutations
from acpchaos.target.cluster import Cluster
from faults.cases import allowing_all
from faults.spoiling import NEVER, hasten, struck
from faults.told import witnesses

KEY = ("secrets", NAMESPACE, SECRET)
REFUSED = "AUTH failed: WRONGPASS invalid username-password pair\nNOAUTH Authentication required."


class Nodes:
    """Passwords of the nodes by UID of their pods; `deaf` ones say yes and do nothing."""

    def __init__(self, api: FakeApi, stores: Stores) -> None:
        self.api, self.stores = api, stores
        self.other: set[str] = set()  # UIDs of pods whose node has the run's password
        self.deaf: set[str] = set()
        self.silent: set[str] = set()
        self.denied = False
        self.commands: list[str] = []
        api.on_exec = self.answer

    def secret(self) -> str:
        with self.api.store.lock:
            found = self.api.store.objects.get(KEY) or {"data": {"password": ""}}
            return base64.b64decode(found["data"]["password"]).decode()

    def forget(self) -> dict[str, object]:
        """Somebody gives all nodes the password of before."""
        self.other.clear()
        return {}

    def answer(self, pod: str, argv: list[str]) -> Answer:
        line, uid = " ".join(argv), self.stores.uid(pod)
        self.commands.append(line)
        if pod in self.silent:
            return "", 1
        if "CLIENT KILL TYPE normal" in line:
            if self.denied:
                return "refused\n", 1
            if self.api.typed[pod] == f"{self.secret()}\n" and pod not in self.deaf:
                self.other.add(uid)
            return "rotated\n", 0
        if 'quoted "$old"' in line:
            if self.api.typed[pod] == f"{self.secret()}\n":
                self.other.discard(uid)
            return "OK OK ", 0
        if "CONFIG GET masterauth" in line:
            return ("no\n" if uid in self.other else "yes\n"), 0
        if line.endswith("PING 2>&1"):
            return (REFUSED if uid in self.other else "PONG\n"), 0
        return ("NOAUTH", 0) if uid in self.other else self.stores.answer(pod, argv)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    hasten(monkeypatch, passwords, most_s=8.0 if "unspoiled" in request.node.name else 0.4)


@pytest.fixture
def nodes(api: FakeApi, stores: Stores) -> Nodes:
    return Nodes(api, stores)


def build(session: Session) -> RedisPassword:
    return RedisPassword(allowing_all(session), 8.0)


def test_unspoiled_is_installed_and_healed_within_its_rights(
    api: FakeApi, session: Session, nodes: Nodes
) -> None:
    fault = build(session)
    api.store.asked.clear()
    act = Act(fault)
    assert act.strike()["witness"] == "installed", witnesses(session)
    assert len(nodes.other) == 6
    act.heal()
    assert not nodes.other and KEY not in api.store.objects
    assert session.undo.outstanding() == {}
    called, granted = used(api), of_fault(fault)
    profile = fault.session.profile
    assert missing(granted | of_play(profile) | of_undo(profile), called) == []
    assert unused(granted - {Need("delete", "Pod", NAMESPACE)}, called) == []  # a way out only


@pytest.mark.parametrize("sabotage", ["deaf", "one deaf", "denied", "no secret", "taken back"])
def test_sabotaged_is_never_installed(
    api: FakeApi, session: Session, nodes: Nodes, sabotage: str
) -> None:
    fault = build(session)
    every = {f"redis-cluster-{number}" for number in range(6)}

    def spoil() -> None:
        nodes.deaf = {"deaf": every, "one deaf": {"redis-cluster-4"}}.get(sabotage, set())
        nodes.denied = sabotage == "denied"
        if sabotage == "no secret":
            api.store.forbidden = [r"POST /api/v1/namespaces/[^/]+/secrets"]
        if sabotage == "taken back":
            fault.effective = nodes.forget  # type: ignore[method-assign]

    def heal() -> None:
        api.store.forbidden = []

    outcomes = struck(fault, spoil, heal)
    assert outcomes and all(outcome in NEVER for outcome in outcomes), witnesses(session)
    assert (outcomes == ["partial"]) == (sabotage == "one deaf")
    assert session.undo.outstanding() == {} and not nodes.other and KEY not in api.store.objects


def test_silent_node_is_no_refusal(session: Session, nodes: Nodes) -> None:
    nodes.silent = {"redis-cluster-1"}
    pods = ["redis-cluster-1"]
    sight = witness_stores.password_refused(session.cluster, NAMESPACE, pods, "redis")
    assert sight.outcome == "indeterminate"


def test_no_secret_is_written_down(api: FakeApi, session: Session, nodes: Nodes) -> None:
    folder = session.journal.path.parent
    with Mutations(folder / "mutations.ndjson") as mutations:
        own = Session(
            allowing_all(session).profile, session.cluster.hooked(mutations), "run-1",
            session.journal, session.clock, session.undo,
        )  # fmt: skip
        act = Act(RedisPassword(own, 8.0))
        act.strike()
        secret = nodes.secret()
        with api.store.lock:
            record = api.store.get(("configmaps", NAMESPACE, "acpchaos-undo-run-1"))
        act.heal()
    assert len(secret) > 30
    texts = [path.read_text() for path in folder.rglob("*") if path.is_file()]
    texts += [json.dumps(record), *nodes.commands, *map(str, witnesses(session))]
    assert not [text for text in texts if secret in text]
    assert SECRET in json.dumps(record)


def test_without_the_runs_secret_pods_are_replaced(
    api: FakeApi, session: Session, nodes: Nodes, stores: Stores
) -> None:
    Act(build(session)).strike()
    before = stores.uid("redis-cluster-0")
    with api.store.lock:
        api.store.drop(KEY)
    session.undo.revert_all()
    assert stores.uid("redis-cluster-0") != before
    assert session.undo.outstanding() == {}


def test_reaper_replaces_the_nodes_that_nobody_asks(
    api: FakeApi, session: Session, nodes: Nodes, stores: Stores
) -> None:
    Act(build(session)).strike()
    names = [f"redis-cluster-{number}" for number in range(6)]
    before = {name: stores.uid(name) for name in names}
    child = reaping.start(api, "run-1", once=True)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, (out, err)
    assert all(stores.uid(name) != uid for name, uid in before.items())
    assert KEY not in api.store.objects and session.undo.outstanding() == {}


def test_node_that_started_anew_is_left_alone(
    api: FakeApi, session: Session, nodes: Nodes, stores: Stores
) -> None:
    Act(build(session)).strike()
    with api.store.lock:
        api.store.drop(("pods", NAMESPACE, "redis-cluster-2"))
        api.store.reconcile()
    fresh = stores.uid("redis-cluster-2")
    session.undo.revert_all()
    assert stores.uid("redis-cluster-2") == fresh


def test_refusal_of_a_node_is_told(session: Session, nodes: Nodes) -> None:
    nodes.denied = True
    with pytest.raises(AcpchaosError, match="refused"):
        Act(build(session)).strike()


def test_reverting_needs_no_more_than_the_record(
    api: FakeApi, session: Session, nodes: Nodes
) -> None:
    Act(build(session)).strike()
    other = Cluster.from_profile(session.profile)
    assert undo_run(session.profile, "run-1", other)
    assert not nodes.other
