"""`python -m benchmarks.compare`: one fault, four readers, as a table of Markdown.

All read the same server at the same time: our prober with the outage check, our open-model load,
Locust as people use it (benchmarks/closed.py), and a health check once a second, as krkn's: sleep,
ask with a timeout of 3 s, down from the first bad sight to the next good one. The truth is the
process that breaks the server.
"""

import json
import math
import os
import tempfile
import threading
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from acpchaos.check.outage import Span, read
from acpchaos.check.window import NS_PER_S, Window, seconds
from acpchaos.record.events import Clock, Request
from acpchaos.record.journal import read_journal
from acpchaos.wait import eventually, pause_until
from benchmarks.breakable import CLOSE, FREEZE, breakable
from benchmarks.freezes import BEGUN_S, RATE_PER_S, USERS
from benchmarks.machine import locust
from benchmarks.outages import probed

FAULTS = ((FREEZE, 3.0), (FREEZE, 0.5), (CLOSE, 2.0), (CLOSE, 0.2))
CLOSED_USERS = 20
POLL_S, POLL_TIMEOUT_S = 1.0, 3.0
BEFORE_S, AFTER_S = 5.0, 5.0
RUN_S = 8.0 + BEFORE_S + AFTER_S  # Locust counts its own start in
BACKLOG = 128
HEAD = (
    "| fault, true length | acpchaos' prober: outage | acpchaos' load: p99 | Locust: p99 | "
    "Locust: largest gap between good answers | polled each second: down for |"
)


class Seen(NamedTuple):
    """What each reader says of one fault, in seconds; None where it saw nothing."""

    how: str
    true_s: float
    least_s: float | None
    most_s: float | None
    p99_s: float
    closed_p99_s: float
    closed_gap_s: float
    polled_s: float | None


class Poller:
    """Asks once a second, one after the other."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url, self._clock, self._ended = url, clock, threading.Event()
        self.sights: list[tuple[int, bool]] = []
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def _poll(self) -> None:
        while not self._ended.wait(POLL_S):
            try:
                with urllib.request.urlopen(self._url, timeout=POLL_TIMEOUT_S) as got:
                    good = got.status == 200
            except OSError:
                good = False
            self.sights.append((self._clock.now_ns(), good))

    def end(self) -> list[tuple[int, bool]]:
        """All sights."""
        self._ended.set()
        self._thread.join()
        return self.sights


def polled_s(sights: Sequence[tuple[int, bool]]) -> float | None:
    """From the first bad sight to the next good one; infinite when none came."""
    bad_ns = next((t_ns for t_ns, good in sights if not good), None)
    if bad_ns is None:
        return None
    back_ns = next((t_ns for t_ns, good in sights if good and t_ns > bad_ns), None)
    return math.inf if back_ns is None else seconds(bad_ns, back_ns)


def gap_s(good_s: Sequence[float], around: Window) -> float:
    """The largest distance of two good answers that touches a window."""
    begin_s, end_s = (t_ns / NS_PER_S for t_ns in around)
    return max(
        (two - one for one, two in pairwise(sorted(good_s)) if two > begin_s and one < end_s),
        default=math.inf,
    )


def compare(how: str, length_s: float) -> Seen:
    """Make one fault under all four readers."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, ThreadPoolExecutor(2) as pool:
        clock, told = Clock(), Path(folder) / "closed.json"
        os.environ["BENCH_RESULT"] = str(told)
        words = ("--run-time", f"{RUN_S + length_s:.0f}s", "--exit-code-on-error", "0")
        with breakable(clock, backlog=BACKLOG) as server, probed(server) as probes:
            open_ = {"RATE": str(RATE_PER_S), "EVENTS": folder}
            loads: list[Future[None]] = [
                pool.submit(locust, file, server.issuer, users, given, *words)
                for file, users, given in (
                    ("loadtests/token_flows.py", USERS, open_),
                    ("benchmarks/closed.py", CLOSED_USERS, {}),
                )
            ]
            poller = Poller(f"{server.issuer}/openid-configuration", clock)
            eventually("both loads", lambda: _begun(folder, loads), BEGUN_S, 0.1)
            begin_ns = clock.now_ns()
            pause_until(time.monotonic() + BEFORE_S)
            begin = server.stop(how)
            pause_until(time.monotonic() + length_s)
            end = server.go_on(how)
            pause_until(time.monotonic() + AFTER_S)
            window = Window(begin_ns, clock.now_ns())
            for load in loads:
                load.result()
            sights = poller.end()
        events = [e for file in Path(folder).glob("load-*") for e in read_journal(file).events]
        load_requests = [e for e in events if isinstance(e, Request) and e.step != "discovery"]
        closed = json.loads(told.read_text())
    return seen(how, begin, end, window, probes, load_requests, closed, sights)


def _begun(folder: str, loads: Sequence[Future[None]]) -> bool:
    """Whether both have asked; or one has ended, which its result tells."""
    recorded = any(file.stat().st_size for file in Path(folder).glob("load-*"))
    asked = recorded and (Path(folder) / "closed.begun").exists()
    return asked or any(load.done() for load in loads)


def seen(
    how: str, begin: Span, end: Span, window: Window, probes: list[Request], load: list[Request],
    closed: dict[str, object], sights: Sequence[tuple[int, bool]],
) -> Seen:  # fmt: skip
    """What each reader says of a fault from `begin` to `end`."""
    fault = Window(begin.from_ns, end.until_ns)
    around = Window(fault.begin_ns - NS_PER_S, fault.end_ns + NS_PER_S)
    reading = read(probes, around, Window(window.begin_ns, around.begin_ns))
    worst = max(reading.outages if reading else (), key=lambda one: one.most_s, default=None)
    took_s = sorted(seconds(r.intended_ns, r.t_ns) for r in load if window.holds(r.intended_ns))
    good_s = closed["good_s"]
    assert isinstance(good_s, list)
    if not took_s or reading is None or math.isinf(gap_s(good_s, fault)):
        raise RuntimeError("a reader was not there during the fault: too busy a machine")
    near = [(t_ns, good) for t_ns, good in sights if t_ns >= begin.from_ns - NS_PER_S]
    return Seen(
        how=how, true_s=seconds(sum(begin) // 2, sum(end) // 2),
        least_s=worst.least_s if worst else None, most_s=worst.most_s if worst else None,
        p99_s=took_s[math.ceil(0.99 * len(took_s)) - 1] if took_s else math.inf,
        closed_p99_s=float(str(closed["p99_ms"])) / 1000, closed_gap_s=gap_s(good_s, fault),
        polled_s=polled_s(near),
    )  # fmt: skip


def table(rows: Sequence[Seen]) -> list[str]:
    """Markdown."""
    return [HEAD, "| --- | --- | --- | --- | --- | --- |", *map(_line, rows)]


def _line(row: Seen) -> str:
    ours = "nothing"
    if row.least_s is not None and row.most_s is not None:
        ours = f"{row.least_s:.3f} to {row.most_s:.3f} s"
    polled = "nothing" if row.polled_s is None else f"{row.polled_s:.1f} s"
    cells = (
        f"{row.how} {row.true_s:.3f} s", ours, f"{row.p99_s * 1000:,.0f} ms",
        f"{row.closed_p99_s * 1000:,.0f} ms", f"{row.closed_gap_s:.3f} s", polled,
    )  # fmt: skip
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(table([compare(*fault) for fault in FAULTS])))
