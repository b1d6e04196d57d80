"""Manifests nobody here wrote: nothing crashes, and nothing passes that was not read."""

from pathlib import Path

import pytest

from acpchaos.check.posture.judge import judge
from acpchaos.check.posture.rule import RowResult
from acpchaos.check.verdict import Outcome
from acpchaos.record.snapshot import Snapshot
from acpchaos.report.posture_sarif import sarif
from posture.foreign_manifests import crashes, main, read, unread_passes
from posture.reviewing import META

DEX = Path(__file__).parent / "foreign" / "dex"
# Read off the file by hand. Failed: a NodePort, none of ACP's secrets, a client's secret in the
# ConfigMap, nobody who says how Secrets are kept, a mounted token, no security context, no policy.
# Passed: the file makes no Secret, no switch is set in command, variables or the one file of
# settings. All else cannot be told from it.
FAILED = {
    "HARD-03", "HARD-12", "HARD-14", "HARD-17", "HARD-18", "HARD-23", "HARD-30", "HARD-31",
    "HARD-32", "HARD-33", "HARD-34", "HARD-35", "HARD-36", "HARD-37", "HARD-46", "HARD-48",
    "HARD-49",
}  # fmt: skip
PASSED = {"HARD-11", "HARD-39", "HARD-40", "HARD-41", "HARD-42", "HARD-43", "HARD-45"}


@pytest.fixture(scope="module")
def dex() -> Snapshot:
    return read(DEX, "dex")


@pytest.fixture(scope="module")
def rows(dex: Snapshot) -> list[RowResult]:
    return judge(dex)


def outcomes(rows: list[RowResult], outcome: Outcome) -> set[str]:
    return {each.row for each in rows if each.verdict.outcome is outcome}


def test_no_rule_crashes_and_nothing_passes_but_what_was_read(
    dex: Snapshot, rows: list[RowResult]
) -> None:
    assert len(rows) == 53
    assert crashes(rows) == [] == unread_passes(dex, rows)
    assert outcomes(rows, Outcome.PASSED)


def test_what_is_bare_fails_with_its_place_in_the_file(
    dex: Snapshot, rows: list[RowResult]
) -> None:
    results = sarif(rows, META, dex)["runs"][0]["results"]
    place = next(each for each in results if each["ruleId"] == "HARD-32")["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"].endswith("dex/dex.yaml")
    assert place["physicalLocation"]["region"]["startLine"] == 1


def test_a_secret_in_a_config_map_is_found_and_a_reference_to_a_variable_is_none(
    dex: Snapshot, rows: list[RowResult]
) -> None:
    row = next(each for each in rows if each.row == "HARD-17")
    fields = {each.field for each in row.findings}
    assert fields == {"data[config.yaml].staticClients[0].secret"}
    assert "ZXhhbXBsZS1hcHAtc2VjcmV0" not in repr(row) + str(dex)


def test_every_verdict_on_dex(rows: list[RowResult]) -> None:
    assert outcomes(rows, Outcome.FAILED) == FAILED
    assert outcomes(rows, Outcome.PASSED) == PASSED
    absent = outcomes(rows, Outcome.NOT_APPLICABLE)
    assert absent == {"HARD-38", "HARD-50", "HARD-51", "HARD-52", "HARD-53"}
    undecided = outcomes(rows, Outcome.INCONCLUSIVE)
    assert len(undecided) == 53 - len(FAILED) - len(PASSED) - len(absent)


def test_a_profile_that_names_other_workloads_proves_nothing() -> None:
    assert outcomes(judge(read(DEX, "acp")), Outcome.PASSED) == set()


def test_the_command_says_what_passed_on_nothing(
    dex: Snapshot, rows: list[RowResult], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(DEX), "dex"]) == 0
    assert "53 rows: none crashed" in capsys.readouterr().out
    other = read(DEX, "dex")
    other.objects["Deployment"].clear()  # so that what was read is not there
    assert any("passed on Deployment acp-system/dex" in each for each in unread_passes(other, rows))
