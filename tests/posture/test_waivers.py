"""Waivers: what they cover, until when, and what a file must say."""

import datetime as dt
from pathlib import Path

import pytest

from acpchaos.check.posture.judge import as_claims, judge
from acpchaos.check.posture.rule import RowResult
from acpchaos.check.posture.waivers import Waiver, load_waivers
from acpchaos.check.verdict import Outcome
from acpchaos.errors import UsageError
from acpchaos.record.snapshot import Snapshot

from .building import NOW, container, installation

ROW, TODAY = "HARD-34", NOW.date()
DAY = dt.timedelta(days=1)
GOOD = """[[waiver]]
row = "HARD-34"
object = "Deployment acp-system/acp container acp"
reason = "writes a cache until 2.26"
owner = "identity-sre"
expires = 2026-12-31
"""


def broken() -> Snapshot:
    """Root file systems of two workloads can be written."""
    snapshot = installation()
    for name in ("acp", "acp-workers"):
        container(snapshot, name)["securityContext"]["readOnlyRootFilesystem"] = False
    return snapshot


def waiver(about: str, expires: dt.date = TODAY, row: str = ROW) -> Waiver:
    return Waiver(row=row, object=about, reason="a cache", owner="identity-sre", expires=expires)


def judged(*waivers: Waiver, today: str = "") -> RowResult:
    return next(each for each in judge(broken(), waivers, today) if each.row == ROW)


def test_all_findings_waived_is_waived_and_never_held() -> None:
    found = judged(waiver("Deployment acp-system/acp*"))
    assert found.verdict.outcome is Outcome.WAIVED and not found.held
    assert len(found.findings) == 2 and "identity-sre, until 2026-11-24" in found.verdict.why
    (claim,) = as_claims([found])
    assert claim.verdict.outcome is Outcome.WAIVED


def test_what_no_waiver_covers_still_fails() -> None:
    found = judged(waiver("Deployment acp-system/acp container *"))
    assert found.verdict.outcome is Outcome.FAILED and found.verdict.measured == 1
    assert "acp-workers" in found.verdict.why
    assert [bool(each.waived) for each in found.findings] == [True, False]


@pytest.mark.parametrize("late", [TODAY, TODAY + DAY])
def test_its_last_day_counts_and_the_next_one_fails(late: dt.date) -> None:
    found = judged(waiver("Deployment acp-system/acp*"), today=late.isoformat())
    if late == TODAY:
        assert found.verdict.outcome is Outcome.WAIVED
        return
    assert found.verdict.outcome is Outcome.FAILED and found.verdict.measured == 2
    assert "its waiver by identity-sre expired on 2026-11-24" in found.verdict.why


def test_of_two_waivers_the_one_that_lasts_counts() -> None:
    every = "Deployment acp-system/acp*"
    assert judged(waiver(every, TODAY - DAY), waiver(every)).verdict.outcome is Outcome.WAIVED


@pytest.mark.parametrize(
    "other", [waiver("Deployment acp-system/acp*", row="HARD-35"), waiver("Deployment other/acp*")]
)
def test_one_for_another_row_or_object_covers_nothing(other: Waiver) -> None:
    assert judged(other).verdict.outcome is Outcome.FAILED


def test_nothing_is_waived_where_nothing_is_broken_or_known() -> None:
    whole = {each.row: each for each in judge(installation(), [waiver("Deployment acp-system/*")])}
    assert whole[ROW].verdict.outcome is Outcome.PASSED
    unknown = installation()
    del unknown.objects["Deployment"]
    rows = {each.row: each for each in judge(unknown, [waiver("Deployment acp-system/*")])}
    assert rows[ROW].verdict.outcome is Outcome.INCONCLUSIVE


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "waivers.toml"
    path.write_text(GOOD)
    (found,) = load_waivers(path)
    assert (found.row, found.expires) == (ROW, dt.date(2026, 12, 31))


@pytest.mark.parametrize(
    ("was", "instead"),
    [
        ("expires = 2026-12-31", ""), ('owner = "identity-sre"', ""), ('row = "HARD-34"', ""),
        ('"writes a cache until 2.26"', '" "'), ("Deployment acp-system/acp container acp", "*"),
        ("expires = 2026-12-31", 'expires = "never"'), ("[[waiver]]", "[[waiver"),
        ("owner", 'typo = 1\nowner'),
    ],
)  # fmt: skip
def test_a_file_that_says_too_little_is_refused(tmp_path: Path, was: str, instead: str) -> None:
    path = tmp_path / "waivers.toml"
    assert was in GOOD
    path.write_text(GOOD.replace(was, instead))
    with pytest.raises(UsageError, match="read waivers from"):
        load_waivers(path)
