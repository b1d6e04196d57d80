"""The result as Markdown: for a pull request, a chat, or a CI's step summary.

Room: report. The verdict table comes first, since CI cuts long summaries at their end.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from acpchaos.check.clocks import disagreements
from acpchaos.check.endpoints import ways_in
from acpchaos.check.verdict import JudgedClaim, merge
from acpchaos.record.run import Run, load_run
from acpchaos.report import coverage, scope
from acpchaos.report.evidence import moment, read_verdicts
from acpchaos.report.outages import length
from acpchaos.report.words import SIGNS, headline, value

SPECIAL = "\\`*_{}[]<>()#|~"


def summary(
    run_dirs: list[Path], page: Path | None = None, also: Sequence[JudgedClaim] = ()
) -> str:
    """Headline, one table of claims, validity per run, and the check-list in one line.

    `also` are claims told elsewhere, such as hardening rows: the check-list counts them, too.
    """
    runs = [(path, load_run(path)) for path in run_dirs]
    judged = [(path, run, read_verdicts(path, run)) for path, run in runs]
    claims = [claim for _, _, found in judged for claim in found]
    merged = merge(claim.verdict.outcome for claim in claims)
    lines = [f"## {SIGNS[merged]} {headline(claims, merged)}", ""]
    lines += _table(judged)
    lines += ["", _coverage([*claims, *also]), ""]
    lines += _disagreements(judged)
    lines += _ways_in(judged)
    for path, run, _ in judged:
        lines += _validity(path, run)
    if page is not None:
        lines += [f"Evidence: `{page}`", ""]
    return "\n".join(lines)


def _table(judged: list[tuple[Path, Run, list[JudgedClaim]]]) -> list[str]:
    lines = [
        "| verdict | scenario | claim | measured | budget | rows | why |",
        "| --- | --- | --- | ---: | ---: | --- | --- |",
    ]
    for _, run, claims in judged:
        for claim in claims:
            verdict = claim.verdict
            cells = (
                f"{SIGNS[verdict.outcome]} {verdict.outcome.value}",
                run.scenario.name,
                claim.says,
                value(verdict.measured, verdict.unit),
                value(verdict.budget, verdict.unit),
                " ".join(claim.rows),
                verdict.why,
            )
            lines.append("| " + " | ".join(plain(cell) for cell in cells) + " |")
    return lines


def _coverage(claims: list[JudgedClaim]) -> str:
    chapters = coverage.chapters(claims)
    total = sum(len(chapter.rows) for chapter in chapters)
    parts = [f"{count} {word}" for word, count in coverage.tally(chapters)]
    return f"Check-list, {total} rows: {', '.join(parts)}."


def _disagreements(judged: list[tuple[Path, Run, list[JudgedClaim]]]) -> list[str]:
    """Where Kubernetes, the clients and the store do not call the same moment recovered."""
    found = [(run.scenario.name, line) for _, run, _ in judged for line in disagreements(run)]
    lines = [f"- {plain(scenario)}: {plain(line)}" for scenario, line in found]
    return ["Who calls it recovered, and when, differs beyond the clocks:", "", *lines, ""] * bool(
        lines
    )


def _ways_in(judged: list[tuple[Path, Run, list[JudgedClaim]]]) -> list[str]:
    """How long each zone's way in was down, as bounds."""
    found = [(run.scenario.name, each) for _, run, _ in judged for each in ways_in(run)]
    lines = [
        f"- {plain(scenario)}: {plain(each.name)}: "
        f"{length(each.down.longest if each.down else None)}"
        for scenario, each in found
    ]
    return ["Ways in through one zone, longest down (no claim counts it):", "", *lines, ""] * bool(
        lines
    )


def _validity(path: Path, run: Run) -> list[str]:
    meta = run.meta
    lines = [
        f"<details><summary>{plain(run.scenario.name)}: scope and validity</summary>",
        "",
        f"Run `{path.name}`, {moment(meta.started_ns)}, seed {meta.seed}, "
        f"commit `{meta.commit[:12]}`{' with local changes' if meta.dirty else ''}, "
        f"target {plain(meta.target.get('profile', 'unnamed'))}.",
        "",
    ]
    for answer in scope.answers(run):
        sign, details = SIGNS[answer.outcome], "; ".join(answer.details)
        tail = f" ({plain(details)})" if details else ""
        lines.append(f"- {sign} {answer.question}: {plain(answer.short)}{tail}")
    return [*lines, "", "</details>", ""]


def plain(words: str) -> str:
    """Text from a cluster made harmless in Markdown: no markup, one line."""
    escaped = "".join(f"\\{char}" if char in SPECIAL else char for char in words)
    return " ".join(escaped.split())


def append_step_summary(markdown: str, environment: Mapping[str, str]) -> None:
    """Append to the CI's step summary where GITHUB_STEP_SUMMARY names one; else do nothing."""
    if named := environment.get("GITHUB_STEP_SUMMARY"):
        with Path(named).open("a", encoding="utf-8") as stream:
            stream.write(markdown + "\n")
