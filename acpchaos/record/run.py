"""The run folder: where one play keeps everything it saw, and how that is read back.

Room: record. The folder is the whole truth; every verdict and page is made from it alone. It must
not know how a run is judged.
"""

import platform
import subprocess
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple, TypeVar

import msgspec
import numpy as np

from acpchaos.errors import UsageError
from acpchaos.record import history
from acpchaos.record.columns import Many, Requests
from acpchaos.record.events import AnyEvent, Event, Phase, Request
from acpchaos.record.journal import Journal, gap_of, read_journal
from acpchaos.scenario import Scenario

E = TypeVar("E", bound=Event)

# What a run depends on beside this project: told by the doctor, recorded in run.json.
PACKAGES = ("chaostoolkit", "chaostoolkit-lib", "kubernetes", "locust", "pytest")
MANY = 200_000  # requests; beyond that they stay columns
PHASES = ("gate", "steady", "fault", "recovery", "after", "end")


class RunMeta(msgspec.Struct, frozen=True, kw_only=True):
    """run.json. The scenario is the played one: budgets and the flow mix are plain numbers.

    `target` is the fingerprint: profile name, kube_system_uid, api_host, base_url and what else
    tells one installation from another. `clock_offsets_ms` maps each other clock to its distance
    from the runner's.
    """

    run_id: str
    seed: int
    started_ns: int
    commit: str
    dirty: bool
    argv: tuple[str, ...]
    target: dict[str, str]
    versions: dict[str, str]
    scenario: Scenario
    clock_offsets_ms: dict[str, float] = {}


class RunFolder:
    """Names of everything in a run folder. Paths only; nothing is created until asked for."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.run_json = self.path / "run.json"
        self.events = self.path / "events"
        self.history = self.path / "history.parquet"
        self.verdicts = self.path / "verdicts.json"
        self.evidence = self.path / "evidence.html"
        self.manifest = self.path / "manifest.json"
        self.chaos = self.path / "chaos"
        self.locust = self.path / "locust"

    @classmethod
    def create(cls, path: Path, meta: RunMeta) -> "RunFolder":
        """Make a new folder and its run.json; refuses a folder that already holds a run."""
        folder = cls(path)
        if folder.run_json.exists():
            raise UsageError(
                f"create run folder {path}", "it already holds a run", "choose another run id"
            )
        for room in (folder.events, folder.chaos, folder.locust):
            room.mkdir(parents=True, exist_ok=True)
        folder.write_meta(meta)
        return folder

    def write_meta(self, meta: RunMeta) -> None:
        """Replace run.json in one step, so that a reader never sees half of it."""
        half = self.run_json.with_suffix(".tmp")
        half.write_bytes(msgspec.json.format(msgspec.json.encode(meta), indent=2) + b"\n")
        half.replace(self.run_json)

    def meta(self) -> RunMeta:
        """Read run.json back."""
        try:
            return msgspec.json.decode(self.run_json.read_bytes(), type=RunMeta)
        except (OSError, msgspec.DecodeError) as error:
            raise UsageError(
                f"read {self.run_json}", str(error), "name a folder made by a play (reports/<id>)"
            ) from error

    def journal(self, writer: str) -> Journal:
        """The append-only event file of one writer."""
        return Journal(self.events / f"{writer}.ndjson")


class Run:
    """A recorded run in memory: events sorted by time, and the few questions all checks ask.

    Requests may come as events, or as the columns of a sealed history. More than MANY of them stay
    columns, and are not among `events`; whatever is judged, it is judged alike.
    """

    def __init__(
        self, meta: RunMeta, events: Iterable[AnyEvent], history: Requests | None = None
    ) -> None:
        self.meta = meta
        self.scenario = meta.scenario
        self._many: dict[str, Many] = {}
        told = list(events)
        if history is not None and len(history) > MANY and not _has_requests(told):
            self._many = _by_source(history)
        elif history is not None:
            told += history.rows()
        self.events: list[AnyEvent] = sorted(told, key=lambda event: event.t_ns)

    def of(self, kind: type[E]) -> list[E]:
        """All events of one kind, in order of time."""
        return [event for event in self.events if isinstance(event, kind)]

    def requests(self, source: str | None = None, flow: str | None = None) -> Sequence[Request]:
        """Requests, in order of their end (of MANY, in the order they were due), narrowed to a
        source and a flow."""
        if self._many and source is not None:
            many = self._many.get(source)
            if many is None:
                return []
            return many if flow is None else many.of_flow(flow)
        return [
            request
            for request in self._requests
            if source in (None, request.source) and flow in (None, request.flow)
        ]

    def phase(self, name: str) -> tuple[int, int] | None:
        """(begin_ns, end_ns) of a phase: until the next one begins, or the record ends."""
        marks = self.of(Phase)
        for index, mark in enumerate(marks):
            if mark.name == name:
                later = marks[index + 1 :]
                return mark.t_ns, later[0].t_ns if later else self.end_ns
        return None

    @property
    def end_ns(self) -> int:
        """Time of the last event; 0 for an empty record."""
        return max([each.t_ns for each in self.events[-1:]] + [self._last_ns], default=0)

    @cached_property
    def _last_ns(self) -> int:
        """The latest end of many requests."""
        ends_ns = [
            int((c.due + c.late + c.took).max()) * c.unit_ns
            for c in (many.columns for many in self._many.values())
        ]
        return max(ends_ns, default=0)

    @cached_property
    def _requests(self) -> list[Request]:
        found = [request for many in self._many.values() for request in many] + self.of(Request)
        return sorted(found, key=lambda request: request.t_ns) if self._many else found


def _has_requests(events: list[AnyEvent]) -> bool:
    return any(isinstance(event, Request) for event in events)


def _by_source(history: Requests) -> dict[str, Many]:
    """Each source's requests; they lie together, so nothing is copied."""
    found = {}
    for code, source in enumerate(history.source.words):
        first, after = np.searchsorted(history.source.codes, [code, code + 1])
        found[source] = Many(history.taken(slice(first, after)))
    return found


def load_run(path: Path) -> Run:
    """Read a run folder, sealed or not. Same files, same Run: writers are read in order of their
    names."""
    folder = RunFolder(path)
    meta = folder.meta()
    events: list[AnyEvent] = []
    torn: list[tuple[Path, int]] = []
    kept = history.sealed(folder.history)
    for file in history.journals(folder.events, kept):
        reading = read_journal(file)
        events += reading.events
        if reading.torn_since_ns is not None:
            torn.append((file, reading.torn_since_ns))
    requests = history.read(folder.history) if kept else None
    run = Run(meta, events, requests)
    if not torn:
        return run
    gaps = [gap_of(file, since_ns, run.end_ns) for file, since_ns in torn]
    return Run(meta, [*events, *gaps], requests)


def checkout_state(root: Path) -> tuple[str, bool]:
    """(commit, dirty) of the source tree at `root`; ("unknown", True) outside a checkout."""

    def git(*args: str) -> str:
        answer = subprocess.run(
            ["git", "-C", str(root), *args], capture_output=True, text=True, check=True, timeout=20
        )
        return answer.stdout.strip()

    try:
        return git("rev-parse", "HEAD"), bool(git("status", "--porcelain"))
    except (OSError, subprocess.SubprocessError):
        return "unknown", True


class Origin(NamedTuple):
    """What a record was made by: checkout, command line without its folder, and versions."""

    commit: str
    dirty: bool
    argv: tuple[str, ...]
    versions: dict[str, str]


def origin(root: Path) -> Origin:
    """The origin of what this process records; packages that are not installed are left out."""
    commit, dirty = checkout_state(root)
    packages = {name: seen for name, seen in package_versions().items() if seen}
    return Origin(
        commit=commit,
        dirty=dirty,
        argv=(Path(sys.argv[0]).name, *sys.argv[1:]),
        versions={"python": platform.python_version(), **packages},
    )


def package_versions() -> dict[str, str]:
    """Installed version of each of PACKAGES; empty for one that is not installed."""

    def seen(name: str) -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            return ""

    return {name: seen(name) for name in PACKAGES}
