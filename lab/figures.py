"""What a lab costs: time, idle CPU, memory; printed at the end of `lab up` and kept in
state.json.
"""

import json
import time
from dataclasses import dataclass

from acpchaos.wait import pause_until
from lab.cluster import Cluster
from lab.machine import CpuTimes, cpu_times, memory_used_mib
from lab.steps import Say, Walk

IDLE_SAMPLE_S = 20.0
# the start itself leaves work behind (image unpacking, first probes), which is not idling
SETTLE_S = 20.0


@dataclass(frozen=True)
class Before:
    """The machine before the lab."""

    memory_mib: int


def take() -> Before:
    return Before(memory_used_mib())


def idle_percent(sample_s: float = IDLE_SAMPLE_S) -> float:
    """Share of the whole machine in use over a sample, in percent."""
    first: CpuTimes = cpu_times()
    pause_until(time.monotonic() + sample_s)
    return cpu_times().busy_percent_since(first)


def report(cluster: Cluster, before: Before, result: Walk, took_s: float, say: Say) -> None:
    built = [
        name for name in result.took_s if name.startswith(("compile", "Debian", "image", "node"))
    ]
    kind = "cold" if len(built) > 3 else "warm"
    state = json.loads(cluster.state.state_file.read_text())
    say(f"{kind} start: {took_s:.0f} s to all workloads ready")
    figures: dict[str, object] = {"start": kind, "start_s": round(took_s), "steps_s": result.took_s}
    if "kind cluster" in result.took_s:
        pause_until(time.monotonic() + SETTLE_S)
        figures["idle_cpu_percent"] = round(idle_percent(), 1)
        figures["memory_mib"] = memory_used_mib() - before.memory_mib
        say(
            f"idle: {figures['idle_cpu_percent']} % of the CPU over {IDLE_SAMPLE_S:.0f} s,"
            f" {figures['memory_mib']} MiB more memory in use than before"
        )
    state["figures"] = figures
    cluster.state.state_file.write_text(json.dumps(state, indent=1))
