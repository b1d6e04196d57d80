"""A rehearsal: a fault chooses its targets and goes through its injection, and nothing is sent.

Room: faults. What would change is noted call by call, so a plan cannot say anything else than what
the fault does. Reads are real; a call that changes something never leaves this process.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import urllib3
from chaoslib import substitute
from chaoslib.configuration import load_configuration
from chaoslib.loader import load_experiment
from kubernetes.client import ApiClient

from acpchaos.errors import AcpchaosError, UsageError
from acpchaos.faults.changes import Change, describe
from acpchaos.faults.fault import Act, Fault, Rehearsed
from acpchaos.faults.session import Session, standing_in
from acpchaos.faults.undo import UndoLog
from acpchaos.record.events import Clock
from acpchaos.record.journal import Journal
from acpchaos.record.mutations import demanded_uid
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import Profile


class Untouchable(AcpchaosError):
    """Something in a rehearsal tried to change the target by another way than the noted one."""


@dataclass(frozen=True)
class Plan:
    """What an experiment would do. `fault` is empty where none was reached, and `refused` says why.

    `changes` are calls in their order, each with the UID it demands; `undo` what is recorded first;
    `then` what follows from what is seen meanwhile, and the experiment's further steps.
    """

    experiment: str
    fault: str = ""
    targets: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    undo: tuple[str, ...] = ()
    effect: str = ""
    then: tuple[str, ...] = ()
    refused: str = ""


@dataclass
class _Notes:
    changes: list[str] = field(default_factory=list)
    undo: list[str] = field(default_factory=list)


class _Nothing:
    """The hook below the notes: lets no change pass, whichever way it came."""

    def before(self, method: str, path: str, body: object) -> str:
        raise Untouchable(
            f"{method} {path}", "a rehearsal changes nothing", "this is a defect; please report it"
        )

    def after(self, entry: str, status: int, said: str) -> None:
        """Never reached."""

    def lenient(self) -> "_Nothing":
        """There is no way back to take."""
        return self


class _Noting(Cluster):
    """Reads as always; what would change something is noted and answered with nothing."""

    notes: _Notes

    def instead(self, method: str, path: str, body: object) -> bytes | None:
        self.notes.changes.append(told(method, path, body))
        return b"{}"


class _Absent(Cluster):
    """No cluster at all, for what needs none."""

    def _send(self, method: str, path: str, *_: object) -> urllib3.BaseHTTPResponse:
        raise Untouchable(
            f"{method} {path}", "nothing is asked of a cluster here",
            "a fault reads in its set-up, not when it is made",
        )  # fmt: skip


class _NotedUndo(UndoLog):
    """Notes what would be recorded."""

    notes: _Notes

    def record(self, change: Change) -> str:
        self.notes.undo.append(describe(change))
        return str(len(self.notes.undo))

    def outstanding(self) -> dict[str, Change]:
        return {}

    def revert_all(self) -> int:
        return 0


def told(method: str, path: str, body: object) -> str:
    """A call for people: `DELETE acp-system/pods/acp-1 (uid ...)`; never what a Secret holds."""
    place = path.partition("/namespaces/")[2] or "/".join(path.split("/")[-2:])
    if not isinstance(body, Mapping):
        return f"{method} {place}"
    if method in ("EXEC", "ENGINE"):
        return f"{method} {place}: {' '.join(str(each) for each in body['command'])[:80]}"
    uid = demanded_uid(body)
    if method == "POST" and not uid:
        place = f"{place}/{(body.get('metadata') or {}).get('name', '')}".rstrip("/")
    spec = "" if method != "PATCH" or "/secrets" in path else f" {body.get('spec') or ''}".rstrip()
    return f"{method} {place}{spec}" + (f" (uid {uid})" if uid else "")


def rehearse(
    experiment: Path, profile: Profile, configuration: Mapping[str, Any] | None = None,
    run_id: str = "dry-run",
) -> Plan:  # fmt: skip
    """The plan of an experiment file on the target as it is now. Its probes are not asked."""
    notes = _Notes()
    cluster = _Noting.from_profile(profile, _Nothing())
    cluster.notes = notes
    guard.require(cluster, profile)
    with _session(profile, cluster, notes, run_id, "act") as session:
        try:
            act, then = _reached(experiment, session, configuration)
        except AcpchaosError as error:
            return Plan(experiment.name, refused=str(error))
        if act is None:
            return Plan(experiment.name, effect="none: no step of it is a fault")
        return Plan(
            experiment=experiment.name, fault=act.fault.name, targets=act.targets,
            changes=tuple(notes.changes), undo=tuple(notes.undo), effect=act.fault.expects(),
            then=(*act.fault.later(), *then),
        )  # fmt: skip


@contextmanager
def named(
    experiment: Path, profile: Profile, configuration: Mapping[str, Any] | None = None
) -> Iterator[Fault | None]:
    """The first fault of an experiment file, made but not asked for anything; nothing is read."""
    cluster = _Absent(ApiClient(), _Nothing())
    with _session(profile, cluster, _Notes(), "dry-run", "name") as session:
        act, _ = _reached(experiment, session, configuration)
        yield act.fault if act else None


def _reached(
    experiment: Path, session: Session, configuration: Mapping[str, Any] | None
) -> tuple[Act | None, list[str]]:
    """The first act of an experiment, as far as the session lets it go, and the steps after it."""
    content = load_experiment(str(experiment))
    settings = load_configuration(content.get("configuration") or {}, dict(configuration or {}))
    steps = [each for each in content["method"] if each["type"] == "action"]
    with standing_in(session):
        for number, step in enumerate(steps):
            try:
                _act(step["provider"], settings)
            except Rehearsed as done:
                return done.act, [each["name"] for each in steps[number + 1 :]]
    return None, []


def _act(provider: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    module = str(provider.get("module", ""))
    if provider.get("type") != "python" or not module.startswith("acpchaos.faults."):
        raise UsageError(
            f"rehearse {module or provider.get('type')}", "only actions of acpchaos.faults can be",
            "leave it out, or read what it does",
        )  # fmt: skip
    arguments = substitute(dict(provider.get("arguments") or {}), settings, {})
    getattr(import_module(module), provider["func"])(**arguments)


@contextmanager
def _session(
    profile: Profile, cluster: Cluster, notes: _Notes, run_id: str, until: Literal["name", "act"]
) -> Iterator[Session]:
    """A session whose journal is thrown away."""
    with tempfile.TemporaryDirectory() as folder, Journal(Path(folder) / "dry.ndjson") as journal:
        clock = Clock()
        undo = _NotedUndo(cluster, profile.namespaces.acp, run_id, journal, clock)
        undo.notes = notes
        yield Session(profile, cluster, run_id, journal, clock, undo, rehearsal=until)
