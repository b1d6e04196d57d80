"""R1 and R2: does the prober with the outage check tell the truth about outages, and about none?

Ground truth is the process that breaks the server, on the same clock. Lanes, each a server and a
prober, run side by side. An end at which the machine itself stood still (benchmarks/stalls.py) must
hold the truth as any other, but its distance is told apart, since no prober could have been nearer.
"""

import math
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from acpchaos.check.outage import Outage, Span, read
from acpchaos.check.window import NS_PER_S, Window
from acpchaos.load.prober import Plan, Probe
from acpchaos.record.events import Clock, Request
from acpchaos.record.journal import read_journal
from acpchaos.target.client_auth import Account
from acpchaos.wait import eventually, pause_until
from benchmarks.breakable import CLOSE, FREEZE, Served, breakable
from benchmarks.machine import PROJECT, pinned
from benchmarks.stalls import longest_s, stalls
from benchmarks.table import Row

RATE_PER_S = 200
WITHIN_S = 0.010
SHORTEST_S, LONGEST_S = 0.05, 10.0
LANES = 2
SETTLE_S = 1.1  # probes that began in an outage end with their timeout of 1 s
STEADY_S = 0.8  # where the reaction is learnt, before each outage
START_S = 60.0
MOST_APART = 0.2  # more ends than that share were those of a stalled machine: it proves too little
SEGMENT_S = 600.0
R2_STEADY_S = 20.0

NS_AROUND = NS_PER_S // 20


class Trial(NamedTuple):
    """One outage as it was made: `begin` and `end` by whoever made it; steady before it."""

    how: str
    steady: Window
    begin: Span
    end: Span


class Told(NamedTuple):
    """What the record says of a trial: the outage that overlaps it, and others that were none."""

    trial: Trial
    outage: Outage | None
    others: list[Outage]

    @property
    def ends(self) -> list[tuple[Span, Span]]:
        """(what was read, truth), for begin and end."""
        if self.outage is None:
            return []
        return [(self.outage.begin, self.trial.begin), (self.outage.end, self.trial.end)]


def held(seen: Span, truth: Span) -> bool:
    """Whether the truth can lie within the bounds."""
    return seen.from_ns <= truth.until_ns and truth.from_ns <= seen.until_ns


def off_s(seen: Span, truth: Span) -> float:
    """How far the farther bound lies from the truth."""
    middle_ns = (truth.from_ns + truth.until_ns) / 2
    return max(abs(seen.from_ns - middle_ns), abs(seen.until_ns - middle_ns)) / NS_PER_S


def told(trial: Trial, requests: list[Request]) -> Told:
    """Read the record around a trial as the judge reads a run's."""
    after_ns = trial.end.until_ns + int(SETTLE_S * NS_PER_S)
    near = [r for r in requests if trial.steady.begin_ns <= r.intended_ns < after_ns]
    reading = read(near, Window(trial.steady.end_ns, after_ns), trial.steady)
    found = reading.outages if reading else ()
    true = [one for one in found if _overlaps(one, trial)]
    chosen = max(true, key=lambda one: one.most_s, default=None)
    return Told(trial, chosen, [one for one in found if one is not chosen])


def _overlaps(outage: Outage, trial: Trial) -> bool:
    return outage.begin.from_ns <= trial.end.until_ns and trial.begin.from_ns <= outage.end.until_ns


def lengths_s(count: int, seed: int) -> list[float]:
    """Log-uniform: as many around 0.1 s as around 5 s."""
    dice = random.Random(seed)
    low, high = math.log(SHORTEST_S), math.log(LONGEST_S)
    return [math.exp(dice.uniform(low, high)) for _ in range(count)]


def run(count: int, seed: int = 1) -> list[Row]:
    """The row of R1; seconds for each outage, on LANES lanes at once."""
    with stalls() as late, ThreadPoolExecutor(LANES) as pool:
        shares = [lengths_s(count, seed)[lane::LANES] for lane in range(LANES)]
        seen = [one for lane in pool.map(_lane, shares, range(LANES)) for one in lane]
    return [row(seen, late)]


def _lane(lengths: list[float], number: int, rate_per_s: float = RATE_PER_S) -> list[Told]:
    """The outages of one lane, made one after the other, then read from its record."""
    dice, clock = random.Random(number), Clock()
    with breakable(clock) as server, probed(server, rate_per_s) as requests:
        trials = [_made(server, clock, length_s, dice) for length_s in lengths]
        pause_until(time.monotonic() + SETTLE_S)
    return [told(trial, requests) for trial in trials]


def _made(server: Served, clock: Clock, length_s: float, dice: random.Random) -> Trial:
    pause_until(time.monotonic() + SETTLE_S)
    steady_ns = clock.now_ns()
    pause_until(time.monotonic() + STEADY_S + dice.uniform(0, 0.2))
    how = dice.choice((FREEZE, CLOSE))
    steady = Window(steady_ns, clock.now_ns() - NS_AROUND)
    begin = server.stop(how)
    pause_until(time.monotonic() + length_s)
    return Trial(how, steady, begin, server.go_on(how))


def row(seen: list[Told], late: list[Window]) -> Row:
    """Every outage found, none more, each truth within its bounds, and both bounds near it."""
    missed = sum(one.outage is None for one in seen)
    false = [other for one in seen for other in one.others if not _explained(other, late)]
    ends = [(one.trial, *end) for one in seen for end in one.ends]
    lied = sum(not held(read, truth) for _, read, truth in ends)
    fair = [off_s(read, truth) for trial, read, truth in ends if not _stalled(trial, truth, late)]
    worst_s = max(fair, default=math.inf)
    apart = len(ends) - len(fair)
    met = not missed and not false and not lied and worst_s <= WITHIN_S
    met = met and apart <= MOST_APART * len(ends)
    return Row(
        id="R1", what=f"{len(seen)} random outages of 50 ms to 10 s, probed at {RATE_PER_S}/s",
        bar=f"both bounds of both ends within {WITHIN_S * 1000:g} ms, truth between",
        stretch="3 ms",
        figure=f"worst {worst_s * 1000:.1f} ms; {lied} of {len(ends)} without the truth",
        met=met,
        more=f"median {median(fair or [math.inf]) * 1000:.1f} ms; {missed} missed, "
        f"{len(false)} false; {apart} ends at a stall of the machine",
    )  # fmt: skip


def _stalled(trial: Trial, truth: Span, late: list[Window]) -> bool:
    """Whether the machine stood still where this end was measured, or where its yardstick was."""
    near = Window(truth.from_ns - NS_AROUND, truth.until_ns + NS_AROUND)
    return longest_s(late, near, trial.steady) > 0


def _explained(outage: Outage, late: list[Window]) -> bool:
    """Whether the machine stood still as long as nothing was served."""
    around = Window(outage.begin.from_ns - NS_AROUND, outage.end.until_ns + NS_AROUND)
    return not outage.failed and longest_s(late, around) >= outage.least_s


def run_sham(length_s: float) -> list[Row]:
    """The row of R2, in segments, so that a day needs no more memory than ten minutes."""
    found: list[Outage] = []
    with stalls() as late:
        for number in range(math.ceil(length_s / SEGMENT_S)):
            found += _segment(min(SEGMENT_S, length_s - number * SEGMENT_S))
    return [row_sham(length_s, found, late)]


def _segment(length_s: float) -> list[Outage]:
    clock = Clock()
    with breakable(clock) as server, probed(server) as requests:
        begin_ns = clock.now_ns()
        pause_until(time.monotonic() + length_s)
        end_ns = clock.now_ns()
    steady_ns = begin_ns + int(min(R2_STEADY_S, length_s / 4) * NS_PER_S)
    reading = read(requests, Window(steady_ns, end_ns), Window(begin_ns, steady_ns))
    if reading is None or reading.unsent or reading.answers < RATE_PER_S * length_s / 2:
        raise RuntimeError("the prober asked less than half of what it should")
    return list(reading.outages)


def row_sham(length_s: float, found: list[Outage], late: list[Window]) -> Row:
    """None may be found; those of a machine that stood still are told."""
    false = [one for one in found if not _explained(one, late)]
    told = f"{len(found) - len(false)} where the machine itself stood still"
    if false:
        told += f"; longest {max(one.most_s for one in false) * 1000:.0f} ms"
    return Row(
        id="R2", what=f"no outage for {_spoken(length_s)}, probed at {RATE_PER_S}/s",
        bar="0 false outages", stretch="24 h", figure=f"{len(false)} false outages",
        met=not false, more=told,
    )  # fmt: skip


def _spoken(length_s: float) -> str:
    for unit, size_s in (("h", 3600), ("min", 60)):
        if length_s >= size_s:
            return f"{length_s / size_s:g} {unit}"
    return f"{length_s:g} s"


@contextmanager
def probed(server: Served, rate_per_s: float = RATE_PER_S) -> Iterator[list[Request]]:
    """A list that holds, after the block, what the prober recorded of this server."""
    client = Account("bench", "bench")
    token = f"{server.issuer}/token"
    probe = Probe(
        flow="token", url=token, every_s=1 / rate_per_s, needs="access_token",
        form={"grant_type": "client_credentials"}, client=client, audience=token,
    )  # fmt: skip
    seen: list[Request] = []
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ExitStack() as parts:
        child = subprocess.Popen(
            [*pinned(0), sys.executable, "-m", "acpchaos.load.prober"], cwd=PROJECT,
            stdin=subprocess.PIPE,
        )  # fmt: skip
        parts.callback(child.kill)
        assert child.stdin is not None
        child.stdin.write(msgspec.json.encode(Plan(probes=(probe,), ca_file="", events=folder)))
        child.stdin.close()
        eventually("the prober's first record", lambda: _recording(Path(folder)), START_S, 0.05)
        yield seen
        child.terminate()
        child.wait(10)
        for file in Path(folder).glob("prober-*.ndjson"):
            seen += [each for each in read_journal(file).events if isinstance(each, Request)]


def _recording(folder: Path) -> bool:
    return any(file.stat().st_size for file in folder.glob("prober-*.ndjson"))
