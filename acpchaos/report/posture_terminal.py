"""Hardening rows on a terminal: a table for people, plain lines for logs.

Room: report. Lines hold no markup, since names in them come from a cluster.
"""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from acpchaos.check.posture.rule import Finding, RowResult
from acpchaos.check.verdict import Outcome
from acpchaos.report.posture_words import open_first, seen, summary_line, worst_first
from acpchaos.report.terminal import STYLES
from acpchaos.report.words import SIGNS

SEVERITY_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "dim"}
MOST_FINDINGS = 3  # of one row; the page and rows.json have all of them
_QUIET = (Outcome.PASSED, Outcome.NOT_APPLICABLE)


def row_lines(rows: Sequence[RowResult]) -> list[str]:
    """One line per row: verdict, id, severity, statement, and why unless it simply holds."""
    return [_line(each) for each in rows]


def _line(result: RowResult) -> str:
    outcome = result.verdict.outcome
    told = f"{SIGNS[outcome]} {outcome.value:<14}  {result.row}  {result.severity:<8}"
    why = "" if outcome is Outcome.PASSED else f"  {_one_line(seen(result))}"
    return f"{told}  {result.statement}{why}"


def row_table(rows: Sequence[RowResult]) -> Table:
    """The same as a table."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("verdict", "row", "severity", "claim, and what was seen"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("row", "severity"))
    for result in rows:
        outcome = result.verdict.outcome
        told = Text(result.statement, style="dim" if outcome in _QUIET else "")
        if outcome is not Outcome.PASSED:
            told.append(f"\n{_one_line(seen(result))}", style="dim")
        table.add_row(
            Text(f"{SIGNS[outcome]} {outcome.value}", style=STYLES[outcome], no_wrap=True),
            Text(result.row),
            Text(result.severity, style=SEVERITY_STYLES.get(result.severity, "")),
            told,
        )
    return table


def finding_lines(rows: Sequence[RowResult]) -> Iterator[str]:
    """What breaks each failed row: object and field, what is there, what should be, what to do."""
    for result in rows:
        if result.verdict.outcome is not Outcome.FAILED:
            continue
        yield f"{result.row}  {result.severity}  {result.statement}"
        every = open_first(result)
        for finding in every[:MOST_FINDINGS]:
            yield from _finding(finding)
        if len(every) > MOST_FINDINGS:
            yield f"  and {len(every) - MOST_FINDINGS} more"


def _finding(finding: Finding) -> Iterator[str]:
    yield f"  {finding.object}{f': {finding.field}' if finding.field else ''}"
    for name, text in (
        ("saw", finding.saw), ("want", finding.want), ("do", finding.remedy),
        ("waived", finding.waived),
    ):  # fmt: skip
        if text:
            yield f"    {name:<6} {_one_line(text)}"


def difference_lines(before: Sequence[RowResult], after: Sequence[RowResult]) -> list[str]:
    """Rows whose verdict differs between two reviews, one line each, and how many."""
    was = {each.row: each.verdict.outcome for each in before}
    changed = [each for each in after if was.get(each.row) is not each.verdict.outcome]
    lines = [
        f"{each.row}  {each.severity:<8}  {was.get(each.row, 'unknown')} -> {each.verdict.outcome}"
        f"  {each.statement}"
        for each in changed
    ]
    return [*lines, f"{len(changed)} of {len(after)} rows differ"]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def print_rows(
    rows: Sequence[RowResult], console: Console | None = None, *, by_id: bool = False
) -> None:
    """Rows, what breaks the failed ones, and the count; worst first unless `by_id`."""
    console = console or Console()
    ordered = list(rows) if by_id else worst_first(rows)
    lines = list(finding_lines(ordered))
    if console.is_terminal:
        console.print(row_table(ordered))
    else:
        lines = [*row_lines(ordered), *([""] if lines else []), *lines]
    for line in [*lines, "", summary_line(rows)]:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
