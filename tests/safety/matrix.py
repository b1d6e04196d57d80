"""The proofs of safety in one table, on the fake API server: python -m safety.matrix, from tests/.

Ends with 1 where a figure falls short of its bar. The numbers of the design are --full; the
defaults are the same proofs in some minutes. --markdown prints tables that the README can carry.
"""

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from xml.etree import ElementTree

from acpchaos.target.profile import PROJECT
from safety import beside, crash_points, fuzz, granted, kills, races, signals, starts
from safety.rows import Metronome, Row, head, progress, show

REVERTED_S = 2.0  # after a signal
SABOTAGES = 50
SPOILED = "sabotaged or half_done or hangs"  # tests of tests/faults/test_sabotage.py
MEMORY = Path("/dev/shm")  # processes die here, not the machine: nothing has to reach a disk
USUAL = {"r6": 24, "r7": 1, "r7_rest": 29, "r9": 200, "r10": 20_000, "r13": 100, "controls": 6}
FULL = {"r6": 1000, "r7": 1, "r7_rest": 1, "r9": 1000, "r10": 100_000, "r13": 1000, "controls": 12}
NUMBERS = {
    "r6": "random kills", "r7": "every n-th crash point of three faults",
    "r7_rest": "the same of all others", "r9": "races", "r10": "fuzzed selectors",
    "r13": "random starts", "controls": "kills of each other tool",
}  # fmt: skip


class Proofs:
    """Each proof gives its rows; what R6 and R8 saw is kept for the table of controls."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.killed: kills.Kills | None = None
        self.stopped: list[signals.Stopped] = []

    def r3(self) -> Iterator[Row]:
        """Counted by pytest itself, in a process of its own: a sabotage that is judged installed is
        a test that fails."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "r3.xml"
            subprocess.run(
                [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
                 f"--junitxml={path}", "tests/faults/test_sabotage.py", "-k", SPOILED],
                cwd=PROJECT, capture_output=True, check=False,
            )  # fmt: skip
            cases = list(ElementTree.parse(path).iter("testcase"))
        bad = [case.get("name", "") for case in cases if len(case.findall("*")) > 0]
        short = [f"judged installed, or not judged: {name}" for name in bad]
        if len(cases) < SABOTAGES:
            short.append(f"only {len(cases)} sabotaged injectors")
        yield Row(
            "R3", "sabotaged injectors", f"at least {SABOTAGES}, none survived",
            f"{len(cases)} sabotaged, {len(cases) - len(bad)} judged not installed or partial",
            short,
        )  # fmt: skip

    def r6(self) -> Iterator[Row]:
        count = self.given.r6
        with Metronome() as machine:
            tell = progress("R6, kills", count)
            seen = kills.kill_at_random(count, self.given.seed, self.given.beside, tell)
        self.killed = seen
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

    def r7(self) -> Iterator[Row]:
        """One fault after the other in each process; rows come as faults are done."""
        steps = dict.fromkeys(crash_points.FAULTS, self.given.r7)
        steps |= dict.fromkeys(crash_points.CATALOGUE, self.given.r7_rest)
        tell, done = progress("R7, faults", len(steps)), 0
        spawn = multiprocessing.get_context("spawn")  # threads of a server would be lost in a fork
        with ProcessPoolExecutor(self.given.workers, mp_context=spawn) as pool:
            running = {
                pool.submit(crash_points.enumerate_crashes, name, step): (name, step)
                for name, step in steps.items()
            }
            for future in as_completed(running):
                done += 1
                tell(done)
                name, step = running[future]
                if error := future.exception():
                    yield Row("R7", name, "100 % clean", "was not played to its end", [repr(error)])
                else:
                    yield _crashes(name, step, future.result())
        missing = crash_points.never_crashed()
        yield Row(
            "R7", "faults of the catalogue whose crashes are played", "every one",
            f"{len(steps)} faults, {len(missing)} missing",
            [f"never crashed: {name}" for name in missing],
        )  # fmt: skip

    def r8(self) -> Iterator[Row]:
        for way in signals.WAYS:
            with Metronome() as machine:
                seen = signals.stop(way)
            self.stopped.append(seen)
            short = list(seen.left)
            if seen.clean_s > REVERTED_S + machine.late_s:
                short.append(f"{seen.clean_s:.1f} s until it was clean")
            if seen.code == 0:
                short.append("a stopped play ended with 0")
            yield Row(
                "R8", f"stopped in a drain by {way}", f"reverted within {REVERTED_S:g} s",
                f"clean after {seen.clean_s:.2f} s, ended after {seen.ended_s:.1f} s with "
                f"{seen.code}", short,
            )  # fmt: skip

    def r9(self) -> Iterator[Row]:
        with Metronome() as machine:
            seen = races.play(self.given.r9, progress("R9, races", self.given.r9))
        late = seen.refusal_s > 1 + machine.late_s
        slow = [f"refused after {seen.refusal_s:.2f} s"] if late else []
        yield Row(
            "R9", "races of two runs for one target", "0 double holders, refused within 1 s",
            f"{seen.run} races, {seen.won} held, {len(seen.double)} double, refused within "
            f"{seen.refusal_s:.2f} s ({machine})", seen.double + seen.odd + slow,
        )  # fmt: skip

    def r10(self) -> Iterator[Row]:
        count, few = self.given.r10, max(20, self.given.r10 // 500)
        tell = progress("R10, examples", count + count // 10 + 2 * few)
        seen = fuzz.run(count, few, tell)
        yield Row(
            "R10", "fuzzed selectors, profiles, targets, arguments",
            "0 changes outside, all say why",
            f"{seen.examples} examples, {seen.refused} refused, {len(seen.outside)} outside, "
            f"{len(seen.silent)} without a reason", seen.outside + seen.silent,
        )  # fmt: skip

    def r13(self) -> Iterator[Row]:
        seen = starts.begin(self.given.r13, self.given.seed, progress("R13", self.given.r13))
        short = seen.injected + seen.idle
        yield Row(
            "R13", "starts with a precondition of recovery unmet", "none injected",
            f"{seen.done} starts, {seen.done - seen.whole} of them unmet, {seen.refused} refused; "
            f"{seen.played} of {seen.whole} whole targets struck",
            short if seen.whole else [*short, "no start on a whole target"],
        )  # fmt: skip

    def rbac(self) -> Iterator[Row]:
        seen = granted.compare()
        yield Row(
            "RBAC", "rights that whole plays were granted and used", "granted = used",
            f"{seen.plays} experiments, {seen.rights} rights, {len(seen.missing)} missing, "
            f"{len(seen.unused)} unused", seen.missing + seen.unused,
        )  # fmt: skip

    def controls(self) -> Iterator[Row]:
        """No bars: how others leave the same target, beside what R6 and R8 saw of this one."""
        count, seed = self.given.controls, self.given.seed
        if self.killed is None:
            self.killed = kills.kill_at_random(count, seed, self.given.beside)
        if not self.stopped:
            self.stopped = [signals.stop(way) for way in signals.WAYS]
        rows = [beside.ours(self.killed, self.stopped)]
        rows += beside.others(count, seed, progress("controls, tools", 3))
        print(f"\n{beside.table(rows)}\n", flush=True)
        yield from ()


def _crashes(name: str, step: int, seen: crash_points.Tally) -> Row:
    clean = seen.points - len({each.split(" ")[0] for each in seen.dirty})
    return Row(
        "R7", f"crash at {'every' if step == 1 else f'each {step}th'} call and write: {name}",
        "100 % clean, journal = server's log",
        f"{clean} of {seen.points} clean, {len(seen.unmatched)} unmatched, "
        f"{len(seen.broken)} chains broken",
        seen.dirty + seen.unmatched + seen.broken + ([] if seen.points else ["no point"]),
    )  # fmt: skip


def asked(argv: list[str]) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--full", action="store_true", help=f"the numbers of the design: {FULL}")
    for name, what in NUMBERS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help=what)
    parser.add_argument("--workers", type=int, default=2, help="processes of R7")
    parser.add_argument("--beside", type=int, default=6, help="kills beside each other; they wait")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**31)
    parser.add_argument("--only", default="", help="ids, comma-separated")
    parser.add_argument("--markdown", action="store_true")
    given = parser.parse_args(argv)
    for name, number in (FULL if given.full else USUAL).items():
        if getattr(given, name) is None:
            setattr(given, name, number)
    return given


def main(argv: list[str]) -> int:
    given = asked(argv)
    proofs = Proofs(given)
    known: dict[str, Callable[[], Iterator[Row]]] = {
        "R3": proofs.r3, "R6": proofs.r6, "R7": proofs.r7, "R8": proofs.r8, "R9": proofs.r9,
        "R10": proofs.r10, "R13": proofs.r13, "RBAC": proofs.rbac, "controls": proofs.controls,
    }  # fmt: skip
    print(f"seed {given.seed}\n\n{head(markdown=given.markdown)}", flush=True)
    short = False
    for name in given.only.split(",") if given.only else known:
        for row in known[name]():
            short |= show(row, markdown=given.markdown)
    return int(short)


if __name__ == "__main__":
    if os.access(MEMORY, os.W_OK):
        tempfile.tempdir = os.environ["TMPDIR"] = str(MEMORY)
    sys.exit(main(sys.argv[1:]))
