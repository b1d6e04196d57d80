"""R8: a play that is told to stop, loses its terminal or its disk, in the middle of a drain; its
target must be as before within seconds."""

import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.faults import toolkit
from acpchaos.record.mutations import FILE
from acpchaos.target.profile import PROJECT
from safety import target

RUN = "run-8"
RUNNER = """
import sys
from pathlib import Path
from acpchaos import play
from acpchaos.faults import toolkit
from acpchaos.record.mutations import FILE, Mutations
from acpchaos.report.progress import Progress
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import Lock
from acpchaos.target.profile import load_profile
profile, home = load_profile(sys.argv[1]), Path(sys.argv[2])
print("x" * 10, flush=True)
with play._signals(Progress()), Mutations(home / FILE) as mutations:
    cluster = Cluster.from_profile(profile, mutations)
    with Lock(cluster, profile.namespaces.acp, home.name):
        played = toolkit.run(
            Path("experiments/zone-drain.yaml"), home, profile,
            {"zone": "zone-a", "deadline_s": 60.0, "stuck_s": float(sys.argv[3]), "hold_s": 30.0},
            target=sys.argv[1], deadline_s=90,
        )
        print(played, flush=True)
        sys.exit(11 if played.dirty else 0)
"""


@dataclass
class Stopped:
    """How one way to stop ended. `clean_s` is from the signal until the state was back."""

    way: str
    clean_s: float
    ended_s: float
    code: int
    left: list[str] = field(default_factory=list)


def _signal(number: int) -> Callable[[subprocess.Popen[bytes]], None]:
    return lambda runner: runner.send_signal(number)


def _full_disk(runner: subprocess.Popen[bytes]) -> None:
    """No process of the play can write to any file from now on."""
    for pid in (runner.pid, *_children(runner.pid)):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, 0))
    runner.send_signal(signal.SIGINT)


def _no_terminal(runner: subprocess.Popen[bytes]) -> None:
    """Nobody reads and nobody types any more, then the terminal hangs up."""
    for stream in (runner.stdin, runner.stdout, runner.stderr):
        if stream is not None:
            stream.close()
    runner.send_signal(signal.SIGHUP)


WAYS: dict[str, Callable[[subprocess.Popen[bytes]], None]] = {
    "INT": _signal(signal.SIGINT),
    "TERM": _signal(signal.SIGTERM),
    "HUP, stdin and stdout closed": _no_terminal,
    "INT on a full disk": _full_disk,
}


def stop(way: str, stuck_s: float = 60.0) -> Stopped:
    """Drain a zone that cannot be emptied, stop the play by `way`, and look until it is over."""
    api = FakeApi()
    try:
        with tempfile.TemporaryDirectory() as folder:
            target.fresh(api)
            scene.never_emptied(api)
            before = target.state(api)
            profile, home = scene.write_profile(api, Path(folder)), Path(folder) / RUN
            runner = subprocess.Popen(
                [sys.executable, "-c", RUNNER, str(profile), str(home), str(stuck_s)],
                cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE, preexec_fn=toolkit.heed_interrupt,
            )  # fmt: skip
            try:
                return _watch(api, before, runner, way, home)
            finally:
                runner.kill()
    finally:
        api.close()


def _watch(
    api: FakeApi, before: dict[str, object], runner: subprocess.Popen[bytes], way: str, home: Path
) -> Stopped:
    _until(lambda: bool(target.left_behind(before, target.state(api))), 60)
    _until(lambda: any("eviction" in call for call in api.store.calls), 30)
    begun_s = time.monotonic()
    WAYS[way](runner)
    _until(lambda: not target.left_behind(before, target.state(api)), 30)
    clean_s = time.monotonic() - begun_s
    code = runner.wait(60)
    ended_s = time.monotonic() - begun_s
    left = target.left_behind(before, target.state(api))
    with api.store.lock:
        left += [f"lease {key[2]}" for key in api.store.objects if key[0] == "leases"]
    if "disk" not in way:
        left += target.unmatched(api, home / FILE)
    return Stopped(way, clean_s, ended_s, code, left)


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in text.split() if os.path.exists(f"/proc/{each}")]  # noqa: PTH110


def _until(seen: Callable[[], bool], most_s: float) -> None:
    end_s = time.monotonic() + most_s
    while time.monotonic() < end_s and not seen():
        time.sleep(0.02)  # noqa: TID251
