"""When the machine itself stood still: what no client on it could have seen otherwise.

A child on each core naps for a moment and notes when it was woken late. It shares nothing with what
is measured, so a slow prober cannot excuse itself by it.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from acpchaos.check.window import NS_PER_S, Window
from acpchaos.record.events import Clock
from acpchaos.wait import pause_until
from benchmarks.machine import PROJECT, pinned

NAP_S = 0.002
LATE_S = 0.003  # later than any wake-up on a machine at rest
CORES = 2


def watch() -> None:
    """Until the input ends; then every stall as [from_ns, until_ns]."""
    clock, found = Clock(), []
    reading = threading.Thread(target=sys.stdin.read, daemon=True)
    reading.start()
    while reading.is_alive():
        due_s = time.monotonic() + NAP_S
        pause_until(due_s)
        late_s = time.monotonic() - due_s
        if late_s > LATE_S:
            now_ns = clock.now_ns()
            found.append((now_ns - int(late_s * NS_PER_S), now_ns))
    print(json.dumps(found))


@contextmanager
def stalls() -> Iterator[list[Window]]:
    """A list that holds, after the block, all stalls within it, in order."""
    seen: list[Window] = []
    children = [
        subprocess.Popen(
            [*pinned(core), sys.executable, "-m", "benchmarks.stalls"], cwd=PROJECT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for core in range(CORES)
    ]  # fmt: skip
    try:
        yield seen
    finally:
        for child in children:
            told, _ = child.communicate()
            seen += [Window(*each) for each in json.loads(told or "[]")]
        seen.sort()


def longest_s(seen: list[Window], *around: Window) -> float:
    """The longest stall that touches one of these stretches; 0 for none."""
    return max(
        (one.length_s for one in seen for two in around
         if one.begin_ns < two.end_ns and two.begin_ns < one.end_ns),
        default=0.0,
    )  # fmt: skip


if __name__ == "__main__":
    watch()
