"""Pod loss: some pods of one workload deleted, without grace unless some is given.

Room: faults. All worker pods are the same fault with a share of 1, if the profile lets it.
"""

import math
import random
from typing import Any, ClassVar, Literal

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import blast, health
from acpchaos.faults.fault import Act
from acpchaos.faults.killing import PodKill, node_zones
from acpchaos.faults.session import Session, current
from acpchaos.target import guard
from acpchaos.target.cluster import Object


class PodLoss(PodKill):
    """Kill `count` pods, or `share` of them (rounded up) when it is above 0."""

    name: ClassVar[str] = "pod_loss"
    disrupts: ClassVar[str] = "acp"

    def __init__(
        self, session: Session, workload: Literal["acp", "workers"], count: int, share: float,
        grace_s: int, seed: int, recover_s: float,
    ) -> None:  # fmt: skip
        super().__init__(session, grace_s, recover_s)
        self.part = workload
        self.workload = session.workload(workload, ("acp", "workers"))
        self.count, self.share, self.seed = count, share, seed

    def choose(self) -> tuple[list[Object], blast.Blast]:
        selector = guard.require_selector(self.workload.selector)
        pods = self.cluster.list("Pod", self.space, selector)
        ready = sorted(filter(health.is_ready, pods), key=lambda pod: pod["metadata"]["name"])
        wanted = math.ceil(self.share * len(ready)) if self.share > 0 else self.count
        if not 0 < wanted <= len(ready):
            raise PreconditionUnmet(
                f"choose {wanted} of the pods {selector}", f"{len(ready)} are ready",
                "wait for the workload to be whole, or ask for fewer",
            )  # fmt: skip
        victims = random.Random(self.seed).sample(ready, wanted)
        return victims, blast.of_pods(victims, ready, node_zones(self.session))


def kill(
    workload: Literal["acp", "workers"] = "acp", count: int = 1, share: float = 0.0,
    grace_s: int = 0, seed: int = 0, recover_s: float = 120.0,
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: kill pods and wait until the workload is whole again."""
    act = Act(PodLoss(current(), workload, int(count), float(share), int(grace_s), int(seed),
                      float(recover_s)))  # fmt: skip
    return act.strike() | act.heal()
