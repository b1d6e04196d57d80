"""What the lab costs this machine: CPU share and memory, read from the kernel. Knows nothing of
clusters.
"""

from dataclasses import dataclass
from pathlib import Path

_STAT, _MEMINFO = Path("/proc/stat"), Path("/proc/meminfo")


@dataclass(frozen=True)
class CpuTimes:
    """Jiffies of all processors since boot."""

    total: int
    idle: int

    def busy_percent_since(self, earlier: "CpuTimes") -> float:
        """Share of the whole machine that was busy between two readings, in percent."""
        total = self.total - earlier.total
        return 100.0 * (1 - (self.idle - earlier.idle) / total) if total else 0.0


def cpu_times(text: str | None = None) -> CpuTimes:
    first = (text if text is not None else _STAT.read_text()).splitlines()[0]
    fields = [int(word) for word in first.split()[1:9]]  # guest times are part of user time
    return CpuTimes(total=sum(fields), idle=fields[3] + fields[4])


def memory_used_mib(text: str | None = None) -> int:
    """Memory that is not available to new programs, in MiB."""
    lines = (text if text is not None else _MEMINFO.read_text()).splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line}
    return (sizes["MemTotal"] - sizes["MemAvailable"]) // 1024
