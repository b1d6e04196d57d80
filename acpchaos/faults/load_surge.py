"""Load surge: the play raises the load; this room only proves, from the HPA, that it was felt.

Room: faults. Nothing is changed on the target, so nothing has to be undone. A surge that never made
the autoscaler read more CPU than it tolerates proves nothing about scaling.
"""

import time
from contextlib import suppress
from typing import Any, ClassVar

from kubernetes.utils import parse_quantity

from acpchaos.errors import DeadlinePassed
from acpchaos.faults.fault import Act, Fault, Sight
from acpchaos.faults.session import Session, current
from acpchaos.record.events import HPA_TOLERANCE
from acpchaos.target.cluster import Object
from acpchaos.wait import eventually

LOOK_S = 2.0
SETTLE_S = 60.0  # the surge goes on after the first new replica: service with it is judged, too


class LoadSurge(Fault):
    """Watch the HPA of ACP while the load is high: until SETTLE_S after its first step out, for at
    most `surge_s`."""

    name: ClassVar[str] = "load_surge"
    disrupts: ClassVar[str] = "acp"

    def __init__(self, session: Session, surge_s: float) -> None:
        super().__init__(session)
        self.surge_s, self.hpa = surge_s, session.profile.workloads.acp.name
        self.highest_percent = 0
        self.most_asked = 0.0
        self.first_replicas = self.most_replicas = 0
        self.target_percent = 0

    def available(self) -> str:
        if not self.session.profile.experiments.hpa:
            return "not applicable: the profile says that ACP has no autoscaler here"
        return super().available()

    def setup(self) -> tuple[str, ...]:
        found = self._get()
        self.target_percent = reading(found)[1]
        self.first_replicas = self.most_replicas = _replicas(found)
        return (self.hpa,)

    def inject(self) -> None:
        """The load generator does, not this process."""

    def effective(self) -> dict[str, Any]:
        """Look until the surge is over; the extremes are what counts."""
        limit = self._get()["spec"]["maxReplicas"]

        def look() -> bool:
            found = self._get()
            self.highest_percent = max(self.highest_percent, reading(found)[0])
            self.most_asked = max(self.most_asked, asked(found))
            self.most_replicas = max(self.most_replicas, _replicas(found))
            return self.most_replicas > self.first_replicas and self.most_asked > 1

        end_s = time.monotonic() + self.surge_s
        with suppress(DeadlinePassed):  # an autoscaler that never steps is for the checks to judge
            eventually("the first step out", look, self.surge_s, LOOK_S)
            left_s = min(SETTLE_S, max(0.0, end_s - time.monotonic()))
            eventually("the end of the surge", lambda: look() and False, left_s, LOOK_S)
        return {
            "cpu_percent_highest": self.highest_percent,
            "replicas_most": self.most_replicas,
            "replicas_limit": limit,
        }

    def witness(self) -> Sight:
        saw = (
            f"CPU {self.highest_percent} % at most, target {self.target_percent} %, "
            f"{self.most_replicas} replicas at most"
        )
        if self.most_asked > 1:
            return Sight("installed", saw)
        felt = self.highest_percent > self.target_percent > 0
        return Sight("partial", f"{saw}, within tolerance") if felt else Sight("not installed", saw)

    def _get(self) -> Object:
        return self.cluster.get("HorizontalPodAutoscaler", self.hpa, self.session.namespace)


def _replicas(hpa: Object) -> int:
    return int((hpa.get("status") or {}).get("currentReplicas", 0))


def asked(hpa: Object) -> float:
    """CPU read over what the autoscaler tolerates before it scales out; 0 where unknown."""
    percent, target = reading(hpa)
    up = (hpa["spec"].get("behavior") or {}).get("scaleUp") or {}
    tolerance = float(parse_quantity(up.get("tolerance", HPA_TOLERANCE)))
    return percent / (target * (1 + tolerance)) if target else 0.0


def reading(hpa: Object) -> tuple[int, int]:
    """(CPU percent read, CPU percent wanted) of an autoscaling/v2 object; 0 where unknown."""
    wanted = [m["resource"] for m in hpa["spec"].get("metrics") or [] if m["type"] == "Resource"]
    status = hpa.get("status", {}).get("currentMetrics") or []
    seen = [m["resource"] for m in status if m.get("type") == "Resource"]
    target = [r["target"].get("averageUtilization", 0) for r in wanted if r["name"] == "cpu"]
    current_percent = [
        r["current"].get("averageUtilization", 0) for r in seen if r["name"] == "cpu"
    ]
    return (current_percent or [0])[0], (target or [0])[0]


def observe(surge_s: float = 120.0) -> dict[str, Any]:
    """Experiment action: prove that the surge was felt; lasts as long as the surge."""
    act = Act(LoadSurge(current(), float(surge_s)))
    return act.strike() | act.heal()
