"""What the cluster timeline takes down of an autoscaler; older records still read."""

from typing import Any

import msgspec

from acpchaos.record import shapes
from acpchaos.record.events import (
    AnyEvent,
    Autoscaler,
    Behavior,
    Heartbeat,
    ScalingPolicy,
    ScalingRules,
)
from acpchaos.record.timeline import decode_autoscaler, decode_lease, decode_pod


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
