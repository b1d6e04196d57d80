"""The evidence of a session: the runs of one pytest call on one page, with a Markdown summary.

Room: report. Called once, after the last play.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

from acpchaos.record.run import RunFolder
from acpchaos.report.evidence import write_evidence
from acpchaos.report.summary import append_step_summary, summary


def write_session(run_dirs: list[Path], reports: Path) -> Path:
    """Write reports/<session>/evidence.html and summary.md; returns the page's path.

    The session is named after the first run's start. In a CI that offers a step summary
    (GITHUB_STEP_SUMMARY) the Markdown is appended there.
    """
    started_ns = min(RunFolder(path).meta().started_ns for path in run_dirs)
    name = datetime.fromtimestamp(started_ns / 1e9, UTC).strftime("%Y-%m-%dT%H%M%SZ-session")
    page = write_evidence(run_dirs, reports / name / "evidence.html")
    markdown = summary(run_dirs, page)
    page.with_name("summary.md").write_text(markdown, encoding="utf-8")
    append_step_summary(markdown, os.environ)
    return page
