"""Redis Cluster hurt by role: nodes killed, or every key taken; the cluster itself stays.

Room: faults. Roles are asked from the nodes themselves, since a pod's name says nothing of its
role. What was lost with FLUSHALL does not come back: a target's people consent to it by `redis` in
may_disrupt.
"""

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar, Literal, get_args

from acpchaos.errors import AcpchaosError, PreconditionUnmet, UsageError
from acpchaos.faults import blast, health, witness_stores
from acpchaos.faults.fault import Act, Fault, Need, Sight, awaited
from acpchaos.faults.killing import PodKill, node_zones
from acpchaos.faults.session import Session, current
from acpchaos.stores import redis_cluster
from acpchaos.stores.exec import inside
from acpchaos.stores.redis_cluster import NodeView
from acpchaos.target import guard
from acpchaos.target.cluster import Object

Role = Literal["master", "replica", "shard", "majority"]
NEW_S = 60.0
FLUSHED_S = 10.0
NOT_A_CLUSTER = "not applicable: the profile says that Redis is not a cluster of its own here"


class RedisKill(PodKill):
    """Kill a master, a replica, a master with its replicas, or a majority of the masters."""

    disrupts: ClassVar[str] = "redis"
    part = "redis"

    def __init__(self, session: Session, role: Role, seed: int, recover_s: float) -> None:
        super().__init__(session, 0, recover_s)
        if role not in get_args(Role):
            roles = ", ".join(get_args(Role))
            raise UsageError(
                f"kill Redis nodes of role {role!r}", "no such role", f"one of {roles}"
            )
        self.name = f"redis_kill_{role}"  # type: ignore[misc]
        self.role, self.seed = role, seed
        self.workload = session.profile.workloads.redis
        self.views: Sequence[NodeView] = ()

    def available(self) -> str:
        if not self.session.profile.experiments.redis_cluster:
            return NOT_A_CLUSTER
        return super().available()

    def choose(self) -> tuple[list[Object], blast.Blast]:
        self.views = whole_cluster(self.session)
        names = self.names(redis_cluster.shards(self.views, {}))
        selector = guard.require_selector(self.workload.selector)
        pods = self.cluster.list("Pod", self.space, selector)
        victims = [pod for pod in pods if pod["metadata"]["name"] in names]
        if not victims or len(victims) != len(names):
            raise PreconditionUnmet(
                f"kill {self.role} of Redis", f"{len(victims)} of {len(names)} pods found",
                "the cluster has no node of this role, or its pods are other ones",
            )  # fmt: skip
        radius = blast.of_pods(victims, pods, node_zones(self.session))
        return victims, blast.of_redis(radius, self.views, names)

    def names(self, shards: Sequence[redis_cluster.Shard]) -> set[str]:
        """Pods of this role, chosen by the seed."""
        draw = random.Random(self.seed)
        order = draw.sample(sorted(shards, key=lambda shard: shard.master), len(shards))
        first = order[0]
        match self.role:
            case "master":
                return {first.master}
            case "replica":
                return set(sorted(first.replicas)[:1])
            case "shard":
                return {first.master, *first.replicas}
            case "majority":
                return {shard.master for shard in order[: blast.majority(len(order))]}

    def witness(self) -> Sight:
        names = {pod["metadata"]["name"] for pod in self.victims}

        def look() -> Sight:  # others notice a silent node after a while
            return witness_stores.redis_killed(self.views, self._ask(), names)

        return awaited(f"Redis without its {self.role}", look, NEW_S)

    def _ask(self) -> Sequence[NodeView]:
        """The same pods by name again; a StatefulSet keeps the names."""
        run = inside(self.cluster, self.space, reads=True)
        pods = [view.pod for view in self.views]
        return redis_cluster.look(run, pods, self.workload.container)


class RedisFlush(Fault):
    """FLUSHALL on every master that serves slots."""

    name: ClassVar[str] = "redis_flush"
    disrupts: ClassVar[str] = "redis"

    def __init__(self, session: Session, recover_s: float) -> None:
        super().__init__(session)
        self.recover_s, self.container = recover_s, session.profile.workloads.redis.container
        self.masters: tuple[str, ...] = ()
        self.keys: dict[str, int] = {}
        self.flushes: Mapping[str, int] = {}

    def available(self) -> str:
        if not self.session.profile.experiments.redis_cluster:
            return NOT_A_CLUSTER
        return super().available()

    def needs(self) -> tuple[Need, ...]:
        return (Need("create", "Pod", self.session.namespace, "exec"),)

    def setup(self) -> tuple[str, ...]:
        views = whole_cluster(self.session)
        self.masters = tuple(shard.master for shard in redis_cluster.shards(views, {}))
        self.keys = {view.pod: view.keys for view in views if view.pod in self.masters}
        if not sum(self.keys.values()):
            raise PreconditionUnmet(
                "take all keys of Redis", "it holds none", "put load on ACP before",
            )  # fmt: skip
        self.flushes = self._statistics()
        return self.masters

    def inject(self) -> None:
        if self._statistics() != self.flushes:
            raise PreconditionUnmet(
                "take all keys of Redis", "someone else did since set-up",
                "something else disturbs the target; play again when it is quiet",
            )  # fmt: skip
        run = inside(self.cluster, self.session.namespace)
        for pod in self.masters:
            redis_cluster.flush(run, pod, self.container)

    def effective(self) -> dict[str, Any]:
        return {"keys_before": sum(self.keys.values()), "masters": list(self.masters)}

    def witness(self) -> Sight:
        def look() -> Sight:
            views = health.redis_views(self.cluster, self.session.profile)
            after = {view.pod: view.keys for view in views if view.reachable}
            return witness_stores.redis_flushed(self.keys, after, self.flushes, self._statistics())

        return awaited("masters without their keys", look, FLUSHED_S)

    def recovered(self) -> dict[str, Any]:
        target = (self.cluster, self.session.profile)
        saw = health.awaited(*target, "redis", "a healthy Redis Cluster", self.recover_s)
        return {"saw": saw}

    def _statistics(self) -> dict[str, int]:
        run = inside(self.cluster, self.session.namespace, reads=True)
        told = {}
        for pod in self.masters:
            with suppress(AcpchaosError):  # a master that does not tell is not counted as flushed
                told[pod] = redis_cluster.flushes(run, pod, self.container)
        return told


def whole_cluster(session: Session) -> Sequence[NodeView]:
    """Every node's view of a healthy cluster; PreconditionUnmet when it is not."""
    views = health.redis_views(session.cluster, session.profile)
    ok, saw = redis_cluster.healthy(views)
    if not ok:
        raise PreconditionUnmet("hurt the Redis Cluster", saw, "it must be whole before")
    return views


def kill(role: Role = "master", seed: int = 0, recover_s: float = 180.0) -> dict[str, Any]:
    """Experiment action: kill nodes of one role, until the cluster is whole again."""
    act = Act(RedisKill(current(), role, int(seed), float(recover_s)))
    return act.strike() | act.heal()


def flush(recover_s: float = 60.0) -> dict[str, Any]:
    """Experiment action: FLUSHALL on every master."""
    act = Act(RedisFlush(current(), float(recover_s)))
    return act.strike() | act.heal()
