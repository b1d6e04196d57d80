"""Pod loss. Claim: killed ACP pods come back and nobody notices beyond the error budget.

Method: steady token load; one ACP pod, then a third of them, deleted without grace; every claim is
judged from the recorded run. Proof that it bit: the killed pods' UIDs are gone.
"""

import pytest

from acpchaos.plugin import plays
from acpchaos.scenario import Claim, Load, Scenario

pytestmark = pytest.mark.owner("identity-sre")


def pod_loss(name: str, says: str, **configuration: str | int | float | bool) -> Scenario:
    """The same play and claims for another number of pods."""
    return Scenario(
        name=name,
        load=Load(),
        experiment="pod-loss.yaml",
        configuration=configuration,
        steady_s=20,
        fault_s=90,
        recovery_s=20,
        claims=(
            Claim(
                id=f"{name}-never-down",
                says=f"{says}: the token endpoint is never fully down",
                check="availability.never_down",
                rows=("HA1-01", "HA1-03"),
                params={"longest_gap_s": "budget:pod_loss_gap_s"},
            ),
            Claim(
                id=f"{name}-errors",
                says=f"{says}: the error budget holds",
                check="availability.error_ratio",
                rows=("HA1-03",),
                params={"max_ratio": "budget:pod_loss_error_ratio"},
            ),
            Claim(
                id=f"{name}-replicas",
                says=f"{says}: as many pods are ready again",
                check="recovery.replicas_return",
                rows=("HA1-03",),
                params={"app": "acp", "within_s": "budget:pod_loss_rto_s"},
            ),
            Claim(
                id=f"{name}-sessions",
                says=f"{says}: no token or session is lost",
                check="sessions.losses_as_declared",
                params={"fault": "pod_loss"},
            ),
        ),
    )


ONE_POD = pod_loss("one-pod", "one pod killed", count=1)
A_THIRD = pod_loss("a-third", "a third of the pods killed", share=0.34)


@plays(ONE_POD)
def test_one_pod_killed(verdict):
    assert verdict.held, verdict


@plays(A_THIRD)
def test_a_third_of_the_pods_killed(verdict):
    assert verdict.held, verdict
