"""docs/hardening.md: every row with its evidence, rule, remedy and sabotage, made from the code.

Room: report. `python -m acpchaos.report.posture_docs` writes it; a test compares the committed file
with what this would write, so that the page cannot go stale.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from acpchaos.check.checklist import Row, load_checklist
from acpchaos.check.posture.rule import Rule
from acpchaos.check.posture.rules import rules
from acpchaos.report.posture_words import SEVERITIES, source_of

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "docs" / "hardening.md"
SABOTAGE = PROJECT / "lab" / "manifests" / "sabotage"
INTRODUCTION = Path(__file__).with_name("posture_docs.md")

Sabotages = dict[str, list[dict[str, Any]]]


def page() -> str:
    """The whole page."""
    rows = [row for row in load_checklist() if row.chapter == "hardening"]
    known, sabotages = rules(), read_sabotages()
    lines = [INTRODUCTION.read_text(encoding="utf-8").rstrip(), ""]
    lines += ["## All rows", "", "| row | severity | what must hold | active | sabotage |"]
    lines += ["| --- | --- | --- | --- | --- |"]
    lines += [_line(row, known.get(row.id), sabotages.get(row.id, [])) for row in rows]
    for row in rows:
        lines += ["", *_section(row, known.get(row.id), sabotages.get(row.id, []))]
    return "\n".join([*lines, "", _counts(rows)]) + "\n"


def read_sabotages(folder: Path = SABOTAGE) -> Sabotages:
    """The sabotage files of every row."""
    found: Sabotages = {}
    for path in sorted(folder.glob("*/*.yaml")):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        found.setdefault(content["row"], []).append(content)
    return found


def _line(row: Row, rule: Rule | None, sabotages: list[dict[str, Any]]) -> str:
    where = "live" if any(each.get("live") for each in sabotages) else "offline"
    cells = (
        f"[{row.id}](#{row.id.lower()})", row.severity, row.statement,
        "yes" if rule and rule.active else "", where if sabotages else "none",
    )  # fmt: skip
    return f"| {' | '.join(_cell(each) for each in cells)} |"


def _section(row: Row, rule: Rule | None, sabotages: list[dict[str, Any]]) -> Iterator[str]:
    yield f"### {row.id}"
    yield f"**{row.statement}** Severity {row.severity}."
    yield ""
    if rule is None:
        yield "No rule yet: the row is inconclusive."
        return
    yield f"- **Holds when** {_text(rule.passes)}"
    yield f"- **Evidence** {_text(rule.evidence)}"
    if rule.active:
        yield "- **Active**: undecided without `--allow-probes`, unless something else breaks it"
    yield f"- **Remedy** {_text(rule.remedy)}"
    yield f"- **Source** {_text(rule.source)}; rule in `{source_of(rule, line=False)}`"
    for each in sabotages:
        yield f"- **Sabotage** {_text(each['says'])} {_companions(each)}{_where(each)}"


def _companions(sabotage: dict[str, Any]) -> str:
    named = ", ".join(sabotage.get("companions") or [])
    return f"Fails with it: {named}. " if named else ""


def _where(sabotage: dict[str, Any]) -> str:
    if sabotage.get("live"):
        return "Played live and offline."
    return f"Played offline only: {_text(sabotage.get('why_not_live', ''))}."


def _text(text: str) -> str:
    """One line in which braces and tags of Kubernetes stay as they are."""
    return " ".join(text.split()).replace("<", "&lt;").replace("*", "\\*").rstrip()


def _cell(text: str) -> str:
    return _text(text).replace("|", "\\|")


def _counts(rows: list[Row]) -> str:
    parts = [f"{sum(r.severity == word for r in rows)} {word}" for word in SEVERITIES]
    kept = [part for part in parts if not part.startswith("0 ")]
    return f"{len(rows)} rows: {', '.join(kept)}."


def main() -> int:
    """Write the page; says where."""
    PAGE.write_text(page(), encoding="utf-8")
    print(PAGE.relative_to(PROJECT))
    return 0


if __name__ == "__main__":
    sys.exit(main())
