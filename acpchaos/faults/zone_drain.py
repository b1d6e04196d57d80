"""Zone drain: cordon every node of one zone and evict their pods, respecting disruption budgets.

Room: faults. The eviction API decides; a refused eviction is tried again until the deadline and
then reported with the budget that refused it. Pods of DaemonSets, mirror pods and pods that nobody
would replace are left alone. The way back frees only the nodes that this run cordoned.
"""

import random
import time
from collections import Counter
from typing import Any, ClassVar

from acpchaos.errors import DeadlinePassed, PreconditionUnmet
from acpchaos.faults import changes, health, room, witness
from acpchaos.faults.fault import Act, Fault, Need, Sight
from acpchaos.faults.session import Session, current
from acpchaos.target import guard
from acpchaos.target.cluster import ApiRefused, Object
from acpchaos.wait import eventually, pause_until

EVERY_S = 1.0
MIRROR = "kubernetes.io/config.mirror"


class ZoneDrain(Fault):
    """Drain `zone`, or one chosen by `seed` when it is empty.

    The drain ends when nothing evictable is left, at `deadline_s`, or when for `stuck_s` nothing
    moved and budgets refuse all that is left (node-bound replicas wait for the zone to return).
    """

    name: ClassVar[str] = "zone_drain"
    disrupts: ClassVar[str] = "nodes"

    def __init__(
        self, session: Session, zone: str, seed: int, deadline_s: float, stuck_s: float,
        recover_s: float,
    ) -> None:  # fmt: skip
        super().__init__(session)
        self.zone, self.seed = zone, seed
        self.deadline_s, self.stuck_s, self.recover_s = deadline_s, stuck_s, recover_s
        self.nodes: dict[str, Object] = {}
        self.victims: set[str] = set()
        self.refused: dict[str, str] = {}

    def available(self) -> str:
        if not self.session.profile.experiments.zones:
            return "not applicable: the profile says that its nodes are not spread over zones"
        return super().available()

    def needs(self) -> tuple[Need, ...]:
        return (Need("patch", "Node"), Need("create", "Pod", "", "eviction"))

    def reads(self) -> tuple[Need, ...]:
        listed = tuple(Need("list", kind) for kind in ("Pod", "PodDisruptionBudget"))
        kinds = ("Node", "PersistentVolumeClaim", "PersistentVolume")
        return (*listed, *(Need("get", kind) for kind in kinds))

    def setup(self) -> tuple[str, ...]:
        chosen = self.choose()
        guard.require_nodes(chosen)
        if shut := [n["metadata"]["name"] for n in chosen if n["spec"].get("unschedulable")]:
            raise PreconditionUnmet(
                f"drain {self.what}", f"someone has already cordoned {', '.join(shut)}",
                "uncordon them or choose another one",
            )  # fmt: skip
        self.nodes = {node["metadata"]["name"]: node for node in chosen}
        pods = self._evictable()
        self.victims = {pod["metadata"]["uid"] for pod in pods}
        if not self.victims:
            raise PreconditionUnmet(
                f"drain {self.what}", "no pod there could be evicted",
                "choose one in which ACP runs",
            )  # fmt: skip
        room.require_way_out(self.cluster, self.what, self.nodes, pods)
        return tuple(sorted(self.nodes))

    @property
    def what(self) -> str:
        """What is drained, for people."""
        return f"zone {self.zone}"

    def choose(self) -> list[Object]:
        """The nodes of the zone."""
        key = self.session.profile.experiments.zone_key
        zones: dict[str, list[Object]] = {}
        for node in self.cluster.list("Node"):
            zone = (node["metadata"].get("labels") or {}).get(key, "")
            if zone:
                zones.setdefault(zone, []).append(node)
        if len(zones) < 2 or (self.zone and self.zone not in zones):
            raise PreconditionUnmet(
                f"drain zone {self.zone or '(any)'}", f"zones seen: {sorted(zones)}",
                f"two zones are needed; nodes carry them in label {key}",
            )  # fmt: skip
        self.zone = self.zone or random.Random(self.seed).choice(sorted(zones))
        return zones[self.zone]

    def inject(self) -> None:
        for node in self.nodes.values():
            self.record(changes.cordon(node))
        for name, node in self.nodes.items():
            meta = {
                "uid": node["metadata"]["uid"],
                "annotations": {changes.CORDONED_BY: self.session.run_id},
            }
            self.cluster.patch("Node", name, {"metadata": meta, "spec": {"unschedulable": True}})

    def effective(self) -> dict[str, Any]:
        moved_s, before = time.monotonic(), len(self.victims)

        def emptied() -> bool:
            nonlocal moved_s, before
            left = self._evictable()
            self.refused = self._evict(left)
            going = any("deletionTimestamp" in pod["metadata"] for pod in left)
            if going or len(left) < before or len(self.refused) < len(left):
                moved_s, before = time.monotonic(), len(left)
            return not left or time.monotonic() - moved_s > self.stuck_s

        try:
            eventually(f"{self.what} to be empty", emptied, self.deadline_s, EVERY_S)
        except DeadlinePassed:
            if not self.refused:
                raise  # nothing refuses and still nothing leaves: the fault is not in force
        return {"drained": self.what, "zone": self.zone, "blocked": self.refused}

    def later(self) -> tuple[str, ...]:
        return tuple(
            f"evict {pod['metadata']['namespace']}/pods/{pod['metadata']['name']} "
            f"(uid {pod['metadata']['uid']}), as far as disruption budgets allow"
            for pod in self._evictable()
        )

    def witness(self) -> Sight:
        uids = {name: node["metadata"]["uid"] for name, node in self.nodes.items()}
        return witness.zone_drained(self.cluster, uids, self.victims)

    def recovered(self) -> dict[str, Any]:
        parts = ("nodes", "acp", "workers", "redis", "sql", "analytics")

        def whole() -> bool:
            return all(health.look(self.cluster, self.session.profile, part).ok for part in parts)

        eventually(f"the target to be whole with {self.what} back", whole, self.recover_s, 2.0)
        return {"zone": self.zone}

    def _evictable(self) -> list[Object]:
        pods: list[Object] = []
        for name in self.nodes:
            found = self.cluster.list("Pod", fields=f"spec.nodeName={name}")
            pods += [pod for pod in found if evictable(pod)]
        return pods

    def _evict(self, pods: list[Object]) -> dict[str, str]:
        """Ask for each eviction once; returns the refusals by pod, as the API server words them."""
        refused = {}
        for pod in pods:
            meta = pod["metadata"]
            if "deletionTimestamp" in meta:
                continue
            try:
                self.cluster.evict(meta["name"], meta["namespace"], uid=meta["uid"])
            except ApiRefused as error:
                if error.status in (404, 409):
                    continue  # gone meanwhile, or a successor bears its name
                if error.status not in (429, 500):  # 500: two budgets claim the same pod
                    raise
                refused[meta["name"]] = error.message
        return refused


def evictable(pod: Object) -> bool:
    """Whether a drain moves this pod: it runs, and a controller other than a DaemonSet owns it.

    Scratch volumes (emptyDir) do not protect a pod: they are lost with it by definition.
    """
    owners = [o for o in pod["metadata"].get("ownerReferences") or [] if o.get("controller")]
    if not owners or owners[0]["kind"] in ("DaemonSet", "Node"):
        return False
    if MIRROR in (pod["metadata"].get("annotations") or {}):
        return False
    return pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")


_act: Act | None = None


def drain(
    zone: str = "", seed: int = 0, deadline_s: float = 180.0, stuck_s: float = 20.0,
    recover_s: float = 240.0,
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: cordon and empty one zone."""
    global _act
    _act = Act(ZoneDrain(current(), zone, int(seed), float(deadline_s), float(stuck_s),
                         float(recover_s)))  # fmt: skip
    return _act.strike()


def bring_back(hold_s: float = 0.0) -> dict[str, Any]:
    """Experiment action: hold, uncordon what `drain` cordoned and wait until all is whole."""
    if _act is None:
        raise PreconditionUnmet("bring the zone back", "nothing was drained", "see action drain")
    pause_until(time.monotonic() + float(hold_s))
    return _act.heal()


def respread(workload: str = "acp", budget_s: float = 120.0) -> dict[str, Any]:
    """Experiment action: evict pods from the fullest zone until zones differ by at most one.

    The scheduler never moves a running pod, so after a drain someone has to. Evictions respect the
    disruption budget and leave no trace in the workload, unlike a rolling restart.
    """
    session = current()
    chosen = session.workload(workload, ("acp", "workers"))
    key = session.profile.experiments.zone_key
    moves: list[str] = []

    def even() -> bool:
        if not health.look(session.cluster, session.profile, workload).ok:
            return False
        zones = {
            node["metadata"]["name"]: (node["metadata"].get("labels") or {}).get(key, "")
            for node in session.cluster.list("Node")
        }
        pods = session.cluster.list("Pod", session.namespace, chosen.selector)
        counts = Counter({zone: 0 for zone in zones.values() if zone})
        counts.update(zones[pod["spec"]["nodeName"]] for pod in pods)
        fullest, most = counts.most_common(1)[0]
        if most - min(counts.values()) <= 1:
            return True
        pod = next(pod for pod in pods if zones[pod["spec"]["nodeName"]] == fullest)
        meta = pod["metadata"]
        session.cluster.evict(meta["name"], session.namespace, uid=meta["uid"])
        moves.append(meta["name"])
        return False

    eventually(f"{workload} pods spread over zones", even, budget_s, 1.0, transient=(ApiRefused,))
    return {"moved": moves}
