"""The disk of one Redis node full, by a file that goes by itself.

Room: faults. Only where the node's volume is a file system of its own: a folder on a node's disk is
shared with everybody who runs there, and filling it would not stop at Redis.
"""

import random
import time
from collections.abc import Iterable
from typing import Any, ClassVar

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import blast, filling, health, witness_stores
from acpchaos.faults.fault import Act, Fault, Need, Sight, awaited
from acpchaos.faults.killing import node_zones
from acpchaos.faults.redis_faults import NOT_A_CLUSTER, whole_cluster
from acpchaos.faults.session import Session, current
from acpchaos.stores import redis_cluster, redis_disk
from acpchaos.stores.exec import inside
from acpchaos.stores.redis_disk import Disk
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster, Object
from acpchaos.wait import eventually, pause_until

SHARED = ("local", "hostPath")  # kinds of volumes that are folders on a node's disk
LARGEST_KIB = 64 * 1024**2  # what is larger takes longer to fill than a play lasts
LONGEST_S = 600
SEEN_S = 30.0


class RedisDiskFull(Fault):
    """One master of Redis has no room to write what it is told."""

    name: ClassVar[str] = "redis_disk_full"
    disrupts: ClassVar[str] = "redis"

    def __init__(self, session: Session, seed: int, hold_s: int, recover_s: float) -> None:
        super().__init__(session)
        self.seed, self.hold_s, self.recover_s = seed, hold_s, recover_s
        self.workload = session.profile.workloads.redis
        self.victim: Object = {}
        self.disk = Disk(0, 0, "", "", filled=False)

    def available(self) -> str:
        if not self.session.profile.experiments.redis_cluster:
            return NOT_A_CLUSTER
        if reason := super().available():
            return reason
        if shared := shared_volumes(self.cluster, self._pods()):
            return (
                f"not applicable: volumes of {self.workload.name} are folders on disks of nodes "
                f"({', '.join(shared)}), which others share: it would not stop at Redis"
            )
        return ""

    def needs(self) -> tuple[Need, ...]:
        return (Need("create", "Pod", self.session.namespace, "exec"),)

    def reads(self) -> tuple[Need, ...]:
        space = self.session.namespace
        claims = Need("get", "PersistentVolumeClaim", space)
        pods = (Need("list", "Pod", space), Need("get", "Pod", space))
        return (*pods, claims, Need("get", "PersistentVolume"))

    def _pods(self) -> list[Object]:
        selector = guard.require_selector(self.workload.selector)
        return self.cluster.list("Pod", self.session.namespace, selector)

    def setup(self) -> tuple[str, ...]:
        if not 0 < self.hold_s <= LONGEST_S:
            raise PreconditionUnmet(
                f"fill a disk for {self.hold_s} s", f"{LONGEST_S} s are the most", "less long"
            )
        masters = [s.master for s in redis_cluster.shards(whole_cluster(self.session), {})]
        name, pods = random.Random(self.seed).choice(sorted(masters)), self._pods()
        self.victim = next(pod for pod in pods if pod["metadata"]["name"] == name)
        self.disk = self._look()
        if not self.disk.own or self.disk.size_kib > LARGEST_KIB or self.disk.filled:
            raise PreconditionUnmet(
                f"fill the disk of {name}", f"{self.disk.folder} lies on {self.disk.mount} with "
                f"{self.disk.size_kib // 1024} MiB", "it must be a small file system of its own",
            )  # fmt: skip
        radius = blast.of_pods([self.victim], pods, node_zones(self.session))
        blast.require_allowed(radius, self.session.profile.experiments.may_lose)
        return (name,)

    def _look(self) -> Disk:
        run = inside(self.cluster, self.session.namespace, reads=True)
        return redis_disk.look(run, self.victim["metadata"]["name"], self.workload.container)

    def inject(self) -> None:
        self.record(filling.fill_disk(self.victim, self.workload.container, self.disk.folder))
        run, name = inside(self.cluster, self.session.namespace), self.victim["metadata"]["name"]
        redis_disk.fill(run, name, self.workload.container, self.disk, self.hold_s)

    def effective(self) -> dict[str, Any]:
        def full() -> str:
            disk = self._look()
            return f"{disk.free_kib} KiB free" if disk.free_kib < 1024 else ""

        return {"saw": eventually("the disk to be full", full, SEEN_S, 1.0)}

    def witness(self) -> Sight:
        def look() -> Sight:
            return witness_stores.disk_full(
                self.cluster,
                self.session.namespace,
                self.victim["metadata"]["name"],
                self.workload.container,
                self.disk.folder,
            )

        return awaited("nothing to be written any more", look, SEEN_S)

    def recovered(self) -> dict[str, Any]:
        target = (self.cluster, self.session.profile)
        saw = health.awaited(*target, "redis", "a healthy Redis Cluster", self.recover_s)
        return {"saw": saw}


def shared_volumes(cluster: Cluster, pods: Iterable[Object]) -> list[str]:
    """Kinds of these pods' volumes that are folders on a node's disk, or that are not claimed."""
    found: set[str] = set()
    for pod in pods:
        claims = [
            volume["persistentVolumeClaim"]["claimName"]
            for volume in pod["spec"].get("volumes") or []
            if "persistentVolumeClaim" in volume
        ]
        if not claims:
            found.add("emptyDir")
        for name in claims:
            claim = cluster.get("PersistentVolumeClaim", name, pod["metadata"]["namespace"])
            volume = cluster.get("PersistentVolume", claim["spec"]["volumeName"])
            found |= {kind for kind in SHARED if kind in volume["spec"]}
    return sorted(found)


def fill(seed: int = 0, hold_s: int = 30, recover_s: float = 120.0) -> dict[str, Any]:
    """Experiment action: the disk of one master full for `hold_s` seconds."""
    longest_s = int(hold_s) + 2 * int(SEEN_S)  # the file's own end
    act = Act(RedisDiskFull(current(), int(seed), longest_s, float(recover_s)))
    told = act.strike()
    pause_until(time.monotonic() + float(hold_s))
    return told | act.heal()
