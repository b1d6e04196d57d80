"""The evidence of a session: the runs of one pytest call on one page, with a Markdown summary.

Room: report. Called once, after the last play.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from acpchaos.check.posture.folder import ReviewFolder, is_review, read_rows
from acpchaos.check.posture.judge import as_claims
from acpchaos.record.run import RunFolder
from acpchaos.report.evidence import write_evidence
from acpchaos.report.posture_markdown import summary_of
from acpchaos.report.summary import append_step_summary, summary


def write_session(run_dirs: list[Path], reports: Path) -> Path:
    """Write reports/<session>/evidence.html and summary.md; returns the page's path.

    The session is named after its first start. In a CI that offers a step summary
    (GITHUB_STEP_SUMMARY) the Markdown is appended there.
    """
    runs = [path for path in run_dirs if not is_review(path)]
    reviews = [path for path in run_dirs if is_review(path)]
    starts_ns = [RunFolder(path).meta().started_ns for path in runs]
    starts_ns += [ReviewFolder(path).read_meta().started_ns for path in reviews]
    name = datetime.fromtimestamp(min(starts_ns) / 1e9, UTC).strftime("%Y-%m-%dT%H%M%SZ-session")
    page = write_evidence(run_dirs, reports / name / "evidence.html")
    markdown = _markdown(runs, reviews, page)
    page.with_name("summary.md").write_text(markdown, encoding="utf-8")
    append_step_summary(markdown, os.environ)
    return page


def _markdown(runs: list[Path], reviews: list[Path], page: Path) -> str:
    """Plays first, then the hardening rows; the check-list's line counts both."""
    rows = [claim for path in reviews for claim in as_claims(read_rows(path))]
    parts = [summary(runs, page, also=rows)] if runs else []
    parts += [summary_of(path) for path in reviews]
    return "\n".join([*parts, *([] if runs else [f"Evidence: `{page}`", ""])])
