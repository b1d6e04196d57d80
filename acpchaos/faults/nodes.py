"""Nodes disturbed from beneath Kubernetes: powered off, frozen, or left without their kubelet.

Room: faults. Beneath is what those share whose mechanism is the container engine: whose containers
the nodes are, the record on this machine, and the armed expiry. A machine of a cloud is switched by
the extension that the profile names, and nothing but the API server tells whether it is off.
"""

from collections.abc import Collection
from typing import Any, ClassVar

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import health, machines, node_changes, witness_nodes
from acpchaos.faults.changes import Change
from acpchaos.faults.engine import Container, Engine, EngineRefused, unsuited
from acpchaos.faults.fault import Need, Sight, awaited
from acpchaos.faults.node_fault import EFFECT_S, NOTICE_S, Expiring, Scope, played
from acpchaos.faults.session import Session, current
from acpchaos.target.guard import OPT_IN
from acpchaos.wait import eventually


class Beneath(Expiring):
    """Nodes that are containers of the profile's engine."""

    kind: ClassVar[str]  # of node_changes.WAYS
    word: str = ""  # of the change

    def __init__(self, *rest: Any) -> None:
        super().__init__(*rest)
        self.containers: dict[str, Container] = {}

    def unsuited(self) -> str:
        return unsuited(self.session.profile)

    def freeze(self) -> None:
        engine = Engine(self.cluster)
        self.containers = {name: engine.look(engine.container_of(name)) for name in self.nodes}
        self._require_running(self.containers.values())

    def change_of(self, node: str, due_s: float) -> Change:
        before = self.containers[node]
        now = Engine(self.cluster).look(before.name)
        if now.id != before.id:
            raise PreconditionUnmet(
                f"disturb {node}", "its container is another one than was chosen",
                "somebody remakes the target; play again when it is quiet",
            )  # fmt: skip
        self._require_running([now])
        return node_changes.disturb(self.kind, self.nodes[node], now, due_s, self.word)

    def make(self, change: Change) -> None:
        node_changes.make(self.cluster, self.session.run_id, change)

    def _require_running(self, containers: Collection[Container]) -> None:
        if bad := [f"{each.name} is {each.status}" for each in containers
                   if each.status != "running"]:  # fmt: skip
            raise PreconditionUnmet(
                f"disturb {', '.join(each.name for each in containers)}", "; ".join(bad),
                "something else has disturbed it before this fault came; bring it back first",
            )  # fmt: skip

    def effective(self) -> dict[str, Any]:
        def done() -> bool:
            return all(node_changes.disturbed(self.cluster, change) for change in self.made)

        eventually(f"{self.name} to be in force", done, EFFECT_S, 0.5, transient=(EngineRefused,))
        return super().effective()

    def watched(self) -> list[witness_nodes.Watched]:
        """The nodes as a witness needs them."""
        return [
            witness_nodes.Watched(name, each.name, each.id)
            for name, each in sorted(self.containers.items())
        ]


class NodeOff(Beneath):
    """Power off: the node's container is killed as a whole, without any time to end."""

    name: ClassVar[str] = "node_power_off"
    kind: ClassVar[str] = "node-off"

    def __init__(self, session: Session, scope: Scope, *rest: Any) -> None:
        super().__init__(session, scope, *rest)
        self.name = f"{scope}_power_off"  # type: ignore[misc]

    def witness(self) -> Sight:
        self.wait_for_notice()
        return witness_nodes.lost(
            self.cluster, self.session.profile, self.watched(), ("exited", "stopped")
        )


class MachineOff(Expiring):
    """Power off: a node's machine is switched off by the extension that the profile names."""

    name: ClassVar[str] = "node_machine_off"
    takes_s: ClassVar[float] = machines.CALL_S + machines.OFF_S

    def __init__(self, session: Session, scope: Scope, *rest: Any) -> None:
        super().__init__(session, scope, *rest)
        self.name = f"{scope}_machine_off"  # type: ignore[misc]

    def reads(self) -> tuple[Need, ...]:
        return (*super().reads(), Need("get", "Node"))

    def unsuited(self) -> str:
        return machines.unsuited(self.session.profile)

    def available(self) -> str:
        if reason := super().available():
            return reason
        opted = self.cluster.list("Node", selector=f"{OPT_IN}=true")
        whys = [machines.why_not(self.session.profile, node) for node in opted]
        return f"not applicable: {'; '.join(whys)}" if opted and all(whys) else ""

    def freeze(self) -> None:
        whys = [machines.why_not(self.session.profile, node) for node in self.nodes.values()]
        if whys := list(filter(None, whys)):
            raise PreconditionUnmet(
                f"switch {', '.join(self.nodes)} off", "; ".join(whys),
                "choose other nodes, or correct [nodes.extension] of the profile",
            )  # fmt: skip

    def change_of(self, node: str, due_s: float) -> Change:
        now, before = self.cluster.get("Node", node), self.nodes[node]
        if now["metadata"]["uid"] != before["metadata"]["uid"] or not health.is_ready(now):
            raise PreconditionUnmet(
                f"switch {node} off", "it is another one than was chosen, or not ready any more",
                "something else disturbs the target; play again when it is quiet",
            )  # fmt: skip
        return machines.switched_off(now, due_s)

    def make(self, change: Change) -> None:
        machines.make(self.cluster, self.session.run_id, change)

    def witness(self) -> Sight:
        return awaited(
            f"{', '.join(self.nodes)} to be lost",
            lambda: witness_nodes.silent_nodes(self.cluster, sorted(self.nodes)),
            NOTICE_S + machines.OFF_S,
        )  # fmt: skip


class NodeFreeze(Beneath):
    """Freeze: every process of a node stops, connections stay open and nobody answers."""

    name: ClassVar[str] = "node_freeze"
    kind: ClassVar[str] = "node-frozen"

    def witness(self) -> Sight:
        self.wait_for_notice()
        return witness_nodes.lost(self.cluster, self.session.profile, self.watched(), ("paused",))


class KubeletStop(Beneath):
    """The kubelet of a node stops; its containers run on and the control plane loses sight."""

    name: ClassVar[str] = "kubelet_stop"
    kind: ClassVar[str] = "node-kubelet"
    tasks: dict[str, frozenset[str]] | None = None

    def setup(self) -> tuple[str, ...]:
        names = super().setup()
        for each in self.watched():
            if "kubelet" not in (witness_nodes.programs(self.session.profile, each) or ()):
                raise PreconditionUnmet(
                    f"stop the kubelet of {each.node}", "none runs there, or nobody can look",
                    "start it, or choose another node",
                )  # fmt: skip
        self.tasks = witness_nodes.running(self.session.profile, self.watched())
        return names

    def witness(self) -> Sight:
        self.wait_for_notice()
        return witness_nodes.without_kubelet(
            self.cluster, self.session.profile, self.watched(), self.tasks or {}
        )


def power_off(
    scope: Scope = "node", name: str = "", seed: int = 0, hold_s: float = 75.0,
    recover_s: float = 300.0,
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: power a node, or all nodes of a zone, off for `hold_s`, by the mechanism
    that the profile names; until all is whole."""
    by = MachineOff if current().profile.nodes.power == "extension" else NodeOff
    return played(by(current(), scope, name, int(seed), float(hold_s), float(recover_s)))


def freeze(
    name: str = "", seed: int = 0, hold_s: float = 75.0, recover_s: float = 300.0
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: freeze one node for `hold_s`, until all is whole."""
    return played(NodeFreeze(current(), "node", name, int(seed), float(hold_s), float(recover_s)))


def stop_kubelet(
    name: str = "", seed: int = 0, hold_s: float = 75.0, recover_s: float = 300.0
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: stop the kubelet of one node for `hold_s`, until all is whole."""
    return played(KubeletStop(current(), "node", name, int(seed), float(hold_s), float(recover_s)))
