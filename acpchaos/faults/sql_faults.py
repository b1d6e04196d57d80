"""The leader of an SQL store under Patroni killed, or moved to another member in good order.

Room: faults. The same for ACP's store and for the analytics store. Who leads is Patroni's word for
the injector; the witness asks the API server, where Patroni keeps its lock, and PostgreSQL.
"""

import random
from typing import Any, ClassVar, Literal

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import blast, health, witness_stores
from acpchaos.faults.fault import Act, Fault, Need, Sight, awaited
from acpchaos.faults.killing import PodKill, node_zones
from acpchaos.faults.session import Session, current
from acpchaos.stores import postgres
from acpchaos.stores.exec import inside
from acpchaos.target import guard
from acpchaos.target.cluster import Object
from acpchaos.wait import eventually

Store = Literal["sql", "analytics"]
MOVED_S = 90.0  # three times Patroni's default ttl of 30 s


class SqlStore:
    """What both faults read of a store; none of it is used by the witness."""

    def __init__(self, session: Session, what: Store) -> None:
        self.session, self.what = session, what
        self.workload = session.workload(what, ("sql", "analytics"))

    def pods(self) -> list[Object]:
        """All its pods."""
        selector = guard.require_selector(self.workload.selector)
        return self.session.cluster.list("Pod", self.session.namespace, selector)

    def whole(self) -> tuple[tuple[postgres.Member, ...], list[Object]]:
        """Patroni's table and the pods of a healthy store; PreconditionUnmet when it is not."""
        pods = self.pods()
        names = sorted(pod["metadata"]["name"] for pod in pods)
        run = inside(self.session.cluster, self.session.namespace, reads=True)
        table = postgres.members(run, names, self.workload.container)
        ok, saw = postgres.healthy(table, len(names))
        if not ok:
            raise PreconditionUnmet(
                f"hurt the store {self.what}", saw, "it must be whole before; look at its pods"
            )
        return table, pods

    def reads(self) -> tuple[Need, ...]:
        """Where Patroni may keep its lock; the undo record has ConfigMaps listed anyway."""
        return (Need("list", "Endpoints", self.session.namespace),)

    def why_not(self) -> str:
        """Why no leader can be hurt here; empty when one can."""
        if self.session.profile.experiments.sql_manager != "patroni":
            return "not applicable: the profile says that no Patroni manages the SQL stores here"
        return ""


class SqlKill(PodKill):
    """Kill the pod of the leader, without grace: no lock is released, no checkpoint written."""

    name: ClassVar[str] = "sql_kill_leader"

    def __init__(self, session: Session, what: Store, recover_s: float) -> None:
        super().__init__(session, 0, recover_s)
        self.store = SqlStore(session, what)
        self.name, self.disrupts = f"{what}_kill_leader", what  # type: ignore[misc]
        self.part, self.was = what, witness_stores.SqlState()

    def available(self) -> str:
        return self.store.why_not() or super().available()

    def reads(self) -> tuple[Need, ...]:
        return (*super().reads(), *self.store.reads())

    def choose(self) -> tuple[list[Object], blast.Blast]:
        table, pods = self.store.whole()
        leader = postgres.leader(table)
        victims = [pod for pod in pods if pod["metadata"]["name"] == leader]
        if not victims:
            raise PreconditionUnmet(
                f"kill the leader of {self.part}", f"Patroni names {leader}, which is no pod here",
                "check the selector of the store in the profile",
            )  # fmt: skip
        container = self.store.workload.container
        self.was = witness_stores.sql_state(self.cluster, self.space, leader, container)
        # the lock lies in the API server, so whoever is left may lead: no vote is lost
        return victims, blast.of_pods(victims, pods, node_zones(self.session))

    def witness(self) -> Sight:
        pods = super().witness()
        leader = self.victims[0]["metadata"]["name"] if self.victims else ""

        def look() -> Sight:
            container = self.store.workload.container
            now = witness_stores.sql_state(self.cluster, self.space, leader, container)
            return witness_stores.sql_killed(self.was, now)

        known = ("installed", "not installed")
        sight = awaited(f"{leader} dead or started anew", look, MOVED_S, outcomes=known)
        if pods.outcome != "installed" and sight.outcome == "installed":
            return Sight("partial", f"{sight.saw}; but {pods.saw}")
        return sight


class SqlSwitchover(Fault):
    """Ask Patroni to move the lead to another member that keeps up."""

    name: ClassVar[str] = "sql_switchover"

    def __init__(self, session: Session, what: Store, seed: int, recover_s: float) -> None:
        super().__init__(session)
        self.store, self.seed, self.recover_s = SqlStore(session, what), seed, recover_s
        self.name, self.disrupts = f"{what}_switchover", what  # type: ignore[misc]
        self.leader = self.candidate = ""
        self.was = witness_stores.SqlState()

    def available(self) -> str:
        return self.store.why_not() or super().available()

    def needs(self) -> tuple[Need, ...]:
        return (Need("create", "Pod", self.session.namespace, "exec"),)

    def reads(self) -> tuple[Need, ...]:
        return self.store.reads()

    def setup(self) -> tuple[str, ...]:
        table, pods = self.store.whole()
        self.leader = postgres.leader(table)
        able = postgres.candidates(table)
        if not able:
            raise PreconditionUnmet(
                f"switch {self.store.what} over", "no member could take the lead",
                "wait until one keeps up with the leader",
            )  # fmt: skip
        self.candidate = random.Random(self.seed).choice(able)
        victims = [pod for pod in pods if pod["metadata"]["name"] == self.leader]
        radius = blast.of_pods(victims, pods, node_zones(self.session))
        blast.require_allowed(radius, self.session.profile.experiments.may_lose)
        self.was = self._state()
        return (self.leader, self.candidate)

    def inject(self) -> None:
        run = inside(self.cluster, self.session.namespace)
        container = self.store.workload.container
        postgres.switch_over(run, self.leader, container, self.candidate)

    def effective(self) -> dict[str, Any]:
        run = inside(self.cluster, self.session.namespace, reads=True)
        container = self.store.workload.container

        def moved() -> bool:
            table = postgres.members(run, [self.candidate], container)
            return any(m.name == self.candidate and m.role == "leader" for m in table)

        eventually(f"{self.candidate} to lead {self.store.what}", moved, MOVED_S, 1.0)
        return {"from": self.leader, "to": self.candidate}

    def witness(self) -> Sight:
        return awaited(
            f"{self.leader} to follow",
            lambda: witness_stores.sql_moved(self.was, self._state()),
            MOVED_S,
        )

    def _state(self) -> witness_stores.SqlState:
        container = self.store.workload.container
        return witness_stores.sql_state(
            self.cluster, self.session.namespace, self.leader, container
        )

    def recovered(self) -> dict[str, Any]:
        target, what = (self.cluster, self.session.profile), self.store.what
        return {"saw": health.awaited(*target, what, f"{what} whole", self.recover_s)}


def kill_leader(store: Store = "sql", recover_s: float = 180.0) -> dict[str, Any]:
    """Experiment action: kill the leader's pod, until leader and followers are there again."""
    act = Act(SqlKill(current(), store, float(recover_s)))
    return act.strike() | act.heal()


def switch_over(store: Store = "sql", seed: int = 0, recover_s: float = 120.0) -> dict[str, Any]:
    """Experiment action: move the lead to another member, until all follow it."""
    act = Act(SqlSwitchover(current(), store, int(seed), float(recover_s)))
    return act.strike() | act.heal()
