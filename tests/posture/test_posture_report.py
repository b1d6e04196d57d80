"""Rows say the same on terminal, page, Markdown, JUnit and SARIF; nothing from a cluster acts."""

import io
import json
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from rich.console import Console

from acpchaos.check.checklist import load_checklist, status_of_rows
from acpchaos.check.posture.folder import ReviewFolder, read_rows, rejudge
from acpchaos.check.posture.judge import as_claims
from acpchaos.check.posture.rule import RowResult
from acpchaos.check.verdict import JudgedClaim, Outcome, merge
from acpchaos.errors import UsageError
from acpchaos.report import posture_docs
from acpchaos.report.evidence import write_evidence
from acpchaos.report.junit import row_properties
from acpchaos.report.posture_markdown import posture_summary
from acpchaos.report.posture_sarif import LEVELS, SCORES, sarif, write_sarif
from acpchaos.report.posture_scope import answers
from acpchaos.report.posture_terminal import print_rows, row_lines
from acpchaos.report.posture_words import summary_line, worst_first
from acpchaos.report.session import write_session
from posture.building_lab import hardened
from posture.reviewing import (
    ABSENT,
    FAILED,
    HOSTILE,
    META,
    UNDECIDED,
    WAIVED,
    damaged,
    rendered,
    result,
    review,
    unknown,
)

SCHEMA = Path(__file__).parent / "data" / "sarif-2.1.0-rtm.5.json"
Reviewed = tuple[ReviewFolder, list[RowResult]]


@pytest.fixture(scope="module")
def reviewed(tmp_path_factory: pytest.TempPathFactory) -> Reviewed:
    return review(tmp_path_factory.mktemp("reports") / "x-posture")


@pytest.fixture(scope="module")
def log(reviewed: Reviewed) -> dict[str, Any]:
    return sarif(reviewed[1], META, damaged())


# the folder


def test_the_review_has_every_outcome(reviewed: Reviewed) -> None:
    rows = reviewed[1]
    assert len(rows) == 53
    wanted = {FAILED: "failed", UNDECIDED: "inconclusive", WAIVED: "waived",
              ABSENT: "not applicable", "HARD-04": "passed"}  # fmt: skip
    assert {row: result(rows, row).verdict.outcome.value for row in wanted} == wanted


def test_the_same_folder_gives_the_same_bytes(reviewed: Reviewed) -> None:
    folder, rows = reviewed
    before = folder.rows.read_bytes(), folder.verdicts.read_bytes()
    assert rejudge(folder.path) == rows == read_rows(folder.path)
    assert (folder.rows.read_bytes(), folder.verdicts.read_bytes()) == before


def test_verdicts_count_in_the_check_list_as_proven_failed_or_waived(reviewed: Reviewed) -> None:
    stored = msgspec.json.decode(reviewed[0].verdicts.read_bytes(), type=list[JudgedClaim])
    words = {each.row.id: each.status for each in status_of_rows(stored)}
    assert words["HARD-04"] == "proven" and words[FAILED] == "failed"
    assert words[WAIVED] == "waived" and words[UNDECIDED] == "inconclusive"
    assert words["HA1-01"] == "not yet proven"


def test_a_folder_in_use_is_refused(reviewed: Reviewed) -> None:
    with pytest.raises(UsageError, match="already holds a review"):
        ReviewFolder.create(reviewed[0].path, META, hardened())


def test_a_waived_row_is_worse_than_a_passed_one() -> None:
    assert merge([Outcome.PASSED, Outcome.WAIVED]) is Outcome.WAIVED
    assert merge([Outcome.INCONCLUSIVE, Outcome.WAIVED]) is Outcome.INCONCLUSIVE


# terminal


def test_worst_outcome_comes_first_then_severity_then_id(reviewed: Reviewed) -> None:
    ordered = worst_first(reviewed[1])
    assert ordered[0].row == FAILED
    outcomes = [each.verdict.outcome for each in ordered]
    assert outcomes.index(Outcome.INCONCLUSIVE) < outcomes.index(Outcome.WAIVED)
    assert outcomes.index(Outcome.WAIVED) < outcomes.index(Outcome.PASSED)
    passed = [each for each in ordered if each.verdict.outcome is Outcome.PASSED]
    severities = [each.severity for each in passed]
    assert severities == sorted(severities, key=["critical", "high", "medium", "low"].index)


def printed(rows: list[RowResult], *, terminal: bool, by_id: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=110, color_system=None)
    print_rows(rows, console, by_id=by_id)
    return out.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_every_row_is_printed_with_verdict_and_severity(reviewed: Reviewed, terminal: bool) -> None:
    text = printed(reviewed[1], terminal=terminal)
    for each in reviewed[1]:
        line = next(line for line in text.splitlines() if f"  {each.row}  " in line)
        assert each.verdict.outcome.value in line and each.severity in line


@pytest.mark.parametrize("terminal", [True, False])
def test_a_failed_row_says_object_field_saw_want_and_what_to_do(
    reviewed: Reviewed, terminal: bool
) -> None:
    text = printed(reviewed[1], terminal=terminal)
    assert "  /default/admin: login of admin with the default password\n" in text
    assert "    saw    accepted <script>" in text and "    want   refused\n" in text
    assert "    do     curl -X DELETE" in text
    assert text.rstrip().splitlines()[-1] == summary_line(reviewed[1])


def test_lines_stay_one_line_each_whatever_the_cluster_says(reviewed: Reviewed) -> None:
    assert all("\n" not in line for line in row_lines(reviewed[1]))


def test_rows_by_id_when_asked(reviewed: Reviewed) -> None:
    text = printed(reviewed[1], terminal=False, by_id=True)
    assert text.index("HARD-01  ") < text.index("HARD-02  ") < text.index("HARD-53  ")


def test_the_count_tells_severities_of_what_is_open(reviewed: Reviewed) -> None:
    line = summary_line(reviewed[1])
    assert line.startswith("53 rows: ") and "(1 critical)" in line and "1 waived (1 medium)" in line
    assert summary_line([]) == "0 rows: nothing was judged"


# Markdown and JUnit


def test_markdown_leads_with_what_failed_and_ends_with_validity(reviewed: Reviewed) -> None:
    text = posture_summary(reviewed[1], META, damaged())
    lines = text.splitlines()
    assert lines[0].startswith("## ✕ Hardening, 53 rows: ")
    assert lines[4].startswith(f"| ✕ failed | {FAILED} | critical |")
    assert sum(line.startswith("| ") for line in lines) == 55
    assert "Waived: needs it until the chart is updated; identity-sre, until 2027-01-31." in text
    assert "- ? Objects read:" in text and "RoleBinding: HTTP 403: forbidden" in text


def test_hostile_words_are_harmless_in_markdown(reviewed: Reviewed) -> None:
    text = posture_summary(reviewed[1], META, damaged())
    assert "<script" not in text.replace("\\<script", "")
    assert all(line.count(" | ") >= 4 for line in text.splitlines() if line.startswith("| ✕"))


def test_properties_of_a_failed_row_hold_its_remedy(reviewed: Reviewed) -> None:
    found = dict(row_properties(result(reviewed[1], FAILED)))
    assert (found["row"], found["severity"], found["outcome"]) == (FAILED, "critical", "failed")
    assert found["findings"] == 1 and str(found["remedy"]).startswith("curl -X DELETE")
    assert "remedy" not in dict(row_properties(result(reviewed[1], "HARD-04")))
    assert dict(row_properties(result(reviewed[1], WAIVED)))["findings"] == 0


# page


def page_of(reviewed: Reviewed, out: Path) -> str:
    return write_evidence([reviewed[0].path], out).read_text(encoding="utf-8")


def test_page_leads_with_scope_then_rows_then_the_check_list(
    reviewed: Reviewed, tmp_path: Path
) -> None:
    html = page_of(reviewed, tmp_path / "page.html")
    order = [html.index(f'id="{name}"') for name in ("scope", "hardening", "map")]
    assert order == sorted(order)
    assert html.count('<details class="hard"') == 53
    assert "RoleBinding: HTTP 403: forbidden" in html[order[0] : order[1]]
    assert 'id="claims"' not in html


def test_page_shows_findings_rule_and_source_and_the_waiver(
    reviewed: Reviewed, tmp_path: Path
) -> None:
    html = page_of(reviewed, tmp_path / "page.html")
    start = html.index(f'id="hardening-{FAILED}"')
    section = html[start : html.index("</details>", start)]
    for text in ("/default/admin", "login of admin", "refused", "curl -X DELETE", "all refused"):
        assert text in section
    assert "acpchaos/check/posture/providers.py:" in section
    assert "probe login default/admin admin" in section
    start = html.index(f'id="hardening-{WAIVED}"')
    section = html[start : html.index("</details>", start)]
    assert '<li class="waived">' in section and "until 2027-01-31" in section
    assert '<span class="word waived-ink">waived</span>' in section


def test_page_is_one_file_without_script_and_escapes_what_the_cluster_says(
    reviewed: Reviewed, tmp_path: Path
) -> None:
    html = page_of(reviewed, tmp_path / "page.html")
    assert "<script" not in html and HOSTILE not in html
    assert "src=" not in html and "@import" not in html and "<link" not in html


def test_a_large_row_is_cut_on_the_page(tmp_path: Path) -> None:
    snapshot = hardened()
    snapshot.objects["Deployment"] += [_rootful(at) for at in range(150)]
    folder, rows = review(tmp_path / "r", snapshot)
    assert len(result(rows, "HARD-32").findings) == 150
    html = write_evidence([folder.path], tmp_path / "page.html").read_text()
    assert "and 50 more in rows.json" in html


def _rootful(at: int) -> dict[str, Any]:
    spec = {"containers": [{"name": "f", "image": "f:1"}]}
    return {
        "metadata": {"name": f"f-{at}", "namespace": "acp-faas"},
        "spec": {"selector": {}, "template": {"metadata": {"labels": {}}, "spec": spec}},
    }


def test_a_session_of_rows_alone_has_its_page_and_summary(
    reviewed: Reviewed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    page = write_session([reviewed[0].path], tmp_path)
    assert page.parent.name == "2026-11-24T120000Z-session"
    assert page.with_name("summary.md").read_text().startswith("## ✕ Hardening, 53 rows")


# scope and validity


def told(found: list[Any]) -> dict[str, str]:
    return {each.question: each.outcome.value for each in found}


def test_what_was_not_read_is_told() -> None:
    assert told(answers(hardened(), META)) == {
        "Objects read": "passed", "Management API asked": "passed",
        "Certificates seen": "passed", "Probes run": "passed",
    }  # fmt: skip
    bad = unknown(damaged())
    bad.answers["/api/system/tenants"] = msgspec.structs.replace(
        bad.answers["/api/system/tenants"], status=403
    )
    assert told(answers(bad, META)) == {
        "Objects read": "inconclusive", "Management API asked": "inconclusive",
        "Certificates seen": "passed", "Probes run": "inconclusive",
    }  # fmt: skip


def test_probes_not_asked_for_and_manifests_are_told_as_such() -> None:
    quiet = msgspec.structs.replace(hardened(), probes={})
    meta = msgspec.structs.replace(META, allow_probes=False)
    assert told(answers(quiet, meta))["Probes run"] == "not applicable"
    assert told(answers(quiet, META))["Probes run"] == "inconclusive"
    assert set(told(answers(rendered(), meta)).values()) == {"passed", "not applicable"}


# SARIF


def test_sarif_holds_to_the_schema(reviewed: Reviewed, log: dict[str, Any]) -> None:
    schema = json.loads(SCHEMA.read_text())
    kind = jsonschema.Draft4Validator
    checker = kind(schema, format_checker=kind.FORMAT_CHECKER)
    manifests = sarif(reviewed[1], META, rendered())
    for each in (log, manifests):
        plain = json.loads(json.dumps(each))
        assert [error.message for error in checker.iter_errors(plain)] == []
    broken = json.loads(json.dumps(log))
    broken["runs"][0]["results"][0]["level"] = "fatal"
    assert not checker.is_valid(broken)


def test_every_row_is_a_rule_with_level_and_score(log: dict[str, Any]) -> None:
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert len(rules) == 53
    found = next(each for each in rules if each["id"] == FAILED)
    assert found["defaultConfiguration"]["level"] == "error"
    assert found["properties"]["security-severity"] == "9.5"
    assert found["name"] == "DefaultPasswords"
    assert "all refused" in found["fullDescription"]["text"]
    assert "static providers" in found["help"]["text"]
    assert LEVELS.keys() == SCORES.keys()


def test_only_findings_are_results_and_waived_ones_are_suppressed(log: dict[str, Any]) -> None:
    results = log["runs"][0]["results"]
    assert {each["ruleId"] for each in results} == {FAILED, WAIVED}
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    assert all(rules[each["ruleIndex"]]["id"] == each["ruleId"] for each in results)
    failed = next(each for each in results if each["ruleId"] == FAILED)
    assert "suppressions" not in failed and failed["level"] == "error"
    waived = next(each for each in results if each["ruleId"] == WAIVED)
    assert waived["suppressions"][0]["justification"].endswith("until 2027-01-31")


def test_undecided_rows_are_notifications_and_every_verdict_is_told(log: dict[str, Any]) -> None:
    run = log["runs"][0]
    told = {
        each["associatedRule"]["id"] for each in run["invocations"][0]["toolExecutionNotifications"]
    }
    undecided = {r for r, word in run["properties"]["verdicts"].items() if word == "inconclusive"}
    assert told == undecided and UNDECIDED in told
    assert run["properties"]["verdicts"]["HARD-04"] == "passed"


def test_logical_location_is_the_object_and_its_field(log: dict[str, Any]) -> None:
    waived = next(each for each in log["runs"][0]["results"] if each["ruleId"] == WAIVED)
    (place,) = waived["locations"][0]["logicalLocations"]
    assert place["fullyQualifiedName"] == (
        "StatefulSet acp-system/redis-cluster container redis-cluster/"
        "spec.template.spec.containers[0].securityContext.capabilities"
    )
    assert place["name"] == "capabilities"
    assert "physicalLocation" not in waived["locations"][0]


@pytest.mark.parametrize(
    ("source", "uri", "line", "base"),
    [
        ("charts/a b/deployment.yaml:12", "charts/a%20b/deployment.yaml", 12, "%SRCROOT%"),
        ("/tmp/out.yaml:7", "file:///tmp/out.yaml", 7, None),
        ("out.yaml", "out.yaml", 1, "%SRCROOT%"),
    ],
)
def test_manifests_give_file_and_line(
    tmp_path: Path, source: str, uri: str, line: int, base: str | None
) -> None:
    snapshot = rendered(source=source)
    _, rows = review(tmp_path / "r", snapshot)
    found = sarif(rows, META, snapshot)["runs"][0]["results"]
    place = next(each for each in found if each["ruleId"] == "HARD-32")["locations"][0]
    physical = place["physicalLocation"]
    assert physical["artifactLocation"]["uri"] == uri
    assert physical["artifactLocation"].get("uriBaseId") == base
    assert physical["region"]["startLine"] == line


def test_fingerprints_name_the_place_not_what_was_seen(tmp_path: Path) -> None:
    def prints(saw: str) -> list[str]:
        snapshot = damaged()
        probe = snapshot.probes["login default/admin admin"]
        snapshot.probes["login default/admin admin"] = msgspec.structs.replace(probe, saw=saw)
        _, rows = review(tmp_path / saw, snapshot)
        found = sarif(rows, META, snapshot)["runs"][0]["results"]
        return [each["partialFingerprints"]["place/v1"] for each in found]

    first, second = prints("a"), prints("b")
    assert first == second and len(set(first)) == len(first)


def test_sarif_is_written_as_utf8_json(reviewed: Reviewed, tmp_path: Path) -> None:
    out = write_sarif(reviewed[1], META, damaged(), tmp_path / "deep" / "x.sarif")
    assert json.loads(out.read_text(encoding="utf-8"))["version"] == "2.1.0"


def test_claims_name_their_row(reviewed: Reviewed) -> None:
    assert as_claims(reviewed[1])[0].rows == ("HARD-01",)


# the generated page


def test_the_committed_page_is_the_one_that_the_code_makes() -> None:
    assert posture_docs.PAGE.read_text(encoding="utf-8") == posture_docs.page(), "type: make docs"


def test_the_page_tells_every_row_with_its_rule_and_sabotage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = posture_docs.page()
    rows = [row.id for row in load_checklist() if row.chapter == "hardening"]
    assert all(f"### {row}\n" in text for row in rows)
    section = text[text.index("### HARD-51") : text.index("### HARD-52")]
    for word in ("**Holds when**", "**Evidence**", "**Remedy**", "**Source**", "**Sabotage**",
                 "Fails with it: HARD-50.", "Played live and offline."):  # fmt: skip
        assert word in section
    monkeypatch.setattr(posture_docs, "read_sabotages", lambda: {})
    monkeypatch.setattr(posture_docs, "rules", lambda: {})
    assert "No rule yet: the row is inconclusive." in posture_docs.page()
