"""The table: what falls short is told and ends with 1, Markdown is Markdown, and the numbers of the
design are what --full asks for."""

import pytest

from safety import beside, matrix
from safety.beside import Beside
from safety.kills import Kills
from safety.rows import Row, head, piped, progress, show
from safety.signals import Stopped


def test_numbers() -> None:
    usual, full = matrix.asked([]), matrix.asked(["--full", "--r9", "5"])
    assert (usual.r6, usual.r10) == (24, 20_000)
    assert (full.r6, full.r7_rest, full.r9, full.r10, full.r13) == (1000, 1, 5, 100_000, 1000)
    assert matrix.FULL.keys() == matrix.USUAL.keys() == matrix.NUMBERS.keys()


@pytest.mark.parametrize("short", [[], ["a pod is left"]])
def test_what_falls_short_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], short: list[str]
) -> None:
    row = Row("R9", "races", "0 double", "5 races", short)
    monkeypatch.setattr(matrix.Proofs, "r9", lambda self: iter([row]))
    assert matrix.main(["--only", "R9", "--seed", "1"]) == len(short)
    said = capsys.readouterr().out
    assert ("a pod is left" in said) == bool(short) and ("held" in said) != bool(short)


def test_rows_in_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    assert head(markdown=True).splitlines()[1] == "| --- | --- | --- | --- | --- |"
    assert show(Row("R9", "a|b", "none", "5", ["left"]), markdown=True)
    said = capsys.readouterr()
    assert (said.out, said.err.strip()) == ("| R9 | a/b | none | short | 5 |\n", "left")
    assert Row("R6", "x", "", "y").held() == "-"


def test_controls_in_one_table() -> None:
    stops = [Stopped("INT", 0.1, 0.2, 1), Stopped("TERM", 0.1, 0.2, 1, ["a node"])]
    ours = beside.ours(Kills(done=9, live=5), stops)
    other = Beside("other", 6, 6, 6, 4, ["INT", "HUP"])
    lines = beside.table([ours, other]).splitlines()
    assert lines[2:] == [
        "| acpchaos | 9 | 5 | 0 | 2 | TERM |",
        "| other | 6 | 6 | 6 | 4 | INT, HUP |",
    ]
    assert lines[0].count("|") == lines[1].count("|") == piped(ours.words()).count("|")


def test_progress_is_told_now_and_then(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = iter([0.0, 1.0, 11.0, 12.0, 13.0])
    monkeypatch.setattr("safety.rows.time.monotonic", lambda: next(now))
    tell = progress("R6, kills", 9)
    for done in (1, 2, 3, 9):
        tell(done)
    said = capsys.readouterr().err.splitlines()
    assert said == ["  R6, kills: 2 of 9 after 11 s", "  R6, kills: 9 of 9 after 13 s"]
