"""The proofs of safety in one table, on the fake API server: python -m safety.matrix, from tests/.

Ends with 1 where a figure falls short of its bar. The numbers of the design are --r6 1000
--r7-rest 1 --r9 1000 --r10 100000; the defaults are the same proofs in some minutes.
"""

import argparse
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from safety import crash_points, fuzz, kills, races, signals

COLUMNS = "{:<4} {:<44} {:<46} {:<7} {}"
REVERTED_S = 2.0  # after a signal


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


def r6(count: int, seed: int) -> Iterator[Row]:
    with Metronome() as machine:
        seen = kills.kill_at_random(count, seed)
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
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**31)
    parser.add_argument("--only", default="", help="ids, comma-separated")
    given = parser.parse_args()
    proofs: dict[str, Callable[[], Iterator[Row]]] = {
        "R6": lambda: r6(given.r6, given.seed),
        "R7": lambda: r7(given.r7, given.r7_rest),
        "R8": r8,
        "R9": lambda: r9(given.r9),
        "R10": lambda: r10(given.r10),
    }
    wanted = given.only.split(",") if given.only else list(proofs)
    print(f"seed {given.seed}\n" + COLUMNS.format("id", "what", "bar", "", "seen"), flush=True)
    short = False
    for name in wanted:
        for row in proofs[name]():
            short |= bool(row.short)
            held = "short" if row.short else "held"
            print(COLUMNS.format(row.id, row.what, row.bar, held, row.seen), flush=True)
            for line in row.short[:10]:
                print(f"       {line}", flush=True)
    return int(short)


if __name__ == "__main__":
    sys.exit(main())
