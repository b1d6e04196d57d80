"""The check-list is whole, and suites name only rows and checks that exist."""

import importlib.util
import inspect
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from acpchaos.check.checklist import load_checklist, status_of_rows
from acpchaos.check.judge import find_check
from acpchaos.check.verdict import JudgedClaim, Outcome, Verdict
from acpchaos.errors import UsageError
from acpchaos.scenario import Claim, Scenario

SUITES = sorted((Path(__file__).parents[2] / "suites").glob("test_*.py"))

# Rows per chapter of the document.
ROWS = {
    "HARD": 53, "BCR": 13, "BRD": 8, "BTS": 5, "HA1": 8, "HA2": 6,
    "HA3": 10, "HA4": 5, "HA5": 4, "HA6": 5, "HA7": 2, "HA8": 3,
}  # fmt: skip


def scenarios(module: ModuleType) -> list[Scenario]:
    return [value for value in vars(module).values() if isinstance(value, Scenario)]


def suite(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"suite_{path.stem}", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def claims() -> list[Claim]:
    return [claim for path in SUITES for s in scenarios(suite(path)) for claim in s.claims]


def test_all_122_rows_are_there_once_and_in_order() -> None:
    rows = load_checklist()
    assert len(rows) == 122 == sum(ROWS.values())
    assert Counter(row.id.rsplit("-", 1)[0] for row in rows) == ROWS
    by_chapter = {prefix: [r.id for r in rows if r.id.startswith(prefix)] for prefix in ROWS}
    for prefix, ids in by_chapter.items():
        assert ids == [f"{prefix}-{number:02d}" for number in range(1, ROWS[prefix] + 1)]


def test_every_row_says_something_of_its_own() -> None:
    rows = load_checklist()
    assert len({row.statement for row in rows}) == 122
    assert {row.severity for row in rows} == {"critical", "high", "medium", "low", "info"}
    modes = {mode for row in rows for mode in row.modes}
    assert modes == {"objects", "answers", "probe", "attestation"}


def test_suites_name_rows_that_exist() -> None:
    known = {row.id for row in load_checklist()}
    named = {row for claim in claims() for row in claim.rows}
    assert named, "no suite names a row"
    assert named <= known


def test_suites_name_checks_that_exist_and_take_their_params() -> None:
    for claim in claims():
        inspect.signature(find_check(claim.check)).bind(object(), **claim.params)


def test_claim_ids_are_unique() -> None:
    doubled = [each for each, count in Counter(c.id for c in claims()).items() if count > 1]
    assert doubled == []


def judged(claim: str, outcome: Outcome, *rows: str) -> JudgedClaim:
    return JudgedClaim(id=claim, says=claim, rows=rows, verdict=Verdict(outcome=outcome, why=""))


def test_the_worst_claim_decides_a_row_and_silence_proves_nothing() -> None:
    statuses = status_of_rows(
        [
            judged("a", Outcome.PASSED, "HA1-01", "HA1-03", "HA1-06"),
            judged("b", Outcome.FAILED, "HA1-03"),
            judged("c", Outcome.INCONCLUSIVE, "HA1-06"),
            judged("d", Outcome.NOT_APPLICABLE, "HA4-05"),
        ]
    )
    found = {status.row.id: status for status in statuses}
    assert len(statuses) == 122
    assert found["HA1-01"].status == "proven"
    assert (found["HA1-03"].status, found["HA1-03"].claims) == ("failed", ("a", "b"))
    assert found["HA1-06"].status == "inconclusive"
    assert found["HA4-05"].status == "not applicable"
    assert found["HARD-01"].status == "not yet proven"


def test_a_doubled_row_is_refused(tmp_path: Path) -> None:
    row = '[[row]]\nid="A-01"\nchapter="a"\nstatement="s"\nseverity="low"\nmodes=[]\n'
    (tmp_path / "list.toml").write_text(row * 2)
    with pytest.raises(UsageError, match="doubled: A-01"):
        load_checklist(tmp_path / "list.toml")
