"""The cluster timeline: watches turned into typed events, written as they arrive.

Room: record. It must not judge. Lists once per kind, then watches; a lost watch is resumed and the
blind time is written as a Gap. Condition times of the API server have whole-second grain, so events
carry the local receipt time.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any

from acpchaos.record.events import (
    Autoscaler,
    Behavior,
    Clock,
    Endpoints,
    Event,
    Gap,
    Node,
    Pod,
    ScalingPolicy,
    ScalingRules,
)
from acpchaos.record.journal import Journal

Decode = Callable[[dict[str, Any], bool, int], Event | None]
ZONE_LABEL = "topology.kubernetes.io/zone"


def decode_pod(item: dict[str, Any], gone: bool, t_ns: int, zones: dict[str, str]) -> Pod:
    """A pod's needed fields; `zones` maps node name to zone."""
    meta, spec, status = item["metadata"], item.get("spec", {}), item.get("status", {})
    labels = meta.get("labels") or {}
    conditions = {c["type"]: c["status"] for c in status.get("conditions") or []}
    node = spec.get("nodeName", "")
    return Pod(
        t_ns=t_ns,
        name=meta["name"],
        uid=meta["uid"],
        app=labels.get("app.kubernetes.io/name") or labels.get("app", ""),
        node=node,
        zone=zones.get(node, ""),
        phase=status.get("phase", ""),
        ready=conditions.get("Ready") == "True",
        deleting="deletionTimestamp" in meta,
        gone=gone,
        restarts=sum(c.get("restartCount", 0) for c in status.get("containerStatuses") or []),
        ready_delay_s=max(
            (
                (c.get("readinessProbe") or {}).get("initialDelaySeconds", 0)
                for c in spec.get("containers") or []
            ),
            default=0,
        ),
    )


def decode_node(item: dict[str, Any], gone: bool, t_ns: int) -> Node:
    """A node's readiness, zone and cordon."""
    conditions = {c["type"]: c["status"] for c in item.get("status", {}).get("conditions") or []}
    return Node(
        t_ns=t_ns,
        name=item["metadata"]["name"],
        zone=(item["metadata"].get("labels") or {}).get(ZONE_LABEL, ""),
        ready=conditions.get("Ready") == "True",
        unschedulable=bool(item.get("spec", {}).get("unschedulable")),
        gone=gone,
    )


def decode_endpoint_slice(item: dict[str, Any], gone: bool, t_ns: int) -> Endpoints:
    """The ready pods behind a Service, from one slice (the targets here fit one slice each)."""
    ready = (
        ()
        if gone
        else tuple(
            sorted(
                (e.get("targetRef") or {}).get("name", "")
                for e in item.get("endpoints") or []
                if (e.get("conditions") or {}).get("ready")
            )
        )
    )
    service = (item["metadata"].get("labels") or {}).get("kubernetes.io/service-name", "")
    return Endpoints(t_ns=t_ns, service=service, ready=ready)


def decode_autoscaler(item: dict[str, Any], gone: bool, t_ns: int) -> Autoscaler | None:
    """The HPA's limits, replicas, CPU reading and behavior (autoscaling/v2)."""
    if gone:
        return None
    spec, status = item["spec"], item.get("status", {})
    target = [m["resource"]["target"] for m in spec.get("metrics") or [] if _is_cpu(m)]
    current = [m["resource"]["current"] for m in status.get("currentMetrics") or [] if _is_cpu(m)]
    return Autoscaler(
        t_ns=t_ns,
        name=item["metadata"]["name"],
        min_replicas=spec.get("minReplicas", 1),
        max_replicas=spec["maxReplicas"],
        current=status.get("currentReplicas", 0),
        desired=status.get("desiredReplicas", 0),
        target_cpu_percent=target[0].get("averageUtilization") if target else None,
        cpu_percent=current[0].get("averageUtilization") if current else None,
        metrics=len(spec.get("metrics") or []),
        behavior=_behavior(spec.get("behavior") or {}),
    )


def _behavior(found: dict[str, Any]) -> Behavior:
    return Behavior(up=_rules(found.get("scaleUp")), down=_rules(found.get("scaleDown")))


def _rules(found: dict[str, Any] | None) -> ScalingRules | None:
    if found is None:
        return None
    tolerance = found.get("tolerance")
    return ScalingRules(
        window_s=found.get("stabilizationWindowSeconds"),
        select=found.get("selectPolicy", "Max"),
        policies=tuple(
            ScalingPolicy(kind=each["type"], value=each["value"], period_s=each["periodSeconds"])
            for each in found.get("policies") or []
        ),
        tolerance=None if tolerance is None else _ratio(str(tolerance)),
    )


def _ratio(quantity: str) -> float:
    """A small Kubernetes quantity: "0.05" or "50m"."""
    return float(quantity[:-1]) / 1000 if quantity.endswith("m") else float(quantity)


def _is_cpu(metric: dict[str, Any]) -> bool:
    return metric.get("type") == "Resource" and metric["resource"]["name"] == "cpu"


Watch = Callable[[str, str, threading.Event], Iterator[tuple[str, dict[str, Any]]]]
"""(kind, namespace, stop) -> ("SYNCED" | "ADDED" | "MODIFIED" | "DELETED" | "LOST", object)."""


class Timeline:
    """Writes the cluster's changes to one journal, one watching thread per kind."""

    def __init__(self, watch: Watch, namespace: str, journal: Journal) -> None:
        self._watch, self._namespace, self._journal = watch, namespace, journal
        self._clock, self._stop = Clock(), threading.Event()
        self._zones: dict[str, str] = {}
        self._synced: dict[str, threading.Event] = {}
        self._threads: list[threading.Thread] = []

    def start(self, budget_s: float = 20.0) -> None:
        """Watch nodes first, since pods need their zones, then the rest; return once all listed."""
        decoders: dict[str, Decode] = {
            "nodes": self._node,
            "pods": lambda item, gone, t_ns: decode_pod(item, gone, t_ns, self._zones),
            "endpointslices": decode_endpoint_slice,
            "horizontalpodautoscalers": decode_autoscaler,
        }
        for kind, decode in decoders.items():
            synced = self._synced[kind] = threading.Event()
            thread = threading.Thread(
                target=self._follow, args=(kind, decode), name=f"timeline-{kind}", daemon=True
            )
            self._threads.append(thread)
            thread.start()
            if not synced.wait(budget_s):
                raise TimeoutError(f"no list of {kind} within {budget_s:g} s")

    def stop(self) -> None:
        """End all watches; called once, after the last phase."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=5)

    def _node(self, item: dict[str, Any], gone: bool, t_ns: int) -> Node:
        node = decode_node(item, gone, t_ns)
        self._zones[node.name] = node.zone
        return node

    def _follow(self, kind: str, decode: Decode) -> None:
        lost_ns = 0
        for change, item in self._watch(kind, self._namespace, self._stop):
            now_ns = self._clock.now_ns()
            if change == "LOST":
                lost_ns = lost_ns or now_ns
                continue
            if lost_ns:
                self._journal.write(
                    Gap(t_ns=now_ns, recorder=f"timeline-{kind}", from_ns=lost_ns, why="watch lost")
                )
                lost_ns = 0
            if change == "SYNCED":
                self._synced[kind].set()
            elif (event := decode(item, change == "DELETED", now_ns)) is not None:
                self._journal.write(event)
