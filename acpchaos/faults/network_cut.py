"""A node or a zone cut from the network: both ways, or one way only.

Room: faults. Packets are dropped in the node's own kernel, before and after all that others do with
them, so that pods of the node are cut, too, and its address stays as it is. What is on one node
still reaches each other. TCP needs both ways, so that a one-way cut ends connections as well; what
differs is what the other side sees, and datagrams.
"""

from typing import Any, ClassVar, Literal

from acpchaos.errors import PreconditionUnmet, UsageError
from acpchaos.faults import witness_nodes
from acpchaos.faults.engine import Engine
from acpchaos.faults.fault import Sight
from acpchaos.faults.nodes import NodeFault, Scope, played
from acpchaos.faults.session import Session, current

Direction = Literal["both", "inbound", "outbound"]


class NetworkCut(NodeFault):
    """A node or zone is cut from the network, in one direction or both."""

    name: ClassVar[str] = "node_cut"
    kind: ClassVar[str] = "node-cut"

    def __init__(self, session: Session, scope: Scope, direction: Direction, *rest: Any) -> None:
        super().__init__(session, scope, *rest)
        if direction not in ("both", "inbound", "outbound"):
            raise UsageError(
                f"cut {direction!r}", "no such direction", "name both, inbound or outbound"
            )
        self.direction = self.word = direction
        one_way = "" if direction == "both" else f"_{direction}"
        self.name = f"{scope}_cut{one_way}"  # type: ignore[misc]
        self.peer = ""
        self.addresses: dict[str, str] = {}

    def setup(self) -> tuple[str, ...]:
        names = super().setup()
        engine = Engine(self.cluster)
        others = [node["metadata"]["name"] for node in self.cluster.list("Node")
                  if node["metadata"]["name"] not in self.nodes]  # fmt: skip
        peers = [engine.look(engine.container_of(name)) for name in sorted(others)]
        running = [each for each in peers if each.status == "running" and each.address]
        if not running:
            raise PreconditionUnmet(
                f"cut {', '.join(names)}", "no other node runs that could be asked", "start one"
            )
        self.peer = running[0].name
        self.addresses = {each.name: each.address for each in self.containers.values()}
        self.addresses[self.peer] = running[0].address
        self._require_connected()
        return names

    def _require_connected(self) -> None:
        """What the witness counts afterwards must be there before, else it proves nothing."""
        for each in self.watched():
            told = witness_nodes.heard(
                self.session.profile, each.container, self.peer, self.addresses
            )
            if told is None or min(told) < witness_nodes.DATAGRAMS * 3 // 4:
                raise PreconditionUnmet(
                    f"cut {each.node}",
                    f"between it and {self.peer} is no connection that could be cut: "
                    f"{told.words() if told else 'nobody counts what arrives'}",
                    "look at the network of the nodes",
                )

    def witness(self) -> Sight:
        return witness_nodes.cut(
            self.cluster, self.session.profile, self.watched(), self.peer, self.direction,
            self.addresses,
        )  # fmt: skip


def cut(
    scope: Scope = "node", direction: Direction = "both", name: str = "", seed: int = 0,
    hold_s: float = 60.0, recover_s: float = 300.0,
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: cut a node or a zone for `hold_s`, until all is whole."""
    rest = (name, int(seed), float(hold_s), float(recover_s))
    return played(NetworkCut(current(), scope, direction, *rest))
