"""P10: an hour at 5,000 requests a second, 18 million rows, read from its folder and judged.

The history is made up, with outages of known begin and length in it, and sealed; a process of its
own loads and judges it. `python -m benchmarks.judging FOLDER` is one measurement.
"""

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from acpchaos.check.judge import judge
from acpchaos.record import history
from acpchaos.record.columns import Names, Requests, names
from acpchaos.record.events import Anchor, AnyEvent, Fault, Health, Phase, Witness
from acpchaos.record.run import RunFolder, RunMeta, load_run
from acpchaos.scenario import Claim, Load, Scenario
from benchmarks.machine import PROJECT, pinned
from benchmarks.table import Row

ROWS = 18_000_000
RATE_PER_S = 5000
COST_S, PEAK_MB = 10.0, 1000.0
START_US = 1_764_000_000_000_000
FLOWS = {"client_credentials": 1, "introspect": 1, "refresh": 1}
STEADY = 1 / 6  # of the time; then comes the fault, and in the last third the recovery
RECOVERY = 2 / 3
OUTAGES = ((0.30, 3.2), (0.45, 1.1), (0.60, 0.4))  # where in the record, and how long in seconds
CLAIMS = (
    Claim(id="load", says="", check="availability.longest_gap",
          params={"max_s": 5.0, "source": "load"}),
    Claim(id="down", says="", check="availability.never_down", params={"longest_gap_s": 5.0}),
    Claim(id="errors", says="", check="availability.error_ratio", params={"max_ratio": 0.5}),
    Claim(id="back", says="", check="recovery.service_recovers", params={"within_s": 3600.0}),
    Claim(id="flows", says="", check="sessions.new_flows_work"),
)  # fmt: skip


class Cost(NamedTuple):
    """Of one judgement."""

    cpu_s: float
    peak_mb: float
    passed: int
    longest_s: float


def run(count: int) -> list[Row]:
    """The row of P10."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        make(Path(folder) / "run", count)
        ended = subprocess.run(
            [*pinned(0), sys.executable, "-m", "benchmarks.judging", str(Path(folder) / "run")],
            cwd=PROJECT, capture_output=True, text=True, timeout=1800, check=True,
        )  # fmt: skip
    return [row(count, Cost(*json.loads(ended.stdout)))]


def row(count: int, cost: Cost) -> Row:
    """Quick and small enough, every claim judged, and the longest outage found for what it was."""
    true_s = max(length_s for _, length_s in OUTAGES)
    right = cost.passed == len(CLAIMS) and true_s - 0.01 <= cost.longest_s <= true_s + 0.05
    return Row(
        id="P10", what=f"judge {count:,} rows", bar=f"{COST_S:g} s, {PEAK_MB / 1000:g} GB",
        stretch="4 s", figure=f"{cost.cpu_s:.1f} s, {cost.peak_mb / 1000:.2f} GB",
        met=count >= ROWS and right and cost.cpu_s <= COST_S and cost.peak_mb <= PEAK_MB,
        more=f"{cost.passed} of {len(CLAIMS)} claims passed; an outage of {true_s:g} s "
        f"lasted {cost.longest_s:.3f} s at most",
    )  # fmt: skip


def make(path: Path, count: int) -> None:
    """A sealed run of so many rows."""
    span_s = count / RATE_PER_S
    meta = RunMeta(
        run_id="bench", seed=1, started_ns=START_US * 1000, commit="", dirty=False, argv=(),
        target={}, versions={},
        scenario=Scenario(
            name="bench", load=Load(rate_per_s=RATE_PER_S, mix=FLOWS), experiment="", steady_s=1,
            fault_s=1, recovery_s=1, claims=CLAIMS,
        ),
    )  # fmt: skip
    folder = RunFolder.create(path, meta)
    with folder.journal("play") as journal:
        for event in _events(span_s):
            journal.write(event)
    history.write(folder.history, _both(_load(count, span_s), _prober(span_s)), {})


def _events(span_s: float) -> list[AnyEvent]:
    def at(second: float) -> int:
        return START_US * 1000 + int(second * 1e6) * 1000

    fault_s, recovery_s = span_s * STEADY, span_s * RECOVERY
    phases = {"gate": 0, "steady": 0.5, "fault": fault_s, "recovery": recovery_s,
              "after": span_s - 1, "end": span_s}  # fmt: skip
    told: list[AnyEvent] = [Phase(t_ns=at(s), name=name) for name, s in phases.items()]
    told += [Health(t_ns=at(s), when=when, what="pods", ok=True, saw="")
             for when, s in (("before", 0.1), ("after", span_s - 0.5))]  # fmt: skip
    told += [Fault(t_ns=at(fault_s + s), fault="pod_loss", verb=verb, ok=True)
             for verb, s in (("setup", 0.1), ("inject", 0.2), ("effective", 0.3))]  # fmt: skip
    told.append(Witness(t_ns=at(fault_s + 0.4), fault="pod_loss", outcome="installed", saw=""))
    told += [Anchor(t_ns=at(0), writer=writer, boot="b", anchor_ns=1)
             for writer in ("play", "chaos", "load-a-1", "prober-1")]  # fmt: skip
    return told


def _load(count: int, span_s: float) -> Requests:
    """Random gaps, delays and durations; what begins within an outage is refused."""
    dice = np.random.default_rng(1)
    gaps = dice.integers(100, 301, count, dtype=np.int64)
    due = START_US + np.cumsum(gaps)
    late = dice.exponential(500, count).astype(np.int32)
    took = np.minimum(dice.lognormal(7.1, 0.4, count), 20_000).astype(np.int32)
    bad = _down(due + late, span_s)
    took[bad] = 300
    flow = names(dice.integers(0, len(FLOWS), count), tuple(sorted(FLOWS)))
    return _requests("load", due, late, took, flow, bad, np.arange(count, dtype=np.int32))


def _prober(span_s: float) -> Requests:
    """A token five times a second, keys twice."""
    due = np.concatenate([START_US + np.arange(0, int(span_s * 1e6), every) for every in
                          (200_000, 500_000)])  # fmt: skip
    kind = np.repeat([1, 0], [len(range(0, int(span_s * 1e6), each)) for each in
                              (200_000, 500_000)])  # fmt: skip
    order = np.argsort(due, kind="stable")
    due, kind = due[order], kind[order]
    still = np.zeros(len(due), dtype=np.int32)
    took = still + 3000
    flow = names(kind, ("jwks", "token"))
    return _requests("prober", due, still, took, flow, _down(due, span_s), still - 1)


def _down(begun: Any, span_s: float) -> Any:
    bad = np.zeros(len(begun), dtype=bool)
    for share, length_s in OUTAGES:
        begin = START_US + int(share * span_s * 1e6)
        bad |= (begun >= begin) & (begun < begin + int(length_s * 1e6))
    return bad


def _requests(
    source: str, due: Any, late: Any, took: Any, flow: Names, bad: Any, session_no: Any
) -> Requests:
    zero = np.zeros(len(due), dtype=np.uint8)
    word = "bench-a-" if source == "load" else ""
    return Requests(
        unit_ns=1000, due=due, late=late, took=took, source=names(zero, (source,)), flow=flow,
        step=names(zero, ("token",)), error=names(bad.astype(np.uint8), ("", "refused")),
        status=np.where(bad, 0, 200).astype(np.int32), session=names(zero, (word,)),
        session_no=session_no,
    )  # fmt: skip


def _both(one: Requests, two: Requests) -> Requests:
    """One after the other, with words of both."""

    def joined(field: str) -> Names:
        a, b = getattr(one, field), getattr(two, field)
        words = tuple(sorted({*a.words, *b.words}))
        parts = [np.array([words.index(w) for w in each.words])[each.codes] for each in (a, b)]
        return names(np.concatenate(parts), words)

    plain = ("due", "late", "took", "status", "session_no")
    return Requests(
        unit_ns=one.unit_ns,
        **{field: np.concatenate([getattr(one, field), getattr(two, field)]) for field in plain},
        **{field: joined(field) for field in ("source", "flow", "step", "error", "session")},
    )


def _once(path: str) -> None:
    """Judge in this process, and print what it cost."""
    begin_s = time.process_time()
    judged = judge(load_run(Path(path)))
    cpu_s = time.process_time() - begin_s
    lines = Path("/proc/self/status").read_text().splitlines()
    peak_mb = next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    longest = judged[0].verdict.measured
    passed = sum(claim.held for claim in judged)
    for claim in judged:
        print(repr(claim), file=sys.stderr)
    print(json.dumps([cpu_s, peak_mb, passed, longest if isinstance(longest, float) else -1.0]))


if __name__ == "__main__":
    _once(sys.argv[1])
