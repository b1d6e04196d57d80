"""Stores cut off by NetworkPolicies: SQL from ACP, Redis masters from their replicas.

Room: faults. What connects anew is kept out by the policies; what is connected already, most
networks let on, so its server ends it. Whether policies are enforced at all, the witness tells.
Each policy's rules are put back as they were, if they still are what the run wrote.
"""

import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Literal

from acpchaos.errors import DeadlinePassed, PreconditionUnmet
from acpchaos.faults import blast, changes, fields, health, helper_pod, netpol, witness_network
from acpchaos.faults.fault import Act, Fault, Need, Sight, awaited
from acpchaos.faults.killing import node_zones
from acpchaos.faults.redis_faults import NOT_A_CLUSTER, whole_cluster
from acpchaos.faults.session import Session, current
from acpchaos.faults.sql_faults import SqlStore
from acpchaos.faults.workloads import address
from acpchaos.stores import postgres, redis_cluster
from acpchaos.stores.exec import inside
from acpchaos.target import guard
from acpchaos.target.cluster import Object
from acpchaos.target.profile import Workload
from acpchaos.wait import eventually, pause_until

What = Literal["sql", "analytics", "redis"]
SEEN_S = 45.0  # agents take some seconds to a policy, replicas some to a dead link
POD_NAME = "statefulset.kubernetes.io/pod-name"


def narrow(fault: Fault, policy: Object, path: tuple[str, ...], ours: object) -> None:
    """Make one field of a policy `ours`, recorded before, if it is still as set-up has read it."""
    meta = policy["metadata"]
    now = fault.cluster.get("NetworkPolicy", meta["name"], meta["namespace"])
    same = fields.value_at(now, path) == fields.value_at(policy, path)
    if now["metadata"]["uid"] != meta["uid"] or not same:
        raise PreconditionUnmet(
            f"narrow NetworkPolicy {meta['name']}", "it changed since set-up",
            "something else disturbs the target; play again when it is quiet",
        )  # fmt: skip
    change = fields.change_field("NetworkPolicy", policy, path, ours)
    fault.record(change)
    fields.write_field(fault.cluster, change)


def until_quiet(what: str, end: Callable[[], int], budget_s: float) -> None:
    """Two looks in a row without a connection: some come between policy and its agents."""
    quiet = 0

    def cut() -> bool:
        nonlocal quiet
        quiet = 0 if end() else quiet + 1
        return quiet > 1

    eventually(what, cut, budget_s, 1.0)


class Cut(Fault):
    """Pods of a store let some others in no more."""

    def __init__(self, session: Session, effect_s: float, recover_s: float) -> None:
        super().__init__(session)
        self.effect_s, self.recover_s = effect_s, recover_s
        self.policies: list[Object] = []
        self.pods: list[Object] = []
        self.but: Object = {}
        self.blast: blast.Blast | None = None

    def needs(self) -> tuple[Need, ...]:
        """To patch where policies select the pods; to make one, and remove it, where none does."""
        space = self.session.namespace
        made = tuple(Need(verb, "NetworkPolicy", space) for verb in ("patch", "create", "delete"))
        return (*made, Need("create", "Pod", space, "exec"))

    def reads(self) -> tuple[Need, ...]:
        space = self.session.namespace
        listed = Need("list", "Pod", space), Need("list", "NetworkPolicy", space)
        return (*listed, Need("get", "NetworkPolicy", space))

    @abstractmethod
    def workload(self) -> Workload:
        """Whose pods are cut off."""

    @abstractmethod
    def choose(self) -> tuple[tuple[str, ...], blast.Blast]:
        """Set `pods` and `but`; names of the targets, and what they are to others."""

    @abstractmethod
    def end_connections(self) -> int:
        """End those that still are; how many there were."""

    @abstractmethod
    def look(self) -> Sight:
        """One look of the witness."""

    def frozen_policies(self) -> list[Object]:
        """The policies that say who comes in; PreconditionUnmet where they cannot be narrowed."""
        every = self.cluster.list("NetworkPolicy", self.session.namespace)
        labels = [pod["metadata"].get("labels") or {} for pod in self.pods]
        of = [netpol.isolating(every, each) for each in labels]
        chosen = {p["metadata"]["name"]: p for found in of for p in found}
        attempted = f"cut {self.workload().name} off"
        if blocks := netpol.address_blocks(chosen.values()):
            raise PreconditionUnmet(
                attempted, f"{', '.join(blocks)} lets address blocks in, which may be any pod's",
                "name pods by labels in these policies",
            )  # fmt: skip
        if chosen and not all(of):
            raise PreconditionUnmet(
                attempted, "some of its pods are selected by a policy and others are not",
                "let one policy select them all",
            )  # fmt: skip
        return list(chosen.values())

    def setup(self) -> tuple[str, ...]:
        names, self.blast = self.choose()
        self.policies = self.frozen_policies()
        blast.require_allowed(self.blast, self.session.profile.experiments.may_lose)
        return names

    def inject(self) -> None:
        for found in self.policies:
            rules = fields.value_at(found, netpol.INGRESS) or []
            narrow(self, found, netpol.INGRESS, netpol.without(rules, self.but))
        if not self.policies:
            self._add_policy()
        self.end_connections()

    def _add_policy(self) -> None:
        name, space = f"acpchaos-cut-{self.workload().name}", self.session.namespace
        owner = self.cluster.get(self.workload().kind, self.workload().name, space)
        labels = {changes.RUN_LABEL: self.session.run_id}
        body = netpol.everyone(name, owner["spec"]["selector"], self.but, labels)
        self.record(changes.create_object("NetworkPolicy", space, name))
        self.cluster.create("NetworkPolicy", body, space)

    def effective(self) -> dict[str, Any]:
        what = f"{self.workload().name} without connections"
        until_quiet(what, self.end_connections, self.effect_s)
        return {"blast": self.blast.told()} if self.blast else {}

    def witness(self) -> Sight:
        return awaited(f"{self.workload().name} cut off", self.look, SEEN_S)

    def recover(self) -> None:
        self.session.undo.revert(*reversed(self.recorded))

    def whole(self, parts: Sequence[str]) -> dict[str, Any]:
        """Wait until all these parts are healthy."""

        def ok() -> str:
            looks = [health.look(self.cluster, self.session.profile, part) for part in parts]
            return (
                "; ".join(f"{p.what}: {p.saw}" for p in looks) if all(p.ok for p in looks) else ""
            )

        return {"saw": eventually(f"{', '.join(parts)} to be whole", ok, self.recover_s, 1.0)}


class SqlCut(Cut):
    """An SQL store takes no connections from ACP; all others reach it."""

    name: ClassVar[str] = "sql_cut"

    def __init__(
        self, session: Session, what: Literal["sql", "analytics"], effect_s: float,
        recover_s: float,
    ) -> None:  # fmt: skip
        super().__init__(session, effect_s, recover_s)
        self.store = SqlStore(session, what)
        self.name, self.disrupts = f"{what}_cut", what  # type: ignore[misc]
        self.callers = [session.workload(each, ("acp", "workers")) for each in ("acp", "workers")]
        self.place, self.follower, self.probe = ("", "", 0), "", f"acpchaos-probe-{what}"

    def workload(self) -> Workload:
        return self.store.workload

    def needs(self) -> tuple[Need, ...]:
        """The probe is a pod that the network takes for one of ACP's."""
        space = self.session.namespace
        return (*super().needs(), Need("create", "Pod", space), Need("delete", "Pod", space))

    def reads(self) -> tuple[Need, ...]:
        space = self.session.namespace
        return (*super().reads(), Need("get", "Pod", space), Need("list", "Service", space))

    def available(self) -> str:
        if reason := self.store.why_not() or super().available():
            return reason
        if netpol.common_term(each.selector for each in self.callers) is None:
            return "not applicable: the selectors of acp and workers have no label in common"
        likes = self._calling()
        return helper_pod.why_not(self.session, likes[0]) if likes else "no pod of ACP runs"

    def _calling(self) -> list[Object]:
        """ACP's pods, its workers last."""
        return [
            pod
            for each in self.callers
            for pod in self.cluster.list(
                "Pod", self.session.namespace, guard.require_selector(each.selector)
            )
            if pod["metadata"]["name"] != self.probe
        ]

    def choose(self) -> tuple[tuple[str, ...], blast.Blast]:
        table, self.pods = self.store.whole()
        leader = postgres.leader(table)
        self.but = netpol.common_term(each.selector for each in self.callers) or {}
        address = _address(self.pods, leader)
        self.place = (leader, address, postgres.PORT)
        self.follower = next((m.name for m in table if m.name != leader), "")
        if not address or not self.follower:
            raise PreconditionUnmet(
                f"cut {self.workload().name} off", "no follower could tell that the leader lives",
                "it needs two members at least",
            )  # fmt: skip
        # to ACP the store is gone as a whole
        radius = blast.of_pods(self.pods, self.pods, node_zones(self.session))
        return tuple(sorted(pod["metadata"]["name"] for pod in self.pods)), radius

    def setup(self) -> tuple[str, ...]:
        names = super().setup()
        self._send_probe()
        helper_pod.running(self.session, self.probe)
        sights: list[Sight] = []

        def open_both_ways() -> bool:
            sights.append(self.look())
            return sights[-1].detail.get("probe") == sights[-1].detail.get("control") == "open"

        try:
            eventually("the probe to reach the store", open_both_ways, SEEN_S, 1.0)
        except DeadlinePassed:
            raise PreconditionUnmet(
                f"cut {self.workload().name} off",
                f"before the cut: {sights[-1].saw}", "a pod with ACP's labels must reach the store",
            ) from None  # fmt: skip
        return names

    def rehearse(self, act: Act) -> None:
        """Without the probe, which could not be waited for."""
        act.targets = super().setup()
        self._send_probe()
        self.inject()

    def _send_probe(self) -> None:
        image = helper_pod.python_image(self.session, self.pods[0], self.workload().container)
        helper_pod.send_idle(self.session, self.record, self.probe, self._calling()[0], image)

    def end_connections(self) -> int:
        """Sessions that come from pods of ACP, in every member that answers."""
        run = inside(self.cluster, self.session.namespace)
        addresses = [address(pod) for pod in self._calling()]
        ended = 0
        for pod in self.pods:
            name = pod["metadata"]["name"]
            ended += postgres.end_sessions(run, name, self.workload().container, addresses)
        return ended

    def look(self) -> Sight:
        return witness_network.cut_off(
            self.cluster, self.session.namespace, self.probe,
            (self.follower, self.workload().container), self.place,
        )  # fmt: skip

    def recovered(self) -> dict[str, Any]:
        return self.whole((self.store.what, "acp", "workers"))


class RedisCut(Cut):
    """Redis replicas no longer reach their masters: nothing is copied, all else goes on."""

    name: ClassVar[str] = "redis_cut"
    disrupts: ClassVar[str] = "redis"

    def workload(self) -> Workload:
        return self.session.profile.workloads.redis

    def available(self) -> str:
        if not self.session.profile.experiments.redis_cluster:
            return NOT_A_CLUSTER
        return super().available()

    def choose(self) -> tuple[tuple[str, ...], blast.Blast]:
        self.views = whole_cluster(self.session)
        self.masters = [s.master for s in redis_cluster.shards(self.views, {})]
        self.replicas = [view.pod for view in self.views if view.pod not in self.masters]
        selector = guard.require_selector(self.workload().selector)
        self.pods = self.cluster.list("Pod", self.session.namespace, selector)
        labels = {(p["metadata"].get("labels") or {}).get(POD_NAME) for p in self.pods}
        if not self.replicas or not {*self.masters, *self.replicas} <= labels:
            raise PreconditionUnmet(
                "cut Redis masters from replicas",
                f"{len(self.replicas)} replicas, {len(labels - {None})} pods with label {POD_NAME}",
                "it needs replicas, and pods of a StatefulSet",
            )
        self.but = netpol.term(POD_NAME, self.replicas)
        victims = [p for p in self.pods if p["metadata"]["name"] in self.replicas]
        radius = blast.of_pods(victims, self.pods, node_zones(self.session))
        return tuple(sorted(self.replicas)), blast.of_redis(radius, self.views, self.replicas)

    def end_connections(self) -> int:
        """Links of replicas that are up, by their own word; each is closed by its replica."""
        run, container = inside(self.cluster, self.session.namespace), self.workload().container
        looking = inside(self.cluster, self.session.namespace, reads=True)
        up = [v.pod for v in redis_cluster.look(looking, self.replicas, container) if v.link_up]
        for pod in up:
            redis_cluster.drop_master_link(run, pod, container)
        return len(up)

    def look(self) -> Sight:
        return witness_network.copies_stopped(
            self.cluster, self.session.namespace, self.workload().container, self.masters,
            self.replicas,
        )  # fmt: skip

    def recovered(self) -> dict[str, Any]:
        return self.whole(("redis",))


def _address(pods: Iterable[Object], name: str) -> str:
    found = (pod for pod in pods if pod["metadata"]["name"] == name)
    return next((address(pod) for pod in found), "")


_act: Act | None = None


def cut(what: What = "sql", effect_s: float = 60.0, recover_s: float = 180.0) -> dict[str, Any]:
    """Experiment action: an SQL store without ACP, or Redis masters without replicas."""
    global _act
    _act = Act(cut_off(current(), what, float(effect_s), float(recover_s)))
    return _act.strike()


def cut_off(session: Session, what: str, effect_s: float, recover_s: float) -> Cut:
    """The fault of `cut`."""
    if what == "redis":
        return RedisCut(session, effect_s, recover_s)
    session.workload(what, ("sql", "analytics"))
    return SqlCut(session, "sql" if what == "sql" else "analytics", effect_s, recover_s)


def let_in(hold_s: float = 30.0) -> dict[str, Any]:
    """Experiment action: hold, then all policies as before, and wait until all is whole."""
    if _act is None:
        raise PreconditionUnmet("let all in again", "nothing was cut off", "see action cut")
    pause_until(time.monotonic() + float(hold_s))
    return _act.heal()
