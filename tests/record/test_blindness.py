"""Whatever interrupts the timeline's view is a gap of its true length, to the end if need be."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from acpchaos.record import shapes
from acpchaos.record.events import Gap, Pod
from acpchaos.record.journal import Journal, read_journal
from acpchaos.record.timeline import Timeline
from acpchaos.target.watching import Change, Shape

WHOLE: Change[Any] = Change("SYNCED")
POD: Change[Any] = Change("ADDED", msgspec.convert({"metadata": {"name": "p"}}, shapes.Pod))
S = 1_000_000_000


class Crash(Exception):
    """Of a recorder."""


def gaps(path: Path, script: list[Any]) -> list[Gap]:
    """Gaps of a timeline whose watch of pods tells the script, then nothing until it is stopped."""
    done = threading.Event()

    def watch(
        kind: str, namespace: str, stop: threading.Event, shape: type[Shape]
    ) -> Iterator[Change[Any]]:
        yield WHOLE
        for step in script if kind == "pods" else ():
            if isinstance(step, Exception):
                done.set()
                raise step
            if isinstance(step, float):
                stop.wait(step)
            else:
                yield step
        if kind == "pods":
            done.set()
        stop.wait(10)

    with Journal(path / "cluster.ndjson") as journal:
        timeline = Timeline(watch, "n", journal)
        timeline.start(30)
        assert done.wait(30)
        timeline.stop()
    events = read_journal(journal.path).events
    assert all(isinstance(event, Gap | Pod) for event in events)
    return [event for event in events if isinstance(event, Gap)]


def length_s(gap: Gap) -> float:
    return (gap.t_ns - gap.from_ns) / S


def test_without_a_loss_there_is_no_gap(tmp_path: Path) -> None:
    assert gaps(tmp_path, [POD, WHOLE, POD]) == []


@pytest.mark.parametrize(
    ("missed", "least_s", "most_s"), [(False, 0.1, 8.0), (True, 12.1, 20.0)], ids=["seen", "missed"]
)
def test_a_loss_counts_from_itself_or_from_the_last_word_where_something_escaped(
    missed: bool, least_s: float, most_s: float, tmp_path: Path
) -> None:
    lost: Change[Any] = Change("LOST", why="reset", quiet_s=12.0)
    (gap,) = gaps(tmp_path, [lost, 0.1, POD, Change("SYNCED", missed=missed)])
    assert least_s <= length_s(gap) < most_s
    assert (gap.recorder, gap.why) == ("timeline-pods", "watch lost: reset")


def test_what_is_lost_when_the_record_ends_was_lost_until_then(tmp_path: Path) -> None:
    (gap,) = gaps(tmp_path, [Change("LOST", why="refused"), 0.2])
    assert length_s(gap) >= 0.2 and gap.why == "watch lost: refused"


def test_a_recorder_that_fell_over_is_blind_from_then_on_and_says_why(tmp_path: Path) -> None:
    (gap,) = gaps(tmp_path, [POD, Crash("out of paper")])
    assert gap.why == "the recorder failed: Crash: out of paper"
