"""How this room speaks to a store: a command in a container, one answer or lines as they come.

Room: stores. A protocol, so that every reader can be tried with recorded answers; `inside` gives
the real one. Secrets go in by standard input or lie in the container, never in a command.
"""

import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

from acpchaos.errors import AcpchaosError
from acpchaos.target.cluster import Cluster
from acpchaos.target.execute import execute, execute_lines

QUICK_S = 20.0  # a question to a healthy store takes far below 1 s; the rest is a busy machine


class CommandFailed(AcpchaosError):
    """A command in a container ended with an error; `code` is its exit code."""

    def __init__(self, pod: str, command: str, code: int, said: str) -> None:
        super().__init__(
            f"run {command} in {pod}",
            f"exit code {code}: {said.strip()[-600:] or 'no words'}",
            "look at the store's pods and their logs",
        )
        self.code, self.said = code, said


class Exec(Protocol):
    """Run a command and return its standard output; CommandFailed when it ends with an error."""

    def __call__(
        self, pod: str, container: str, command: Sequence[str], stdin: bytes | None = None,
        *, timeout_s: float = QUICK_S,
    ) -> str: ...  # fmt: skip


class Follow(Protocol):
    """Lines of a command that runs until `stop` is set or the pod ends."""

    def __call__(
        self, pod: str, container: str, command: Sequence[str], stop: threading.Event
    ) -> Iterator[str]: ...


def inside(cluster: Cluster, namespace: str, *, reads: bool = False) -> Exec:
    """Exec into pods of one namespace. `reads`: for commands that change nothing."""

    def run(
        pod: str, container: str, command: Sequence[str], stdin: bytes | None = None,
        *, timeout_s: float = QUICK_S,
    ) -> str:  # fmt: skip
        done = execute(
            cluster, namespace, pod, container, command,
            timeout_s=timeout_s, stdin=(stdin or b"").decode(), reads=reads,
        )  # fmt: skip
        if done.code:
            raise CommandFailed(pod, command[0], done.code, done.stderr or done.stdout)
        return done.stdout

    return run


def following(cluster: Cluster, namespace: str) -> Follow:
    """Follow commands in pods of one namespace."""

    def follow(
        pod: str, container: str, command: Sequence[str], stop: threading.Event
    ) -> Iterator[str]:
        return execute_lines(cluster, namespace, pod, container, command, stop)

    return follow
