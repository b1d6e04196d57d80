"""Hardening rows as SARIF 2.1.0, for code-scanning pages: rows are rules, findings are results.

Room: report. Plain dictionaries, checked in tests against the standard's own schema: sarif-om has
had no release since 2019, sarif-pydantic takes any key and any missing one, and sarif-tools reads
but does not write. Only failures are results, since pages show every result as an alert whatever
its kind is; rows that could not be decided are notifications of the invocation, all verdicts stand
in the run's properties.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from acpchaos.check.posture.folder import ReviewMeta
from acpchaos.check.posture.objects import label
from acpchaos.check.posture.rule import Finding, RowResult, Rule
from acpchaos.check.posture.rules import rules
from acpchaos.check.verdict import Outcome
from acpchaos.record.snapshot import Snapshot
from acpchaos.report.posture_words import open_first, source_of

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
SOURCE = "acpchaos.io/source"  # annotation: path:line of an object in manifests
LEVELS = {"critical": "error", "high": "error", "medium": "warning", "low": "note", "info": "note"}
# On the scale of CVSS, which code-scanning pages sort by: the middle of each word's range.
SCORES = {"critical": "9.5", "high": "8.0", "medium": "5.5", "low": "2.0", "info": "0.0"}
_OBJECT = re.compile(r"[A-Z][\w.]+ [^\s\[]+")  # "Kind namespace/name" at the start of an object

Json = dict[str, Any]


def write_sarif(rows: Sequence[RowResult], meta: ReviewMeta, snapshot: Snapshot, out: Path) -> Path:
    """Write the log to a file; returns its path."""
    out.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(sarif(rows, meta, snapshot), indent=1, ensure_ascii=False)
    out.write_text(f"{text}\n", encoding="utf-8")
    return out


def sarif(rows: Sequence[RowResult], meta: ReviewMeta, snapshot: Snapshot) -> Json:
    """The whole log: one run of one tool."""
    ordered = sorted(rows, key=lambda each: each.row)
    known = rules()
    began = datetime.fromtimestamp(meta.started_ns / 1e9, UTC)
    undecided = [each for each in ordered if each.verdict.outcome is Outcome.INCONCLUSIVE]
    driver = {
        "name": "acpchaos",
        "version": version("acpchaos"),
        "rules": [_rule(each, known.get(each.row)) for each in ordered],
    }
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"acpchaos/posture/{snapshot.scope.profile}/{meta.run_id}"},
        "invocations": [
            {
                "executionSuccessful": True,
                "startTimeUtc": began.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "toolExecutionNotifications": [_notification(each) for each in undecided],
            }
        ],
        "results": list(_results(ordered, _sources(snapshot))),
        "properties": {
            "verdicts": {each.row: each.verdict.outcome.value for each in ordered},
            "evidence": meta.evidence,
            "takenAt": snapshot.taken_at,
        },
    }
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(row: RowResult, rule: Rule | None) -> Json:
    made: Json = {
        "id": row.row,
        "shortDescription": {"text": row.statement},
        "defaultConfiguration": {"level": LEVELS[row.severity]},
        "properties": {
            "security-severity": SCORES[row.severity],
            "severity": row.severity,
            "tags": ["security", "hardening", "kubernetes"],
        },
    }
    if rule is None:
        return made
    name = "".join(part.capitalize() for part in rule.judge.__name__.split("_"))
    text = f"Holds when: {rule.passes}. Evidence: {rule.evidence}."
    markdown = f"**Holds when** {rule.passes}\n\n**Remedy**\n\n```\n{rule.remedy}\n```"
    made["properties"]["rule"] = source_of(rule)
    return made | {
        "name": name,
        "fullDescription": {"text": text},
        "help": {"text": f"{rule.remedy}\nSource: {rule.source}", "markdown": markdown},
    }


def _notification(row: RowResult) -> Json:
    return {
        "associatedRule": {"id": row.row},
        "level": "warning",
        "message": {"text": f"{row.row} could not be decided: {row.verdict.why}"},
    }


def _results(rows: Sequence[RowResult], sources: dict[str, str]) -> Iterator[Json]:
    for at, row in enumerate(rows):
        for finding in open_first(row):
            yield _result(at, row, finding, sources)


def _result(at: int, row: RowResult, finding: Finding, sources: dict[str, str]) -> Json:
    remedy = f"\nRemedy: {finding.remedy}" if finding.remedy else ""
    result: Json = {
        "ruleId": row.row,
        "ruleIndex": at,
        "kind": "fail",
        "level": LEVELS[row.severity],
        "message": {"text": f"{finding}{remedy}"},
        "locations": [_location(finding, sources)],
        "partialFingerprints": {"place/v1": _fingerprint(row, finding)},
    }
    if finding.waived:
        result["suppressions"] = [
            {"kind": "external", "status": "accepted", "justification": finding.waived}
        ]
    return result


def _location(finding: Finding, sources: dict[str, str]) -> Json:
    full = f"{finding.object}/{finding.field}" if finding.field else finding.object
    name = finding.field.rpartition(".")[2] or finding.object
    location: Json = {
        "logicalLocations": [{"name": name, "fullyQualifiedName": full, "kind": "resource"}]
    }
    found = _OBJECT.match(finding.object)
    if found and (source := sources.get(found[0])):
        location["physicalLocation"] = _physical(source)
    return location


def _physical(source: str) -> Json:
    """A place from "path:line"; relative paths are relative to the repository's root."""
    path, _, line = source.rpartition(":")
    if not path or not line.isdigit():
        path, line = source, "1"
    absolute = PurePosixPath(path).is_absolute()
    artifact = {"uri": f"file://{quote(path)}"} if absolute else {"uri": quote(path)}
    if not absolute:
        artifact["uriBaseId"] = "%SRCROOT%"
    return {"artifactLocation": artifact, "region": {"startLine": max(1, int(line))}}


def _sources(snapshot: Snapshot) -> dict[str, str]:
    """Where each object stands in manifests, by "Kind namespace/name"."""
    return {
        label(kind, each): str(source)
        for kind, found in snapshot.objects.items()
        for each in found
        if (source := (each["metadata"].get("annotations") or {}).get(SOURCE))
    }


def _fingerprint(row: RowResult, finding: Finding) -> str:
    """The same for the same row at the same place, whatever was seen there."""
    place = "\n".join((row.row, finding.object, finding.field))
    return hashlib.sha256(place.encode()).hexdigest()[:32]
