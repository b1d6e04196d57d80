"""How hardening rows are ordered, counted and worded, the same at every door.

Room: report. It must not decide anything; the judge has.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from acpchaos.check.posture.rule import Finding, RowResult, Rule
from acpchaos.check.posture.rules import rules
from acpchaos.check.verdict import Outcome
from acpchaos.report.words import WORST_FIRST, plural

SEVERITIES = ("critical", "high", "medium", "low", "info")
_ROOT = Path(__file__).resolve().parents[2]


def worst_first(rows: Iterable[RowResult]) -> list[RowResult]:
    """By outcome, then by severity, then by id."""
    return sorted(
        rows,
        key=lambda each: (
            WORST_FIRST.index(each.verdict.outcome), SEVERITIES.index(each.severity), each.row,
        ),
    )  # fmt: skip


def tally(rows: Iterable[RowResult]) -> list[tuple[Outcome, list[RowResult]]]:
    """Rows by outcome, worst first, outcomes that no row has left out."""
    every = list(rows)
    grouped = ((o, [each for each in every if each.verdict.outcome is o]) for o in WORST_FIRST)
    return [(outcome, found) for outcome, found in grouped if found]


def summary_line(rows: Sequence[RowResult]) -> str:
    """ "53 rows: 2 failed (1 critical, 1 low), 51 passed"."""
    parts = []
    for outcome, found in tally(rows):
        part = f"{len(found)} {outcome.value}"
        if outcome in (Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.WAIVED):
            part += f" ({severities(found)})"
        parts.append(part)
    return f"{len(rows)} {plural('row', len(rows))}: {', '.join(parts) or 'nothing was judged'}"


def severities(rows: Iterable[RowResult]) -> str:
    """ "1 critical, 3 high"."""
    counts = Counter(each.severity for each in rows)
    return ", ".join(f"{counts[word]} {word}" for word in SEVERITIES if counts[word])


def seen(result: RowResult) -> str:
    """What was seen, short: numbers where a row holds, else the reason in full."""
    count = len(result.read)
    if result.verdict.outcome is Outcome.PASSED:
        return f"{count} {plural('source', count)} read, nothing found"
    return result.verdict.why


def open_first(result: RowResult) -> list[Finding]:
    """Findings that decide, before waived ones."""
    return sorted(result.findings, key=lambda each: bool(each.waived))


def remedy_of(result: RowResult) -> str:
    """What mends the first finding that decides, else the row in general."""
    first = next((each.remedy for each in open_first(result) if each.remedy), "")
    rule = rules().get(result.row)
    return first or (rule.remedy if rule else "")


def source_of(rule: Rule, *, line: bool = True) -> str:
    """Where a rule stands in the code: "acpchaos/check/posture/access.py:82"."""
    code = rule.judge.__code__
    path = Path(code.co_filename).resolve()
    shown = path.relative_to(_ROOT).as_posix() if path.is_relative_to(_ROOT) else path.name
    return f"{shown}:{code.co_firstlineno}" if line else shown
