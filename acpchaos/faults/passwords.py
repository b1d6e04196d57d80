"""The password of a Redis Cluster rotated on every node, while those who use it know the old one.

Room: faults. The new one is made here and lies in a Secret of the run's own, which the undo record
names: whoever undoes the run reads it there, and it goes with the run. The old one is not read at
all: each node is given back what its own pod knows. Where nobody can ask a node, its pod is
replaced, and its configuration begins anew.
"""

import base64
import secrets
import time
from typing import Any, ClassVar

from acpchaos.faults import blast, changes, health, rotation, witness_stores
from acpchaos.faults.fault import Act, Fault, Need, Sight, awaited
from acpchaos.faults.killing import node_zones
from acpchaos.faults.redis_faults import NOT_A_CLUSTER, whole_cluster
from acpchaos.faults.session import Session, current
from acpchaos.stores import redis_password
from acpchaos.stores.exec import inside
from acpchaos.target import guard
from acpchaos.target.cluster import Object
from acpchaos.wait import eventually, pause_until

SECRET = "acpchaos-redis-password"  # noqa: S105  # the name of an object
SEEN_S = 15.0


class RedisPassword(Fault):
    """Every node takes another password, and those who know the old one are turned away."""

    name: ClassVar[str] = "redis_password"
    disrupts: ClassVar[str] = "redis"

    def __init__(self, session: Session, recover_s: float) -> None:
        super().__init__(session)
        self.recover_s, self.workload = recover_s, session.profile.workloads.redis
        self.nodes: list[Object] = []

    def available(self) -> str:
        if not self.session.profile.experiments.redis_cluster:
            return NOT_A_CLUSTER
        return super().available()

    def needs(self) -> tuple[Need, ...]:
        space = self.session.namespace
        return (
            Need("create", "Pod", space, "exec"), Need("create", "Secret", space),
            Need("delete", "Secret", space, name=SECRET), Need("delete", "Pod", space),
        )  # fmt: skip

    def reads(self) -> tuple[Need, ...]:
        space = self.session.namespace
        return (
            Need("list", "Pod", space), Need("get", "Pod", space),
            Need("get", "Secret", space, name=SECRET),
        )  # fmt: skip

    def setup(self) -> tuple[str, ...]:
        names = {view.pod for view in whole_cluster(self.session)}
        selector = guard.require_selector(self.workload.selector)
        pods = self.cluster.list("Pod", self.session.namespace, selector)
        self.nodes = [pod for pod in pods if pod["metadata"]["name"] in names]
        radius = blast.of_pods(self.nodes, self.nodes, node_zones(self.session))
        blast.require_allowed(radius, self.session.profile.experiments.may_lose)
        return tuple(sorted(names))

    def inject(self) -> None:
        space, password = self.session.namespace, secrets.token_urlsafe(32)
        self.record(changes.create_object("Secret", space, SECRET))
        meta = {"name": SECRET, "labels": {changes.RUN_LABEL: self.session.run_id}}
        data = {rotation.KEY: base64.b64encode(password.encode()).decode()}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": data}
        self.cluster.create("Secret", body, space)
        self.record(rotation.rotate_password(self.nodes, self.workload, SECRET))
        run = inside(self.cluster, space)
        for pod in self.nodes:
            redis_password.rotate(run, pod["metadata"]["name"], self.workload.container, password)

    def effective(self) -> dict[str, Any]:
        """Each node said so; that it holds to it, the witness sees."""
        return {"nodes": sorted(pod["metadata"]["name"] for pod in self.nodes)}

    def witness(self) -> Sight:
        names = sorted(pod["metadata"]["name"] for pod in self.nodes)

        def look() -> Sight:
            return witness_stores.password_refused(
                self.cluster, self.session.namespace, names, self.workload.container
            )

        return awaited("the old password refused", look, SEEN_S)

    def recover(self) -> None:
        """The nodes first, then the Secret by which they are asked."""
        self.session.undo.revert(*reversed(self.recorded))

    def recovered(self) -> dict[str, Any]:
        def whole() -> str:
            looks = [
                health.look(self.cluster, self.session.profile, part) for part in ("redis", "acp")
            ]
            told = "; ".join(f"{part.what}: {part.saw}" for part in looks)
            return told if all(part.ok for part in looks) else ""

        return {"saw": eventually("a healthy Redis Cluster", whole, self.recover_s, 1.0)}


def rotate(hold_s: float = 20.0, recover_s: float = 180.0) -> dict[str, Any]:
    """Experiment action: another password for `hold_s` seconds, then the one of before."""
    act = Act(RedisPassword(current(), float(recover_s)))
    told = act.strike()
    pause_until(time.monotonic() + float(hold_s))
    return told | act.heal()
