"""A sealed run reads as before: from columns, after a kill at any step, whatever it holds."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from golden import records
from hypothesis import given, settings
from hypothesis import strategies as st

from acpchaos.check.judge import encode, judge, rejudge
from acpchaos.errors import UsageError
from acpchaos.record import history, seal
from acpchaos.record.columns import gathered, split
from acpchaos.record.events import AnyEvent, Clock, Gap, Observation, Phase, Request
from acpchaos.record.journal import Journal
from acpchaos.record.run import Run, RunFolder, load_run

from .test_record import meta, request


def written(path: Path, **journals: list[AnyEvent]) -> RunFolder:
    folder = RunFolder.create(path, records.meta())
    for name, events in journals.items():
        with folder.journal(name) as journal:
            for event in events:
                journal.write(event)
    return folder


def order(event: AnyEvent) -> tuple[int, str]:
    return event.t_ns, repr(event)


def told(folder: RunFolder) -> list[AnyEvent]:
    return sorted(load_run(folder.path).events, key=order)


times = st.integers(0, 2**50).map(lambda us: us * 1000) | st.integers(0, 2**62)
words = st.sampled_from(("", "a", "b-0", "b-00", "b-7", "b-12345678901", "-", "x-1", "é-3", "9"))
requests = st.builds(
    Request, t_ns=times, source=words, flow=words, step=words, intended_ns=times, start_ns=times,
    status=st.integers(0, 599), error=words, session=words | st.text(max_size=8),
)  # fmt: skip


@given(made=st.lists(requests, max_size=12))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_columns_and_the_file_give_every_request_back(
    made: list[Request], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("h") / "history.parquet"
    columns = gathered(made)
    assert sorted(columns.rows(), key=order) == sorted(made, key=order)
    assert [one.source for one in columns.rows()] == sorted(one.source for one in made)
    history.write(path, columns, {})
    assert history.read(path).rows() == columns.rows()
    assert gathered(reversed(made)).rows() == columns.rows(), "whatever order they came in"


@pytest.mark.parametrize(
    ("session", "parts"),
    [("h-47-17", ("h-47-", 17)), ("a-007", ("a-007", -1)), ("a-0", ("a-", 0)), ("17", ("", 17)),
     ("a-1234567890", ("a-1234567890", -1)), ("a-²", ("a-²", -1)), ("", ("", -1))],
)  # fmt: skip
def test_a_session_is_split_only_where_it_can_be_put_together(
    session: str, parts: tuple[str, int]
) -> None:
    assert split(session) == parts


def test_a_sealed_golden_run_gets_the_same_verdicts_byte_for_byte(tmp_path: Path) -> None:
    for build in (records.good, records.outage, records.recorder_gap, records.too_little_load):
        run = build()
        folder = written(tmp_path / build.__name__, all=run.events)
        before = told(folder)
        rejudge(folder.path)
        verdicts = folder.verdicts.read_bytes()
        seal.seal(folder.path)
        assert told(folder) == before
        rejudge(folder.path)
        assert folder.verdicts.read_bytes() == verdicts == encode(judge(run))


def test_moments_of_a_clock_are_kept_in_whole_microseconds(tmp_path: Path) -> None:
    clock = Clock()
    made = [request(clock.now_ns()) for _ in range(3)]
    assert all(one.t_ns % 1000 == 0 for one in made) and clock.ago_ns(0.1234567) % 1000 == 0
    steps = {"intended_ns": clock.ago_ns(0.5), "start_ns": clock.ago_ns(0.25)}
    folder = written(tmp_path / "r", load=[records.msgspec.structs.replace(made[0], **steps)])
    seal.seal(folder.path)
    (row,) = duckdb.sql(f"SELECT due_us, late_us, took_us FROM '{folder.history}'").fetchall()
    assert row[0] == steps["intended_ns"] // 1000 and 249_000 < row[1] < 251_000
    assert folder.history.stat().st_mode & 0o077 == folder.manifest.stat().st_mode & 0o077


def test_another_reader_reads_every_encoding(tmp_path: Path) -> None:
    made = [request(1_700_000_000_000_000_000 + n * 7_001_000) for n in range(3000)]
    made = [records.msgspec.structs.replace(one, intended_ns=one.t_ns - 9_000,
            start_ns=one.t_ns - 2_000 - n * 1000, session=f"w-{n}")
            for n, one in enumerate(made)]  # fmt: skip
    history.write(tmp_path / "h.parquet", gathered(made), {})
    found = duckdb.sql(
        f"SELECT (due_us + late_us + took_us) * 1000, session || session_no "
        f"FROM '{tmp_path}/h.parquet'"
    ).fetchall()
    assert sorted(found) == [(one.t_ns, one.session) for one in made]
    chunks = pq.read_metadata(tmp_path / "h.parquet").row_group(0)
    coded = {chunks.column(n).path_in_schema: chunks.column(n).encodings for n in range(10)}
    assert "DELTA_BINARY_PACKED" in coded["due_us"] and "BYTE_STREAM_SPLIT" in coded["took_us"]


def mixed() -> dict[str, list[AnyEvent]]:
    return {
        "load-a-1": [request(10), Gap(t_ns=12, recorder="load", from_ns=11, why="x"), request(20)],
        "prober-2": [request(15)],
        "play": [Phase(t_ns=1, name="gate"), Phase(t_ns=90, name="end")],
    }


def torn_folder(path: Path) -> RunFolder:
    folder = written(path, **mixed())
    file = folder.events / "load-a-1.ndjson"
    file.write_bytes(file.read_bytes()[:-9])
    return folder


def test_what_else_a_sealed_journal_told_is_kept_and_its_torn_end_stays_a_gap(
    tmp_path: Path,
) -> None:
    folder = torn_folder(tmp_path / "r")
    before = told(folder)
    assert [(e.from_ns, e.t_ns) for e in before if isinstance(e, Gap)] == [(11, 12), (12, 90)]
    seal.seal(folder.path)
    assert told(folder) == before
    names = sorted(file.name for file in folder.events.iterdir())
    assert names == ["load-a-1.rest.ndjson", "play.ndjson"]
    seal.seal(folder.path)
    assert told(folder) == before, "sealing again changes nothing"


class Killed(BaseException):
    """SIGKILL: nothing after it runs."""


@pytest.mark.parametrize("step", range(12))
def test_killed_at_any_step_the_folder_reads_the_same(
    step: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = torn_folder(tmp_path / "r")
    before, done = told(folder), [0]

    def mortal(act: Callable[..., Any]) -> Callable[..., Any]:
        def acted(*args: Any, **named: Any) -> Any:
            done[0] += 1
            if done[0] > step:
                raise Killed
            return act(*args, **named)

        return acted

    with monkeypatch.context() as patch:
        for name in ("replace", "unlink", "write_bytes"):
            patch.setattr(Path, name, mortal(getattr(Path, name)))
        patch.setattr(os, "fsync", mortal(os.fsync))
        try:
            seal.write_history(folder)
        except Killed:
            assert done[0] == step + 1
        else:
            assert done[0] <= step
    assert told(folder) == before
    seal.seal(folder.path)
    assert told(folder) == before and seal.verify(folder.path) == []


def test_a_journal_begun_anew_after_sealing_is_read_and_kept(tmp_path: Path) -> None:
    folder = written(tmp_path / "r", **mixed())
    seal.seal(folder.path)
    late = [request(70), Observation(t_ns=71, when="after", name="x", value=1)]
    with folder.journal("load-a-1") as journal:
        for event in late:
            journal.write(event)
    before = told(folder)
    assert [event for event in late if event not in before] == []
    assert seal.verify(folder.path) == ["events/load-a-1.ndjson was added after sealing"]
    seal.seal(folder.path)
    assert told(folder) == before


def test_a_history_of_an_older_version_is_a_copy_and_is_not_counted_twice(tmp_path: Path) -> None:
    folder = written(tmp_path / "r", **mixed())
    pq.write_table(pa.table({"source": ["load"], "end_ns": [10]}), folder.history)
    assert len(load_run(folder.path).requests()) == 3
    seal.seal(folder.path)
    assert len(load_run(folder.path).requests()) == 3


def test_a_history_that_cannot_be_read_is_said_to_be(tmp_path: Path) -> None:
    folder = written(tmp_path / "r", **mixed())
    seal.seal(folder.path)
    folder.history.write_bytes(folder.history.read_bytes()[:-40])
    with pytest.raises(UsageError, match=r"read .*history\.parquet"):
        load_run(folder.path)


def test_a_run_of_events_and_a_run_of_columns_are_the_same(tmp_path: Path) -> None:
    events = records.good_events()
    apart = [event for event in events if not isinstance(event, Request)]
    columns = gathered(event for event in events if isinstance(event, Request))
    one, two = Run(meta(), events), Run(meta(), apart, columns)
    assert sorted(two.events, key=order) == sorted(one.events, key=order)
    assert (two.end_ns, two.phase("fault")) == (one.end_ns, one.phase("fault"))


def test_a_journal_without_requests_stays_as_it_is(tmp_path: Path) -> None:
    folder = written(tmp_path / "r", play=mixed()["play"])
    before = (folder.events / "play.ndjson").read_bytes()
    seal.seal(folder.path)
    assert (folder.events / "play.ndjson").read_bytes() == before
    with Journal(folder.events / "more.ndjson") as journal:
        journal.write(request(5))
    seal.seal(folder.path)
    assert [one.t_ns for one in load_run(folder.path).requests()] == [5]
