"""Redis wipe. Claim: after the whole session store is lost, ACP serves again by itself.

Method: token load; the Redis Cluster removed with its volumes and redeployed by the same method.
Proof that it bit: every node has a new run id and every volume claim a new UID.
"""

import pytest

from acpchaos.plugin import plays
from acpchaos.scenario import Claim, Load, Scenario

pytestmark = [pytest.mark.owner("identity-sre"), pytest.mark.needs(redis_cluster=True)]

REDIS_WIPE = Scenario(
    name="redis-wipe",
    load=Load(),
    experiment="redis-wipe.yaml",
    steady_s=20,
    fault_s=240,
    recovery_s=60,  # enough requests of the rarest flow to tell a relapse from chance
    claims=(
        Claim(
            id="redis-wipe-cluster",
            says="the redeployed cluster is whole: state ok, all slots",
            check="redis.cluster_recovered",
            rows=("BRD-04", "HA3-01"),
            params={"within_s": "budget:redis_wipe_rto_s"},
        ),
        Claim(
            id="redis-wipe-service",
            says="new token flows work again within budget",
            check="recovery.service_recovers",
            rows=("BRD-01", "BRD-03"),
            params={"within_s": "budget:redis_wipe_rto_s"},
        ),
        Claim(
            id="redis-wipe-reconnects",
            says="ACP reconnects by itself: no pod replaced or restarted",
            check="recovery.no_restarts",
            rows=("BRD-05",),
            params={"app": "acp"},
        ),
        Claim(
            id="redis-wipe-losses",
            says="only the declared losses",
            check="sessions.losses_as_declared",
            rows=("BRD-06", "BRD-08"),
            params={"fault": "redis_wipe"},
        ),
        Claim(
            id="redis-wipe-configuration",
            says="configuration and signing keys are identical before and after",
            check="configuration.unchanged",
            rows=("BRD-02",),
        ),
    ),
)


@plays(REDIS_WIPE)
def test_redis_wiped_and_redeployed(verdict):
    assert verdict.held, verdict
