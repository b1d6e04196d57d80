"""The cluster timeline: watches turned into typed events, written as they arrive.

Room: record. It must not judge. Lists once per kind, then watches. Whatever interrupts the view of
a kind is a Gap: from the loss, or from the last word before it where more can have escaped, until
the view is whole again or the record ends. Condition times of the API server have whole-second
grain, so events carry the local receipt time.
"""

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from acpchaos.record import shapes
from acpchaos.record.events import (
    LEFT_OUT,
    Autoscaler,
    Behavior,
    Clock,
    ClusterEvent,
    DisruptionBudget,
    Endpoints,
    Event,
    Gap,
    Heartbeat,
    Node,
    Observation,
    Pod,
    ScalingPolicy,
    ScalingRules,
    StatefulSet,
)
from acpchaos.record.journal import Journal
from acpchaos.target.watching import Change, Shape

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
HEARTBEATS = "kube-node-lease"  # the namespace where kubelets renew their Leases, every 10 s
ZONE_LABEL = "topology.kubernetes.io/zone"
MOST_EVENTS = 2000  # lines; a crash loop of many pods says the same thing again and again
STOP_S = 2.0  # for all threads together; they hold nothing that must be written


def decode_pod(item: shapes.Pod, gone: bool, t_ns: int, zones: dict[str, str]) -> Pod:
    """A pod's needed fields; `zones` maps node name to zone."""
    meta, spec, status = item.metadata, item.spec, item.status
    labels = meta.labels or {}
    probes = [each.readiness_probe for each in spec.containers or () if each.readiness_probe]
    return Pod(
        t_ns=t_ns,
        name=meta.name,
        uid=meta.uid,
        app=labels.get("app.kubernetes.io/name") or labels.get("app", ""),
        node=spec.node_name,
        zone=zones.get(spec.node_name, ""),
        phase=status.phase,
        ready=_ready(status.conditions),
        deleting=meta.deletion_timestamp is not None,
        gone=gone,
        restarts=sum(each.restart_count for each in status.container_statuses or ()),
        ready_delay_s=max((each.initial_delay_seconds for each in probes), default=0),
    )


def decode_node(item: shapes.Node, gone: bool, t_ns: int) -> Node:
    """A node's readiness, zone and cordon."""
    return Node(
        t_ns=t_ns,
        name=item.metadata.name,
        zone=(item.metadata.labels or {}).get(ZONE_LABEL, ""),
        ready=_ready(item.status.conditions),
        unschedulable=item.spec.unschedulable,
        gone=gone,
    )


def decode_endpoint_slice(item: shapes.EndpointSlice, gone: bool, t_ns: int) -> Endpoints:
    """The ready pods behind a Service, from one slice (the targets here fit one slice each)."""
    ready = [each for each in item.endpoints or () if each.conditions and each.conditions.ready]
    names = sorted(each.target_ref.name if each.target_ref else "" for each in ready)
    service = (item.metadata.labels or {}).get("kubernetes.io/service-name", "")
    return Endpoints(t_ns=t_ns, service=service, ready=() if gone else tuple(names))


def decode_autoscaler(item: shapes.Autoscaler, gone: bool, t_ns: int) -> Autoscaler | None:
    """The HPA's limits, replicas, CPU reading and behavior (autoscaling/v2)."""
    if gone:
        return None
    spec, status = item.spec, item.status
    targets = [each.target for each in _cpu(spec.metrics)]
    current = [each.current for each in _cpu(status.current_metrics)]
    behavior = spec.behavior or shapes.Behavior()
    return Autoscaler(
        t_ns=t_ns,
        name=item.metadata.name,
        min_replicas=spec.min_replicas,
        max_replicas=spec.max_replicas,
        current=status.current_replicas,
        desired=status.desired_replicas,
        target_cpu_percent=targets[0].average_utilization if targets and targets[0] else None,
        cpu_percent=current[0].average_utilization if current and current[0] else None,
        metrics=len(spec.metrics or ()),
        behavior=Behavior(up=_rules(behavior.scale_up), down=_rules(behavior.scale_down)),
    )


def decode_lease(item: shapes.Lease, gone: bool, t_ns: int) -> Heartbeat | None:
    """A node's heartbeat (kube-node-lease), by the kubelet's own clock."""
    if gone or not item.spec.renew_time:
        return None
    return Heartbeat(t_ns=t_ns, node=item.metadata.name, renewed_ns=_ns(item.spec.renew_time))


def decode_budget(item: shapes.DisruptionBudget, gone: bool, t_ns: int) -> DisruptionBudget:
    """How many pods a PodDisruptionBudget would let go."""
    status = item.status
    return DisruptionBudget(
        t_ns=t_ns,
        name=item.metadata.name,
        allowed=status.disruptions_allowed,
        healthy=status.current_healthy,
        wanted=status.desired_healthy,
        expected=status.expected_pods,
        gone=gone,
    )


def decode_stateful_set(item: shapes.StatefulSet, gone: bool, t_ns: int) -> StatefulSet:
    """How many pods a StatefulSet has, wants and has brought to its revision."""
    return StatefulSet(
        t_ns=t_ns,
        name=item.metadata.name,
        uid=item.metadata.uid,
        replicas=item.spec.replicas,
        ready=item.status.ready_replicas,
        updated=item.status.updated_replicas,
        revision=item.status.update_revision,
        gone=gone,
    )


def decode_cluster_event(item: shapes.ClusterEvent, gone: bool, t_ns: int) -> ClusterEvent | None:
    """Why, of what, how often and when; None for one that is forgotten. Its message is left, since
    it may hold anything."""
    if gone:
        return None
    series = item.series or shapes.Series(count=item.count or 1)
    first = item.first_timestamp or item.event_time
    last = series.last_observed_time or item.last_timestamp or first
    about = item.involved_object
    return ClusterEvent(
        t_ns=t_ns,
        reason=item.reason,
        about=f"{about.kind}/{about.name}",
        warning=item.type == "Warning",
        count=series.count,
        first_ns=_ns(first),
        last_ns=_ns(last),
    )


def _ns(stamp: str | None) -> int:
    """An RFC 3339 time as nanoseconds of Unix time; 0 for none."""
    if not stamp:
        return 0
    return (dt.datetime.fromisoformat(stamp) - EPOCH) // dt.timedelta(microseconds=1) * 1000


def _ready(conditions: list[shapes.Condition] | None) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in conditions or ())


def _cpu(metrics: list[shapes.Metric] | None) -> list[shapes.Resource]:
    return [
        each.resource
        for each in metrics or ()
        if each.type == "Resource" and each.resource and each.resource.name == "cpu"
    ]


def _rules(found: shapes.Rules | None) -> ScalingRules | None:
    if found is None:
        return None
    return ScalingRules(
        window_s=found.stabilization_window_seconds,
        select=found.select_policy,
        policies=tuple(
            ScalingPolicy(kind=each.type, value=each.value, period_s=each.period_seconds)
            for each in found.policies or ()
        ),
        tolerance=None if found.tolerance is None else _ratio(str(found.tolerance)),
    )


def _ratio(quantity: str) -> float:
    """A small Kubernetes quantity: "0.05" or "50m"."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


class Kind(NamedTuple):
    """How one kind is taken down: what is decoded of it, and what event becomes of that."""

    shape: type[Shape]
    event: Callable[[Any, bool, int], Event | None]
    namespace: str = ""  # where it is not the target's


Watch = Callable[[str, str, threading.Event, type[Shape]], Iterator[Change[Any]]]
"""(kind, namespace, stop, shape) -> changes, as target.watching.follow tells them."""


class Timeline:
    """Writes the cluster's changes to one journal, one watching thread per kind."""

    def __init__(
        self, watch: Watch, namespace: str, journal: Journal, *, heartbeats: bool = False
    ) -> None:
        """`heartbeats` of nodes are taken down, too; the account must be allowed to see them."""
        self._watch, self._namespace, self._journal = watch, namespace, journal
        self._heartbeats = heartbeats
        self._clock, self._stop = Clock(), threading.Event()
        self._zones: dict[str, str] = {}
        self._events = 0
        self._synced: dict[str, threading.Event] = {}
        self._lost: dict[str, tuple[int, str]] = {}  # kinds without a view: since when, and why
        self._threads: list[threading.Thread] = []

    def start(self, budget_s: float = 20.0) -> None:
        """Watch nodes first, since pods need their zones, then the rest; return once all listed."""
        kinds = {
            "nodes": Kind(shapes.Node, self._node),
            "pods": Kind(
                shapes.Pod, lambda item, gone, t_ns: decode_pod(item, gone, t_ns, self._zones)
            ),
            "endpointslices": Kind(shapes.EndpointSlice, decode_endpoint_slice),
            "horizontalpodautoscalers": Kind(shapes.Autoscaler, decode_autoscaler),
            "poddisruptionbudgets": Kind(shapes.DisruptionBudget, decode_budget),
            "statefulsets": Kind(shapes.StatefulSet, decode_stateful_set),
            "events": Kind(shapes.ClusterEvent, self._cluster_event),
        }
        if self._heartbeats:
            kinds["leases"] = Kind(shapes.Lease, decode_lease, HEARTBEATS)
        for name, kind in kinds.items():
            synced = self._synced[name] = threading.Event()
            thread = threading.Thread(
                target=self._follow, args=(name, kind), name=f"timeline-{name}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
            if not synced.wait(budget_s):
                raise TimeoutError(f"no list of {name} within {budget_s:g} s")

    def stop(self) -> None:
        """End all watches; called once, after the last phase. What is lost by then stays lost."""
        self._stop.set()
        until_s = time.monotonic() + STOP_S
        for thread in self._threads:
            thread.join(timeout=max(0.0, until_s - time.monotonic()))
        for name, (from_ns, why) in self._lost.items():
            self._gap(name, from_ns, self._clock.now_ns(), why)
        if (left := self._events - MOST_EVENTS) > 0:
            now_ns = self._clock.now_ns()
            self._journal.write(Observation(t_ns=now_ns, when="after", name=LEFT_OUT, value=left))

    def _node(self, item: shapes.Node, gone: bool, t_ns: int) -> Node:
        node = decode_node(item, gone, t_ns)
        self._zones[node.name] = node.zone
        return node

    def _cluster_event(
        self, item: shapes.ClusterEvent, gone: bool, t_ns: int
    ) -> ClusterEvent | None:
        """The first MOST_EVENTS; the rest is counted."""
        event = decode_cluster_event(item, gone, t_ns)
        self._events += event is not None
        return event if self._events <= MOST_EVENTS else None

    def _follow(self, name: str, kind: Kind) -> None:
        """Until told to stop. A watch that ends otherwise, by whatever error, is lost for good."""
        heard_ns = 0  # the last word before a loss
        why = "the watch ended"
        try:
            where = kind.namespace or self._namespace
            for change in self._watch(name, where, self._stop, kind.shape):
                now_ns = self._clock.now_ns()
                if change.item is not None:
                    event = kind.event(change.item, change.what == "DELETED", now_ns)
                    if event is not None:
                        self._journal.write(event)
                elif change.what == "LOST":
                    heard_ns = now_ns - int(change.quiet_s * 1e9)
                    self._lost[name] = now_ns, f"watch lost: {change.why}"
                else:
                    if lost := self._lost.pop(name, None):
                        self._gap(name, heard_ns if change.missed else lost[0], now_ns, lost[1])
                    self._synced[name].set()
        except Exception as error:  # a recorder that fell over is blind, and has to say so
            why = f"the recorder failed: {type(error).__name__}: {error}"
        if not self._stop.is_set():
            self._lost.setdefault(name, (self._clock.now_ns(), why))

    def _gap(self, name: str, from_ns: int, until_ns: int, why: str) -> None:
        told = Gap(t_ns=until_ns, recorder=f"timeline-{name}", from_ns=from_ns, why=why)
        self._journal.write(told)
