"""Hardening rows as Markdown: for a pull request, a chat, or a CI's step summary.

Room: report. What fails comes first, since CI cuts long summaries at their end.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from acpchaos.check.posture.folder import ReviewFolder, ReviewMeta, read_rows
from acpchaos.check.posture.rule import RowResult
from acpchaos.check.verdict import Outcome, merge
from acpchaos.record import snapshot as store
from acpchaos.record.snapshot import Snapshot
from acpchaos.report.evidence import moment
from acpchaos.report.posture_scope import answers
from acpchaos.report.posture_words import open_first, seen, summary_line, worst_first
from acpchaos.report.scope import Answer
from acpchaos.report.summary import plain
from acpchaos.report.words import SIGNS

MOST_FINDINGS = 10  # of one row


def summary_of(path: Path) -> str:
    """The same of a review's folder."""
    folder = ReviewFolder(path)
    return posture_summary(read_rows(path), folder.read_meta(), store.outline(folder.snapshot))


def posture_summary(rows: Sequence[RowResult], meta: ReviewMeta, snapshot: Snapshot) -> str:
    """Headline, table of all rows worst first, findings of failed rows, scope and validity."""
    merged = merge(each.verdict.outcome for each in rows)
    ordered = worst_first(rows)
    lines = [f"## {SIGNS[merged]} Hardening, {summary_line(rows)}", ""]
    lines += [*_table(ordered), "", *_findings(ordered)]
    return "\n".join([*lines, *_validity(answers(snapshot, meta), meta, snapshot), ""])


def _table(rows: Sequence[RowResult]) -> Iterator[str]:
    yield "| verdict | row | severity | claim | seen |"
    yield "| --- | --- | --- | --- | --- |"
    for each in rows:
        outcome = each.verdict.outcome
        cells = (
            f"{SIGNS[outcome]} {outcome.value}", each.row, each.severity, each.statement,
            seen(each),
        )  # fmt: skip
        yield f"| {' | '.join(plain(cell) for cell in cells)} |"


def _findings(rows: Sequence[RowResult]) -> Iterator[str]:
    for each in rows:
        if each.verdict.outcome not in (Outcome.FAILED, Outcome.WAIVED):
            continue
        every = open_first(each)
        yield f"<details><summary>{each.row}: {len(every)} to look at</summary>"
        yield ""
        for finding in every[:MOST_FINDINGS]:
            place = f"**{plain(finding.object)}** {plain(finding.field)}".rstrip()
            waived = f" Waived: {plain(finding.waived)}." if finding.waived else ""
            yield f"- {place}: {plain(finding.saw)}; wanted {plain(finding.want)}.{waived}"
            if finding.remedy:
                yield f"  {_code(finding.remedy)}"
        if len(every) > MOST_FINDINGS:
            yield f"- and {len(every) - MOST_FINDINGS} more"
        yield from ("", "</details>", "")


def _code(text: str) -> str:
    """One line as code, fenced by more back quotes than stand in it."""
    line = " ".join(text.split())
    fence = "`"
    while fence in line:
        fence += "`"
    space = " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}"


def _validity(found: list[Answer], meta: ReviewMeta, snapshot: Snapshot) -> Iterator[str]:
    yield "<details><summary>Scope and validity</summary>"
    yield ""
    yield (
        f"Review `{meta.run_id}`, {moment(meta.started_ns)}, {plain(meta.evidence)}, target "
        f"{plain(snapshot.scope.profile)}, namespace {plain(snapshot.scope.namespace)}."
    )
    yield ""
    for answer in found:
        tail = f" ({plain('; '.join(answer.details))})" if answer.details else ""
        yield f"- {SIGNS[answer.outcome]} {answer.question}: {plain(answer.short)}{tail}"
    yield from ("", "</details>")
