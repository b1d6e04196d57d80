"""Manifests nobody here wrote: nothing crashes, and nothing passes that was not read."""

import re
from pathlib import Path

import pytest

from acpchaos.check.posture.judge import judge
from acpchaos.check.posture.objects import label
from acpchaos.check.posture.rule import RowResult
from acpchaos.check.verdict import Outcome
from acpchaos.posture.manifests import from_manifests
from acpchaos.record.snapshot import Snapshot
from acpchaos.report.posture_sarif import sarif
from acpchaos.target.profile import Profile, Workload, load_profile
from posture.building_lab import PROJECT
from posture.reviewing import META

FOREIGN = Path(__file__).parent / "foreign"
ABSENT = " is not among the manifests"
# What a Deployment without any security context and without a policy must fail.
BARE = {"HARD-30", "HARD-31", "HARD-32", "HARD-33", "HARD-34", "HARD-35", "HARD-36",
        "HARD-46", "HARD-48", "HARD-49"}  # fmt: skip


def profile(name: str) -> Profile:
    """The lab's profile, with this Deployment as ACP's."""
    own = load_profile(PROJECT / "targets" / "kind.toml")
    workload = Workload(kind="Deployment", name=name, selector=f"app={name}", container=name)
    return own.model_copy(update={"workloads": own.workloads.model_copy(update={"acp": workload})})


@pytest.fixture(scope="module")
def dex() -> Snapshot:
    return from_manifests(FOREIGN / "dex", profile("dex"), "2026-11-24T12:00:00+00:00")


@pytest.fixture(scope="module")
def rows(dex: Snapshot) -> list[RowResult]:
    return judge(dex)


def outcomes(rows: list[RowResult], outcome: Outcome) -> set[str]:
    return {each.row for each in rows if each.verdict.outcome is outcome}


def test_no_rule_crashes(rows: list[RowResult]) -> None:
    assert len(rows) == 53
    assert [each for each in rows if "the rule ended with" in each.verdict.why] == []


def test_what_is_bare_fails_with_its_place_in_the_file(
    dex: Snapshot, rows: list[RowResult]
) -> None:
    assert outcomes(rows, Outcome.FAILED) >= BARE
    results = sarif(rows, META, dex)["runs"][0]["results"]
    place = next(each for each in results if each["ruleId"] == "HARD-32")["locations"][0]
    assert place["physicalLocation"]["artifactLocation"]["uri"].endswith("dex/dex.yaml")
    assert place["physicalLocation"]["region"]["startLine"] == 1


def test_nothing_passes_but_what_was_read(dex: Snapshot, rows: list[RowResult]) -> None:
    """Every source of a passed row is an object of these manifests, or one that is really not
    among them where its absence is what the row asks for."""
    known = {label(kind, each) for kind, found in dex.objects.items() for each in found}
    passed = [each for each in rows if each.verdict.outcome is Outcome.PASSED]
    assert passed
    for each in passed:
        assert each.read, each
        for source in each.read:
            name, absent = re.subn(ABSENT, "", source)
            name = re.split(r"[\[:]| container | spec", name)[0]
            assert (name in known) != bool(absent), f"{each.row} passed on {source}"


def test_a_secret_in_a_config_map_is_found_and_not_repeated(
    dex: Snapshot, rows: list[RowResult]
) -> None:
    row = next(each for each in rows if each.row == "HARD-17")
    fields = {each.field for each in row.findings}
    assert "data[config.yaml].staticClients[0].secret" in fields
    assert "ZXhhbXBsZS1hcHAtc2VjcmV0" not in repr(row) + str(dex)


def test_what_manifests_cannot_show_is_undecided(rows: list[RowResult]) -> None:
    hidden = {
        f"HARD-{at:02d}" for at in (*range(4, 11), 13, 19, *range(20, 23), 25, 27, 28, 44, 47)
    }
    assert outcomes(rows, Outcome.INCONCLUSIVE) >= hidden


def test_a_profile_that_names_other_workloads_proves_nothing() -> None:
    other = from_manifests(FOREIGN / "dex", profile("acp"), "2026-11-24T12:00:00+00:00")
    assert outcomes(judge(other), Outcome.PASSED) == set()
