"""The one table: every row is there and told as it comes, and one missed bar, or a benchmark that
broke, is an exit code of 1 and hides no other."""

import pytest

import benchmarks.__main__ as bench
from benchmarks.table import Row

ASKED = ("P1", "P2", "P3", "P4", "P6", "P7", "P8", "P10", "R1", "R2")  # by issue 5


def row(name, met):
    return Row(name, "what [it] is", "1 s", "0.5 s", "0.7 s", met)


@pytest.fixture
def run(monkeypatch, capsys):
    """(exit code, table, what was told aside) of benchmarks that give these rows."""

    def ran(made, *words):
        each = {
            name: bench.Benchmark(60, lambda _, rows=rows: rows()) for name, rows in made.items()
        }
        monkeypatch.setattr(bench, "BENCHMARKS", each)
        code = bench.main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return ran


def broken():
    raise RuntimeError("too busy a machine")


def met():
    return [row("P1", True)]


def missed():
    return [row("P2", True), row("P2", False)]


def test_every_row_is_there():
    assert set(ASKED) < set(bench.BENCHMARKS)


@pytest.mark.parametrize(
    ("made", "code"),
    [
        ({"P1": met}, 0),
        ({"P1": met, "P2": missed}, 1),
        ({"P1": broken, "P2": met}, 1),
        ({"P1": lambda: []}, 1),
    ],
)
def test_what_is_missed_or_not_measured_is_an_exit_code(run, made, code):
    assert run(made)[0] == code


def test_what_broke_is_told_and_the_others_go_on(run):
    _, table, aside = run({"P1": broken, "P2": missed})
    assert "too busy a machine" in table and "not measured" in table
    assert table.count("missed") == 2 and "what [it] is" in table
    assert "about 2 min" in aside and "P2  0.7 s (bar 1 s): met" in aside


def test_only_what_is_asked_for_runs(run):
    code, table, _ = run({"P1": met, "P2": broken}, "P1")
    assert code == 0 and "P2" not in table
    with pytest.raises(SystemExit):
        run({"P1": met}, "P9")
