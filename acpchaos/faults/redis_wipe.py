"""Redis wipe: the whole Redis Cluster removed with its volumes, and redeployed as it was.

Room: faults. Every session, code and revocation that lived only there is lost on purpose. To
redeploy by the same method means creating the recorded StatefulSet object again; its record lies in
the cluster before the first delete, so the way back does not depend on this process.
"""

import time
from collections.abc import Sequence
from typing import Any, ClassVar

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import changes, health, witness
from acpchaos.faults.fault import Act, Fault, Need, Sight
from acpchaos.faults.session import Session, current
from acpchaos.stores.redis_cluster import NodeView, healthy
from acpchaos.target import guard
from acpchaos.target.cluster import Object
from acpchaos.wait import eventually, pause_until

GONE_S = 120.0  # pods end at once, volumes are deleted by their provisioner after that


class RedisWipe(Fault):
    """Delete StatefulSet, pods and volume claims of Redis, each by UID."""

    name: ClassVar[str] = "redis_wipe"
    disrupts: ClassVar[str] = "redis"

    def __init__(self, session: Session, recover_s: float) -> None:
        super().__init__(session)
        self.workload, self.recover_s = session.profile.workloads.redis, recover_s
        self.stateful_set: Object = {}
        self.pods: list[Object] = []
        self.claims: list[Object] = []
        self.volumes: list[str] = []
        self.before: Sequence[NodeView] = ()

    def available(self) -> str:
        if not self.session.profile.experiments.redis_cluster:
            return "not applicable: the profile says that Redis is not a cluster of its own here"
        if self.workload.kind != "StatefulSet":
            return f"not applicable: Redis is a {self.workload.kind}, not a StatefulSet"
        return super().available()

    def needs(self) -> tuple[Need, ...]:
        space = self.session.namespace
        kinds = (self.workload.kind, "Pod", "PersistentVolumeClaim")
        deletes = tuple(Need("delete", kind, space) for kind in kinds)
        return (*deletes, Need("create", self.workload.kind, space))

    def reads(self) -> tuple[Need, ...]:
        """Volumes belong to no namespace, and the witness looks at whole collections."""
        kinds = ("Pod", "PersistentVolumeClaim", "PersistentVolume")
        return tuple(Need("list", kind) for kind in kinds)

    def setup(self) -> tuple[str, ...]:
        selector = guard.require_selector(self.workload.selector)
        namespace = self.session.namespace
        self.stateful_set = self.cluster.get("StatefulSet", self.workload.name, namespace)
        self.pods = self.cluster.list("Pod", namespace, selector)
        names = {
            volume["persistentVolumeClaim"]["claimName"]
            for pod in self.pods
            for volume in pod["spec"].get("volumes") or []
            if "persistentVolumeClaim" in volume
        }
        claims = self.cluster.list("PersistentVolumeClaim", namespace)
        self.claims = [claim for claim in claims if claim["metadata"]["name"] in names]
        self.volumes = [claim["spec"]["volumeName"] for claim in self.claims]
        self.before = health.redis_views(self.cluster, self.session.profile)
        ok, saw = healthy(self.before)
        if not ok or len(self.claims) != len(self.pods):
            raise PreconditionUnmet(
                "wipe the Redis Cluster", f"{saw}; {len(self.claims)} volume claims",
                "it must be whole before, each node with one volume",
            )  # fmt: skip
        return tuple(node.pod for node in self.before)

    def inject(self) -> None:
        namespace = self.session.namespace
        self.record(changes.remove_stateful_set(self.stateful_set))
        meta = self.stateful_set["metadata"]
        self.cluster.delete("StatefulSet", meta["name"], namespace, uid=meta["uid"])
        for pod in self.pods:
            self.cluster.delete(
                "Pod", pod["metadata"]["name"], namespace, uid=pod["metadata"]["uid"], grace_s=0
            )
        for claim in self.claims:
            self.cluster.delete(
                "PersistentVolumeClaim", claim["metadata"]["name"], namespace,
                uid=claim["metadata"]["uid"],
            )  # fmt: skip

    def effective(self) -> dict[str, Any]:
        volumes = set(self.volumes)

        def gone() -> bool:
            sets = self.cluster.find("StatefulSet", self.workload.name, self.session.namespace)
            pods = self.cluster.list("Pod", self.session.namespace, self.workload.selector)
            left = [each["metadata"]["name"] for each in self.cluster.list("PersistentVolume")]
            return sets is None and not pods and not volumes & set(left)

        eventually("the Redis Cluster and its volumes to be gone", gone, GONE_S, 0.5)
        return {"keys_before": sum(node.keys for node in self.before if node.role == "master")}

    def witness(self) -> Sight:
        expected = {
            "Pod": {pod["metadata"]["uid"] for pod in self.pods},
            "PersistentVolumeClaim": {claim["metadata"]["uid"] for claim in self.claims},
        }
        return witness.all_absent(self.cluster, self.session.namespace, expected)

    def recovered(self) -> dict[str, Any]:
        def whole() -> health.Part | None:
            part = health.look(self.cluster, self.session.profile, "redis")
            return part if part.ok else None

        part = eventually("a healthy new Redis Cluster", whole, self.recover_s, 1.0)
        return {"saw": part.saw}

    def witness_after(self) -> Sight | None:
        """Installed: no node kept its run id and fewer keys are there than before."""
        after = health.redis_views(self.cluster, self.session.profile)
        return compare(self.before, after)


def compare(before: Sequence[NodeView], after: Sequence[NodeView]) -> Sight:
    """Whether `after` is another cluster than `before`, by the nodes' own run ids."""
    kept = {node.run_id for node in before if node.run_id} & {node.run_id for node in after}
    keys = [sum(n.keys for n in view if n.role == "master") for view in (before, after)]
    saw = f"{len(after)} nodes, {len(kept)} run ids kept, {keys[0]} keys before and {keys[1]} after"
    detail = {"kept": sorted(kept), "keys_before": keys[0], "keys_after": keys[1]}
    if not after or not all(node.reachable for node in after):
        return Sight("indeterminate", saw, detail)
    if len(kept) == len(after):
        return Sight("not installed", saw, detail)
    return Sight("installed" if not kept else "partial", saw, detail)


_act: Act | None = None


def wipe(recover_s: float = 240.0) -> dict[str, Any]:
    """Experiment action: remove the Redis Cluster with its volumes."""
    global _act
    _act = Act(RedisWipe(current(), float(recover_s)))
    return _act.strike()


def redeploy(hold_s: float = 0.0) -> dict[str, Any]:
    """Experiment action: hold, deploy the recorded Redis again and wait until it is healthy."""
    if _act is None:
        raise PreconditionUnmet("redeploy Redis", "it was not wiped", "see action wipe")
    pause_until(time.monotonic() + float(hold_s))
    return _act.heal()
