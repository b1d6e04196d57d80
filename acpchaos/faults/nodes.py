"""Nodes disturbed from beneath Kubernetes: powered off, frozen, or left without their kubelet.

Room: faults. What all such faults share stands in NodeFault: which nodes, whose containers they
are, what goes with them, the record in the cluster and on this machine, the armed expiry, and the
wait until all is whole. Each of them only says what is done and who proves it.
"""

import random
import time
from abc import abstractmethod
from collections.abc import Collection
from contextlib import suppress
from typing import Any, ClassVar, Literal

from acpchaos.errors import DeadlinePassed, PreconditionUnmet, UsageError
from acpchaos.faults import blast, health, node_changes, witness_nodes
from acpchaos.faults.blast import Blast
from acpchaos.faults.engine import Container, Engine, EngineRefused, unsuited
from acpchaos.faults.fault import Act, Fault, Need, Sight
from acpchaos.faults.killing import node_zones
from acpchaos.faults.session import Session, current
from acpchaos.target import guard
from acpchaos.target.cluster import ApiRefused, Object
from acpchaos.target.guard import OPT_IN
from acpchaos.wait import eventually, pause_until

Scope = Literal["node", "zone"]
EFFECT_S = 60.0  # the engine's own word; stopping a whole node's container takes some seconds
NOTICE_S = 90.0  # a silent node is told not ready after 40 to 50 s (node-monitor-grace-period)
STRIKE_S = EFFECT_S + NOTICE_S + 30.0  # until a fault is seen, at worst
SPARE_S = 30.0  # the expiry comes so long after the planned end
LONGEST_S = 600.0
PARTS = ("acp", "workers", "redis", "sql", "analytics")


class NodeFault(Fault):
    """One opted-in node, or all of a zone, named or chosen by `seed`, disturbed for `hold_s`."""

    disrupts: ClassVar[str] = "nodes"
    kind: ClassVar[str]  # of node_changes.WAYS
    allowed: ClassVar[str] = "true"  # value of the opt-in label
    word: str = ""  # of the change

    def __init__(
        self, session: Session, scope: Scope, chosen: str, seed: int, hold_s: float,
        recover_s: float,
    ) -> None:  # fmt: skip
        super().__init__(session)
        if scope not in ("node", "zone"):
            raise UsageError(
                f"disturb a {scope!r}", "this fault is for a node or a zone", "name one of these"
            )
        self.scope, self.chosen, self.seed = scope, chosen, seed
        self.hold_s, self.recover_s = hold_s, recover_s
        self.nodes: dict[str, Object] = {}
        self.containers: dict[str, Container] = {}
        self.made: list[node_changes.Change] = []
        self.blast: Blast | None = None
        self.began_s = 0.0

    def available(self) -> str:
        return unsuited(self.session.profile) or super().available()

    def reads(self) -> tuple[Need, ...]:
        return (Need("get", "Lease", witness_nodes.LEASES),)

    def ends(self) -> tuple[Need, ...]:
        return (Need("get", "Node"),)

    def setup(self) -> tuple[str, ...]:
        if not 0 < self.hold_s <= LONGEST_S:
            raise PreconditionUnmet(
                f"disturb a {self.scope} for {self.hold_s:g} s", f"{LONGEST_S:g} s is the longest",
                "hold it for less",
            )  # fmt: skip
        chosen = self.choose()
        guard.require_nodes(chosen, self.allowed)
        self.nodes = {node["metadata"]["name"]: node for node in chosen}
        if unready := [name for name, node in self.nodes.items() if not health.is_ready(node)]:
            raise PreconditionUnmet(
                f"disturb {', '.join(self.nodes)}", f"{', '.join(unready)} is not ready before",
                "bring it back first, or choose another one",
            )  # fmt: skip
        engine = Engine(self.cluster)
        self.containers = {name: engine.look(engine.container_of(name)) for name in self.nodes}
        self._require_running(self.containers.values())
        self.blast = self.takes_away()
        blast.require_allowed(self.blast, self.session.profile.experiments.may_lose)
        return tuple(sorted(self.nodes))

    def choose(self) -> list[Object]:
        """The nodes to disturb."""
        key = self.session.profile.experiments.zone_key
        groups: dict[str, list[Object]] = {}
        for node in self.cluster.list("Node", selector=f"{OPT_IN}=true"):
            meta = node["metadata"]
            label = (meta.get("labels") or {}).get(key, "")
            groups.setdefault(meta["name"] if self.scope == "node" else label, []).append(node)
        groups.pop("", None)
        name = self.chosen or (random.Random(self.seed).choice(sorted(groups)) if groups else "")
        if name not in groups or len(groups) < 2:
            raise PreconditionUnmet(
                f"disturb {self.scope} {self.chosen or '(any)'}", f"seen: {sorted(groups)}",
                f"two are needed, with label {OPT_IN}=true; zones are told by label {key}",
            )  # fmt: skip
        if self.scope == "zone":  # nodes of it that were not opted in keep the zone from being hit
            labelled = self.cluster.list("Node", selector=f"{key}={name}")
            return sorted(labelled, key=lambda node: str(node["metadata"]["name"]))
        return groups[name]

    def pick(self, nodes: list[Object]) -> list[Object]:
        """One of these, by the seed."""
        return random.Random(self.seed).sample(nodes, 1) if nodes else []

    def takes_away(self) -> Blast:
        """What goes with these nodes, by workload, quorum of stores included."""
        zones, profile = node_zones(self.session), self.session.profile
        parts: dict[str, Blast] = {}
        for what in PARTS:
            pods = self.cluster.list(
                "Pod", self.session.namespace, getattr(profile.workloads, what).selector
            )
            hit = [pod for pod in pods if pod["spec"].get("nodeName") in self.nodes]
            if not hit:
                continue
            parts[what] = blast.of_pods(hit, pods, zones)
            if what in ("sql", "analytics"):
                parts[what] = blast.of_voters(parts[what], len(pods), len(hit))
            elif what == "redis" and profile.experiments.redis_cluster:
                names = [pod["metadata"]["name"] for pod in hit]
                views = health.redis_views(self.cluster, profile)
                parts[what] = blast.of_redis(parts[what], views, names)
        known = {zone for zone in zones.values() if zone}
        return blast.together(parts, {zones[name] for name in self.nodes} & known, known)

    def inject(self) -> None:
        self.began_s = time.monotonic()
        due_s = time.time() + max(self.hold_s, STRIKE_S) + SPARE_S
        engine = Engine(self.cluster)
        for name, before in self.containers.items():
            now = engine.look(before.name)
            if now.id != before.id:
                raise PreconditionUnmet(
                    f"disturb {name}", "its container is another one than was chosen",
                    "somebody remakes the target; play again when it is quiet",
                )  # fmt: skip
            self._require_running([now])
            change = node_changes.disturb(self.kind, self.nodes[name], now, due_s, self.word)
            self.record(change)
            node_changes.make(self.cluster, self.session.run_id, change)
            self.made.append(change)

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
        told = {"until": [change["due"] for change in self.made]}
        return told | ({"blast": self.blast.told()} if self.blast else {})

    def watched(self) -> list[witness_nodes.Watched]:
        """The nodes as a witness needs them."""
        return [
            witness_nodes.Watched(name, each.name, each.id)
            for name, each in sorted(self.containers.items())
        ]

    def wait_for_notice(self) -> None:
        """Until the control plane tells every node not ready; its absence is for the witness."""
        with suppress(DeadlinePassed):
            eventually(
                "the control plane to notice",
                lambda: not witness_nodes.ready(self.cluster, self.nodes),
                NOTICE_S, 1.0, transient=(ApiRefused,),
            )  # fmt: skip

    @abstractmethod
    def witness(self) -> Sight:
        """Each fault has its own."""

    def recover(self) -> None:
        self.session.undo.revert(*reversed(self.recorded))

    def recovered(self) -> dict[str, Any]:
        seen: dict[str, health.Part] = {}
        parts = ("nodes", *PARTS)

        def whole() -> bool:
            for part in parts:
                seen[part] = health.look(self.cluster, self.session.profile, part)
            return all(part.ok for part in seen.values())

        eventually("the target to be whole again", whole, self.recover_s, 2.0)
        return {"saw": {name: part.saw for name, part in seen.items()}}


class NodeOff(NodeFault):
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


class NodeFreeze(NodeFault):
    """Freeze: every process of a node stops, connections stay open and nobody answers."""

    name: ClassVar[str] = "node_freeze"
    kind: ClassVar[str] = "node-frozen"

    def witness(self) -> Sight:
        self.wait_for_notice()
        return witness_nodes.lost(self.cluster, self.session.profile, self.watched(), ("paused",))


class KubeletStop(NodeFault):
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


def played(fault: NodeFault) -> dict[str, Any]:
    """Strike, hold for the fault's time since it began, and heal."""
    act = Act(fault)
    told = act.strike()
    pause_until(fault.began_s + fault.hold_s)
    return told | act.heal()


def power_off(
    scope: Scope = "node", name: str = "", seed: int = 0, hold_s: float = 75.0,
    recover_s: float = 300.0,
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: kill the container of a node, or of all nodes of a zone; start it again
    after `hold_s`; until all is whole."""
    return played(NodeOff(current(), scope, name, int(seed), float(hold_s), float(recover_s)))


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
