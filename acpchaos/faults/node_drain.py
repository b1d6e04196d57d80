"""Node drain: as the drain of a zone, with one node alone.

Room: faults. Everything but the choice is zone_drain's.
"""

import random
import time
from typing import Any, ClassVar

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults.fault import Act, Fault
from acpchaos.faults.session import Session, current
from acpchaos.faults.zone_drain import ZoneDrain
from acpchaos.target.cluster import Object
from acpchaos.target.guard import OPT_IN
from acpchaos.wait import pause_until


class NodeDrain(ZoneDrain):
    """Drain the named node, or an opted-in one chosen by `seed`."""

    name: ClassVar[str] = "node_drain"

    def __init__(
        self, session: Session, node: str, seed: int, deadline_s: float, stuck_s: float,
        recover_s: float,
    ) -> None:  # fmt: skip
        super().__init__(session, "", seed, deadline_s, stuck_s, recover_s)
        self.node = node

    def available(self) -> str:
        return Fault.available(self)  # zones are no matter here

    @property
    def what(self) -> str:
        return f"node {self.node}"

    def choose(self) -> list[Object]:
        nodes = {node["metadata"]["name"]: node for node in self.cluster.list("Node")}
        allowed = sorted(
            name
            for name, node in nodes.items()
            if (node["metadata"].get("labels") or {}).get(OPT_IN) == "true"
        )
        if len(allowed) < 2 or (self.node and self.node not in nodes):
            raise PreconditionUnmet(
                f"drain node {self.node or '(any)'}", f"nodes with label {OPT_IN}=true: {allowed}",
                "two are needed, so that pods have somewhere to go",
            )  # fmt: skip
        self.node = self.node or random.Random(self.seed).choice(allowed)
        return [nodes[self.node]]


def drain(
    node: str = "", seed: int = 0, deadline_s: float = 180.0, stuck_s: float = 20.0,
    hold_s: float = 15.0, recover_s: float = 240.0,
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: cordon and empty one node, hold, free it, until all is whole."""
    act = Act(NodeDrain(current(), node, int(seed), float(deadline_s), float(stuck_s),
                        float(recover_s)))  # fmt: skip
    told = act.strike()
    pause_until(time.monotonic() + float(hold_s))
    return told | act.heal()
