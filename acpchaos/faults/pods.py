"""Pod loss: some pods of one workload deleted without grace, each by its UID.

Room: faults. Nothing has to be undone, since the workload's own controller replaces the pods; a
name-only delete could hit the successor, hence the UID in every call.
"""

import math
import random
from contextlib import suppress
from typing import Any, ClassVar, Literal

from acpchaos.errors import DeadlinePassed, PreconditionUnmet
from acpchaos.faults import health, witness
from acpchaos.faults.fault import Act, Fault, Sight
from acpchaos.faults.session import Session, current
from acpchaos.target import guard
from acpchaos.target.cluster import Object
from acpchaos.wait import eventually

GONE_S = 30.0
NEW_S = 30.0  # the controller makes successors within seconds


class PodLoss(Fault):
    """Kill `count` pods, or `share` of them (rounded up) when it is above 0."""

    name: ClassVar[str] = "pod_loss"
    disrupts: ClassVar[str] = "acp"

    def __init__(
        self, session: Session, workload: Literal["acp", "workers"], count: int, share: float,
        grace_s: int, seed: int, recover_s: float,
    ) -> None:  # fmt: skip
        super().__init__(session)
        self.what, self.workload = workload, getattr(session.profile.workloads, workload)
        self.count, self.share, self.grace_s, self.seed = count, share, grace_s, seed
        self.recover_s = recover_s
        self.victims: list[Object] = []
        self.before: set[str] = set()

    def setup(self) -> tuple[str, ...]:
        selector = guard.require_selector(self.workload.selector)
        pods = self.cluster.list("Pod", self.session.namespace, selector)
        ready = sorted(filter(health.is_ready, pods), key=lambda pod: pod["metadata"]["name"])
        wanted = math.ceil(self.share * len(ready)) if self.share > 0 else self.count
        if not 0 < wanted <= len(ready):
            raise PreconditionUnmet(
                f"choose {wanted} of the pods {selector}", f"{len(ready)} are ready",
                "wait for the workload to be whole, or ask for fewer",
            )  # fmt: skip
        self.victims = random.Random(self.seed).sample(ready, wanted)
        everything = self.cluster.list("Pod", self.session.namespace)
        self.before = {pod["metadata"]["uid"] for pod in everything}
        return tuple(pod["metadata"]["name"] for pod in self.victims)

    def inject(self) -> None:
        for pod in self.victims:
            meta = pod["metadata"]
            self.cluster.delete(
                "Pod", meta["name"], self.session.namespace, uid=meta["uid"], grace_s=self.grace_s
            )

    def effective(self) -> dict[str, Any]:
        uids = {pod["metadata"]["uid"] for pod in self.victims}

        def gone() -> bool:
            pods = self.cluster.list("Pod", self.session.namespace, self.workload.selector)
            return not uids & {pod["metadata"]["uid"] for pod in pods}

        eventually("the killed pods to be gone", gone, GONE_S + self.grace_s, 0.2)
        return {"uids": sorted(uids)}

    def witness(self) -> Sight:
        killed = {
            pod["metadata"]["uid"]: owner["uid"]
            for pod in self.victims
            for owner in pod["metadata"].get("ownerReferences") or [{"uid": ""}]
        }
        sights: list[Sight] = []

        def replaced() -> bool:
            seen = witness.pods_killed(self.cluster, self.session.namespace, killed, self.before)
            sights.append(seen)
            return seen.outcome in ("installed", "not installed")

        with suppress(DeadlinePassed):  # absence is what the last sight then says
            eventually("successors of the killed pods", replaced, NEW_S, 0.5)
        return sights[-1]

    def recovered(self) -> dict[str, Any]:
        def whole() -> health.Part | None:
            part = health.look(self.cluster, self.session.profile, self.what)
            return part if part.ok else None

        part = eventually(f"all {self.what} pods to be ready", whole, self.recover_s, 0.5)
        return {"saw": part.saw}


def kill(
    workload: Literal["acp", "workers"] = "acp", count: int = 1, share: float = 0.0,
    grace_s: int = 0, seed: int = 0, recover_s: float = 120.0,
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: kill pods and wait until the workload is whole again."""
    act = Act(PodLoss(current(), workload, int(count), float(share), int(grace_s), int(seed),
                      float(recover_s)))  # fmt: skip
    return act.strike() | act.heal()
