"""What the evidence page shows of one posture review: scope, validity, and a line for each row.

Room: report. Everything comes from the review's folder and from the texts of the rules.
"""

from dataclasses import dataclass
from pathlib import Path

from acpchaos.check.posture.folder import ReviewFolder, ReviewMeta, read_rows
from acpchaos.check.posture.judge import as_claims
from acpchaos.check.posture.rule import Finding, RowResult
from acpchaos.check.posture.rules import rules
from acpchaos.check.verdict import JudgedClaim, Outcome, merge
from acpchaos.record import snapshot as store
from acpchaos.record.snapshot import Scope
from acpchaos.report.posture_scope import answers
from acpchaos.report.posture_words import open_first, seen, source_of, summary_line, worst_first
from acpchaos.report.scope import Answer
from acpchaos.report.tables import file_hashes

MOST_SHOWN = 100  # findings or sources of one row: a page for a large cluster must open, too


@dataclass(frozen=True)
class RowView:
    """One row with the texts of its rule."""

    result: RowResult
    seen: str
    findings: list[Finding]
    more_findings: int
    read: tuple[str, ...]
    more_read: int
    evidence: str
    passes: str
    source: str
    code: str
    remedy: str


@dataclass(frozen=True)
class ReviewView:
    """A whole review."""

    anchor: str
    folder: str
    meta: ReviewMeta
    scope: Scope
    taken_at: str
    outcome: Outcome
    summary: str
    answers: list[Answer]
    rows: list[RowView]
    claims: list[JudgedClaim]
    hashes: list[tuple[str, int, str]]


def review_view(path: Path, position: int) -> ReviewView:
    """Read a review's folder and work out all that the page says about it."""
    folder = ReviewFolder(path)
    meta, rows, snapshot = folder.read_meta(), read_rows(path), store.outline(folder.snapshot)
    return ReviewView(
        anchor=f"hardening-{position}" if position > 1 else "hardening",
        folder=path.name,
        meta=meta,
        scope=snapshot.scope,
        taken_at=snapshot.taken_at,
        outcome=merge(each.verdict.outcome for each in rows),
        summary=summary_line(rows),
        answers=answers(snapshot, meta),
        rows=[_row_view(each) for each in worst_first(rows)],
        claims=as_claims(rows),
        hashes=file_hashes(path),
    )


def _row_view(result: RowResult) -> RowView:
    rule = rules().get(result.row)
    findings = open_first(result)
    return RowView(
        result=result,
        seen=seen(result),
        findings=findings[:MOST_SHOWN],
        more_findings=max(0, len(findings) - MOST_SHOWN),
        read=result.read[:MOST_SHOWN],
        more_read=max(0, len(result.read) - MOST_SHOWN),
        evidence=rule.evidence if rule else "",
        passes=rule.passes if rule else "",
        source=rule.source if rule else "",
        code=source_of(rule) if rule else "",
        remedy=rule.remedy if rule else "",
    )
