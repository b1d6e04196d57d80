"""Every row has a sabotage that turns it red; and the matrix itself notices one that does not."""

import dataclasses
import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from acpchaos.check.verdict import Outcome
from posture import kill_matrix
from posture.kill_matrix import Kill, baseline, hardening_rows, judged, play, show
from posture.sabotage import Misses, Sabotage, apply, load, put

FILES = load()
OPEN_STORE = {
    "object": "NetworkPolicy acp-system/postgresql",
    "patch": [{"op": "add", "path": "/spec/ingress/-", "value": {"ports": [{"port": 5432}]}}],
}


@pytest.fixture(scope="module")
def before() -> kill_matrix.Outcomes:
    return judged(baseline())


def sabotage(row: str, *changes: dict[str, Any], companions: tuple[str, ...] = ()) -> Sabotage:
    return Sabotage(
        row=row, says="test", changes=list(changes), companions=companions, why_not_live="test"
    )


@pytest.mark.parametrize("row", hardening_rows())
def test_every_row_has_a_sabotage(row: str) -> None:
    assert row in {each.row for _, each in FILES}


@pytest.mark.parametrize(
    "each", [pytest.param(s, id=f"{path.parent.name}-{path.stem}") for path, s in FILES]
)
def test_sabotage_is_killed(each: Sabotage, before: kill_matrix.Outcomes) -> None:
    kill = play(each, before)
    assert not kill.survived, f"{kill.wrong} (failed: {kill.failed}, also: {kill.also})"


def test_nothing_fails_on_the_hardened_lab(before: kill_matrix.Outcomes) -> None:
    assert [row for row, outcome in before.items() if outcome is Outcome.FAILED] == []


# the matrix itself


def test_a_change_that_harms_nothing_survives(before: kill_matrix.Outcomes) -> None:
    patch = [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]
    harmless = {"object": "NetworkPolicy acp-system/postgresql", "patch": patch}
    assert play(sabotage("HARD-50", harmless), before).wrong == "HARD-50 stays passed"


def test_a_companion_that_is_not_named_survives(before: kill_matrix.Outcomes) -> None:
    kill = play(sabotage("HARD-51", *_changes("HARD-51")), before)
    assert kill.wrong == "fails HARD-50 as well, which it does not say"


def test_a_companion_that_does_not_fail_survives(before: kill_matrix.Outcomes) -> None:
    kill = play(sabotage("HARD-50", OPEN_STORE, companions=("HARD-51",)), before)
    assert kill.wrong == "says that HARD-51 fails with it, which does not"


def test_a_change_that_finds_nothing_survives(before: kill_matrix.Outcomes) -> None:
    kill = play(sabotage("HARD-50", {"delete": "NetworkPolicy acp-system/none"}), before)
    assert kill.wrong == "cannot be applied: Misses: NetworkPolicy acp-system/none is not there"


def test_a_row_that_gets_better_survives(before: kill_matrix.Outcomes) -> None:
    undecided = {**before, "HARD-30": Outcome.INCONCLUSIVE}
    assert "makes HARD-30 look better" in play(sabotage("HARD-50", OPEN_STORE), undecided).wrong


def test_a_row_undecided_on_the_baseline_proves_nothing(before: kill_matrix.Outcomes) -> None:
    undecided = {**before, "HARD-50": Outcome.INCONCLUSIVE}
    assert "nothing is proven" in play(sabotage("HARD-50", OPEN_STORE), undecided).wrong


def test_a_row_without_a_file_is_a_survivor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kill_matrix, "load", lambda: load(tmp_path))
    kills = list(kill_matrix.matrix())
    assert len(kills) == 53 and all("no sabotage in" in kill.wrong for kill in kills)


@pytest.mark.parametrize("terminal", [True, False])
def test_exit_code_and_words_tell_a_survivor(terminal: bool) -> None:
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=120)
    dead, alive = Kill("HARD-01", "a", ("HARD-01",)), Kill("HARD-02", "b", wrong="stays passed")
    assert show([dead], 1.0, console) == 0
    assert show([dead, alive], 1.0, console) == 1
    assert "SURVIVED" in out.getvalue() and "stays passed" in out.getvalue()
    assert "1 of 2 rows killed" in out.getvalue().replace("\x1b[0m", "")


# applying


def test_the_baseline_stays_as_it_is(before: kill_matrix.Outcomes) -> None:
    encoded = msgspec.json.encode(baseline().snapshot)
    for _, each in FILES:
        apply(baseline(), each.changes)
    assert msgspec.json.encode(baseline().snapshot) == encoded


def test_an_added_object_that_is_there_already_is_a_mistake() -> None:
    there = {"kind": "NetworkPolicy", "metadata": {"name": "acp", "namespace": "acp-system"}}
    with pytest.raises(Misses, match="is there already"):
        apply(baseline(), [{"add": there}])


def test_a_setting_of_a_secret_is_sealed_and_its_publication_told() -> None:
    change = {"secret": "acp-system/acp-secret", "file": "config.yaml",
              "set": {"system.secret": "mysecret"}}  # fmt: skip
    after = apply(baseline(), [change]).snapshot
    text = next(
        each["data"]["config.yaml"]
        for each in after.objects["Secret"]
        if each["metadata"]["name"] == "acp-secret"
    )
    assert "mysecret" not in text and ":docs-secret-" in text


def test_a_plain_secret_in_a_config_map_is_sealed_as_the_collector_does() -> None:
    text = "system:\n  secret: a-plain-secret-value-9\n"
    change = {"object": "ConfigMap acp-system/acp",
              "patch": [{"op": "replace", "path": "/data/config.yaml", "value": text}]}  # fmt: skip
    after = apply(baseline(), [change]).snapshot
    assert b"a-plain-secret-value-9" not in msgspec.json.encode(after.objects["ConfigMap"])


def test_settings_are_put_and_taken_away_by_path() -> None:
    content: dict[str, Any] = {"secrets": [{"id": "1"}], "sql": {"url": "x"}}
    put(content, "secrets[0].key", "k")
    put(content, "features.dev_mode", True)
    put(content, "sql.url", None)
    assert content == {
        "secrets": [{"id": "1", "key": "k"}], "sql": {}, "features": {"dev_mode": True},
    }  # fmt: skip


def test_an_attestation_is_removed_or_signed_for_another_day() -> None:
    scene = baseline()
    gone = apply(scene, [{"attestation": "HARD-01"}])
    assert [each.row for each in gone.attestations] == ["HARD-18", "HARD-19"]
    old = apply(scene, [{"attestation": "HARD-01", "date": "2020-01-01"}])
    moved = next(each for each in old.attestations if each.row == "HARD-01")
    assert str(moved.date) == "2020-01-01"
    assert moved.signature != scene.attestations[0].signature


@pytest.mark.parametrize(
    ("how", "row"),
    [
        ("mock", "HARD-25"), ("expired", "HARD-27"), ("sha1", "HARD-27"),
        ("other-name", "HARD-27"), ("short-key", "HARD-27"), ("self-signed-fake", "HARD-29"),
    ],
)  # fmt: skip
def test_each_wrong_certificate_is_wrong_in_its_way(how: str, row: str) -> None:
    after = judged(apply(baseline(), [{"served": "ingress", "with": how}]))
    assert after[row] is Outcome.FAILED
    failed = {each for each, outcome in after.items() if outcome is Outcome.FAILED}
    assert failed <= {row, "HARD-27"}, "wrong in more than one way"


def test_a_certificate_where_none_was_seen_is_a_mistake() -> None:
    with pytest.raises(Misses, match="no certificate was seen at service"):
        apply(baseline(), [{"served": "service", "with": "mock"}])


@pytest.mark.parametrize(
    "broken",
    [
        {"row": "HARD-01", "says": "x", "changes": [{"object": "A b/c", "delete": "A b/c"}]},
        {"row": "HARD-01", "says": "x", "changes": []},
        {"row": "HARD-01", "says": "x", "changes": [{"delete": "A b/c"}], "live": False},
        {"row": "HARD-01", "says": "x", "changes": [{"delete": "A b/c"}], "lives": True},
    ],
)
def test_a_file_that_says_too_little_or_too_much_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(broken, Sabotage)


def _changes(row: str) -> list[dict[str, Any]]:
    return next(each.changes for _, each in FILES if each.row == row)


def test_kills_are_data() -> None:
    assert dataclasses.replace(Kill("HARD-01", "x"), wrong="w").survived
