"""Claims on a terminal: a table for people, plain lines for logs.

Room: report. Lines are also what pytest prints at its end, so they hold no markup.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from acpchaos.check.verdict import JudgedClaim, Outcome
from acpchaos.report.words import SIGNS, value

if TYPE_CHECKING:  # it brings the Kubernetes client along, which judging a folder does not need
    from acpchaos.target.guard import Finding

STYLES = {
    Outcome.DIRTY: "bold magenta",
    Outcome.FAILED: "bold red",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.WAIVED: "cyan",
    Outcome.PASSED: "green",
    Outcome.NOT_APPLICABLE: "dim",
}


def claim_lines(claims: Sequence[JudgedClaim]) -> list[str]:
    """One line per claim: verdict, id, measured against budget, and why unless it simply held."""
    width = max((len(claim.id) for claim in claims), default=0)
    return [_line(claim, width) for claim in claims]


def _line(claim: JudgedClaim, width: int) -> str:
    verdict = claim.verdict
    numbers = f"measured {value(verdict.measured, verdict.unit)}"
    if verdict.budget is not None:
        numbers += f", budget {value(verdict.budget, verdict.unit)}"
    shown = numbers if verdict.measured is not None else ""
    why = "" if verdict.outcome is Outcome.PASSED and shown else verdict.why
    tail = "  ".join(part for part in (shown, why) if part)
    sign = SIGNS[verdict.outcome]
    return f"{sign} {verdict.outcome.value:<14} {claim.id:<{width}}  {tail}".rstrip()


def claim_table(claims: Sequence[JudgedClaim]) -> Table:
    """The same as a table. Text is never parsed as markup: names come from a cluster."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("verdict", "claim", "measured", "budget", "rows", "why"):
        table.add_column(heading, overflow="fold", justify=_justify(heading))
    for claim in claims:
        verdict = claim.verdict
        told = f"{SIGNS[verdict.outcome]} {verdict.outcome.value}"
        table.add_row(
            Text(told, style=STYLES[verdict.outcome]),
            Text(claim.id),
            Text(value(verdict.measured, verdict.unit)),
            Text(value(verdict.budget, verdict.unit)),
            Text(" ".join(claim.rows), style="dim"),
            Text(verdict.why),
        )
    return table


def _justify(heading: str) -> Literal["left", "right"]:
    return "right" if heading in ("measured", "budget") else "left"


def print_claims(claims: Sequence[JudgedClaim], console: Console | None = None) -> None:
    """The table where a person looks, plain lines where a file or a pipe does."""
    console = console or Console()
    if console.is_terminal:
        console.print(claim_table(claims))
        return
    for line in claim_lines(claims):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def print_findings(findings: Sequence["Finding"], console: Console | None = None) -> None:
    """The doctor's table: what, seen, and what to type for each line that is not ok."""
    out = console or Console()
    if not out.is_terminal:
        for each in findings:
            line = f"{'ok  ' if each.ok else 'FAIL'}  {each.what}: {each.saw}"
            out.print(line if each.ok else f"{line}\n      next: {each.remedy}", markup=False)
        return
    table = Table("", "what", "seen", "what to do")
    for each in findings:
        mark = "[green]ok[/green]" if each.ok else "[bold red]FAIL[/bold red]"
        table.add_row(mark, each.what, escape(each.saw), "" if each.ok else escape(each.remedy))
    out.print(table)
