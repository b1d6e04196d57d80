"""Workloads held down or started anew through one field of their object, put back afterwards.

Room: faults. To scale down takes pods away and keeps them away until the number is as it was; a
rolling restart is the annotation that kubectl writes, so its way back, to the template as it was,
is a second rolling restart. Each undo record names exactly the field.
"""

import time
from abc import abstractmethod
from typing import Any, ClassVar, Literal

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import blast, fields, health, witness
from acpchaos.faults.fault import Act, Fault, Need, Sight, awaited
from acpchaos.faults.killing import node_zones
from acpchaos.faults.session import Session, current
from acpchaos.faults.workloads import (
    Where,
    of_service,
    of_workload,
    ordinal,
    pods_of,
    settled,
    wanted,
)
from acpchaos.target.cluster import Object
from acpchaos.wait import eventually, pause_until

SEEN_S = 90.0  # the grace of the SQL stores is 60 s


class FieldFault(Fault):
    """One field of one workload, written after its record and put back by the record alone."""

    def __init__(self, session: Session, where: Where, effect_s: float, recover_s: float) -> None:
        super().__init__(session)
        self.where, self.effect_s, self.recover_s = where, effect_s, recover_s
        self.found: Object = {}
        self.pods: list[Object] = []
        self.blast: blast.Blast | None = None

    def needs(self) -> tuple[Need, ...]:
        return (Need("patch", self.where.kind, self.where.namespace),)

    def reads(self) -> tuple[Need, ...]:
        space = self.where.namespace
        listed = tuple(Need("list", kind, space) for kind in ("Pod", "ReplicaSet"))
        return (Need("get", self.where.kind, space), *listed)

    @abstractmethod
    def field(self) -> tuple[tuple[str, ...], object]:
        """Path of the field and what is to stand there."""

    def setup(self) -> tuple[str, ...]:
        kind, namespace, name = self.where[:3]
        found = self.cluster.find(kind, name, namespace)
        self.found = found or {}
        self.pods = pods_of(self.cluster, found) if found else []
        ready = [pod for pod in self.pods if health.is_ready(pod)]
        count = wanted(self.found)
        if not count or len(ready) != count:
            raise PreconditionUnmet(
                f"change {kind} {namespace}/{name}", f"{len(ready)} of {count} pods are ready",
                "it must be whole before; look at it",
            )  # fmt: skip
        self.blast = self.radius(node_zones(self.session))
        blast.require_allowed(self.blast, self.session.profile.experiments.may_lose)
        return (f"{kind} {namespace}/{name}",)

    @abstractmethod
    def radius(self, zones: dict[str, str]) -> blast.Blast:
        """What is taken away; `zones` by node."""

    def inject(self) -> None:
        path, ours = self.field()
        now = self.cluster.get(self.where.kind, self.where.name, self.where.namespace)
        before = {pod["metadata"]["uid"] for pod in self.pods}
        if fields.value_at(now, path) != fields.value_at(self.found, path) or before != {
            pod["metadata"]["uid"] for pod in pods_of(self.cluster, now)
        }:
            raise PreconditionUnmet(
                f"change {self.where.name}", "it or its pods changed since set-up",
                "something else disturbs the target; play again when it is quiet",
            )  # fmt: skip
        change = fields.change_field(self.where.kind, self.found, path, ours)
        self.record(change)
        fields.write_field(self.cluster, change)

    def effective(self) -> dict[str, Any]:
        def done() -> bool:
            found = self.cluster.get(self.where.kind, self.where.name, self.where.namespace)
            return self.reached(found)

        eventually(f"the change of {self.where.name} in force", done, self.effect_s, 0.5)
        return {"blast": self.blast.told()} if self.blast else {}

    @abstractmethod
    def reached(self, found: Object) -> bool:
        """Whether the workload's own status tells that its controller is done."""

    def witness(self) -> Sight:
        return awaited(f"the effect on {self.where.name}", self.look, SEEN_S)

    @abstractmethod
    def look(self) -> Sight:
        """One look of the witness."""

    def recovered(self) -> dict[str, Any]:
        kind, namespace, name, part, _ = self.where
        profile, count = self.session.profile, wanted(self.found)

        def whole() -> str:
            found = self.cluster.get(kind, name, namespace)
            if not settled(found) or wanted(found) < count:
                return ""
            if not part:
                return f"{wanted(found)} pods ready"
            seen = health.look(self.cluster, profile, part)
            return seen.saw if seen.ok else ""

        return {"saw": eventually(f"{name} to be whole again", whole, self.recover_s, 1.0)}


class ScaledDown(FieldFault):
    """Scale a workload to `keep` pods, the highest ordinals of a StatefulSet ending first."""

    name: ClassVar[str] = "scaled_down"

    def __init__(
        self, session: Session, name: str, disrupts: str, where: Where, keep: int | None,
        effect_s: float, recover_s: float,
    ) -> None:  # fmt: skip
        """`keep` None is the largest minority."""
        super().__init__(session, where, effect_s, recover_s)
        self.name, self.disrupts, self.keep = name, disrupts, keep  # type: ignore[misc]

    def setup(self) -> tuple[str, ...]:
        kind, namespace, name = self.where[:3]
        found = self.cluster.find(kind, name, namespace) or {"spec": {}}
        retention = found["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
        if retention.get("whenScaled") == "Delete":
            raise PreconditionUnmet(
                f"scale {kind} {namespace}/{name}", "its volumes are deleted with its pods",
                "that could not be undone; set whenScaled to Retain",
            )  # fmt: skip
        if self.keep is None:
            self.keep = blast.majority(int(found["spec"].get("replicas", 1))) - 1
        targets = super().setup()
        if self.keep >= len(self.pods):
            raise PreconditionUnmet(
                f"scale {kind} {namespace}/{name}", f"{len(self.pods)} pods, {self.keep} are kept",
                "there is nothing to take away",
            )  # fmt: skip
        return targets

    def reads(self) -> tuple[Need, ...]:
        if not self.where.service:
            return super().reads()
        return (*super().reads(), Need("list", "EndpointSlice", self.where.namespace))

    def field(self) -> tuple[tuple[str, ...], object]:
        return fields.REPLICAS, self.keep

    def radius(self, zones: dict[str, str]) -> blast.Blast:
        count = len(self.pods)
        going = sorted(self.pods, key=ordinal)[self.keep or 0 :]
        found = blast.of_pods(going, self.pods, zones)
        return blast.of_voters(found, count, len(going)) if self.keep else found

    def reached(self, found: Object) -> bool:
        return settled(found) and found["status"].get("replicas", 0) == self.keep

    def look(self) -> Sight:
        namespace, service = self.where.namespace, self.where.service
        before = {
            pod["metadata"]["uid"]: pod["metadata"]["ownerReferences"][0]["uid"]
            for pod in self.pods
        }
        return witness.scaled_down(self.cluster, namespace, before, self.keep or 0, service)


class RollingRestart(FieldFault):
    """All pods replaced by the Deployment's own strategy, none but one after the other."""

    name: ClassVar[str] = "rolling_restart"
    disrupts: ClassVar[str] = "acp"

    def field(self) -> tuple[tuple[str, ...], object]:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return fields.RESTARTED_AT, f"{moment}-{self.session.run_id}"

    def radius(self, zones: dict[str, str]) -> blast.Blast:
        """As many as the Deployment's strategy takes at once, and one that is being replaced."""
        return blast.of_pods(self.pods[: at_once(self.found)], self.pods, zones)

    def reached(self, found: Object) -> bool:
        return settled(found)

    def look(self) -> Sight:
        old = {pod["metadata"]["uid"] for pod in self.pods}
        uid = self.found["metadata"]["uid"]
        return witness.all_renewed(self.cluster, self.where.namespace, uid, old)


def at_once(deployment: Object) -> int:
    """How many pods a rolling update takes away at once: maxUnavailable, rounded down as the
    controller does (default 25 %), and at least the one that is being replaced."""
    spec = deployment["spec"]
    wanted, strategy = int(spec.get("replicas", 1)), spec.get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return wanted
    most = str((strategy.get("rollingUpdate") or {}).get("maxUnavailable", "25%"))
    count = int(most.rstrip("%")) * wanted // 100 if most.endswith("%") else int(most)
    return min(wanted, max(1, count))


_act: Act | None = None


def restart(
    workload: Literal["acp", "workers"] = "acp", effect_s: float = 240.0, recover_s: float = 240.0
) -> dict[str, Any]:
    """Experiment action: a rolling restart, and a second one back to the template as it was."""
    session = current()
    session.workload(workload, ("acp", "workers"))
    where = of_workload(session, workload)
    act = Act(RollingRestart(session, where, float(effect_s), float(recover_s)))
    return act.strike() | act.heal()


def hold_down(
    what: Literal["sql", "analytics", "dns", "metrics"], effect_s: float = 90.0,
    recover_s: float = 180.0,
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: an SQL store without majority, or a service of the cluster at zero."""
    global _act
    session = current()
    _act = Act(held_down(session, what, float(effect_s), float(recover_s)))
    return _act.strike()


def held_down(session: Session, what: str, effect_s: float, recover_s: float) -> ScaledDown:
    """The fault of `hold_down`: SQL stores keep the largest minority, services nothing."""
    store = what in ("sql", "analytics")
    where = of_workload(session, what) if store else of_service(session, what)
    keep, name = (None, f"{what}_minority") if store else (0, f"{what}_gone")
    return ScaledDown(session, name, what, where, keep, effect_s, recover_s)


def let_up(hold_s: float = 30.0) -> dict[str, Any]:
    """Experiment action: hold, then as many pods as before, and wait until all is whole."""
    if _act is None:
        raise PreconditionUnmet("scale back", "nothing was scaled down", "see action hold_down")
    pause_until(time.monotonic() + float(hold_s))
    return _act.heal()
