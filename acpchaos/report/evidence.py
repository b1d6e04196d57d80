"""The evidence page: one self-contained HTML file for one run or for a session of runs.

Room: report. Everything on it comes from run folders; nothing is fetched, now or when it is read.
It leads with scope and validity, since a result nobody can trust needs no further reading.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import msgspec
from markupsafe import Markup

from acpchaos.check.checklist import NOT_YET_PROVEN, PROVEN
from acpchaos.check.judge import judge
from acpchaos.check.posture.folder import is_review
from acpchaos.check.verdict import JudgedClaim, Outcome, merge
from acpchaos.record.run import Run, RunFolder, load_run
from acpchaos.report import coverage, scope, tables, words
from acpchaos.report.chart import timeline
from acpchaos.report.clocks import ClockOffsetRow, clock_rows
from acpchaos.report.objects import ObjectsView, objects_view
from acpchaos.report.outages import OutageView, outage_view
from acpchaos.report.posture_page import ReviewView, review_view


@dataclass(frozen=True)
class RunView:
    """What the page shows of one run."""

    anchor: str
    folder: str
    run: Run
    outcome: Outcome
    claims: list[JudgedClaim]
    answers: list[scope.Answer]
    chart: Markup
    outages: OutageView
    objects: ObjectsView
    clocks: list[ClockOffsetRow]
    ledger: list[tables.LedgerRow]
    deeds: list[tables.Deed]
    facts: list[tables.Fact]
    hashes: list[tuple[str, int, str]]


def write_evidence(run_dirs: list[Path], out: Path) -> Path:
    """Write the page for `run_dirs`, plays and posture reviews, to `out`; returns `out`.

    A folder without verdicts.json is judged on the spot, so that an old record can still be shown.
    """
    runs = [path for path in run_dirs if not is_review(path)]
    views = [view(path, position) for position, path in enumerate(runs, start=1)]
    reviewed = [path for path in run_dirs if is_review(path)]
    reviews = [review_view(path, position) for position, path in enumerate(reviewed, start=1)]
    out.parent.mkdir(parents=True, exist_ok=True)
    half = out.with_suffix(".tmp")
    half.write_text(render(views, reviews), encoding="utf-8")
    half.replace(out)
    return out


def read_verdicts(path: Path, run: Run) -> list[JudgedClaim]:
    """The stored verdicts of a run folder, or fresh ones."""
    stored = RunFolder(path).verdicts
    if not stored.exists():
        return judge(run)
    return msgspec.json.decode(stored.read_bytes(), type=list[JudgedClaim])


def view(path: Path, position: int) -> RunView:
    """Read a run folder and work out all that the page says about it."""
    run = load_run(path)
    claims = read_verdicts(path, run)
    return RunView(
        anchor=f"run-{position}",
        folder=path.name,
        run=run,
        outcome=merge(claim.verdict.outcome for claim in claims),
        claims=sorted(claims, key=lambda claim: words.WORST_FIRST.index(claim.verdict.outcome)),
        answers=scope.answers(run),
        chart=timeline(run),
        outages=outage_view(run),
        objects=objects_view(run),
        clocks=clock_rows(run),
        ledger=tables.ledger_rows(run),
        deeds=tables.deeds(run),
        facts=tables.facts(run),
        hashes=tables.file_hashes(path),
    )


def render(views: list[RunView], reviews: Sequence[ReviewView] = ()) -> str:
    """The page's HTML. Autoescape is on; charts are escaped where they are drawn."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("acpchaos", "report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(value=words.value, moment=moment, slug=_slug)
    claims = [claim for shown in views for claim in shown.claims]
    claims += [claim for shown in reviews for claim in shown.claims]
    starts_ns = [shown.run.meta.started_ns for shown in views]
    starts_ns += [shown.meta.started_ns for shown in reviews]
    merged = merge(claim.verdict.outcome for claim in claims)
    chapters = coverage.chapters(claims)
    return environment.get_template("evidence.html.j2").render(
        views=views,
        reviews=reviews,
        claims=claims,
        merged=merged,
        headline=words.headline(claims, merged),
        counted=words.counted(claims),
        chapters=chapters,
        tally=coverage.tally(chapters),
        proven_rows=dict(coverage.tally(chapters)).get(PROVEN, 0),
        total_rows=sum(len(chapter.rows) for chapter in chapters),
        signs={outcome.value: sign for outcome, sign in words.SIGNS.items()}
        | {PROVEN: "✓", NOT_YET_PROVEN: "·"},
        started=moment(min(starts_ns, default=0)),
        played=_span(
            min((shown.run.meta.started_ns for shown in views), default=0),
            max((shown.run.end_ns for shown in views), default=0),
        ),
    )


def moment(t_ns: int) -> str:
    """A wall time in UTC, to the second."""
    return datetime.fromtimestamp(t_ns / 1e9, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _span(begin_ns: int, end_ns: int) -> str:
    """ "2026-01-31 10:00:00 to 10:09:12 UTC": the day once, unless it changed."""
    begin, end = moment(begin_ns), moment(end_ns)
    return f"{begin[:-4]} to {end[11:] if end[:10] == begin[:10] else end}"


def _slug(word: str) -> str:
    return word.replace(" ", "-")
