"""A process that dies at a chosen step: every API call and every journal write is one.

Dying is sudden, as by SIGKILL: from that step on nothing of the process reaches the cluster or the
disk, so neither handlers nor rollbacks can help. What follows is what another process finds.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from acpchaos.faults import node_records
from acpchaos.record.events import Event
from acpchaos.record.journal import Journal
from acpchaos.record.mutations import Mutations
from acpchaos.target import execute
from acpchaos.target.cluster import Cluster


class Killed(BaseException):
    """The end of the process; no handler of the product may catch it."""


class Fate:
    """Counts steps and ends the process at number `at`; never, when that is None."""

    def __init__(self, at: int | None) -> None:
        self.at, self.dead, self.where = at, False, ""
        self.steps: list[str] = []
        self._lock = threading.Lock()

    def step(self, what: str) -> None:
        with self._lock:
            if not self.dead and len(self.steps) == self.at:
                self.dead, self.where = True, what
            if self.dead:
                raise Killed(what)
            self.steps.append(what)


class MortalCluster(Cluster):
    """Dies before a request is sent, or after it was answered and before anyone read it."""

    fate: Fate

    def _send(self, method: str, path: str, *more: Any) -> Any:
        self.fate.step(f"before {method} {path}")
        response = super()._send(method, path, *more)
        try:
            self.fate.step(f"after {method} {path}")
        except Killed:
            response.read()
            response.release_conn()
            raise
        return response


class MortalJournal(Journal):
    """Dies before a line, or within it."""

    fate: Fate

    def write(self, event: Event) -> None:
        self.fate.step("before a journal line")
        tear(self.fate, self._fd, msgspec.json.encode(event))
        super().write(event)


class MortalMutations(Mutations):
    """Dies before a line, within it, or when it is on the disk."""

    fate: Fate

    def _write(self, data: bytes) -> None:
        self.fate.step("before a mutation line")
        tear(self.fate, self._fd, data)
        super()._write(data)
        self.fate.step("after a mutation line")


def tear(fate: Fate, fd: int, line: bytes) -> None:
    """A step at which half of the line reaches the disk."""
    alive = not fate.dead
    try:
        fate.step("within a line")
    except Killed:
        if alive:
            os.write(fd, line[: len(line) // 2])
        raise


@contextmanager
def mortal_commands() -> Iterator[None]:
    """Commands in pods are steps, too, and records of nodes on the engine's machine."""
    opened, kept, forgot = execute._open, node_records.keep, node_records.forget

    def dying(cluster: Cluster, namespace: str, pod: str, *more: Any, **words: Any) -> Any:
        _step(cluster, f"before a command in {pod}")
        return opened(cluster, namespace, pod, *more, **words)

    def keep(cluster: Cluster, *more: Any, **words: Any) -> Path:
        _step(cluster, "before a record of a node")
        path = kept(cluster, *more, **words)
        _step(cluster, "after a record of a node")
        return path

    def forget(cluster: Cluster, *more: Any) -> None:
        _step(cluster, "before a record of a node goes")
        forgot(cluster, *more)

    def told(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not Killed:  # a thread that died with its process says nothing
            heard(args)

    heard = threading.excepthook
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", told)
        patch.setattr(execute, "_open", dying)
        patch.setattr(node_records, "keep", keep)
        patch.setattr(node_records, "forget", forget)
        yield


def _step(cluster: Cluster, what: str) -> None:
    """A step, where this is the cluster of the process that is to die."""
    if isinstance(cluster, MortalCluster):
        cluster.fate.step(what)
