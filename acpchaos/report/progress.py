"""What people see while they wait: one line per step on CI, the same with a clock on a terminal.

Room: report. It must not know what the steps do.
"""

import sys
import time
from typing import TextIO


class Progress:
    """Plain lines with the time since the play began; safe to use from any thread."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._begin_s = time.monotonic()

    def begin(self, title: str) -> None:
        """A play begins; its clock starts at zero."""
        self._begin_s = time.monotonic()
        self._print(f"\n-- {title}")

    def say(self, text: str) -> None:
        """A step of the play."""
        self._print(f"   {time.monotonic() - self._begin_s:6.1f} s  {text}")

    def _print(self, text: str) -> None:
        print(text, file=self._stream, flush=True)
