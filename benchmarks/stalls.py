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
from contextlib import ExitStack, contextmanager

from acpchaos.check.window import NS_PER_S, Window
from acpchaos.record.events import Clock
from acpchaos.wait import pause_until
from benchmarks.machine import PROJECT, pinned

NAP_S = 0.002
LATE_S = 0.003  # later than any wake-up on a machine at rest
CORES = 2


def watch() -> None:
    """Until the input ends; then every stall as [from_ns, until_ns]."""
    ended, clock, found = threading.Event(), Clock(), []
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    while not ended.is_set():
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
    with ExitStack() as parts:
        parts.callback(lambda: seen.sort())
        for core in range(CORES):
            child = subprocess.Popen(
                [*pinned(core), sys.executable, "-m", "benchmarks.stalls"], cwd=PROJECT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
            parts.callback(
                lambda child=child: seen.extend(
                    Window(*each) for each in json.loads(child.communicate()[0] or "[]")
                )
            )
        yield seen


def longest_s(seen: list[Window], *around: Window) -> float:
    """The longest stall that touches one of these stretches; 0 for none."""
    return max(
        (one.length_s for one in seen for two in around
         if one.begin_ns < two.end_ns and two.begin_ns < one.end_ns),
        default=0.0,
    )  # fmt: skip


if __name__ == "__main__":
    watch()
