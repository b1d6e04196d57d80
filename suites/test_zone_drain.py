"""Zone drain. Claim: one zone can be emptied through the eviction API while sign-in keeps working.

Method: steady token load; every node of one zone cordoned and drained, disruption budgets
respected; then brought back. Proof that it bit: nodes unschedulable, no evictable pod left.
"""

import pytest

from acpchaos.plugin import plays
from acpchaos.scenario import Claim, Load, Scenario

pytestmark = [pytest.mark.owner("identity-sre"), pytest.mark.needs(zones=3)]

ZONE_DRAIN = Scenario(
    name="zone-drain",
    load=Load(),
    experiment="zone-drain.yaml",
    steady_s=20,
    fault_s=240,
    recovery_s=30,
    claims=(
        Claim(
            id="zone-drain-never-down",
            says="a drained zone: the token endpoint is never fully down",
            check="availability.never_down",
            rows=("HA1-06", "HA4-02"),
            params={"longest_gap_s": "budget:zone_drain_gap_s"},
        ),
        Claim(
            id="zone-drain-errors",
            says="a drained zone: the error budget holds",
            check="availability.error_ratio",
            rows=("HA1-06",),
            params={"max_ratio": "budget:zone_drain_error_ratio"},
        ),
        Claim(
            id="zone-drain-replicas",
            says="as many ACP pods are ready again",
            check="recovery.replicas_return",
            rows=("HA1-06",),
            params={"app": "acp", "within_s": "budget:zone_drain_rto_s"},
        ),
        Claim(
            id="zone-drain-nodes",
            says="every node that was schedulable is schedulable again",
            check="recovery.nodes_schedulable",
        ),
        Claim(
            id="zone-drain-spread",
            says="ACP pods stand in more than one zone again",
            check="recovery.respread",
            rows=("HA4-01",),
            params={"app": "acp", "min_zones": 2.0},
        ),
        Claim(
            id="zone-drain-sessions",
            says="no token or session is lost",
            check="sessions.losses_as_declared",
            params={"fault": "zone_drain"},
        ),
    ),
)


@plays(ZONE_DRAIN)
def test_zone_drained_and_brought_back(verdict):
    assert verdict.held, verdict
