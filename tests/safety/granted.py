"""Granted equals used: what a whole play calls on the fake API server, against its roles."""

import json
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fake_api import scene
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.faults import health
from acpchaos.faults.changes import create_object
from acpchaos.faults.fault import Act, Need
from acpchaos.faults.rights import of_experiment
from acpchaos.faults.session import Session
from acpchaos.faults.undo import UndoLog, undo_run
from acpchaos.play import WATCHED
from acpchaos.record.events import Clock
from acpchaos.record.journal import Journal
from acpchaos.stores.exec import following
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster
from acpchaos.target.kinds import path_of
from acpchaos.target.lock import Lock
from acpchaos.target.profile import PROJECT, Profile, load_profile
from safety import rbac, target
from safety.crash_points import FAULTS

EXPERIMENT = {
    "pod_loss": "pod-loss.yaml", "zone_drain": "zone-drain.yaml", "redis_wipe": "redis-wipe.yaml",
}  # fmt: skip


@dataclass
class Granted:
    """What all plays came to."""

    plays: int = 0
    rights: int = 0
    missing: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


def compare() -> Granted:
    """Each experiment once, on a scene as new."""
    seen, api = Granted(), FakeApi()
    try:
        with tempfile.TemporaryDirectory() as folder, target.impatient():
            profile = load_profile(scene.write_profile(api, Path(folder)))
            for name in EXPERIMENT:
                target.fresh(api)
                missing, unused = of_whole_play(api, profile, name, Path(folder) / name)
                seen.plays += 1
                seen.rights += len(_granted(name, profile))
                seen.missing += [f"{name}: {each}" for each in missing]
                seen.unused += [f"{name}: {each}" for each in unused]
    finally:
        api.close()
    return seen


def _granted(name: str, profile: Profile) -> set[Need]:
    return of_experiment(PROJECT / "experiments" / EXPERIMENT[name], profile)


def of_whole_play(
    api: FakeApi, profile: Profile, name: str, folder: Path
) -> tuple[list[str], list[str]]:
    """Rights that a whole play with this fault needed and lacked, and that it had for nothing."""
    if name == "zone_drain":
        _tie(api)
    needed = _played(api, profile, name, folder)
    granted = _granted(name, profile)
    return rbac.missing(granted, needed), rbac.unused(granted, needed)


def _tie(api: FakeApi) -> None:
    """Two Redis pods of the zone, tied to their volumes: the second one is refused while the first
    one waits for the zone, so that the witness looks at volumes at all."""
    with api.store.lock:
        for number in (0, 1):
            pod = api.store.get(("pods", NAMESPACE, f"redis-cluster-{number}"))
            pod["spec"]["nodeName"] = "worker-a"
        for volume in api.store.items("persistentvolumes", "", "", ""):
            if "nodeAffinity" in volume["spec"]:
                volume["spec"]["nodeAffinity"]["required"]["node"] = "worker-a"


def _around(cluster: Cluster, profile: Profile, act: Callable[[UndoLog], None]) -> None:
    """All parts of a play but load and probes, which do not ask the API server."""
    guard.require(cluster, profile)
    lock = Lock(cluster, NAMESPACE, "run-1", lease_s=1)
    with lock:
        for part in health.PARTS:
            health.look(cluster, profile, part)
        for kind in WATCHED.values():
            path = path_of(kind, NAMESPACE)
            version = json.loads(cluster.call("GET", path))["metadata"]["resourceVersion"]
            cluster.open("GET", path, {"watch": "true", "resourceVersion": version}).close()
        stop = threading.Event()
        redis = profile.workloads.redis
        list(following(cluster, NAMESPACE)("redis-cluster-0", redis.container, ["x"], stop))
        act(UndoLog(cluster, NAMESPACE, "run-1", None, Clock()))
        threading.Event().wait(0.5)  # the Lease is renewed after a third of a second


def _played(api: FakeApi, profile: Profile, name: str, folder: Path) -> set[Need]:
    """What the calls of a whole play with this fault needed."""
    cluster = Cluster.from_profile(profile)

    def act(undo: UndoLog) -> None:
        with Journal(folder / "chaos.ndjson") as journal:
            session = Session(profile, cluster, "run-1", journal, Clock(), undo)
            whole = Act(FAULTS[name](session))
            whole.strike()
            whole.heal()
        undo.record(create_object("ConfigMap", NAMESPACE, "never-made"))
        undo_run(profile, "all", cluster)

    _around(cluster, profile, act)
    return rbac.used(api)
