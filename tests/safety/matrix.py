"""The proofs of safety in one table, on the fake API server: python -m safety.matrix, from tests/.

Ends with 1 where a figure falls short of its bar. The numbers of the design are --r6 1000
--r7-rest 1 --r9 1000 --r10 100000; the defaults are the same proofs in some minutes.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

from acpchaos.target.profile import PROJECT
from safety import controls, crash_points, fuzz, kills, races, signals

COLUMNS = "{:<4} {:<44} {:<46} {:<7} {}"
REVERTED_S = 2.0  # after a signal
SABOTAGES = 50
SPOILED = "sabotaged or half_done or hangs"  # tests of tests/faults/test_sabotage.py


class Metronome:
    """How late this machine wakes a thread that naps: what a busy machine adds to every time is not
    the product's, so bars in seconds are widened by it, and the table tells by how much."""

    def __init__(self) -> None:
        self.late_s, self._stop = 0.0, threading.Event()
        self._thread = threading.Thread(target=self._nap, daemon=True)

    def _nap(self) -> None:
        while not self._stop.is_set():
            begun_s = time.monotonic()
            self._stop.wait(0.01)
            self.late_s = max(self.late_s, time.monotonic() - begun_s - 0.01)

    def __str__(self) -> str:
        return f"machine late by {self.late_s:.2f} s"

    def __enter__(self) -> "Metronome":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


@dataclass(frozen=True)
class Row:
    """One figure against its bar; `short` says what falls short, line by line."""

    id: str
    what: str
    bar: str
    seen: str
    short: list[str] = field(default_factory=list)


def r3() -> Iterator[Row]:
    """Counted by pytest itself, in a process of its own: a sabotage that is judged installed is a
    test that fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "r3.xml"
        subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={path}",
             "tests/faults/test_sabotage.py", "-k", SPOILED],
            cwd=PROJECT, capture_output=True, check=False,
        )  # fmt: skip
        cases = list(ElementTree.parse(path).iter("testcase"))
    bad = [case.get("name", "") for case in cases if len(case.findall("*")) > 0]
    short = [f"judged installed, or not judged: {name}" for name in bad]
    if len(cases) < SABOTAGES:
        short.append(f"only {len(cases)} sabotaged injectors")
    yield Row(
        "R3", "sabotaged injectors", f"at least {SABOTAGES}, none survived",
        f"{len(cases)} sabotaged, {len(cases) - len(bad)} judged not installed or partial", short,
    )  # fmt: skip


def r6(count: int, seed: int, workers: int) -> Iterator[Row]:
    with Metronome() as machine:
        seen = kills.kill_at_random(count, seed, workers)
    most_s = kills.TTL_S + kills.GRACE_S
    worst_s = max(seen.late_s, default=0.0)
    late = [
        f"{label}: {each:.2f} s"
        for label, each in zip(seen.labels, seen.late_s, strict=True)
        if each > most_s + machine.late_s
    ]
    if seen.live < count / 4:
        late.append(f"only {seen.live} kills found a fault live")
    yield Row(
        "R6", "SIGKILL of runner, reaper, both, API away", f"0 left, back within {most_s:g} s",
        f"{seen.done} kills, {seen.live} live, {len(seen.left)} left, back after "
        f"{statistics.median(seen.late_s or [0]):.2f} s, at most {worst_s:.2f} s ({machine})",
        seen.left + seen.broken + late,
    )  # fmt: skip


def r7(every: int, sparse: int) -> Iterator[Row]:
    steps = dict.fromkeys(crash_points.FAULTS, every) | dict.fromkeys(
        crash_points.CATALOGUE, sparse
    )
    for name, step in steps.items():
        seen = crash_points.enumerate_crashes(name, step)
        clean = seen.points - len({each.split(" ")[0] for each in seen.dirty})
        yield Row(
            "R7", f"crash at {'every' if step == 1 else f'each {step}th'} call and write: {name}",
            "100 % clean, journal = server's log",
            f"{clean} of {seen.points} clean, {len(seen.unmatched)} unmatched, "
            f"{len(seen.broken)} chains broken",
            seen.dirty + seen.unmatched + seen.broken + ([] if seen.points else ["no point"]),
        )  # fmt: skip


def r8() -> Iterator[Row]:
    for way in signals.WAYS:
        with Metronome() as machine:
            seen = signals.stop(way)
        short = list(seen.left)
        if seen.clean_s > REVERTED_S + machine.late_s:
            short.append(f"{seen.clean_s:.1f} s until it was clean")
        if seen.code == 0:
            short.append("a stopped play ended with 0")
        yield Row(
            "R8", f"stopped in a drain by {way}", f"reverted within {REVERTED_S:g} s",
            f"clean after {seen.clean_s:.2f} s, ended after {seen.ended_s:.1f} s with {seen.code}",
            short,
        )  # fmt: skip


def r9(count: int) -> Iterator[Row]:
    with Metronome() as machine:
        seen = races.play(count)
    late = seen.refusal_s > 1 + machine.late_s
    slow = [f"refused after {seen.refusal_s:.2f} s"] if late else []
    yield Row(
        "R9", "races of two runs for one target", "0 double holders, refused within 1 s",
        f"{seen.run} races, {seen.won} held, {len(seen.double)} double, refused within "
        f"{seen.refusal_s:.2f} s ({machine})", seen.double + seen.odd + slow,
    )  # fmt: skip


def beside(count: int, seed: int) -> Iterator[Row]:
    """How others leave the same target: no bar, only what was seen."""
    for tool in controls.TOOLS:
        kills_seen, stops = controls.kill(tool, count, seed), controls.stop(tool)
        yield Row(
            "R6", f"control: {tool}", "",
            f"{kills_seen.done} kills, {kills_seen.live} live, {len(kills_seen.left)} left",
        )  # fmt: skip
        ways = ", ".join(each.partition(":")[0] for each in stops.left)
        yield Row(
            "R8", f"control: {tool}", "",
            f"{stops.done} ways to stop, {len(stops.left)} left{f' ({ways})' if ways else ''}",
        )  # fmt: skip


def r10(count: int) -> Iterator[Row]:
    seen = fuzz.run(count, max(20, count // 500))
    yield Row(
        "R10", "fuzzed selectors, profiles, targets, arguments", "0 changes outside, all say why",
        f"{seen.examples} examples, {seen.refused} refused, {len(seen.outside)} outside, "
        f"{len(seen.silent)} without a reason", seen.outside + seen.silent,
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--r6", type=int, default=24, help="random kills")
    parser.add_argument("--r7", type=int, default=1, help="every n-th crash point")
    parser.add_argument("--r7-rest", type=int, default=29, help="the same for other faults")
    parser.add_argument("--r9", type=int, default=200, help="races")
    parser.add_argument("--r10", type=int, default=20_000, help="fuzzed selectors")
    parser.add_argument("--controls", type=int, default=6, help="kills of each other tool")
    parser.add_argument("--workers", type=int, default=2, help="kills beside each other")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**31)
    parser.add_argument("--only", default="", help="ids, comma-separated")
    given = parser.parse_args()
    proofs: dict[str, Callable[[], Iterator[Row]]] = {
        "R3": r3,
        "R6": lambda: r6(given.r6, given.seed, given.workers),
        "R7": lambda: r7(given.r7, given.r7_rest),
        "R8": r8,
        "R9": lambda: r9(given.r9),
        "R10": lambda: r10(given.r10),
        "controls": lambda: beside(given.controls, given.seed),
    }
    wanted = given.only.split(",") if given.only else list(proofs)
    print(f"seed {given.seed}\n" + COLUMNS.format("id", "what", "bar", "", "seen"), flush=True)
    short = False
    for name in wanted:
        for row in proofs[name]():
            short |= show(row)
    return int(short)


def show(row: Row) -> bool:
    """Print one row with what falls short; whether anything does. A control holds no bar."""
    held = "short" if row.short else "held" if row.bar else "-"
    print(COLUMNS.format(row.id, row.what, row.bar, held, row.seen), flush=True)
    for line in row.short[:10]:
        print(f"       {line}", flush=True)
    return bool(row.short)


if __name__ == "__main__":
    sys.exit(main())
