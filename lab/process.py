"""Running other programs: one way, with a log file, and errors that say what to do next.

Knows nothing of clusters or images. Output goes to a file, not to the terminal, so that a failed
step can point to it.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO


class LabError(Exception):
    """One cause: what was attempted, what was seen, what to type next."""

    def __init__(self, attempted: str, seen: str, remedy: str, log: Path | None = None) -> None:
        super().__init__(f"{attempted}: {seen}")
        self.attempted, self.seen, self.remedy, self.log = attempted, seen, remedy, log


def run(
    argv: Sequence[object],
    *,
    log: Path | None = None,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: IO[bytes] | None = None,
    timeout_s: float | None = None,
    remedy: str = "read the log, then run the same command again; finished steps are kept",
) -> None:
    """Run a program to its end; both its outputs are appended to `log`. Raises LabError on
    failure.
    """
    words = [str(word) for word in argv]
    with _sink(log) as sink:
        try:
            done = subprocess.run(
                words,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                stdin=stdin or subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                timeout=timeout_s,
                check=False,
            )
        except FileNotFoundError as cause:
            raise LabError(words[0], "no such program", remedy, log) from cause
        except subprocess.TimeoutExpired as cause:
            raise LabError(
                " ".join(words[:4]), f"not done in {timeout_s} s", remedy, log
            ) from cause
    if done.returncode:
        raise LabError(" ".join(words[:4]), f"exit code {done.returncode}", remedy, log)


def read(
    argv: Sequence[object],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    feed: str | None = None,
    timeout_s: float | None = 120,
) -> str:
    """Run a program and return what it printed. Raises LabError with the end of its error
    output.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            input=feed,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
    except FileNotFoundError as cause:
        raise LabError(
            words[0], "no such program", "run `acpchaos lab up`, it installs it"
        ) from cause
    except subprocess.TimeoutExpired as cause:
        raise LabError(" ".join(words[:4]), f"no answer in {timeout_s} s", "try again") from cause
    if done.returncode:
        seen = done.stderr.strip()[-600:] or f"exit code {done.returncode}"
        raise LabError(" ".join(words[:4]), seen, "see the message above")
    return done.stdout


def _sink(log: Path | None) -> IO[bytes]:
    if log is None:
        return Path(os.devnull).open("wb")
    log.parent.mkdir(parents=True, exist_ok=True)
    return log.open("ab")
