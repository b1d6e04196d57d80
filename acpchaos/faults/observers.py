"""Those who watch the target gone: the log agent of every node, or Prometheus.

Room: faults. A Deployment or StatefulSet is scaled to zero. A DaemonSet cannot be; its pods are
kept from every node by a node selector that no node fits. Operators that keep such objects as they
are put them back at once, which the witness sees.
"""

import time
from typing import Any, Literal

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import blast, fields, witness
from acpchaos.faults.fault import Act, Need, Sight
from acpchaos.faults.scaling import FieldFault
from acpchaos.faults.session import Session, current
from acpchaos.faults.workloads import of_service, settled
from acpchaos.target.cluster import Object
from acpchaos.wait import pause_until

What = Literal["logs", "prometheus"]
NOWHERE = ("spec", "template", "spec", "nodeSelector", "acpchaos.io/nowhere")


class ObserverGone(FieldFault):
    """No pod of it is left, and nobody makes one."""

    def __init__(self, session: Session, what: What, effect_s: float, recover_s: float) -> None:
        super().__init__(session, of_service(session, what), effect_s, recover_s)
        self.what = what
        self.name, self.disrupts = f"{what}_gone", what  # type: ignore[misc]

    def available(self) -> str:
        if not self.where.name:
            return f"not applicable: the profile names no [services.{self.what}]"
        return super().available()

    def needs(self) -> tuple[Need, ...]:
        """Nothing where there is none: a right without a place would be one everywhere."""
        return super().needs() if self.where.name else ()

    def reads(self) -> tuple[Need, ...]:
        if not self.where.name:
            return ()
        if not self.where.service:
            return super().reads()
        return (*super().reads(), Need("list", "EndpointSlice", self.where.namespace))

    def field(self) -> tuple[tuple[str, ...], object]:
        return (NOWHERE, "true") if self.where.kind == "DaemonSet" else (fields.REPLICAS, 0)

    def radius(self, zones: dict[str, str]) -> blast.Blast:
        return blast.of_pods(self.pods, self.pods, zones)

    def reached(self, found: Object) -> bool:
        status = found.get("status") or {}
        count = "desiredNumberScheduled" if self.where.kind == "DaemonSet" else "replicas"
        return settled(found) and not status.get(count, 0)

    def look(self) -> Sight:
        before = {
            pod["metadata"]["uid"]: pod["metadata"]["ownerReferences"][0]["uid"]
            for pod in self.pods
        }
        return witness.scaled_down(
            self.cluster, self.where.namespace, before, 0, self.where.service
        )


_act: Act | None = None


def take_away(
    what: What = "logs", effect_s: float = 90.0, recover_s: float = 180.0
) -> dict[str, Any]:
    """Experiment action: the log agent or Prometheus without a pod."""
    global _act
    _act = Act(ObserverGone(current(), what, float(effect_s), float(recover_s)))
    return _act.strike()


def give_back(hold_s: float = 30.0) -> dict[str, Any]:
    """Experiment action: hold, then as before, and wait until all its pods are ready."""
    if _act is None:
        raise PreconditionUnmet("give back", "nothing was taken away", "see action take_away")
    pause_until(time.monotonic() + float(hold_s))
    return _act.heal()
