"""R7: the process dies at every journal write and every API call, one after the other; another
process then undoes the run, and nothing of it is left."""

import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from fake_api import scene
from fake_api.server import FakeApi
from faults.cases import CASES, allowing_all

from acpchaos.errors import AcpchaosError
from acpchaos.faults import catalogue_docs
from acpchaos.faults.catalogue import ENTRIES
from acpchaos.faults.fault import Act, Fault
from acpchaos.faults.pods import PodLoss
from acpchaos.faults.redis_wipe import RedisWipe
from acpchaos.faults.session import Session
from acpchaos.faults.undo import UndoLog, undo_run
from acpchaos.faults.zone_drain import ZoneDrain
from acpchaos.record.events import Clock
from acpchaos.record.mutations import Mutations, read_chain
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import Lock
from acpchaos.target.profile import Profile
from safety import target
from safety.mortal import (
    Fate,
    Killed,
    MortalCluster,
    MortalJournal,
    MortalMutations,
    mortal_commands,
)
from safety.place import Scene, fake_target, larger, plain
from safety.scenes import SCENES

Make = Callable[[Session], Fault]
FAULTS: dict[str, Make] = {
    "pod_loss": lambda session: PodLoss(session, "acp", 2, 0.0, 0, 7, 10.0),
    "zone_drain": lambda session: ZoneDrain(session, "zone-a", 0, 20.0, 0.2, 20.0),
    "redis_wipe": lambda session: RedisWipe(session, 20.0),
}
# the rest of the catalogue: on the larger scene and with all consents, or on scenes of their own
CATALOGUE: dict[str, Scene] = {
    name: Scene(lambda s, build=case.build: build(allowing_all(s)), larger)  # type: ignore[misc]
    for name, case in CASES.items()
    if name not in FAULTS
} | SCENES
RUN = "run-1"


@dataclass
class Tally:
    """What all crashes of one fault came to."""

    points: int = 0
    dirty: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


def never_crashed() -> list[str]:
    """Faults of the catalogue that this enumeration does not know."""
    with tempfile.TemporaryDirectory() as folder:
        session = catalogue_docs.nowhere(Path(folder))
        every = {entry.build(session).name for entry in ENTRIES}
    return sorted(every - FAULTS.keys() - CATALOGUE.keys())


def die(api: FakeApi, profile: Profile, folder: Path, make: Make, at: int | None) -> Fate:
    """One whole run of a fault, as a process plays it, that dies at step `at`."""
    fate = Fate(at)
    journal = MortalJournal(folder / "events" / "chaos.ndjson")
    mutations = MortalMutations(folder / "mutations.ndjson")
    journal.fate = mutations.fate = fate
    cluster = MortalCluster.from_profile(profile, mutations)
    cluster.fate = fate
    with suppress(Killed), mortal_commands():
        _live(profile, cluster, journal, mutations, make)
    journal.close()
    mutations.leave()
    return fate


def _live(
    profile: Profile, cluster: Cluster, journal: MortalJournal, mutations: Mutations, make: Make
) -> None:
    guard.require(cluster, profile)
    clock = Clock()
    with Lock(cluster, scene.NAMESPACE, RUN):
        undo = UndoLog(cluster, scene.NAMESPACE, RUN, journal, clock)
        try:
            act = Act(make(Session(profile, cluster, RUN, journal, clock, undo)))
            act.strike()
            act.heal()
        finally:
            undo.revert_all()
    mutations.close()


def enumerate_crashes(name: str, every: int = 1, only: str = "") -> Tally:
    """Die at every step of this fault (or every n-th, or those that begin with `only`), then undo,
    and compare with before."""
    tally = Tally()
    make, prepare, begin = CATALOGUE.get(name) or Scene(FAULTS[name], plain)
    with fake_target() as (place, profile):
        api, profile = place.api, begin(profile, place)
        prepare(place)
        whole = die(api, profile, place.folder / "whole", make, None)
        for at in range(0, len(whole.steps), every):
            if not whole.steps[at].startswith(only):
                continue
            place.ends.close()
            inside = prepare(place)
            before = target.state(api)
            home = place.folder / str(at)
            fate = die(api, profile, home, make, at)
            if not fate.dead:  # an eviction was not asked again this time: the run was shorter
                continue
            tally.points += 1
            left = _restart(api, profile, home)
            left += target.left_behind(before, target.state(api)) + inside()
            _add(tally.dirty, at, fate, left)
            _add(tally.unmatched, at, fate, target.unmatched(api, home / "mutations.ndjson"))
            _add(tally.broken, at, fate, _broken(home))
    return tally


def _add(to: list[str], at: int, fate: Fate, found: list[str]) -> None:
    to += [f"{at} {fate.where}: {each}" for each in found]


def _restart(api: FakeApi, profile: Profile, home: Path) -> list[str]:
    """What `acpchaos undo` does, in a process that knows nothing of the dead one; why it failed."""
    with Mutations(home / "mutations.ndjson") as mutations:
        try:
            undo_run(profile, "all", Cluster.from_profile(profile), None, lambda run: mutations)
        except AcpchaosError as error:
            return [f"undo: {error.seen}"]
    return []


def _broken(home: Path) -> list[str]:
    """Faults of the chain other than the one line that dying tore."""
    path = home / "mutations.ndjson"
    faults = read_chain(path).faults if path.exists() else []
    torn = [each for each in faults if "torn" in each]
    return [each for each in faults if each not in torn[:1] and "never closed" not in each]
