"""R13: faults begun at random on a target that could not recover from them: an unsynced replica, a
budget at 0, a pod that waits, a full node. Gate or set-up must refuse, before anything is changed.

Each start goes the way of the experiment's file: its own gate, then its fault. Among them are some
on a whole target, which must be played: a harness that injects nothing would prove nothing.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import yaml
from fake_api import scene
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.errors import AcpchaosError
from acpchaos.faults import catalogue_docs, probes, room
from acpchaos.faults.catalogue import ENTRIES
from acpchaos.faults.fault import Act
from acpchaos.faults.session import Session, standing_in
from acpchaos.faults.undo import UndoLog
from acpchaos.record.events import Clock
from acpchaos.record.journal import Journal
from acpchaos.record.mutations import FILE, Mutations, read_chain
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import PROJECT, Profile
from safety.crash_points import CATALOGUE, FAULTS, RUN
from safety.place import Place, Scene, as_it_is, fake_target, larger, plain
from safety.rows import Tell, silent

WHOLE = "whole"
EVERY = 8  # one start in so many is on a whole target
DRAINS = ("zone_drain", "node_drain")
PODS = {"acp": "acp-", "workers": "acp-workers-", "redis": "redis-cluster-", "sql": "postgresql-",
        "analytics": "timescaledb-"}  # fmt: skip
RECORD = f"/configmaps/acpchaos-undo-{RUN}"


@dataclass
class Starts:
    """What all starts came to."""

    done: int = 0
    refused: int = 0
    played: int = 0  # on a whole target
    whole: int = 0
    injected: list[str] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)  # not played on a whole target, or no reason told


class Unmet(NamedTuple):
    """A precondition of recovery that is not met. `parts` are those whose gates are to see it; none
    where it matters to drains alone."""

    parts: tuple[str, ...]
    spoil: Callable[[FakeApi, str, random.Random], None]


def _says(api: FakeApi, pod: str, was: str, now: str) -> None:
    """A pod's commands answer the first `was` as `now`."""
    answer = api.on_exec

    def spoiled(asked: str, argv: list[str]) -> tuple[str, int]:
        text, code = answer(asked, argv)
        return (text.replace(was, now, 1) if asked.startswith(pod) else text), code

    api.on_exec = spoiled


def _unlinked(api: FakeApi, part: str, dice: random.Random) -> None:
    """A replica without its master, or a member that does not stream."""
    if part == "redis":
        _says(api, f"redis-cluster-{dice.choice((3, 4, 5))}", "status:up", "status:down")
    else:
        _says(api, PODS[part], '"streaming"', dice.choice(['"starting"', '"stopped"']))


def _waiting(api: FakeApi, part: str, dice: random.Random) -> None:
    """A pod that no node takes."""
    store, put = api.store, api.store._schedule
    with store.lock:
        names = [k[2] for k in store.objects if k[:2] == ("pods", NAMESPACE)
                 and _of(k[2], part)]  # fmt: skip
        pod = store.get(("pods", NAMESPACE, dice.choice(sorted(names))))
        pod["spec"].pop("nodeName")
        pod["status"] = {"phase": "Pending"}
        store._schedule = (  # type: ignore[method-assign]
            lambda each: None if each["metadata"]["uid"] == pod["metadata"]["uid"] else put(each)
        )


def _of(pod: str, part: str) -> bool:
    return pod.startswith(PODS[part]) and (part != "acp" or not pod.startswith(PODS["workers"]))


def _pressed(api: FakeApi, part: str, dice: random.Random) -> None:
    with api.store.lock:
        node = api.store.get(("nodes", "", dice.choice(sorted(scene.NODES))))
        kind = dice.choice(("DiskPressure", "MemoryPressure", "PIDPressure"))
        full = {"type": kind, "status": "True"}
        node["status"] = {"conditions": [*node["status"]["conditions"], full]}


def _shut(api: FakeApi, part: str, dice: random.Random) -> None:
    with api.store.lock:
        name = dice.choice(("acp", "acp-workers", "redis-cluster", "postgresql", "timescaledb"))
        budget = api.store.get(("poddisruptionbudgets", NAMESPACE, name))
        budget["spec"]["maxUnavailable"] = 0


def _full(api: FakeApi, part: str, dice: random.Random) -> None:
    """No node has room beside what runs there, by one kind of it."""
    kind = dice.choice(("cpu", "memory", "pods"))
    has = {"cpu": "8", "memory": "32Gi", "pods": "110"} | {kind: "1"}
    with api.store.lock:
        for key, item in api.store.objects.items():
            if key[0] == "nodes":
                item["status"] = item["status"] | {"allocatable": dict(has)}
            if key[0] == "pods" and key[1] == NAMESPACE:
                wants = {"requests": {"cpu": "500m", "memory": "1Gi"}}
                item["spec"]["containers"][0]["resources"] = wants


UNMET: dict[str, Unmet] = {
    "replica not in step": Unmet(("redis", "sql", "analytics"), _unlinked),
    "pod waits for a node": Unmet(tuple(PODS), _waiting),
    "node under pressure": Unmet(("nodes",), _pressed),
    "budget at 0": Unmet((), _shut),
    "no room elsewhere": Unmet((), _full),
}


def parts_of(name: str, experiment: str) -> str:
    """What the gate of a fault's experiment looks at."""
    content = yaml.safe_load((PROJECT / "experiments" / experiment).read_text(encoding="utf-8"))
    (probe,) = content["steady-state-hypothesis"]["probes"]
    return str(probe["provider"]["arguments"]["parts"])


def gates() -> dict[str, str]:
    """Faults that strike on the fake API server alone, with the parts of their gates. Those beneath
    have gates of the same parts."""
    with tempfile.TemporaryDirectory() as folder:
        session = catalogue_docs.nowhere(Path(folder))
        named = {entry.build(session).name: entry.experiment for entry in ENTRIES}
    known = FAULTS.keys() | {name for name, each in CATALOGUE.items() if each.begin is as_it_is}
    return {name: parts_of(name, file) for name, file in sorted(named.items()) if name in known}


def begin(count: int, seed: int, tell: Tell = silent) -> Starts:
    """`count` starts; each unmet precondition in turn, of a fault that it matters to."""
    seen, ways = Starts(), gates()
    with _target() as (place, profile):
        for number in range(count):
            dice = random.Random(f"{seed}-{number}")
            whole = number % EVERY == 0
            what = WHOLE if whole else list(UNMET)[number % len(UNMET)]
            matters = [name for name in ways if whole or _hits(UNMET[what], name, ways[name])]
            name = dice.choice(matters)
            _one(place, profile, seen, name, ways[name], what, dice)
            tell(number + 1)
    return seen


def _hits(unmet: Unmet, name: str, parts: str) -> tuple[str, ...]:
    if not unmet.parts:
        return DRAINS if name in DRAINS else ()
    return tuple(part for part in unmet.parts if part in parts.split(","))


def _one(
    place: Place, profile: Profile, seen: Starts, name: str, parts: str, what: str,
    dice: random.Random,
) -> None:  # fmt: skip
    place.ends.close()
    made = CATALOGUE.get(name) or Scene(FAULTS[name], larger)
    (larger if made.prepare is plain else made.prepare)(place)
    if what != WHOLE:
        part = dice.choice(_hits(UNMET[what], name, parts))
        UNMET[what].spoil(place.api, part, dice)
    label = f"{name}, {what}"
    with tempfile.TemporaryDirectory(dir=place.folder) as folder:
        why = _strike(place, profile, made, parts, Path(folder))
        journal = Path(folder) / FILE  # it is made by its first line
        calls = read_chain(journal).calls if journal.exists() else ()
    changed = [f"{line.method} {line.path}" for line in calls]
    changed = [call for call in changed if RECORD not in call and not call.endswith("/configmaps")]
    seen.done += 1
    if what == WHOLE:
        seen.whole += 1
        seen.played += not why
        seen.idle += [f"{label}: {why}"] if why else []
        return
    seen.refused += bool(why)
    seen.injected += [f"{label}: {call}" for call in changed[:3]]
    if not why:
        seen.injected.append(f"{label}: not refused")


def _strike(place: Place, profile: Profile, made: Scene, parts: str, home: Path) -> str:
    """Gate, then fault; why it was refused, or empty."""
    with (
        Mutations(home / FILE) as mutations, Journal(home / "chaos.ndjson") as journal,
    ):  # fmt: skip
        cluster = Cluster.from_profile(profile, mutations)
        undo = UndoLog(cluster, NAMESPACE, RUN, journal, Clock())
        session = Session(profile, cluster, RUN, journal, Clock(), undo)
        with standing_in(session):
            if not probes.healthy(parts, 1.0):
                return "the gate is shut"
            try:
                act = Act(made.make(session))
                act.strike()
                return ""
            except AcpchaosError as error:
                return error.seen
            finally:
                undo.revert_all()


@contextmanager
def _target() -> Iterator[tuple[Place, Profile]]:
    with fake_target() as (place, profile):
        place.patch.setattr(room, "BUDGETS_S", 0.3)
        yield place, profile
