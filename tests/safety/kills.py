"""R6: SIGKILL at random moments, of the runner, of the reaper, of both, and with the API server
away; the reaper, as its Job would start it again, must leave nothing behind in time."""

import multiprocessing
import random
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import forkserver
from pathlib import Path

import pytest
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.faults.fault import Act
from acpchaos.faults.session import Session
from acpchaos.faults.undo import UndoLog
from acpchaos.record.events import Clock
from acpchaos.record.journal import Journal
from acpchaos.record.mutations import FILE, Mutations, read_chain
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import Lock
from acpchaos.target.profile import load_profile
from safety import reaping, target
from safety.crash_points import FAULTS, RUN
from safety.rows import Tell, silent

TTL_S = 1
HOLD_S = 1.0  # how long a fault lasts, so that most kills find it live
GRACE_S = 1.0  # over the Lease's time, until everything recorded is back
OUTAGE_S = 0.7
VICTIMS = ("runner", "reaper", "runner and reaper", "runner, while the API server is away")
KILLED_FAULTS = ("zone_drain", "redis_wipe")


@dataclass
class Kills:
    """What all kills came to. `late_s` are seconds until the state was back, from the kill, or from
    when the API server answered or a reaper was armed again."""

    done: int = 0
    live: int = 0  # kills that found something recorded
    left: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    late_s: list[float] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)  # of late_s


def live(profile_path: str, home: str, name: str) -> None:
    """The runner: a whole fault, in a process of its own."""
    profile, clock = load_profile(profile_path), Clock()
    with Mutations(Path(home) / FILE) as mutations, Journal(Path(home) / "chaos.ndjson") as journal:
        cluster = Cluster.from_profile(profile, mutations)
        guard.require(cluster, profile)
        with target.impatient(), Lock(cluster, scene.NAMESPACE, RUN, TTL_S):
            undo = UndoLog(cluster, scene.NAMESPACE, RUN, journal, clock)
            act = Act(FAULTS[name](Session(profile, cluster, RUN, journal, clock, undo)))
            act.strike()
            threading.Event().wait(HOLD_S)
            act.heal()
            undo.revert_all()


def kill_at_random(count: int, seed: int, workers: int = 2, tell: Tell = silent) -> Kills:
    """`count` kills; each worker has a server of its own, since most of it is waiting."""
    fork = multiprocessing.get_context("forkserver")
    fork.set_forkserver_preload(["safety.kills"])
    with pytest.MonkeyPatch.context() as patch:  # its children then start in no time
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        forkserver.ensure_running()
    kills, lock = Kills(), threading.Lock()

    def one(number: int) -> None:
        dice = random.Random(f"{seed}-{number}")
        with tempfile.TemporaryDirectory() as folder:
            _kill(fork, Path(folder), dice, number, kills, lock)
        tell(kills.done)

    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(one, range(count)))
    return kills


def _kill(
    fork: multiprocessing.context.ForkServerContext, folder: Path, dice: random.Random,
    number: int, kills: Kills, lock: threading.Lock,
) -> None:  # fmt: skip
    api = FakeApi()
    target.fresh(api)
    before = target.state(api)
    path, name = scene.write_profile(api, folder), dice.choice(KILLED_FAULTS)
    victim = VICTIMS[number % len(VICTIMS)]
    runner = fork.Process(target=live, args=(str(path), str(folder), name), daemon=True)
    runner.start()
    _wait(lambda: any(key[0] == "leases" for key in _keys(api)), 60)
    assert any(key[0] == "leases" for key in _keys(api)), "the runner did not begin"
    reaper = reaping.start(api, RUN)
    held = number // len(VICTIMS) % 2 == 0
    if held:  # a moment of its hold, however slowly it came there; else any moment
        _wait(lambda: any(key[0] == "configmaps" for key in _keys(api)), 60)
    time.sleep(dice.uniform(0, HOLD_S * (1.0 if held else 2.0)))  # noqa: TID251
    if "away" in victim:
        api.closing = True
    if "runner" in victim:  # it may have ended by itself
        runner.kill()
        runner.join(10)
    if "reaper" in victim:
        reaper.kill()
        reaper.communicate()
        reaper = reaping.start(api, RUN)  # as its Job does
        assert reaper.stdout is not None
        reaper.stdout.readline()  # armed: how long its Job takes is not its own time
    if "away" in victim:
        time.sleep(OUTAGE_S)  # noqa: TID251
        api.closing = False
    killed_s = time.monotonic()
    recorded = any(key[0] == "configmaps" for key in _keys(api))
    back_s = _wait(lambda: not target.left_behind(before, target.state(api)), 15) - killed_s
    runner.join(60)  # one that lives heals by itself
    _, said = reaper.communicate(timeout=30)
    left = target.left_behind(before, target.state(api))
    with lock:
        kills.done += 1
        kills.live += recorded
        label = f"kill {number} of {victim} in {name}"
        if recorded and "runner" in victim:
            kills.late_s.append(back_s)
            kills.labels.append(label)
        kills.left += [f"{label}: {each}" for each in left]
        if reaper.returncode:
            kills.left.append(f"{label}: the reaper ended with {reaper.returncode}: {said[-300:]}")
        kills.broken += [f"{label}: {each}" for each in _chain_faults(folder)]
    api.close()


def _chain_faults(folder: Path) -> list[str]:
    path = folder / FILE
    faults = read_chain(path).faults if path.exists() else []
    return [each for each in faults if "never closed" not in each]


def _keys(api: FakeApi) -> list[tuple[str, str, str]]:
    with api.store.lock:
        return list(api.store.objects)


def _wait(seen: object, most_s: float) -> float:
    """When `seen` was true, or when the time was over."""
    end_s = time.monotonic() + most_s
    while time.monotonic() < end_s and not seen():  # type: ignore[operator]
        time.sleep(0.05)  # noqa: TID251  # a look at everything is what a kill costs most
    return time.monotonic()
