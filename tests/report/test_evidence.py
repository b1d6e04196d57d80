"""The page says everything, in the right order, and nothing from a cluster can act on it."""

import re
from pathlib import Path

import msgspec

from acpchaos.check.checklist import load_checklist
from acpchaos.check.verdict import Outcome
from acpchaos.record.events import Pod, Witness
from acpchaos.report.evidence import write_evidence
from tests.report import synthetic
from tests.report.page import Tag, read

HOSTILE = "<script>alert(1)</script>\"'><img src=//evil.example/x onerror=alert(2)>"


def page_of(runs: list[Path], out: Path) -> Tag:
    return read(write_evidence(runs, out).read_text(encoding="utf-8"))


def test_one_run_gets_its_page_in_its_folder(wipe: Path) -> None:
    page = page_of([wipe], wipe / "evidence.html")
    assert page.all("h1")[0].text.endswith("All 2 claims held")
    assert len(page.all("svg", "timeline")) == 1


def test_scope_comes_first_then_claims_then_map_then_runs(wipe: Path, drain: Path) -> None:
    page = page_of([wipe, drain], wipe.parent / "session" / "evidence.html")
    ids = [tag.attributes["id"] for tag in page.all("section")]
    assert ids == ["scope", "claims", "map", "run-1", "run-2"]


def test_every_claim_stands_with_verdict_numbers_and_rows_worst_first(drain: Path) -> None:
    page = page_of([drain], drain / "evidence.html")
    rows = [row.text for row in page.by_id("claims").all("tr", "claim")]
    assert len(rows) == 2
    assert "failed" in rows[0] and "1 zones" in rows[0] and "2 zones" in rows[0]
    assert "HA4-02" in rows[0] and "HA1-06" in rows[0]
    assert "inconclusive" in rows[1] and "1 %" in rows[1]


def test_headline_tells_the_worst(wipe: Path, drain: Path) -> None:
    page = page_of([wipe, drain], wipe.parent / "evidence.html")
    assert page.all("h1")[0].text.endswith("1 of 4 claims failed")


def test_an_unwitnessed_fault_and_a_blind_recorder_show_before_any_claim(drain: Path) -> None:
    page = page_of([drain], drain / "evidence.html")
    scope = page.by_id("scope")
    assert "no witness" in scope.text and "1 gap" in scope.text
    assert len(scope.all("span", "inconclusive")) == 2
    assert "no witness saw zone-drain" in page.by_id("run-1").text


def test_a_target_left_changed_shows_as_dirty(tmp_path: Path) -> None:
    recorded = [*synthetic.phases(), *synthetic.deeds("redis-wipe", undone=False)]
    run = synthetic.write_run(
        tmp_path / "run", "redis-wipe", recorded, [synthetic.claim("c", Outcome.DIRTY)]
    )
    page = page_of([run], run / "evidence.html")
    assert page.all("h1")[0].text.endswith("The target was left changed")
    assert "left changed" in page.by_id("scope").text
    assert page.by_id("scope").all("span", "dirty")


def test_map_holds_every_row_of_the_list_and_never_counts_silence_as_proof(
    wipe: Path, drain: Path
) -> None:
    page = page_of([wipe, drain], wipe.parent / "evidence.html")
    shown = [t for t in page.by_id("map").all("tr") if t.attributes["id"].startswith("row-")]
    assert len(shown) == len(load_checklist()) == 122
    status = {row.attributes["id"]: row.all("td", "state")[0].text for row in shown}
    assert status["row-BRD-03"].endswith("proven") and "not yet" not in status["row-BRD-03"]
    assert status["row-HA4-02"].endswith("failed")
    assert status["row-HA1-06"].endswith("failed"), "the worst claim decides a row"
    assert status["row-HARD-01"].endswith("not yet proven")
    assert sum(word.endswith("not yet proven") for word in status.values()) == 122 - 4


def test_row_links_lead_to_rows(wipe: Path) -> None:
    page = page_of([wipe], wipe / "evidence.html")
    ids = {tag.attributes["id"] for tag in page.all() if "id" in tag.attributes}
    targets = {tag.attributes["href"] for tag in page.all("a")}
    assert targets and all(target.startswith("#") and target[1:] in ids for target in targets)


def test_nothing_is_fetched_and_no_script_can_run(wipe: Path) -> None:
    html = write_evidence([wipe], wipe / "evidence.html").read_text(encoding="utf-8")
    page = read(html)
    policy = [m.attributes["content"] for m in page.all("meta") if "content" in m.attributes]
    assert "default-src 'none'; style-src 'unsafe-inline'" in policy
    for name in ("script", "link", "img", "iframe", "object", "base"):
        assert page.all(name) == []
    assert all("src" not in tag.attributes for tag in page.all())
    style = page.all("style")[0].text
    assert "@import" not in style and "url(" not in style
    assert not re.search(r'(?:href|src|action)="(?!#)', html)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    recorded = [
        *synthetic.events(HOSTILE),
        Pod(t_ns=synthetic.at(1), name=HOSTILE, uid="u", app=HOSTILE, ready=True),
        Witness(t_ns=synthetic.at(45), fault=HOSTILE, outcome="installed", saw=HOSTILE),
    ]
    claims = [synthetic.claim(HOSTILE, says=HOSTILE, why=HOSTILE, measured=HOSTILE)]
    run = synthetic.write_run(tmp_path / "run", "redis-wipe", recorded, claims)
    page = page_of([run], run / "evidence.html")
    assert page.all("script") == [] and page.all("img") == []
    assert all(not key.startswith("on") for tag in page.all() for key in tag.attributes)
    lanes = " ".join(tag.text for tag in page.all("text", "lane"))
    assert HOSTILE in lanes, "a hostile pod is still shown, as text"


def test_tables_tell_tokens_facts_and_deeds(wipe: Path) -> None:
    text = page_of([wipe], wipe / "evidence.html").by_id("run-1").text
    assert "refresh 10 10 valid 10 unavailable 10 invalid changed" in text
    assert "access_jwt 10 10 valid 10 unavailable 10 valid code" in text
    assert 'jwks_kids ["k1","k2"] identical' in text
    assert "+11.0 s fault redis-wipe recover" in text, "the fault struck when its set-up ended"
    assert "undo statefulset/redis-cluster verified" in text


def test_file_hashes_are_of_the_files_as_they_lie(wipe: Path) -> None:
    import hashlib

    text = page_of([wipe], wipe / "evidence.html").by_id("run-1").text
    for name in ("run.json", "events/all.ndjson", "verdicts.json"):
        assert hashlib.sha256((wipe / name).read_bytes()).hexdigest() in text


def test_same_record_same_page(wipe: Path) -> None:
    first = write_evidence([wipe], wipe / "evidence.html").read_bytes()
    assert write_evidence([wipe], wipe / "evidence.html").read_bytes() == first


def test_a_folder_without_verdicts_is_judged(wipe: Path) -> None:
    (wipe / "verdicts.json").unlink()
    page = page_of([wipe], wipe / "evidence.html")
    assert len(page.by_id("claims").all("tr", "claim")) == 2
    assert "crashed" in page.by_id("claims").text, "the made-up check does not exist"


def test_verdicts_are_read_not_guessed(wipe: Path) -> None:
    failed = [synthetic.claim("reconnects", Outcome.FAILED), synthetic.claim("losses")]
    (wipe / "verdicts.json").write_bytes(msgspec.json.encode(failed))
    assert (
        page_of([wipe], wipe / "evidence.html").all("h1")[0].text.endswith("1 of 2 claims failed")
    )
