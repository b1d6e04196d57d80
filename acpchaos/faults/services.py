"""Pods of a service of the cluster killed: the ingress controller by default.

Room: faults. The profile names where such services live, and may_disrupt whether they may be hurt.
"""

import random
from typing import Any, ClassVar, Literal

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import blast, health
from acpchaos.faults.fault import Act, Need
from acpchaos.faults.killing import PodKill, node_zones
from acpchaos.faults.session import Session, current
from acpchaos.faults.workloads import of_service, pods_of, settled
from acpchaos.target.cluster import Object
from acpchaos.wait import eventually

Service = Literal["ingress", "dns", "metrics"]


class ServiceKill(PodKill):
    """Kill `count` pods of one service without grace."""

    name: ClassVar[str] = "ingress_kill"

    def __init__(
        self, session: Session, what: Service, count: int, seed: int, recover_s: float
    ) -> None:
        super().__init__(session, 0, recover_s)
        self.where = of_service(session, what)
        self.name, self.disrupts = f"{what}_kill", what  # type: ignore[misc]
        self.space, self.count, self.seed = self.where.namespace, count, seed

    def reads(self) -> tuple[Need, ...]:
        workload = Need("get", self.where.kind, self.space)
        return (*super().reads(), workload, Need("list", "ReplicaSet", self.space))

    def choose(self) -> tuple[list[Object], blast.Blast]:
        kind, namespace, name = self.where[:3]
        found = self.cluster.find(kind, name, namespace)
        pods = pods_of(self.cluster, found) if found else []
        ready = [pod for pod in pods if health.is_ready(pod)]
        if not 0 < self.count <= len(ready):
            raise PreconditionUnmet(
                f"choose {self.count} pods of {kind} {namespace}/{name}", f"{len(ready)} are ready",
                "correct the profile's [services], or ask for fewer",
            )  # fmt: skip
        victims = random.Random(self.seed).sample(ready, self.count)
        return victims, blast.of_pods(victims, ready, node_zones(self.session))

    def recovered(self) -> dict[str, Any]:
        kind, namespace, name = self.where[:3]

        def whole() -> str:
            found = self.cluster.get(kind, name, namespace)
            ready = [pod for pod in pods_of(self.cluster, found) if health.is_ready(pod)]
            return f"{len(ready)} pods ready" if ready and settled(found) else ""

        return {"saw": eventually(f"{name} to be whole again", whole, self.recover_s, 0.5)}


def kill(
    service: Service = "ingress", count: int = 1, seed: int = 0, recover_s: float = 120.0
) -> dict[str, Any]:
    """Experiment action: kill pods of a service of the cluster, until it is whole again."""
    act = Act(ServiceKill(current(), service, int(count), int(seed), float(recover_s)))
    return act.strike() | act.heal()
