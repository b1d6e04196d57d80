"""Checks of restore: each passes on a record that shows its claim, fails for its own
reason, and decides nothing when the record is silent."""

from golden.records import at

from acpchaos.check import (
    restore,
)
from acpchaos.record.events import Observation
from acpchaos.record.run import Run

from .judging import F, I, P, expect, played

BACKUP = {"type": "full", "status": "ok", "cipher": "aes-256-cbc", "label": "20240101F"}
GOOD_DRILL = {
    "backups": [
        {"place": "s3-east", "endpoint": "https://east", "bucket": "east", **BACKUP},
        {"place": "s3-west", "endpoint": "https://west", "bucket": "west", **BACKUP},
    ],
    "fingerprints_backup": {"clients": "a1", "users": "b2"},
    "fingerprints_damaged": {"clients": "00", "users": "b2"},
    "fingerprints_restored": {"clients": "a1", "users": "b2"},
    "restored": {"restored": True, "saw": "the database serves"},
    "restore_s": 42.0,
    "old_client": {"served": True, "saw": "token"},
    "wrong_cipher": {"restored": False, "saw": "cannot decrypt"},
    "wrong_key": {"served": False, "saw": "invalid_client"},
    "unencrypted_read": [{"readable": False, "saw": "no known header"}],
    "backup_verify": {"s3-east": "ok", "s3-west": "ok"},
}


def drill(**changes: object) -> Run:
    facts = {name: value for name, value in (GOOD_DRILL | changes).items() if value is not None}
    return played(
        *(Observation(t_ns=at(40), when="during", name=n, value=v) for n, v in facts.items())
    )


def test_a_good_drill_holds() -> None:
    run = drill()
    expect(restore.two_places(run), P, "2 independent places")
    expect(restore.encrypted(run), P, "2 backups with a cipher")
    expect(restore.files_intact(run), P, "2 of 2 places")
    expect(restore.content_equal(run, 60), P, "2 tables equal")
    expect(restore.old_client_served(run), P, "old client: served (token)")
    expect(restore.wrong_cipher_fails(run), P, "not restored (cannot decrypt)")
    expect(restore.wrong_key_fails(run), P, "not served (invalid_client)")


def test_each_part_of_a_bad_drill_fails_for_its_reason() -> None:
    east, west = GOOD_DRILL["backups"]
    expect(restore.two_places(drill(backups=[east, {**west, "bucket": "east"}])), F, "1 indep")
    expect(restore.two_places(drill(backups=[east, {**west, "status": "error"}])), F, "1 of 2")
    expect(restore.encrypted(drill(backups=[east, {**west, "cipher": "none"}])), F, "1 of 2")
    expect(restore.encrypted(drill(unencrypted_read={"readable": True, "saw": "SQL"})), F, "SQL")
    torn = drill(backup_verify={"s3-east": "ok", "s3-west": "checksum differs"})
    expect(restore.files_intact(torn), F, "1 of 2 places")
    lacking = drill(fingerprints_restored={"clients": "a1"})
    expect(restore.content_equal(lacking, 60), F, "1 of 2 tables differ: users")
    expect(restore.content_equal(drill(), 30), F, "in 42 s")
    expect(restore.old_client_served(drill(old_client={"served": False})), F, "not served")
    expect(restore.wrong_cipher_fails(drill(wrong_cipher={"restored": True})), F, "restored")
    expect(restore.wrong_key_fails(drill(wrong_key={"served": True})), F, "served")


def test_a_silent_drill_decides_nothing() -> None:
    nothing = played()
    checks = (
        restore.two_places,
        restore.encrypted,
        restore.files_intact,
        restore.old_client_served,
        restore.wrong_cipher_fails,
        restore.wrong_key_fails,
    )
    for check in checks:
        assert check(nothing).outcome is I
    assert restore.content_equal(nothing, 60).outcome is I


def test_what_could_not_fail_proves_nothing() -> None:
    undamaged = drill(fingerprints_damaged=GOOD_DRILL["fingerprints_backup"])
    expect(restore.content_equal(undamaged, 60), I, "damage changed nothing")
    expect(restore.wrong_key_fails(drill(old_client={"served": False})), I, "right key")
    expect(restore.wrong_cipher_fails(drill(fingerprints_restored=None)), I, "right passphrase")
    expect(restore.encrypted(drill(unencrypted_read=None)), I, "no stored object")


def test_a_backup_refused_with_its_own_keys_fails_and_a_late_one_decides_nothing() -> None:
    ended = {"fingerprints_restored": None, "old_client": None, "restore_s": None}
    refused = drill(**ended, restored={"restored": False, "saw": "exit code 75"})
    expect(restore.content_equal(refused, 60), F, "does not restore with its own keys (exit code")
    expect(restore.old_client_served(refused), F, "does not restore")
    expect(restore.wrong_cipher_fails(refused), I, "right passphrase")
    late = drill(**ended, restored={"restored": None, "saw": "not ready in time"})
    expect(restore.content_equal(late, 60), I, "not all observed")
    expect(restore.old_client_served(late), I, "not tried")
