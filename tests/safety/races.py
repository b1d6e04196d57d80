"""R9: two runs race for one target, again and again; never may both hold it."""

import datetime as dt
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.errors import AcpchaosError, GuardRefused
from acpchaos.faults.undo import UndoLog
from acpchaos.record.events import Clock
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import LEASE, Lock
from acpchaos.target.profile import load_profile
from safety.rows import Tell, silent

WAYS = ("free", "expired", "released", "late")
HOLD_S = 0.002


@dataclass
class Races:
    """What all races came to. `refusal_s` is the slowest refusal."""

    run: int = 0
    won: int = 0
    double: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)  # other errors, or a refusal that names nobody
    refusal_s: float = 0.0


class Arena:
    """One server; contestants say when they believe to hold the target."""

    def __init__(self, api: FakeApi, clusters: list[Cluster]) -> None:
        self.api, self.clusters, self.races = api, clusters, Races()
        self._inside: set[str] = set()
        self._lock = threading.Lock()

    def hold(self, run_id: str) -> None:
        with self._lock:
            self._inside.add(run_id)
            if len(self._inside) > 1:
                self.races.double.append(" and ".join(sorted(self._inside)))
        time.sleep(HOLD_S)  # noqa: TID251  # long enough for the other one to err
        with self._lock:
            self._inside.discard(run_id)

    def contend(self, cluster: Cluster, run_id: str, start: threading.Barrier) -> None:
        lock = Lock(cluster, scene.NAMESPACE, run_id)
        start.wait(10)
        begin_s = time.monotonic()
        try:
            with lock:
                UndoLog(cluster, scene.NAMESPACE, run_id, None, Clock()).record(
                    {"kind": "cordon", "name": "worker-a", "uid": "u"}
                )
                self.hold(run_id)
                with self._lock:
                    self.races.won += 1
        except GuardRefused as error:
            took_s = time.monotonic() - begin_s
            with self._lock:
                self.races.refusal_s = max(self.races.refusal_s, took_s)
                if "held by run-" not in error.seen:
                    self.races.odd.append(f"{run_id}: {error.seen}")
        except AcpchaosError as error:
            self.races.odd.append(f"{run_id}: {error}")

    def race(self, number: int, way: str) -> None:
        store = self.api.store
        with store.lock:
            for key in [k for k in store.objects if k[0] in ("leases", "configmaps")]:
                store.drop(key)
        old = self._prepare(way)
        start = threading.Barrier(3 if old else 2)
        threads = [
            threading.Thread(target=self.contend, args=(cluster, f"run-{number}-{each}", start))
            for each, cluster in zip("ab", self.clusters, strict=False)
        ]
        for thread in threads:
            thread.start()
        if old is not None:
            start.wait(10)
            old.release()
        for thread in threads:
            thread.join(30)
        self.races.run += 1

    def _prepare(self, way: str) -> Lock | None:
        """free: no Lease. expired: that of a dead run. released: a live holder goes meanwhile.
        late: a holder that was asleep beyond its time goes, while others take over."""
        if way == "free":
            return None
        old = Lock(self.clusters[2], scene.NAMESPACE, "run-old").acquire()
        if way in ("expired", "late"):
            with self.api.store.lock:
                lease = self.api.store.get(("leases", scene.NAMESPACE, LEASE))
                long_ago = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
                lease["spec"]["renewTime"] = long_ago.isoformat()
        if way == "expired":
            old._stop.set()
            return None
        return old


def play(count: int, tell: Tell = silent) -> Races:
    """`count` races, all ways in turn."""
    api = FakeApi()
    try:
        with tempfile.TemporaryDirectory() as folder:
            scene.build(api)
            profile = load_profile(scene.write_profile(api, Path(folder)))
            arena = Arena(api, [Cluster.from_profile(profile) for _ in range(3)])
            for number in range(count):
                arena.race(number, WAYS[number % len(WAYS)])
                tell(number + 1)
            return arena.races
    finally:
        api.close()
