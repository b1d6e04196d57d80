"""Children on cores of their own: the server on one, the client on another, as far as there are.

A machine with one core still measures; its ratios hold, its rates do not.
"""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec

from acpchaos.load.settings import PREFIX
from benchmarks.api import Script

PROJECT = Path(__file__).parents[1]


def pinned(number: int) -> list[str]:
    """The words before a command that keep it on the n-th of our cores."""
    cores = sorted(os.sched_getaffinity(0))
    return ["taskset", "--cpu-list", str(cores[number % len(cores)])]


@contextmanager
def served() -> Iterator[str]:
    """The issuer of a server that lives as long as the block."""
    child = subprocess.Popen(
        [*pinned(1), sys.executable, "-m", "benchmarks.server"], cwd=PROJECT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert child.stdout is not None
    try:
        yield child.stdout.readline().strip()
    finally:
        child.communicate()


def locust(file: str, issuer: str, users: int, given: Mapping[str, str], *words: str) -> None:
    """A Locust run to its end; `given` are its ACPCHAOS_LOAD_* variables."""
    own = {"M2M_ID": "bench", "M2M_SECRET": "bench", **given}
    environment = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    ended = subprocess.run(
        [*pinned(0), sys.executable, "-m", "locust", "-f", file, "--headless", "--host", issuer,
         "--users", str(users), "--spawn-rate", str(users), "--only-summary",
         "--exit-code-on-error", "1", *words],
        env=environment | {PREFIX + key: value for key, value in own.items()},
        cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    if ended.returncode:
        raise RuntimeError(f"{file} ended with {ended.returncode}: {ended.stderr[-2000:]}")


class Api:
    """A running stand-in for an API server, see benchmarks/api.py."""

    def __init__(self, child: subprocess.Popen[str], script: Script) -> None:
        assert child.stdin is not None and child.stdout is not None
        self._child = child
        child.stdin.write(msgspec.json.encode(script).decode() + "\n")
        child.stdin.flush()
        self.url = f"http://127.0.0.1:{child.stdout.readline().strip()}"

    def end(self) -> str:
        """End it; what it has to tell."""
        return self._child.communicate()[0]


@contextmanager
def api(script: Script) -> Iterator[Api]:
    """A stand-in that lives as long as the block."""
    child = subprocess.Popen(
        [*pinned(1), sys.executable, "-m", "benchmarks.api"], cwd=PROJECT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Api(child, script)
    finally:
        if child.poll() is None:
            child.communicate()
