"""Whose clock a record was made on: one line per process that writes, in a file of its own.

Room: record. It must not know how far apart clocks may stand.
"""

from pathlib import Path

from acpchaos.record.events import ANCHOR_NS, Anchor, Clock
from acpchaos.record.journal import Journal

BOOT = Path("/proc/sys/kernel/random/boot_id")


def tell_clock(events: Path, writer: str) -> None:
    """Put this process's clock on record under the name of its journal. Where the boot cannot be
    told, no other clock can be compared with it."""
    try:
        boot = BOOT.read_text(encoding="ascii").strip()
    except OSError:
        boot = f"unknown, of {writer}"
    with Journal(events / f"clock-{writer}.ndjson") as journal:
        journal.write(Anchor(t_ns=Clock().now_ns(), writer=writer, boot=boot, anchor_ns=ANCHOR_NS))
