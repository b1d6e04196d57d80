"""A node or a zone cut from the network: both ways, or one way only.

Room: faults. With an engine, packets are dropped in the node's own kernel, before and after all
that others do with them, so that pods of the node are cut, too, and its address stays as it is.
What is on one node still reaches each other. TCP needs both ways, so that a one-way cut ends
connections as well; what differs is what the other side sees, and datagrams.

With NetworkPolicies only pods are cut, those of ACP and its stores on these nodes from all others.
The node, its kubelet, pods with the node's network, and pods that come there later are not: the
node stays ready, so do the pods by the kubelet's probes, and Services still name them.
"""

import time
from typing import Any, ClassVar, Literal

from acpchaos.errors import AcpchaosError, DeadlinePassed, PreconditionUnmet, UsageError
from acpchaos.faults import (
    changes,
    fields,
    helper_pod,
    netpol,
    node_fault,
    witness_network,
    witness_nodes,
)
from acpchaos.faults.cuts import SEEN_S, narrow, until_quiet
from acpchaos.faults.engine import Engine
from acpchaos.faults.fault import Act, Need, Sight, awaited
from acpchaos.faults.node_fault import NodeFault, Scope, played
from acpchaos.faults.nodes import Beneath
from acpchaos.faults.session import Session, current
from acpchaos.faults.workloads import address
from acpchaos.stores import postgres, redis_cluster
from acpchaos.stores.exec import inside
from acpchaos.target import guard
from acpchaos.target.cluster import Object
from acpchaos.wait import eventually

Direction = Literal["both", "inbound", "outbound"]
PROBES = ("acpchaos-probe-within", "acpchaos-probe-outside")
POLICY = "acpchaos-cut"
STORES = {"redis": 6379, "sql": postgres.PORT, "analytics": postgres.PORT}  # what ACP may reach


class NetworkCut(Beneath):
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


class PolicyCut(NodeFault):
    """ACP's and its stores' pods on a node or in a zone, and all other pods, reach each other no
    more, by NetworkPolicy; the node itself is not cut."""

    name: ClassVar[str] = "node_policy_cut"

    def __init__(self, session: Session, scope: Scope, direction: Direction, *rest: Any) -> None:
        super().__init__(session, scope, *rest)
        self.name = f"{scope}_policy_cut"  # type: ignore[misc]
        self.direction = direction
        self.run = session.run_id[:63].rstrip("-._")  # as a label's value
        self.parts: dict[str, tuple[list[Object], list[Object]]] = {}  # within and outside, by part
        self.policies: list[Object] = []
        self.ways = witness_network.Ways()

    def unsuited(self) -> str:
        if self.session.profile.nodes.cut != "network-policy":
            return "not applicable: [nodes] cut of the profile names no NetworkPolicy"
        if self.direction != "both":
            return "not applicable: NetworkPolicies know no packets, so that one way is never cut"
        return ""

    def available(self) -> str:
        if reason := super().available():
            return reason
        likes = self._pods("acp")
        return helper_pod.why_not(self.session, likes[0]) if likes else "no pod of ACP runs"

    def needs(self) -> tuple[Need, ...]:
        space, verbs = self.session.namespace, ("patch", "create", "delete")
        made = [Need(verb, kind, space) for kind in ("NetworkPolicy", "Pod") for verb in verbs]
        return (*made, Need("create", "Pod", space, "exec"))

    def reads(self) -> tuple[Need, ...]:
        space = self.session.namespace
        listed = [Need("list", kind, space) for kind in ("Pod", "NetworkPolicy", "Service")]
        return (*listed, Need("get", "Pod", space), Need("get", "NetworkPolicy", space))

    def _pods(self, part: str) -> list[Object]:
        workload = getattr(self.session.profile.workloads, part)
        selector = guard.require_selector(workload.selector)
        return self.cluster.list("Pod", self.session.namespace, selector)

    def freeze(self) -> None:
        for part in node_fault.PARTS:
            pods = [pod for pod in self._pods(part) if not pod["spec"].get("hostNetwork")]
            within = [pod for pod in pods if pod["spec"].get("nodeName") in self.nodes]
            self.parts[part] = within, [pod for pod in pods if pod not in within]
        every = self.cluster.list("NetworkPolicy", self.session.namespace)
        hit = [netpol.selecting(every, pod["metadata"].get("labels") or {}) for pod in self.within]
        self.policies = list({p["metadata"]["name"]: p for each in hit for p in each}.values())

    @property
    def within(self) -> list[Object]:
        """All pods that are cut from others."""
        return [pod for within, _ in self.parts.values() for pod in within]

    def setup(self) -> tuple[str, ...]:
        names = super().setup()
        self._send_probes()
        for probe in PROBES:
            helper_pod.running(self.session, probe)

        def both_ways() -> bool:
            self.ways = self._open() or self.ways
            return bool(self.ways.through and self.ways.beside)

        try:
            eventually("probe pods to reach stores within and outside", both_ways, SEEN_S, 1.0)
        except DeadlinePassed:
            raise PreconditionUnmet(
                f"cut {', '.join(names)}",
                f"before the cut {len(self.ways.through)} ways lead through it, "
                f"{len(self.ways.beside)} beside it", "pods like ACP's must reach its stores",
            ) from None  # fmt: skip
        return names

    def rehearse(self, act: Act) -> None:
        """Without the probes, which could not be waited for."""
        act.targets = super().setup()
        self._send_probes()
        self.inject()

    def _send_probes(self) -> None:
        stores = [part for part in STORES if any(self.parts.get(part, ()))]
        if not self.within or not stores:
            raise PreconditionUnmet(
                f"cut {', '.join(self.nodes)}", "no pod of ACP or its stores runs there, or no "
                "store anywhere", "choose another node",
            )  # fmt: skip
        within, outside = self.parts[stores[-1]]
        workload = getattr(self.session.profile.workloads, stores[-1])
        image = helper_pod.python_image(self.session, [*within, *outside][0], workload.container)
        like = self._pods("acp")[0]
        for probe in PROBES:
            helper_pod.send_idle(self.session, self.record, probe, like, image)

    def _open(self) -> witness_network.Ways | None:
        return witness_network.open_ways(
            self.cluster, self.session.namespace, PROBES, (self._places(0), self._places(1))
        )

    def _places(self, side: int) -> list[str]:
        return [
            f"{address(pod)}:{port}"
            for part, port in STORES.items()
            for pod in self.parts.get(part, ([], []))[side]
            if address(pod)
        ]

    def inject(self) -> None:
        self.began_s = time.monotonic()
        space = self.session.namespace
        body = netpol.apart(POLICY, self.run, {changes.RUN_LABEL: self.session.run_id})
        self.record(changes.create_object("NetworkPolicy", space, POLICY))
        self.cluster.create("NetworkPolicy", body, space)
        probe = self.cluster.find("Pod", PROBES[0], space)  # none in a rehearsal
        for pod in (*self.within, *([probe] if probe else [])):
            path = ("metadata", "labels", netpol.CUT)
            change = fields.change_field("Pod", pod, path, self.run)
            self.record(change)
            fields.write_field(self.cluster, change)
        for policy in self.policies:
            narrow(self, policy, netpol.EXPRESSIONS, netpol.sparing(policy, self.run))
        self.end_connections()

    def end_connections(self) -> int:
        """Those through the cut that stores know of, ended by them; how many there were. A store
        that cannot be asked may have some."""
        run, profile = inside(self.cluster, self.session.namespace), self.session.profile
        every = list(self.parts.values())
        ended = 0
        for part in STORES:
            known = profile.experiments.redis_cluster if part == "redis" else \
                profile.experiments.sql_manager == "patroni"  # fmt: skip
            end = redis_cluster.end_clients if part == "redis" else postgres.end_sessions
            container = getattr(profile.workloads, part).container
            for side, pods in enumerate(self.parts.get(part, ()) if known else ()):
                others = [address(pod) for sides in every for pod in sides[1 - side]]
                for pod in pods:
                    try:
                        ended += end(run, pod["metadata"]["name"], container, others)
                    except AcpchaosError:
                        ended += 1
        return ended

    def effective(self) -> dict[str, Any]:
        until_quiet("stores without connections through the cut", self.end_connections, SEEN_S)
        return super().effective()

    def witness(self) -> Sight:
        return awaited("the cut", lambda: witness_network.parted(self.ways, self._open()), SEEN_S)


def cut(
    scope: Scope = "node", direction: Direction = "both", name: str = "", seed: int = 0,
    hold_s: float = 60.0, recover_s: float = 300.0,
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: cut a node or a zone, or its pods where the profile says so, for `hold_s`;
    until all is whole."""
    rest = (name, int(seed), float(hold_s), float(recover_s))
    by = PolicyCut if current().profile.nodes.cut == "network-policy" else NetworkCut
    return played(by(current(), scope, direction, *rest))
