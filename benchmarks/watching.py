"""P8: changes of pods per second on half a core, taken down by the timeline, none of them lost.

The API server resets watches and forgets its history (benchmarks/api.py). Every change must be in
the journal once, but those that happened while no watcher could see them and were overtaken.
`python -m benchmarks.watching URL JOURNAL EVENTS` is one measurement.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from kubernetes import client

from acpchaos.record.events import Gap, Pod
from acpchaos.record.journal import Journal, read_journal
from acpchaos.record.timeline import Timeline
from acpchaos.target.cluster import Cluster
from acpchaos.target.watching import follow
from acpchaos.wait import eventually
from benchmarks.api import Script
from benchmarks.machine import PROJECT, api, pinned
from benchmarks.table import Row

PER_S = 5000
PODS = 100  # few, so that changes overtake each other where the history is gone
SHARE = 0.5  # of a core
PATIENCE_S = 300.0


def run(events: int, cuts: int) -> list[Row]:
    """The row of P8."""
    burst = events // cuts
    script = Script(pods=PODS, events=events, burst=burst, jump=2 * PODS)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, api(script) as served:
        journal = Path(folder) / "cluster.ndjson"
        ended = subprocess.run(
            [*pinned(0), sys.executable, "-m", "benchmarks.watching", served.url, str(journal),
             str(events)],
            cwd=PROJECT, capture_output=True, text=True, timeout=PATIENCE_S + 60, check=True,
        )  # fmt: skip
        read = read_journal(journal).events
        told = served.end()
    seen = Counter(event.restarts for event in read if isinstance(event, Pod))
    gaps = sum(isinstance(event, Gap) for event in read)
    return [row(script, float(ended.stdout), seen, set(json.loads(told)), gaps)]


def row(script: Script, cpu_s: float, seen: Counter[int], unseen: set[int], gaps: int) -> Row:
    """Fast enough, nothing lost, nothing twice, and each interruption told as a gap."""
    wanted = set(range(1, script.events + 1)) - unseen
    lost, twice = len(wanted - seen.keys()), sum(seen[n] > 1 for n in wanted)
    per_s = len(wanted) / cpu_s * SHARE
    whole = not lost and not twice and gaps > 0 and len(unseen) < script.events / 2
    return Row(
        id="P8", what="changes of pods on half a core, over resets and 410s",
        bar=f"{PER_S:,}/s, none lost", stretch="20,000/s", figure=f"{per_s:,.0f}/s, {lost} lost",
        met=whole and per_s >= PER_S,
        more=f"{len(wanted):,} changes, {twice} twice; {gaps} interruptions told, "
        f"{len(unseen)} changes overtaken meanwhile",
    )  # fmt: skip


def _once(url: str, path: str, events: int) -> None:
    """Take changes down until the last, then print the CPU time it took."""
    cluster = Cluster(client.ApiClient(client.Configuration(host=url)))
    last = f'"restarts":{events}'.encode()

    def taken() -> bool:
        with Path(path).open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            return last in file.read()

    with Journal(Path(path)) as journal:
        timeline = Timeline(
            lambda kind, where, stop, shape: follow(cluster, kind, where, stop, shape), "", journal
        )
        begin_s = time.process_time()
        timeline.start()
        eventually("the last change", taken, PATIENCE_S, 0.05)
        cpu_s = time.process_time() - begin_s
        timeline.stop()
    print(cpu_s)


if __name__ == "__main__":
    _once(sys.argv[1], sys.argv[2], int(sys.argv[3]))
