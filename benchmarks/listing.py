"""P7: what it costs to list 10,000 pods, against the official client on the same answer.

Each client in a process of its own, in rounds that alternate. CPU time from the call to typed
objects; memory is the peak of the resident set above what it was before the call.
`python -m benchmarks.listing official|ours URL` is one measurement.
"""

import gc
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from kubernetes import client

from acpchaos.record import shapes
from acpchaos.target.cluster import Cluster
from acpchaos.target.watching import listed
from benchmarks.api import Script
from benchmarks.machine import PROJECT, api, pinned
from benchmarks.table import Row

PODS = 10_000
TIME, MEMORY = 40.0, 10.0


class Cost(NamedTuple):
    """Of one list."""

    cpu_s: float
    peak_mb: float


def run(count: int, rounds: int) -> list[Row]:
    """The row of P7."""
    seen: dict[str, list[Cost]] = {"official": [], "ours": []}
    with api(Script(pods=count)) as served:
        for number in range(rounds):
            for name in list(seen) if number % 2 == 0 else list(reversed(seen)):
                seen[name].append(_measured(name, served.url, count))
    return [row(seen, count)]


def row(seen: dict[str, list[Cost]], count: int) -> Row:
    """Ratios of medians; both bars must be met, over as many pods as the bar is about."""
    cpu_s, peak_mb = (
        {name: median(cost[field] for cost in costs) for name, costs in seen.items()}
        for field in (0, 1)
    )
    times = cpu_s["official"] / cpu_s["ours"]
    memory = peak_mb["official"] / peak_mb["ours"]
    return Row(
        id="P7", what=f"list {count:,} pods, against the official client",
        bar=f"1/{TIME:g} of its time, 1/{MEMORY:g} of its memory", stretch="1/60, 1/15",
        figure=f"1/{times:.0f}, 1/{memory:.1f}",
        met=count >= PODS and times >= TIME and memory >= MEMORY,
        more=f"{cpu_s['ours']:.2f} and {cpu_s['official']:.1f} CPU s, "
        f"{peak_mb['ours']:.0f} and {peak_mb['official']:.0f} MB",
    )  # fmt: skip


def _measured(name: str, url: str, count: int) -> Cost:
    ended = subprocess.run(
        [*pinned(0), sys.executable, "-m", "benchmarks.listing", name, url],
        cwd=PROJECT, capture_output=True, text=True, timeout=600, check=True,
    )  # fmt: skip
    told = json.loads(ended.stdout)
    if told["pods"] != count:
        raise RuntimeError(f"{name} listed {told['pods']} of {count} pods")
    return Cost(told["cpu_s"], told["peak_mb"])


def _once(name: str, url: str) -> None:
    """Take one list in this process and print what it cost."""
    connection = client.ApiClient(client.Configuration(host=url))
    cluster, official = Cluster(connection), client.CoreV1Api(connection)
    cluster.call("GET", "/api/v1/nodes")  # connected, and every module loaded
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM begins anew
    before_mb, begin_s = _resident_mb("VmRSS"), time.process_time()
    if name == "official":
        pods = official.list_pod_for_all_namespaces().items
        seen = sum(pod.status.phase == "Running" and bool(pod.spec.node_name) for pod in pods)
    else:
        found, _ = listed(cluster, "Pod", "", shapes.Pod)
        seen = sum(pod.status.phase == "Running" and bool(pod.spec.node_name) for pod in found)
    cpu_s = time.process_time() - begin_s
    peak_mb = _resident_mb("VmHWM") - before_mb
    print(json.dumps({"cpu_s": cpu_s, "peak_mb": peak_mb, "pods": seen}))


def _resident_mb(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(field + ":"))) / 1024


if __name__ == "__main__":
    _once(*sys.argv[1:])
