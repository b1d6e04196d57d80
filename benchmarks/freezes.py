"""P4: percentiles of the open-model load through a freeze of known length, against what they are.

The server answers after ANSWER_S by its own timer. While it is frozen for D seconds arrivals go on,
so that of a window of T seconds the latencies from when each request was due are known: those due
less than ANSWER_S before the freeze are answered as it ends, those due in it ANSWER_S after that.
The share of the window with more than x is then

    D + 2 ANSWER_S - x   for x up to D, and   2 (D + ANSWER_S - x)   above, over T.
"""

import math
import random
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from acpchaos.check.outage import Span
from acpchaos.check.window import NS_PER_S, Window, seconds
from acpchaos.record.events import Clock, Request
from acpchaos.record.journal import read_journal
from acpchaos.wait import eventually, pause_until
from benchmarks.breakable import FREEZE, Served, breakable
from benchmarks.machine import locust
from benchmarks.table import Row

FREEZES_S = (0.5, 1.0, 3.0)
QUANTILES = (0.5, 0.99, 0.999)
BAR, STRETCH = 0.02, 0.005
ANSWER_S = 0.05
RATE_PER_S = 200
USERS = 700  # more than a freeze lets gather
WINDOW_S = 10.0
WARM_S, START_S, REST_S = 2.0, 8.0, 3.0  # Locust counts its own start into its run time
BEGUN_S = 120.0


class Freeze(NamedTuple):
    """A window of the load, and the freeze in it as it was made."""

    window: Window
    begin: Span
    end: Span

    @property
    def length_s(self) -> float:
        return seconds(sum(self.begin) // 2, sum(self.end) // 2)


def analytic_s(freeze_s: float, window_s: float, quantile: float) -> float:
    """What the quantile of latency is, from when requests were due."""
    over_s = (1 - quantile) * window_s
    if over_s >= freeze_s + ANSWER_S:
        return ANSWER_S
    within = freeze_s + ANSWER_S - over_s / 2
    return within if within > freeze_s else freeze_s + 2 * ANSWER_S - over_s


def run(lengths_s: tuple[float, ...] = FREEZES_S, seed: int = 1) -> list[Row]:
    """A row for each length, all of one load."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        clock = Clock()
        with breakable(clock, ANSWER_S, USERS) as server, ThreadPoolExecutor(1) as pool:
            given = {"RATE": str(RATE_PER_S), "EVENTS": folder}
            length_s = START_S + WARM_S + len(lengths_s) * WINDOW_S + REST_S
            load = pool.submit(
                locust, "loadtests/token_flows.py", server.issuer, USERS, given,
                "--run-time", f"{length_s:.0f}s",
            )  # fmt: skip
            eventually("the first record", lambda: load.done() or _begun(folder), BEGUN_S, 0.1)
            pause_until(time.monotonic() + WARM_S)
            dice = random.Random(seed)
            made = [_made(server, clock, freeze_s, dice) for freeze_s in lengths_s]
            load.result()
        events = [e for file in Path(folder).glob("load-*") for e in read_journal(file).events]
    requests = [e for e in events if isinstance(e, Request) and e.step != "discovery"]
    return [row(freeze, requests) for freeze in made]


def _begun(folder: str) -> bool:
    return any(file.stat().st_size for file in Path(folder).glob("load-*"))


def _made(server: Served, clock: Clock, freeze_s: float, dice: random.Random) -> Freeze:
    begin_ns, begin_s = clock.now_ns(), time.monotonic()
    pause_until(begin_s + 1 + dice.uniform(0, 1))
    frozen = server.stop(FREEZE)
    pause_until(time.monotonic() + freeze_s)
    thawed = server.go_on(FREEZE)
    pause_until(begin_s + WINDOW_S)
    return Freeze(Window(begin_ns, begin_ns + int(WINDOW_S * NS_PER_S)), frozen, thawed)


def row(freeze: Freeze, requests: list[Request]) -> Row:
    """The worst of three quantiles. What was never sent or failed has no end, and so counts."""
    due = [r for r in requests if freeze.window.holds(r.intended_ns)]
    took_s = sorted(math.inf if r.error else seconds(r.intended_ns, r.t_ns) for r in due)
    told, worst = [], 0.0 if due else math.inf
    for quantile in QUANTILES if due else ():
        true_s = analytic_s(freeze.length_s, freeze.window.length_s, quantile)
        seen_s = took_s[math.ceil(quantile * len(took_s)) - 1]
        worst = max(worst, abs(seen_s / true_s - 1))
        told.append(f"p{quantile * 100:g} {seen_s * 1000:.1f} of {true_s * 1000:.1f}")
    offered = len(due) / (RATE_PER_S * freeze.window.length_s)
    return Row(
        id="P4", what=f"percentiles under a freeze of {freeze.length_s:.1f} s, open-model load",
        bar=f"{BAR:.0%} off", stretch=f"{STRETCH:.1%}", figure=f"{worst:.1%} off",
        met=worst <= BAR and offered >= 0.99,
        more=f"{', '.join(told)} ms; {len(due)} requests",
    )  # fmt: skip
