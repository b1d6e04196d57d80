"""What every fault of one chaos process shares: target, guard, lock, journal and undo log.

Room: faults. Opened by the first provider function that is called, once per process; a process
plays one experiment. The guard is asked and the target locked before anything else can happen.
"""

import atexit
import datetime as dt
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

from acpchaos.errors import UsageError
from acpchaos.faults.undo import UndoLog
from acpchaos.record.anchors import tell_clock
from acpchaos.record.events import Clock
from acpchaos.record.journal import Journal
from acpchaos.record.mutations import FILE, Mutations
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import Lock, holder_of, is_held_by
from acpchaos.target.profile import PROJECT, Profile, Workload, load_profile


@dataclass(frozen=True)
class Session:
    """Shared by all faults of a process."""

    profile: Profile
    cluster: Cluster
    run_id: str
    journal: Journal
    clock: Clock
    undo: UndoLog
    # in a rehearsal faults stop before they take effect, or as soon as they are named
    rehearsal: Literal["", "name", "act"] = ""

    @property
    def namespace(self) -> str:
        """The namespace of ACP and its stores."""
        return self.profile.namespaces.acp

    def workload(self, name: str, allowed: tuple[str, ...]) -> Workload:
        """The workload that an experiment file names; UsageError unless it is one of `allowed`,
        since consent to disrupt it was asked for these only."""
        if name not in allowed:
            raise UsageError(
                f"choose workload {name!r}", "this fault is for others",
                f"name one of {', '.join(allowed)}",
            )  # fmt: skip
        return cast(Workload, getattr(self.profile.workloads, name))


_standing_in: list[Session] = []


def current() -> Session:
    """The session of this process, from ACPCHAOS_TARGET and ACPCHAOS_RUN_DIR."""
    return _standing_in[-1] if _standing_in else _opened()


@contextmanager
def standing_in(session: Session) -> Iterator[None]:
    """Within the block `session` is the current one; no other is opened."""
    _standing_in.append(session)
    try:
        yield
    finally:
        _standing_in.remove(session)


@lru_cache(maxsize=1)
def _opened() -> Session:
    folder = run_folder()
    profile = load_profile(os.environ.get("ACPCHAOS_TARGET", "kind"))
    mutations = Mutations(folder / FILE)
    cluster = Cluster.from_profile(profile, mutations)
    guard.require(cluster, profile)
    run_id, namespace = folder.name, profile.namespaces.acp
    lock = _locked(cluster, namespace, run_id)
    clock, journal = Clock(), Journal(folder / "events" / "chaos.ndjson")
    tell_clock(folder / "events", "chaos")
    undo = UndoLog(cluster, namespace, run_id, journal, clock)
    atexit.register(_leave, undo, lock, mutations)
    return Session(profile, cluster, run_id, journal, clock, undo)


@lru_cache(maxsize=1)
def run_folder() -> Path:
    """The run folder of the play, or a new reports/<id>-alone when run without one."""
    if given := os.environ.get("ACPCHAOS_RUN_DIR"):
        return Path(given)
    moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dt%H%M%S")
    folder = PROJECT / "reports" / f"{moment}-alone"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _locked(cluster: Cluster, namespace: str, run_id: str) -> Lock | None:
    """Take the Lease, unless the play that started this process holds it for this run."""
    if is_held_by(holder_of(cluster, namespace), run_id):
        return None
    return Lock(cluster, namespace, run_id).acquire()


def _leave(undo: UndoLog, lock: Lock | None, mutations: Mutations) -> None:
    """The net below the rollbacks: whatever ended this process, nothing recorded stays changed."""
    try:
        undo.revert_all()
    finally:
        if lock is not None:
            lock.release()
            mutations.close()
        else:
            mutations.leave()  # the play goes on
