"""Backups as pgBackRest told them for two real repositories."""

import pytest

from acpchaos.stores import backup
from acpchaos.stores.exec import CommandFailed
from tests.stores.fake_exec import FakeExec, recorded

INFO = recorded("pgbackrest-info.json")
SETTINGS = """repo1-s3-endpoint=east.example
repo1-s3-bucket=acp-backup-east
repo1-cipher-type=aes-256-cbc
repo2-s3-endpoint=west.example
repo2-s3-bucket=acp-backup-west
"""


def test_recorded_backups():
    first, second = backup.parse_info(INFO)
    assert (first.repo, first.label, first.type) == (1, "20261124-153851F", "full")
    assert (second.repo, second.cipher, second.status) == (2, "aes-256-cbc", "ok")
    assert first.end_s - first.begin_s == 9
    assert first.stored < first.size


def test_damaged_pages_and_a_bad_repository_are_told():
    damaged = backup.parse_info(INFO.replace('"error":false', '"error":true', 1))
    assert [each.status for each in damaged] == ["damaged pages", "ok"]
    bad = INFO.replace(
        '"key":2,"status":{"code":0,"message":"ok"}',
        '"key":2,"status":{"code":2,"message":"no valid"}',
    )
    assert [each.status for each in backup.parse_info(bad)] == ["ok", "no valid"]


def test_no_cipher_is_told_as_none():
    plain = INFO.replace('"cipher":"aes-256-cbc","key"', '"cipher":"none","key"')
    assert {each.cipher for each in backup.parse_info(plain)} == {"none"}


def test_places_come_from_the_settings_without_secrets():
    run = FakeExec(lambda pod, line: SETTINGS)
    first, second = backup.places(run, "postgresql-0", "postgresql")
    assert (first.endpoint, first.bucket, first.cipher) == (
        "east.example", "acp-backup-east", "aes-256-cbc",
    )  # fmt: skip
    assert second.cipher == "none"
    assert "key" not in run.asked[0][1] and "pass" not in run.asked[0][1]


def test_the_newest_backup_of_the_repository_is_returned():
    run = FakeExec(lambda pod, line: INFO if "info" in line else "")
    made = backup.back_up(run, "postgresql-1", "postgresql", 2)
    assert made.label == "20261124-153901F"
    assert run.asked[0] == ("postgresql-1", "pgbackrest --stanza=acp --repo=2 --type=full backup")


def test_a_failed_backup_is_an_error():
    with pytest.raises(CommandFailed) as failed:
        backup.back_up(FakeExec(lambda pod, line: 49), "postgresql-1", "postgresql", 1)
    assert failed.value.code == 49


@pytest.mark.parametrize(
    ("begin", "readable"),
    [
        ("Salted__%(?", False),
        ("[backup]backup-archive-start", True),
        ("", True),
        ("\x1f\x8b", True),
    ],
)
def test_only_the_mark_of_the_cipher_proves_that_an_object_is_sealed(begin, readable):
    one = backup.parse_info(INFO)[0]
    raw = backup.read_raw(FakeExec(lambda pod, line: begin), "postgresql-0", "postgresql", one)
    assert raw.readable is readable
    assert raw.object == "repo1:backup/acp/20261124-153851F/backup.manifest"


def test_verify_tells_what_is_wrong():
    ask = lambda said: backup.verify(FakeExec(lambda pod, line: said), "p", "c", 1)  # noqa: E731
    assert ask("stanza: acp\nstatus: ok\n") == "ok"
    assert "missing" in ask("stanza: acp\nstatus: error\n  missing: 1\n")
    assert "recorded failure" in ask(99)
