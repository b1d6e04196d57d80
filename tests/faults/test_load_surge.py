"""Load surge: only the HPA's own reading above its target counts."""

import threading
import time
from typing import Any

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import health, load_surge
from acpchaos.faults.fault import Act
from acpchaos.faults.load_surge import LoadSurge, asked, reading
from acpchaos.faults.session import Session
from faults.told import witnesses


def hpa(percent: int | None, active: str = "True") -> dict[str, Any]:
    metric = {"type": "Resource", "resource": {"name": "cpu", "target": {"averageUtilization": 70}}}
    seen = {"type": "Resource", "resource": {"name": "cpu", "current": {}}}
    if percent is not None:
        seen["resource"]["current"]["averageUtilization"] = percent  # type: ignore[index]
    return {
        "metadata": {"name": "acp", "namespace": NAMESPACE},
        "spec": {"minReplicas": 3, "maxReplicas": 6, "metrics": [metric]},
        "status": {
            "currentReplicas": 4,
            "currentMetrics": [seen],
            "conditions": [
                {"type": "AbleToScale", "status": "True"},
                {"type": "ScalingActive", "status": active},
            ],
        },
    }


@pytest.mark.parametrize(
    ("percent", "outcome"),
    [
        (78, "installed"),
        (77, "partial"),
        (71, "partial"),
        (70, "not installed"),
        (None, "not installed"),
    ],
)
def test_reading_decides(api: FakeApi, session: Session, percent: int | None, outcome: str) -> None:
    api.store.put("horizontalpodautoscalers", hpa(percent))
    told = Act(LoadSurge(session, 0.1)).strike()
    assert told["witness"] == outcome
    assert told["cpu_percent_highest"] == (percent or 0)
    assert [seen for seen, _ in witnesses(session)] == [outcome]


@pytest.mark.parametrize(
    ("tolerance", "ratio"), [(None, 1.0), ("0.1", 1.0), ("100m", 1.0), (0, 1.1)]
)
def test_asked_counts_what_is_tolerated(tolerance: str | None, ratio: float) -> None:
    found = hpa(77)
    if tolerance is not None:
        found["spec"]["behavior"] = {"scaleUp": {"tolerance": tolerance}}
    assert asked(found) == pytest.approx(ratio)


def test_a_step_out_ends_the_surge_early(
    api: FakeApi, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_surge, "SETTLE_S", 0.2)
    monkeypatch.setattr(load_surge, "LOOK_S", 0.05)
    before = hpa(20)
    before["status"]["currentReplicas"] = 3
    api.store.put("horizontalpodautoscalers", before)
    stepped = threading.Timer(0.4, lambda: api.store.put("horizontalpodautoscalers", hpa(100)))
    stepped.start()
    begin_s = time.monotonic()
    told = Act(LoadSurge(session, 60)).strike()
    assert told["witness"] == "installed" and told["replicas_most"] == 4
    assert 0.5 < time.monotonic() - begin_s < 20


def test_reading_of_an_autoscaler_without_metrics() -> None:
    assert reading({"spec": {}, "status": {}}) == (0, 0)
    assert asked({"spec": {}, "status": {}}) == 0


def test_target_without_autoscaler_is_not_available(session: Session) -> None:
    section = session.profile.experiments.model_copy(update={"hpa": False})
    profile = session.profile.model_copy(update={"experiments": section})
    without = Session(
        profile, session.cluster, session.run_id, session.journal, session.clock, session.undo
    )
    with pytest.raises(PreconditionUnmet, match="no autoscaler"):
        Act(LoadSurge(without, 0.1)).strike()


@pytest.mark.parametrize(("active", "ok"), [("True", True), ("False", False)])
def test_autoscaler_health(api: FakeApi, session: Session, active: str, ok: bool) -> None:
    assert health.look(session.cluster, session.profile, "autoscaler").ok is False
    api.store.put("horizontalpodautoscalers", hpa(10, active))
    assert health.look(session.cluster, session.profile, "autoscaler").ok is ok


@pytest.mark.parametrize("part", ["acp", "redis", "sql", "nodes"])
def test_each_part_is_healthy_and_can_be_unhealthy(
    api: FakeApi, session: Session, part: str
) -> None:
    assert health.look(session.cluster, session.profile, part).ok is True
    if part == "nodes":
        session.cluster.patch("Node", "worker-a", {"spec": {"unschedulable": True}})
    elif part == "acp":
        api.store.terminate_s = 30
        pod = session.cluster.list("Pod", NAMESPACE, "app.kubernetes.io/name=acp")[0]
        session.cluster.delete("Pod", pod["metadata"]["name"], NAMESPACE)
    else:
        api.on_exec = lambda pod, argv: ("", 1)
    assert health.look(session.cluster, session.profile, part).ok is False
