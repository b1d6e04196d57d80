"""All connections of an SQL store taken that ordinary clients may take.

Room: faults. A short-lived pod that the network takes for one of ACP's holds them as the store's
own replication user, an ordinary one to the server, which so keeps its reserved connections for
those who repair. The password is referred to as the store's pods refer to it and never read here.
The connections end with the pod, which ends by itself.
"""

import time
from pathlib import Path
from typing import Any, ClassVar, Literal

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import blast, changes, health, helper_pod, witness_sql
from acpchaos.faults.fault import Act, Fault, Need, Sight, awaited
from acpchaos.faults.killing import node_zones
from acpchaos.faults.session import Session, current
from acpchaos.faults.sql_faults import SqlStore
from acpchaos.faults.workloads import address
from acpchaos.stores import postgres
from acpchaos.stores.exec import inside
from acpchaos.target import guard
from acpchaos.target.cluster import Object
from acpchaos.wait import eventually, pause_until

Store = Literal["sql", "analytics"]
SCRIPT = Path(__file__).with_name("hold_connections.py")
LONGEST_S = 600
SEEN_S = 30.0
USER, PASSWORD = "PATRONI_REPLICATION_USERNAME", "PATRONI_REPLICATION_PASSWORD"  # Patroni's words
SLOTS = (
    "SELECT current_setting('max_connections')::int,"
    " current_setting('superuser_reserved_connections')::int,"
    " count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
)


class Exhausted(Fault):
    """Hold every connection that an ordinary client of the store's leader could get."""

    name: ClassVar[str] = "sql_exhausted"

    def __init__(
        self, session: Session, what: Store, hold_s: int, effect_s: float, recover_s: float
    ) -> None:
        super().__init__(session)
        self.store = SqlStore(session, what)
        self.name, self.disrupts = f"{what}_exhausted", what  # type: ignore[misc]
        self.callers = session.workload("acp", ("acp",))
        self.hold_s, self.effect_s, self.recover_s = hold_s, effect_s, recover_s
        self.pod, self.leader = f"acpchaos-hold-{what}", ""
        self.address, self.most = "", 0
        self.pods: list[Object] = []

    def available(self) -> str:
        if reason := self.store.why_not() or super().available():
            return reason
        likes, pods = self._calling(), self.store.pods()
        if not likes or not pods:
            return "no pod of ACP or of the store runs"
        if reason := helper_pod.why_not(self.session, likes[0]):
            return reason
        env, env_from = login(pods[0], self.store.workload.container)
        if not env and not env_from:
            return f"not applicable: the store's pods do not take {PASSWORD} from a Secret"
        return ""

    def needs(self) -> tuple[Need, ...]:
        space = self.session.namespace
        return (Need("create", "Pod", space), Need("delete", "Pod", space))

    def reads(self) -> tuple[Need, ...]:
        space = self.session.namespace
        return tuple(Need(verb, kind, space) for verb, kind in (
            ("list", "Pod"), ("get", "Pod"), ("list", "Service"),
        ))  # fmt: skip

    def _calling(self) -> list[Object]:
        selector = guard.require_selector(self.callers.selector)
        pods = self.cluster.list("Pod", self.session.namespace, selector)
        return [pod for pod in pods if pod["metadata"]["name"] != self.pod]

    def setup(self) -> tuple[str, ...]:
        if not 0 < self.hold_s <= LONGEST_S:
            raise PreconditionUnmet(
                f"hold all connections for {self.hold_s} s", f"{LONGEST_S} s are the most",
                "hold them shorter",
            )  # fmt: skip
        table, self.pods = self.store.whole()
        self.leader = postgres.leader(table)
        own = [pod for pod in self.pods if pod["metadata"]["name"] == self.leader]
        self.address = address(own[0]) if own else ""
        self.most, reserved, used = self._slots()
        before = self._look()
        if not self.address or before.detail.get("login") != "1":
            raise PreconditionUnmet(
                f"take the connections of {self.leader}", before.saw,
                "an ordinary login must work before",
            )  # fmt: skip
        radius = blast.of_pods(own, self.pods, node_zones(self.session))
        blast.require_allowed(radius, self.session.profile.experiments.may_lose)
        return (f"{self.leader}: {self.most - reserved - used} free of {self.most} connections",)

    def _slots(self) -> tuple[int, int, int]:
        """How many there are, are reserved, and are in use."""
        run = inside(self.cluster, self.session.namespace, reads=True)
        container = self.store.workload.container
        told = postgres.query(run, self.leader, container, SLOTS, "postgres").split("|")
        most, reserved, used = (int(each) for each in told)
        return most, reserved, used

    def inject(self) -> None:
        self.record(changes.create_object("Pod", self.session.namespace, self.pod))
        self.cluster.create("Pod", self.manifest(), self.session.namespace)

    def manifest(self) -> Object:
        """The pod that holds them."""
        container = self.store.workload.container
        env, env_from = login(self.pods[0], container)
        words = {
            "PGHOST": self.address, "PGPORT": str(postgres.PORT), "PGDATABASE": "postgres",
            "PGAPPNAME": f"acpchaos-{self.session.run_id}"[:63], "MOST": str(self.most),
            "HOLD_S": str(self.hold_s), "PYTHONDONTWRITEBYTECODE": "1",
            "HOLDER": SCRIPT.read_text(encoding="utf-8"),
        }  # fmt: skip
        plain = [{"name": key, "value": value} for key, value in words.items()]
        run = (
            "import os; words = os.environ; "
            f"words['PGUSER'] = words.get('{USER}', 'standby'); "
            f"words['PGPASSWORD'] = words['{PASSWORD}']; exec(words['HOLDER'])"
        )
        own = [each for each in self.pods[0]["spec"]["containers"] if each["name"] == container]
        return helper_pod.manifest(
            self.pod, self.session, self._calling()[0], str(own[0]["image"]),
            ("python3", "-c", run), env=[*env, *plain], env_from=env_from,
            life_s=self.hold_s + 60, memory="256Mi",
        )  # fmt: skip

    def effective(self) -> dict[str, Any]:
        def full() -> str:
            most, reserved, used = self._slots()
            return (
                f"{used} of {most} in use, {reserved} reserved" if used >= most - reserved else ""
            )

        return {"saw": eventually(f"no connection of {self.leader} left", full, self.effect_s, 1.0)}

    def witness(self) -> Sight:
        return awaited(f"{self.leader} to refuse", self._look, SEEN_S)

    def _look(self) -> Sight:
        return witness_sql.exhausted(
            self.cluster, self.session.namespace, self.leader, self.store.workload.container
        )

    def recovered(self) -> dict[str, Any]:
        def whole() -> str:
            part = health.look(self.cluster, self.session.profile, self.store.what)
            return part.saw if part.ok and self._look().detail.get("login") == "1" else ""

        return {"saw": eventually(f"{self.store.what} to let in", whole, self.recover_s, 1.0)}


def login(pod: Object, container: str) -> tuple[list[Object], list[Object]]:
    """How the pods of a store come to its replication user: their variables, or all variables of
    the Secrets that they refer to. Only references, never a value that may be a secret."""
    spec: Object = next((c for c in pod["spec"]["containers"] if c["name"] == container), {})
    named = {each["name"]: each for each in spec.get("env") or []}
    if PASSWORD in named:
        secret = (named[PASSWORD].get("valueFrom") or {}).get("secretKeyRef")
        return ([named[key] for key in (USER, PASSWORD) if key in named] if secret else []), []
    return [], [each for each in spec.get("envFrom") or [] if "secretRef" in each]


def exhaust(
    store: Store = "sql", hold_s: int = 30, effect_s: float = 90.0, recover_s: float = 120.0
) -> dict[str, Any]:
    """Experiment action: take all connections, hold them for `hold_s` seconds, let them go."""
    longest_s = int(hold_s) + int(float(effect_s)) + int(SEEN_S)  # the pod's own end
    fault = Exhausted(current(), store, longest_s, float(effect_s), float(recover_s))
    act = Act(fault)
    told = act.strike()
    pause_until(time.monotonic() + float(hold_s))
    return told | act.heal()
