"""The numbers a target must hold: one field each, with unit and reason.

Room: target. Claims name a budget as "budget:<field>"; a profile overrides values in [budgets].
"""

from pydantic import BaseModel, ConfigDict, Field

from acpchaos.errors import UsageError


def _number(default: float, reason: str) -> float:
    number: float = Field(default=default, ge=0, description=reason)
    return number


class Budgets(BaseModel):
    """Budgets of one target. Names end with the unit; a ratio is a part of 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steady_error_ratio: float = _number(
        0.001, "failed of all requests while nothing is broken: above it there is no baseline"
    )
    pod_loss_gap_s: float = _number(
        2.0, "longest possible outage while other replicas stay: endpoint removal"
    )
    pod_loss_error_ratio: float = _number(
        0.01, "failed of all requests of the fault phase: connections of the killed pods only"
    )
    pod_loss_rto_s: float = _number(
        60.0, "as many pods ready again: image is on the node, start, three readiness periods"
    )
    zone_drain_gap_s: float = _number(
        2.0, "longest possible outage: evicted pods end gracefully, one by one"
    )
    zone_drain_error_ratio: float = _number(
        0.02, "failed of all requests while a zone empties: some Redis and SQL primaries move too"
    )
    zone_drain_rto_s: float = _number(
        120.0, "service whole again after the zone is back: node-bound pods start and rejoin"
    )
    redis_wipe_rto_s: float = _number(
        180.0, "from removal of the whole Redis Cluster until new flows work: volumes, start, slots"
    )
    scale_out_s: float = _number(
        90.0, "first new replica ready after the surge: metrics 15 s, autoscaler 15 s, pod start"
    )
    surge_p95_ms: float = _number(
        1000.0, "95 % of requests once the surge has been scaled for: a login step is felt beyond"
    )
    scale_in_error_ratio: float = _number(
        0.001, "failed of all requests while pods are taken away: a graceful end loses nothing"
    )
    restore_rto_s: float = _number(
        600.0, "restore of the SQL store into a fresh instance until its content is readable"
    )
    drain_deadline_s: float = _number(
        180.0, "evictions of one zone, refused ones tried again; then what blocks is reported"
    )

    def lookup(self, name: str) -> float:
        """The budget with this name; UsageError lists the known ones."""
        known = type(self).model_fields
        if name not in known:
            raise UsageError(
                f"look up budget {name!r}", "no such budget", f"use one of {', '.join(known)}"
            )
        return float(getattr(self, name))
