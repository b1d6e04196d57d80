"""The record survives what kills its writers, and a sealed folder cannot change unseen."""

import threading
from pathlib import Path

import duckdb
import msgspec
import pytest

from acpchaos.errors import UsageError
from acpchaos.record.events import Gap, Health, Phase, Request
from acpchaos.record.journal import Journal, read_journal
from acpchaos.record.run import RunFolder, RunMeta, checkout_state, load_run
from acpchaos.record.seal import seal, verify
from acpchaos.scenario import Load, Scenario


def meta(run_id: str = "r1") -> RunMeta:
    return RunMeta(
        run_id=run_id,
        seed=7,
        started_ns=0,
        commit="c0ffee",
        dirty=False,
        argv=("acpchaos",),
        target={"name": "kind"},
        versions={"acpchaos": "0"},
        scenario=Scenario(
            name="pod loss",
            load=Load(rate_per_s=10, mix={"client_credentials": 1}),
            experiment="experiments/pod-loss.yaml",
            steady_s=1,
            fault_s=1,
            recovery_s=1,
            claims=(),
        ),
    )


def request(t_ns: int, error: str = "") -> Request:
    return Request(
        t_ns=t_ns,
        source="load",
        flow="client_credentials",
        step="token",
        intended_ns=t_ns - 2,
        start_ns=t_ns - 1,
        status=0 if error else 200,
        error=error,
    )


def test_each_event_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = [
        Phase(t_ns=1, name="gate"),
        Health(t_ns=2, when="before", what="pods", ok=True, saw="3 of 3"),
        request(5, "timeout"),
    ]
    with Journal(tmp_path / "load.ndjson") as journal:
        for event in written:
            journal.write(event)
    assert read_journal(tmp_path / "load.ndjson") == (written, None)


def test_threads_never_mix_their_lines(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "load.ndjson")

    def write(first: int) -> None:
        for t_ns in range(first, first + 200):
            journal.write(request(t_ns))

    threads = [threading.Thread(target=write, args=(1000 * n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events, torn = read_journal(journal.path)
    assert torn is None
    assert len({event.t_ns for event in events}) == 800


def test_a_torn_tail_becomes_a_gap_until_the_end_of_the_run(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", meta())
    with folder.journal("prober") as journal:
        journal.write(request(10))
        journal.write(request(20))
    file = folder.events / "prober.ndjson"
    file.write_bytes(file.read_bytes()[:-9])
    with folder.journal("play") as journal:
        journal.write(Phase(t_ns=90, name="end"))
    gaps = load_run(folder.path).of(Gap)
    assert [(gap.recorder, gap.from_ns, gap.t_ns) for gap in gaps] == [("prober", 10, 90)]


def test_a_writer_that_comes_back_loses_only_the_torn_line(tmp_path: Path) -> None:
    file = tmp_path / "load.ndjson"
    with Journal(file) as journal:
        journal.write(request(10))
        journal.write(request(20))
    file.write_bytes(file.read_bytes()[:-9])
    with Journal(file) as journal:
        journal.write(request(30))
    events, torn = read_journal(file)
    assert torn is None
    assert [type(event).__name__ for event in events] == ["Request", "Gap", "Request"]
    gap = events[1]
    assert isinstance(gap, Gap) and (gap.from_ns, gap.t_ns) == (10, 30)


def test_an_unknown_kind_of_event_is_a_gap_not_a_crash(tmp_path: Path) -> None:
    file = tmp_path / "x.ndjson"
    file.write_text('{"kind":"phase","t_ns":1,"name":"gate"}\n{"kind":"novel","t_ns":2}\n')
    events, torn = read_journal(file)
    assert (len(events), torn) == (1, 1)


def test_phases_run_until_the_next_and_the_last_until_the_record_ends(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", meta())
    with folder.journal("play") as journal:
        journal.write(Phase(t_ns=10, name="steady"))
        journal.write(Phase(t_ns=20, name="fault"))
        journal.write(request(33))
    run = load_run(folder.path)
    assert run.phase("steady") == (10, 20)
    assert run.phase("fault") == (20, 33)
    assert run.phase("recovery") is None
    assert run.requests("load", "client_credentials") == [request(33)]
    assert run.requests("prober") == []


def test_a_folder_holds_one_run_only(tmp_path: Path) -> None:
    RunFolder.create(tmp_path, meta())
    with pytest.raises(UsageError, match="already holds a run"):
        RunFolder.create(tmp_path, meta("r2"))


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"run\.json"):
        load_run(tmp_path)


def test_the_seal_shows_every_change(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", meta())
    with folder.journal("load") as journal:
        for t_ns in (30, 10, 20):
            journal.write(request(t_ns, "reset" if t_ns == 20 else ""))
    seal(folder.path)
    assert verify(folder.path) == []
    rows = duckdb.sql(f"SELECT due_ns, late_ns, took_ns, error FROM '{folder.history}'").fetchall()
    assert rows == [(8, 1, 1, ""), (18, 1, 1, "reset"), (28, 1, 1, "")]
    assert list(folder.events.iterdir()) == [], "nothing is kept twice"

    with folder.journal("load") as journal:
        journal.write(request(40))
    (folder.path / "late.txt").write_text("x")
    folder.history.unlink()
    assert verify(folder.path) == [
        "events/load.ndjson was added after sealing",
        "history.parquet is missing",
        "late.txt was added after sealing",
    ]


def test_a_run_without_requests_can_be_sealed(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", meta())
    seal(folder.path)
    assert duckdb.sql(f"SELECT count(*) FROM '{folder.history}'").fetchall() == [(0,)]


def test_an_unsealed_folder_says_so(tmp_path: Path) -> None:
    RunFolder.create(tmp_path / "run", meta())
    assert verify(tmp_path / "run") == ["manifest.json is missing: the run was never sealed"]


def test_run_json_round_trips(tmp_path: Path) -> None:
    folder = RunFolder.create(tmp_path / "run", meta())
    assert folder.meta() == meta()
    assert msgspec.json.decode(folder.run_json.read_bytes())["scenario"]["name"] == "pod loss"


def test_outside_a_checkout_the_commit_is_unknown(tmp_path: Path) -> None:
    assert checkout_state(tmp_path) == ("unknown", True)
