"""What the cluster timeline takes down of each kind; older records still read."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from acpchaos.record import shapes, timeline
from acpchaos.record.events import (
    LEFT_OUT,
    AnyEvent,
    Autoscaler,
    Behavior,
    ClusterEvent,
    DisruptionBudget,
    Heartbeat,
    Observation,
    ScalingPolicy,
    ScalingRules,
    StatefulSet,
)
from acpchaos.record.journal import Journal, read_journal
from acpchaos.record.timeline import (
    Timeline,
    decode_autoscaler,
    decode_budget,
    decode_cluster_event,
    decode_lease,
    decode_pod,
    decode_stateful_set,
)
from acpchaos.target.watching import Change, Shape


def hpa(**spec: Any) -> dict[str, Any]:
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}
    reading = {
        "type": "Resource",
        "resource": {"name": "cpu", "current": {"averageUtilization": 81}},
    }
    return {
        "metadata": {"name": "acp"},
        "spec": {"minReplicas": 3, "maxReplicas": 6,
                 "metrics": [{"type": "Resource", "resource": cpu}]} | spec,
        "status": {"currentReplicas": 3, "desiredReplicas": 4, "currentMetrics": [reading]},
    }  # fmt: skip


def shaped(item: dict[str, Any]) -> shapes.Autoscaler:
    return msgspec.json.decode(msgspec.json.encode(item), type=shapes.Autoscaler)


def decoded(**spec: Any) -> Autoscaler:
    event = decode_autoscaler(shaped(hpa(**spec)), False, 7)
    assert event is not None
    return event


def test_an_autoscaler_is_taken_down_with_its_behavior() -> None:
    up = {"stabilizationWindowSeconds": 0, "selectPolicy": "Min", "tolerance": "50m",
          "policies": [{"type": "Pods", "value": 4, "periodSeconds": 30}]}  # fmt: skip
    down = {
        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
        "tolerance": "0.2",
    }
    event = decoded(behavior={"scaleUp": up, "scaleDown": down})
    assert (event.current, event.desired, event.cpu_percent, event.metrics) == (3, 4, 81, 1)
    assert event.behavior == Behavior(
        up=ScalingRules(
            window_s=0, select="Min", tolerance=0.05,
            policies=(ScalingPolicy(kind="Pods", value=4, period_s=30),),
        ),
        down=ScalingRules(
            tolerance=0.2, policies=(ScalingPolicy(kind="Percent", value=100, period_s=15),)
        ),
    )  # fmt: skip


def test_no_behavior_is_told_apart_from_none_recorded() -> None:
    assert decoded().behavior == Behavior()
    old = (
        b'{"kind":"autoscaler","t_ns":1,"name":"acp","min_replicas":3,"max_replicas":6,'
        b'"current":3,"desired":3}'
    )
    event = msgspec.json.decode(old, type=AnyEvent)
    assert isinstance(event, Autoscaler)
    assert (event.behavior, event.metrics) == (None, 1)


def test_the_event_survives_its_line_in_a_journal() -> None:
    event = decoded(behavior={"scaleDown": {"selectPolicy": "Disabled"}})
    line = msgspec.json.encode(event)
    assert msgspec.json.decode(line, type=AnyEvent) == event


def test_other_metrics_are_counted_and_a_deleted_autoscaler_is_no_event() -> None:
    assert decoded(metrics=[{"type": "External"}, {"type": "Pods"}]).metrics == 2
    assert decode_autoscaler(shaped(hpa()), True, 7) is None


def test_a_pod_is_taken_down_with_the_delay_of_its_readiness() -> None:
    containers = [{"readinessProbe": {"initialDelaySeconds": 5}}, {"readinessProbe": {}}, {}]
    item = {"metadata": {"name": "a", "uid": "u"}, "spec": {"containers": containers}}
    assert decode_pod(msgspec.convert(item, shapes.Pod), False, 1, {}).ready_delay_s == 5
    assert decode_pod(shapes.Pod(), False, 1, {}).ready_delay_s == 0


def test_a_heartbeat_is_taken_down_by_the_clock_of_its_node() -> None:
    item = {"metadata": {"name": "w1"}, "spec": {"renewTime": "2026-11-28T10:00:00.123456Z"}}
    lease = msgspec.convert(item, shapes.Lease)
    event = decode_lease(lease, False, 7)
    assert event == Heartbeat(t_ns=7, node="w1", renewed_ns=1_795_860_000_123_456_000)
    assert decode_lease(lease, True, 7) is None
    assert decode_lease(shapes.Lease(), False, 7) is None


def test_a_disruption_budget_is_taken_down_by_what_it_would_let_go() -> None:
    item = {
        "metadata": {"name": "acp"},
        "spec": {"minAvailable": 2},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2,
                   "expectedPods": 3, "conditions": []},
    }  # fmt: skip
    assert decode_budget(msgspec.convert(item, shapes.DisruptionBudget), False, 7) == (
        DisruptionBudget(t_ns=7, name="acp", allowed=0, healthy=2, wanted=2, expected=3)
    )


def test_a_stateful_set_is_taken_down_with_the_revision_it_rolls_to() -> None:
    item = {
        "metadata": {"name": "redis", "uid": "u", "labels": {"a": "b"}},
        "spec": {"replicas": 6, "template": {}},
        "status": {"replicas": 6, "readyReplicas": 5, "updatedReplicas": 1,
                   "currentRevision": "redis-1", "updateRevision": "redis-2"},
    }  # fmt: skip
    assert decode_stateful_set(msgspec.convert(item, shapes.StatefulSet), False, 7) == StatefulSet(
        t_ns=7, name="redis", uid="u", replicas=6, ready=5, updated=1, revision="redis-2"
    )


SEEN_NS, AGAIN_NS = 1_795_860_000_000_000_000, 1_795_860_060_000_000_000
OF = {"metadata": {"uid": "e"}, "involvedObject": {"kind": "Pod", "name": "acp-1"}}


@pytest.mark.parametrize(
    ("stamps", "count"),
    [
        ({"count": 4, "firstTimestamp": "2026-11-28T10:00:00Z",
          "lastTimestamp": "2026-11-28T10:01:00Z", "eventTime": None}, 4),
        ({"eventTime": "2026-11-28T10:00:00.000000Z", "firstTimestamp": None, "series":
          {"count": 9, "lastObservedTime": "2026-11-28T10:01:00.000000Z"}}, 9),
    ],
    ids=["core/v1", "events.k8s.io"],
)  # fmt: skip
def test_an_event_is_taken_down_without_its_message(stamps: dict[str, Any], count: int) -> None:
    item = {**OF, **stamps, "reason": "Unhealthy", "type": "Warning", "message": "password=x"}
    read = msgspec.json.decode(msgspec.json.encode(item), type=shapes.ClusterEvent)
    event = decode_cluster_event(read, False, 7)
    assert event == ClusterEvent(
        t_ns=7, reason="Unhealthy", about="Pod/acp-1", warning=True, count=count,
        first_ns=SEEN_NS, last_ns=AGAIN_NS,
    )  # fmt: skip
    assert decode_cluster_event(read, True, 7) is None, "it was forgotten, nothing happened"


def test_an_event_without_any_time_says_so() -> None:
    event = decode_cluster_event(shapes.ClusterEvent(), False, 7)
    assert event is not None and (event.count, event.first_ns, event.last_ns) == (1, 0, 0)


def test_events_are_bounded_and_those_beyond_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeline, "MOST_EVENTS", 3)
    told = threading.Event()

    def watch(
        kind: str, namespace: str, stop: threading.Event, shape: type[Shape]
    ) -> Iterator[Change[Any]]:
        yield Change("SYNCED")
        for number in range(5 if kind == "events" else 0):
            item = {**OF, "reason": f"R{number}"}
            yield Change("ADDED", msgspec.convert(item, shapes.ClusterEvent))
        if kind == "events":
            told.set()
        stop.wait(10)

    with Journal(tmp_path / "cluster.ndjson") as journal:
        following = Timeline(watch, "n", journal)
        following.start(30)
        assert told.wait(30)
        following.stop()
    events = read_journal(journal.path).events
    kept = [event.reason for event in events if isinstance(event, ClusterEvent)]
    left = [event for event in events if isinstance(event, Observation)]
    assert kept == ["R0", "R1", "R2"]
    assert [(event.name, event.value) for event in left] == [(LEFT_OUT, 2)]
