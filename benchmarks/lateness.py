"""P3: how late requests are begun at 5,000 a second, from intended to real start."""

import tempfile
from pathlib import Path

from acpchaos.record.events import Request
from acpchaos.record.journal import read_journal
from benchmarks.machine import locust, served
from benchmarks.table import Row

RATE_PER_S = 5000
USERS = 200
WARM_S, LEAST_S = 2.0, 1.0
START_S = 8.0  # Locust counts its own start into the run time, long on a busy machine
P99_MS, MOST_MS = 2.0, 15.0


def run(span_s: float) -> list[Row]:
    """The row of P3."""
    with served() as issuer, tempfile.TemporaryDirectory(prefix="bench-") as folder:
        given = {"RATE": str(RATE_PER_S), "EVENTS": folder}
        length = ("--run-time", f"{START_S + WARM_S + span_s:.0f}s")
        locust("loadtests/token_flows.py", issuer, USERS, given, *length)
        events = [e for file in Path(folder).glob("load-*") for e in read_journal(file).events]
    return [row([e for e in events if isinstance(e, Request) and e.step != "discovery"])]


def row(requests: list[Request]) -> Row:
    """Late and never-sent requests count; so do a rate that was not offered, and failures."""
    due_ns = [request.intended_ns for request in requests]
    begin_ns, end_ns = min(due_ns, default=0) + WARM_S * 1e9, max(due_ns, default=0)
    due = [request for request in requests if begin_ns <= request.intended_ns]
    span_s = (end_ns - begin_ns) / 1e9
    name, bar = f"lateness of sends at {RATE_PER_S:,}/s", f"p99 {P99_MS:g}, max {MOST_MS:g} ms"
    if span_s < LEAST_S:
        why = "the load did not last: too busy a machine"
        return Row("P3", name, bar, "1 / 5 ms", "nothing to judge", False, why)
    late_ms = sorted((request.start_ns - request.intended_ns) / 1e6 for request in due)
    p50, p99, most = late_ms[len(due) // 2], late_ms[int(len(due) * 0.99)], late_ms[-1]
    per_s, bad = len(due) / span_s, sum(bool(request.error) for request in due)
    held = per_s >= 0.99 * RATE_PER_S and not bad
    met = held and p99 <= P99_MS and most <= MOST_MS
    figure = f"p99 {p99:.2f}, max {most:.1f} ms"
    more = f"p50 {p50:.2f} ms; {per_s:,.0f}/s offered for {span_s:.1f} s, {bad} failed"
    return Row("P3", name, bar, "1 / 5 ms", figure, met, more)
