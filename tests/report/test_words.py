"""Markdown, terminal lines and JUnit properties say the same as the page."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from acpchaos.check.verdict import Outcome
from acpchaos.report.junit import properties
from acpchaos.report.session import write_session
from acpchaos.report.summary import append_step_summary, plain, summary
from acpchaos.report.terminal import claim_lines, print_claims
from acpchaos.report.words import headline, value
from tests.report import synthetic


def test_summary_leads_with_the_verdict_table(wipe: Path, drain: Path) -> None:
    lines = summary([wipe, drain]).splitlines()
    assert lines[0] == "## ✕ 1 of 4 claims failed"
    assert lines[2].startswith("| verdict | scenario | claim |")
    assert sum(line.startswith(("| ✓", "| ✕", "| ?")) for line in lines) == 4
    assert any("12.4 s | 60 s | BRD-03" in line for line in lines)
    assert "Check-list, 122 rows: 2 proven, 2 failed, 118 not yet proven." in lines
    assert any(line.startswith("- ? Fault bit: no witness") for line in lines)


def test_hostile_text_cannot_break_the_table() -> None:
    told = plain("a|b\n<img src=x> `c`")
    assert "\n" not in told
    assert told == r"a\|b \<img src=x\> \`c\`"


def test_step_summary_is_appended_only_where_ci_names_one(tmp_path: Path) -> None:
    file = tmp_path / "step.md"
    file.write_text("before\n")
    append_step_summary("## x", {"GITHUB_STEP_SUMMARY": str(file)})
    append_step_summary("## y", {})
    assert file.read_text() == "before\n## x\n"


def test_session_page_and_summary_lie_in_one_folder(
    wipe: Path, drain: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    page = write_session([wipe, drain], tmp_path / "reports")
    assert page == tmp_path / "reports" / "2025-11-24T160000Z-session" / "evidence.html"
    assert page.with_name("summary.md").read_text().startswith("## ✕ 1 of 4 claims failed")


def test_properties_hold_numbers_as_numbers_and_leave_out_what_is_not_there() -> None:
    assert dict(properties(synthetic.claim("c"))) == {
        "claim": "c", "outcome": "passed", "measured": 12.4, "budget": 60, "unit": "s",
        "rows": "BRD-03", "why": "first good flow 12.4 s after the fault",
    }  # fmt: skip
    bare = synthetic.claim("c", Outcome.INCONCLUSIVE, (), None, None, "", why="no witness")
    assert dict(properties(bare)) == {
        "claim": "c", "outcome": "inconclusive", "why": "no witness",
    }  # fmt: skip


def test_lines_tell_numbers_and_why_unless_it_held() -> None:
    held = synthetic.claim("rto")
    broken = synthetic.claim("errors", Outcome.FAILED, measured=3.25, budget=1, unit="%")
    assert claim_lines([held, broken]) == [
        "✓ passed         rto     measured 12.4 s, budget 60 s",
        "✕ failed         errors  measured 3.25 %, budget 1 %  "
        "first good flow 12.4 s after the fault",
    ]


def test_without_a_terminal_there_are_plain_lines_with_markup_left_alone() -> None:
    out = io.StringIO()
    claim = synthetic.claim("c", Outcome.FAILED, why="[red]pod[/red] " + "x" * 200)
    print_claims([claim], Console(file=out, force_terminal=False, width=80))
    assert out.getvalue().count("\n") == 1
    assert "[red]pod[/red]" in out.getvalue() and "\x1b" not in out.getvalue()


def test_on_a_terminal_there_is_a_table() -> None:
    out = io.StringIO()
    claim = synthetic.claim("c", why="[red]pod[/red]")
    print_claims([claim], Console(file=out, force_terminal=True, width=160))
    assert "verdict" in out.getvalue() and "[red]pod[/red]" in out.getvalue()


@pytest.mark.parametrize(
    ("outcomes", "merged", "told"),
    [
        ([Outcome.PASSED] * 3, Outcome.PASSED, "All 3 claims held"),
        ([Outcome.PASSED], Outcome.PASSED, "The claim held"),
        ([Outcome.PASSED, Outcome.FAILED], Outcome.FAILED, "1 of 2 claims failed"),
        ([Outcome.INCONCLUSIVE], Outcome.INCONCLUSIVE, "1 of 1 claim could not be decided"),
        ([Outcome.DIRTY], Outcome.DIRTY, "The target was left changed"),
        ([], Outcome.INCONCLUSIVE, "No claim was judged"),
    ],
)
def test_headline_is_led_by_the_worst(outcomes: list[Outcome], merged: Outcome, told: str) -> None:
    assert headline([synthetic.claim("c", outcome) for outcome in outcomes], merged) == told


@pytest.mark.parametrize(
    ("number", "unit", "told"),
    [
        (12.0, "s", "12 s"), (0.98765, "%", "0.9877 %"), (None, "s", "–"),
        (1234567, "", "1 234 567"),
        ("identical", "", "identical"), (0, "s", "0 s"),
    ],
)  # fmt: skip
def test_values_keep_what_decides(number: float | str | None, unit: str, told: str) -> None:
    assert value(number, unit).replace("\u202f", " ") == told
