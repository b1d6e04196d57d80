"""Parts of the control plane stopped: API server, an etcd member, controllers, scheduler, a node.

Room: faults. Where kubeadm made the cluster they are static pods: their file is moved away, and the
kubelet ends them; moved back, it starts them. With the API server gone nothing in the cluster can
take that back, which is why a timer of the node does, and this machine's own record.
"""

from typing import Any, ClassVar, Literal

from acpchaos.errors import PreconditionUnmet, UsageError
from acpchaos.faults import blast, witness_control_plane
from acpchaos.faults.blast import Blast
from acpchaos.faults.engine import Engine, EngineRefused
from acpchaos.faults.fault import Need, Sight
from acpchaos.faults.node_fault import EFFECT_S, NodeFault, played
from acpchaos.faults.nodes import Beneath, NodeOff
from acpchaos.faults.session import Session, current
from acpchaos.target.cluster import ApiRefused, Object
from acpchaos.target.guard import CONTROL_PLANE
from acpchaos.wait import eventually

Component = Literal["api-server", "etcd-member", "controller-manager", "scheduler"]
PROGRAMS = {
    "api-server": "kube-apiserver",
    "etcd-member": "etcd",
    "controller-manager": "kube-controller-manager",
    "scheduler": "kube-scheduler",
}
ROLE = "node-role.kubernetes.io/control-plane"
HERE = (
    'for each in "${PROC:-/proc}"/[0-9]*/cmdline; do '
    """case $(tr '\\000' '\\n' <"$each" 2>/dev/null | head -n 1) in "$1"|*/"$1") echo yes ;; """
    "esac; done"
)


class StaticPodStop(Beneath):
    """A part of the control plane stops: on all its nodes, and of etcd one member."""

    name: ClassVar[str] = "api_server_stop"
    disrupts: ClassVar[str] = "control-plane"
    kind: ClassVar[str] = "node-manifest"
    allowed: ClassVar[str] = CONTROL_PLANE

    def __init__(
        self, session: Session, component: Component, seed: int, hold_s: float, recover_s: float
    ) -> None:
        super().__init__(session, "node", "", seed, hold_s, recover_s)
        if component not in PROGRAMS:
            raise UsageError(
                f"stop {component!r}", "no such part of the control plane",
                f"name one of {', '.join(PROGRAMS)}",
            )  # fmt: skip
        self.component, self.program = component, PROGRAMS[component]
        self.word = f"{self.program}.yaml"
        self.name = f"{component.replace('-', '_')}_stop"  # type: ignore[misc]
        self.everyone: list[Object] = []
        self.ran: list[tuple[str, str]] = []

    def reads(self) -> tuple[Need, ...]:
        if self.component in ("controller-manager", "scheduler"):
            return (Need("get", "Lease", witness_control_plane.LEASES),)
        return ()

    def setup(self) -> tuple[str, ...]:
        names = super().setup()
        engine = Engine(self.cluster)
        absent = [each.name for each in self.containers.values()
                  if not self._runs(engine, each.name)]  # fmt: skip
        if absent:
            raise PreconditionUnmet(
                f"stop {self.program}", f"it does not run on {', '.join(absent)}",
                "this fault is for static pods as kubeadm makes them; or it is down already",
            )  # fmt: skip
        self.ran = [
            (each.name, program)
            for each in self.containers.values()
            for program in PROGRAMS.values()
            if self._runs(engine, each.name, program)
        ]
        return names

    def choose(self) -> list[Object]:
        self.everyone = control_plane(self)
        return self.pick(self.everyone) if self.component == "etcd-member" else self.everyone

    def takes_away(self) -> Blast:
        return of_members(len(self.nodes), len(self.everyone), self.component == "etcd-member")

    def effective(self) -> dict[str, Any]:
        told = super().effective()
        engine = Engine(self.cluster)

        def ended() -> bool:
            return not any(self._runs(engine, each.name) for each in self.containers.values())

        eventually(f"{self.program} to end", ended, EFFECT_S, 0.5, transient=(EngineRefused,))
        return told

    def _runs(self, engine: Engine, container: str, program: str = "") -> bool:
        return "yes" in engine.inside(container, HERE, program or self.program)

    def witness(self) -> Sight:
        return witness_control_plane.stopped(
            self.cluster, self.session.profile, self.watched(), self.program
        )

    def recovered(self) -> dict[str, Any]:
        """All that ran before runs: controllers end, too, when etcd or the API server is away."""
        engine = Engine(self.cluster)

        def runs() -> bool:
            return all(self._runs(engine, *each) for each in self.ran)

        def answers() -> bool:
            return bool(self.cluster.call("GET", "/readyz", timeout_s=5.0))

        away = (EngineRefused, ApiRefused)
        eventually("the control plane's programs to run", runs, self.recover_s, 0.5, transient=away)
        eventually("the API server to be ready", answers, self.recover_s, 1.0, transient=away)
        return super().recovered()


class ControlPlaneNodeOff(NodeOff):
    """Power off one of three or more nodes of the control plane, a member of etcd with it."""

    name: ClassVar[str] = "control_plane_node_power_off"
    disrupts: ClassVar[str] = "control-plane"
    allowed: ClassVar[str] = CONTROL_PLANE

    def __init__(self, session: Session, *rest: Any) -> None:
        super().__init__(session, "node", "", *rest)
        self.name = "control_plane_node_power_off"  # type: ignore[misc]
        self.everyone: list[Object] = []

    def available(self) -> str:
        if reason := super().available():
            return reason
        count = len(control_plane(self))
        if count < 3:
            return f"not applicable: {count} control-plane node, three are needed to lose one"
        return ""

    def choose(self) -> list[Object]:
        self.everyone = control_plane(self)
        return self.pick(self.everyone)

    def takes_away(self) -> Blast:
        return of_members(1, len(self.everyone), True)


def control_plane(fault: NodeFault) -> list[Object]:
    """All nodes of the control plane, by the label that kubeadm gives them."""
    found = fault.cluster.list("Node")
    return sorted(
        (node for node in found if ROLE in (node["metadata"].get("labels") or {})),
        key=lambda node: str(node["metadata"]["name"]),
    )


def of_members(lost: int, members: int, etcd: bool) -> Blast:
    """What goes with `lost` of `members` of the control plane; with `etcd` a majority decides."""
    everything = lost >= members
    why = f"all {members} of the control plane at once" if everything else ""
    radius = Blast(lost, members, 0, 0, ("workload",) if everything and not etcd else (),
                   why if not etcd else "")  # fmt: skip
    return blast.of_voters(radius, members, lost) if etcd else radius


def stop(
    component: Component = "api-server", seed: int = 0, hold_s: float = 30.0,
    recover_s: float = 300.0,
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: stop a part of the control plane for `hold_s`, until all is whole."""
    return played(StaticPodStop(current(), component, int(seed), float(hold_s), float(recover_s)))


def power_off(seed: int = 0, hold_s: float = 75.0, recover_s: float = 300.0) -> dict[str, Any]:
    """Experiment action: power off one of several control-plane nodes for `hold_s`."""
    return played(ControlPlaneNodeOff(current(), int(seed), float(hold_s), float(recover_s)))
