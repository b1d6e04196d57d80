"""All connections taken: a refused login and the server's own count prove it, no secret is read."""

from types import SimpleNamespace
from typing import Any

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from fake_api.stores import Answer, Stores
from safety.rbac import missing, unused, used

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import exhaustion, helper_pod, hold_connections
from acpchaos.faults.exhaustion import PASSWORD, USER, Exhausted, login
from acpchaos.faults.fault import Act
from acpchaos.faults.rights import of_fault, of_play, of_undo
from acpchaos.faults.session import Session
from faults.cases import allowing_all
from faults.spoiling import NEVER, hasten, struck
from faults.told import witnesses

FULL = "psql: error: FATAL:  remaining connection slots are reserved for roles with SUPERUSER"
CREATE = rf"POST /api/v1/namespaces/{NAMESPACE}/pods$"
REFERENCE = {"secretKeyRef": {"name": "postgresql", "key": "replication-password"}}
LOGIN = [{"name": USER, "value": "standby"}, {"name": PASSWORD, "valueFrom": REFERENCE}]


class Server:
    """A leader with 100 connections, 3 of them reserved; `takes` is what the holding pod gets."""

    def __init__(self, api: FakeApi, stores: Stores, what: str = "sql") -> None:
        self.api, self.stores, self.takes, self.others = api, stores, 100, 10
        self.host, self.broken, self.what = "", "", what
        self.name = "postgresql" if what == "sql" else "timescaledb"
        with api.store.lock:
            for pod in api.store.items("pods", NAMESPACE, "", ""):
                if pod["metadata"]["name"].startswith(self.name):
                    container = {"name": self.name, "image": "lab/stores:1", "env": LOGIN}
                    pod["spec"]["containers"] = [container]
        api.on_exec = self.answer

    def used(self) -> int:
        with self.api.store.lock:
            found = self.api.store.objects.get(("pods", NAMESPACE, f"acpchaos-hold-{self.what}"))
        if found is None or found["status"].get("phase") != "Running":
            return self.others
        words = {e["name"]: e.get("value") for e in found["spec"]["containers"][0]["env"]}
        leader = self.api.store.get(("pods", NAMESPACE, f"{self.name}-0"))["status"]["podIP"]
        mine = min(self.takes, int(words["MOST"])) if words["PGHOST"] == leader else 0
        return min(97, self.others + mine)

    def answer(self, pod: str, argv: list[str]) -> Answer:
        line = " ".join(argv)
        if "PATRONI_REPLICATION_PASSWORD" in line:
            if self.broken:
                return self.broken, 2
            return ("1\n", 0) if self.used() < 97 else (FULL, 2)
        if "superuser_reserved_connections" in line:
            whole = f"{self.used() * 100 // 97}\n"
            return (whole if "* 100" in line else f"100|3|{self.used()}\n"), 0
        return self.stores.answer(pod, argv)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    most_s = 8.0 if "unspoiled" in request.node.name else 0.4
    hasten(monkeypatch, exhaustion, helper_pod, most_s=most_s)


@pytest.fixture
def server(api: FakeApi, stores: Stores) -> Server:
    return Server(api, stores)


def build(session: Session) -> Exhausted:
    return Exhausted(allowing_all(session), "sql", 120, 8.0, 8.0)


def test_unspoiled_is_installed_and_healed_within_its_rights(
    api: FakeApi, session: Session, server: Server
) -> None:
    fault = build(session)
    api.store.asked.clear()
    act = Act(fault)
    told = act.strike()
    assert told["witness"] == "installed", witnesses(session)
    assert told["targets"] == ["postgresql-0: 87 free of 100 connections"]
    act.heal()
    assert server.used() == 10 and session.undo.outstanding() == {}
    called, granted = used(api), of_fault(fault)
    profile = fault.session.profile
    assert missing(granted | of_play(profile) | of_undo(profile), called) == []
    assert unused(granted, called) == []


@pytest.mark.parametrize(
    "sabotage", ["swallowed", "forbidden", "half", "a few", "elsewhere", "dead"]
)
def test_sabotaged_is_never_installed(
    api: FakeApi, session: Session, server: Server, sabotage: str
) -> None:
    fault = build(session)

    def spoil() -> None:
        if sabotage == "swallowed":
            api.store.swallowed = [CREATE]
        elif sabotage == "forbidden":
            api.store.forbidden = [CREATE]
        elif sabotage in ("half", "a few"):
            server.takes = 60 if sabotage == "half" else 5
        elif sabotage == "elsewhere":
            fault.address = "10.244.9.9"
        else:
            server.broken = "could not connect to server: Connection refused"

    def heal() -> None:
        api.store.swallowed = api.store.forbidden = []
        server.broken = ""

    outcomes = struck(fault, spoil, heal)
    if sabotage == "dead":
        assert outcomes == ["indeterminate"], witnesses(session)
    else:
        assert all(outcome in NEVER for outcome in outcomes), witnesses(session)
        assert outcomes == (["partial"] if sabotage == "half" else ["not installed"])
    assert session.undo.outstanding() == {}


def test_store_that_is_full_already_is_refused(session: Session, server: Server) -> None:
    server.others = 97
    with pytest.raises(PreconditionUnmet, match="remaining connection slots are reserved"):
        Act(build(session)).strike()


def test_password_is_referred_to_and_never_carried(session: Session, server: Server) -> None:
    fault = build(session)
    fault.setup()
    body = fault.manifest()
    [container] = body["spec"]["containers"]
    named = {each["name"]: each for each in container["env"]}
    assert named[PASSWORD] == {"name": PASSWORD, "valueFrom": REFERENCE}
    assert "PGPASSWORD" not in named and PASSWORD in container["command"][-1]
    assert body["spec"]["activeDeadlineSeconds"] == 180
    assert "statefulset.kubernetes.io/pod-name" not in body["metadata"]["labels"]


def test_password_that_stands_in_the_pods_themselves_is_not_taken(
    api: FakeApi, session: Session, server: Server
) -> None:
    with api.store.lock:
        for pod in api.store.items("pods", NAMESPACE, "app.kubernetes.io/name=postgresql", ""):
            pod["spec"]["containers"][0]["env"] = [{"name": PASSWORD, "value": "plain"}]
    assert f"do not take {PASSWORD} from a Secret" in build(session).available()


def test_login_of_pods_that_take_whole_secrets() -> None:
    whole = [{"secretRef": {"name": "credentials"}}, {"configMapRef": {"name": "other"}}]
    pod: dict[str, Any] = {"spec": {"containers": [{"name": "pg", "envFrom": whole}]}}
    assert login(pod, "pg") == ([], whole[:1])


class Driver:
    """Gives `free` connections and refuses the next."""

    class OperationalError(Exception):
        pass

    def __init__(self, free: int) -> None:
        self.free, self.asked = free, 0

    def connect(self, words: str) -> Any:
        self.asked += 1
        if self.asked > self.free:
            raise self.OperationalError("too many clients already")
        cursor = SimpleNamespace(execute=lambda sql: None)
        return SimpleNamespace(rollback=lambda: None, cursor=lambda: cursor)


@pytest.mark.parametrize(("free", "most", "held"), [(3, 9, 3), (9, 3, 3), (0, 3, 0)])
def test_holder_takes_what_it_gets_and_no_more_than_it_may(
    monkeypatch: pytest.MonkeyPatch, free: int, most: int, held: int
) -> None:
    monkeypatch.setattr(hold_connections, "AGAIN_S", 0.001)
    now = iter(range(1000))
    monkeypatch.setattr("acpchaos.faults.hold_connections.time.monotonic", lambda: next(now))
    assert hold_connections.held(Driver(free), most, 20.0) == held


def test_connection_that_the_server_ended_is_dead() -> None:
    def broken() -> None:
        raise OSError("terminating connection")

    assert not hold_connections.alive(SimpleNamespace(rollback=broken))
