"""Nodes disturbed, by whatever mechanism the profile names: what all such faults share.

Room: faults. Which nodes, what goes with them, the record in the cluster, the time at which it ends
by itself, and the wait until all is whole. Each of them only says what is done and who proves it.
"""

import random
import time
from abc import abstractmethod
from contextlib import suppress
from typing import Any, ClassVar, Literal

from acpchaos.errors import DeadlinePassed, PreconditionUnmet, UsageError
from acpchaos.faults import blast, health, witness_nodes
from acpchaos.faults.blast import Blast
from acpchaos.faults.changes import Change
from acpchaos.faults.fault import Act, Fault, Need
from acpchaos.faults.killing import node_zones
from acpchaos.faults.session import Session
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
    allowed: ClassVar[str] = "true"  # value of the opt-in label

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
        self.blast: Blast | None = None
        self.began_s = 0.0

    def available(self) -> str:
        return self.unsuited() or super().available()

    @abstractmethod
    def unsuited(self) -> str:
        """Why the profile's mechanism cannot do this; empty where it can."""

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
        self.freeze()
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

    @abstractmethod
    def freeze(self) -> None:
        """Look beneath the chosen nodes; PreconditionUnmet where it is not as it must be."""

    def wait_for_notice(self) -> None:
        """Until the control plane tells every node not ready; its absence is for the witness."""
        with suppress(DeadlinePassed):
            eventually(
                "the control plane to notice",
                lambda: not witness_nodes.ready(self.cluster, self.nodes),
                NOTICE_S, 1.0, transient=(ApiRefused,),
            )  # fmt: skip

    def effective(self) -> dict[str, Any]:
        return {"blast": self.blast.told()} if self.blast else {}

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


class Expiring(NodeFault):
    """What nobody in the cluster could take back: each change ends by itself at its deadline."""

    takes_s: ClassVar[float] = 0.0  # longer than a container until it is off

    def __init__(self, *rest: Any) -> None:
        super().__init__(*rest)
        self.made: list[Change] = []

    def reads(self) -> tuple[Need, ...]:
        return (Need("get", "Lease", witness_nodes.LEASES),)

    def ends(self) -> tuple[Need, ...]:
        return (Need("get", "Node"),)

    def inject(self) -> None:
        self.began_s = time.monotonic()
        due_s = time.time() + max(self.hold_s, STRIKE_S + self.takes_s) + SPARE_S
        for name in self.nodes:
            change = self.change_of(name, due_s)
            self.record(change)
            self.make(change)
            self.made.append(change)

    @abstractmethod
    def change_of(self, node: str, due_s: float) -> Change:
        """What is recorded of a node, if it is still as chosen; `due_s` is a time.time."""

    @abstractmethod
    def make(self, change: Change) -> None:
        """Arm the expiry and make the recorded change."""

    def effective(self) -> dict[str, Any]:
        return {"until": [change["due"] for change in self.made]} | super().effective()


def played(fault: NodeFault) -> dict[str, Any]:
    """Strike, hold for the fault's time since it began, and heal."""
    act = Act(fault)
    told = act.strike()
    pause_until(fault.began_s + fault.hold_s)
    return told | act.heal()
