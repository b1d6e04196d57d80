"""Autoscaling. Claim: the HPA follows demand out and in, and users do not pay for either.

Method: token load surges and climbs until the autoscaler reads more CPU than it tolerates, goes on
with the new replicas, then falls back.
Proof that it bit: the HPA object itself reported CPU above target and tolerance.
"""

import pytest

from acpchaos.plugin import plays
from acpchaos.scenario import Claim, Load, Scenario

pytestmark = [pytest.mark.owner("identity-sre"), pytest.mark.needs(hpa=True)]

AUTOSCALING = Scenario(
    name="autoscaling",
    load=Load(surge=True, mix={"client_credentials": 1}),
    experiment="autoscaling.yaml",
    configuration={"surge_s": 240.0},
    steady_s=20,
    fault_s=270,
    recovery_s=170,
    ledger=False,
    requires=("autoscaler",),
    claims=(
        Claim(
            id="autoscaling-out",
            says="the HPA scales out within its own limits",
            check="scaling.scales_out",
            rows=("HA1-02", "HA2-01", "HA2-02", "HA2-03", "HA2-05"),
            params={"name": "acp", "within_s": "budget:scale_out_s"},
        ),
        Claim(
            id="autoscaling-limits",
            says="replicas stay inside the HPA's own minimum and maximum",
            check="scaling.within_limits",
            rows=("HA1-02",),
            params={"name": "acp"},
        ),
        Claim(
            id="autoscaling-conforms",
            says="every step of the HPA is one that its own rules allow, and none is left out",
            check="conformity.conforms",
            rows=("HA2-05",),
            params={"name": "acp"},
        ),
        Claim(
            id="autoscaling-latency",
            says="p95 is back in budget while the surge still runs",
            check="scaling.latency_recovers",
            rows=("HA2-05",),
            params={"p95_ms": "budget:surge_p95_ms"},
        ),
        Claim(
            id="autoscaling-in",
            says="the HPA scales in again without errors",
            check="scaling.scales_in",
            rows=("HA2-05",),
            params={"name": "acp", "max_error_ratio": "budget:scale_in_error_ratio"},
        ),
    ),
)


@plays(AUTOSCALING)
def test_load_surge(verdict):
    assert verdict.held, verdict
