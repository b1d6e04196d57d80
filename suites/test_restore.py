"""Restore. Claim: a backup from either place brings the configuration back, and only with its keys.

Method: full encrypted backup of the SQL store to two object stores; the restored copy is proven on
a fresh instance, with an ACP started on it. Proof that it could fail: damage is seen before the
restore, and a wrong key fails.
"""

import pytest

from acpchaos.plugin import plays
from acpchaos.scenario import Claim, Load, Scenario

pytestmark = [pytest.mark.owner("identity-sre"), pytest.mark.needs(backup=True)]

RESTORE = Scenario(
    name="restore",
    load=Load(),
    experiment="restore.yaml",
    steady_s=15,
    fault_s=420,
    recovery_s=10,
    ledger=False,
    claims=(
        Claim(
            id="restore-two-places",
            says="one full backup in each of two independent places",
            check="restore.two_places",
            rows=("BCR-03",),
        ),
        Claim(
            id="restore-encrypted",
            says="both backups are unreadable without their key",
            check="restore.encrypted",
            rows=("BCR-06",),
        ),
        Claim(
            id="restore-content",
            says="the restored tables equal those of the backup",
            check="restore.content_equal",
            rows=("BCR-09", "BCR-12"),
            params={"within_s": "budget:restore_rto_s"},
        ),
        Claim(
            id="restore-usable",
            says="ACP on the restored copy serves a client made before the backup",
            check="restore.old_client_served",
            rows=("BCR-10",),
        ),
        Claim(
            id="restore-wrong-cipher",
            says="the wrong backup passphrase does not restore",
            check="restore.wrong_cipher_fails",
            rows=("BCR-06",),
        ),
        Claim(
            id="restore-wrong-key",
            says="the wrong encryption key does not serve the client",
            check="restore.wrong_key_fails",
            rows=("BCR-10",),
        ),
    ),
)


@plays(RESTORE)
def test_backup_damage_restore(verdict):
    assert verdict.held, verdict
