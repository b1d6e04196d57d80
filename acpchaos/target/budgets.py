"""The numbers a target must hold: one field each, with unit and reason.

Room: target. Claims name a budget as "budget:<field>"; a profile overrides values in [budgets].
"""

from pydantic import BaseModel, ConfigDict, Field

from acpchaos.errors import UsageError


def _number(default: float, reason: str) -> float:
    number: float = Field(default=default, ge=0, description=reason)
    return number


class Budgets(BaseModel):
    """Budgets of one target. Names end with the unit; `_ratio` is a part of 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rto_s: float = _number(
        60.0, "pods back to the wanted count: image on the node, start, three readiness periods"
    )
    outage_s: float = _number(
        2.0, "longest time with no good answer at all while replicas remain elsewhere"
    )
    error_ratio: float = _number(
        0.01, "failed requests of all requests during a fault that leaves replicas serving"
    )
    steady_error_ratio: float = _number(0.001, "failed requests of all while nothing is broken")
    p95_ms: float = _number(
        1000.0, "95 % of requests once a surge has been scaled for; a login step is felt beyond it"
    )
    scale_out_s: float = _number(
        90.0, "first new replica ready after the surge: metrics 15 s, autoscaler 15 s, pod start"
    )
    scale_in_s: float = _number(
        240.0, "back to the least replicas: the autoscaler's own scale-down window and two steps"
    )
    drain_s: float = _number(
        240.0, "one zone emptied through the eviction API, waiting on disruption budgets"
    )
    respread_s: float = _number(
        180.0, "pods in every zone again after a zone came back, re-balanced by restarts or surges"
    )
    redis_rto_s: float = _number(
        180.0, "from removal of the whole Redis Cluster until its 16384 slots are served again"
    )
    session_rto_s: float = _number(
        30.0, "new flows work again after the new Redis Cluster is healthy: client reconnect"
    )
    restore_rto_s: float = _number(
        600.0, "restore of the SQL store into a fresh instance until ACP serves from it"
    )
    rpo_s: float = _number(60.0, "newest change that may be missing after a restore to latest")

    def lookup(self, name: str) -> float:
        """The budget with this name; UsageError lists the known ones."""
        value = getattr(self, name, None) if name in type(self).model_fields else None
        if value is None:
            known = ", ".join(sorted(type(self).model_fields))
            raise UsageError(f"look up budget {name!r}", "no such budget", f"use one of {known}")
        return float(value)
