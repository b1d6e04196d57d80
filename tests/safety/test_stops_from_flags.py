"""From the flag to the undo: a real experiment in its own process ends, undone, when a file
appears, an alarm fires or the error budget burns, as the command line says."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from _pytest.config import _prepareconfig
from fake_api import scene
from fake_api.server import FakeApi
from golden.records import at

from acpchaos import plugin
from acpchaos.faults import toolkit
from acpchaos.faults.undo import recorded_runs
from acpchaos.stopping import Stopper
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import PROJECT, Profile
from acpchaos.wait import eventually
from safety.test_stopping import LOUD, PLANNED, QUIET, told, write


def asked(*flags: str) -> Profile:
    """The profile of a play with these flags of pytest."""
    config = _prepareconfig(["-p", "acpchaos.plugin", "-p", "no:cacheprovider", *flags])
    try:
        return plugin._profile(config)
    finally:
        config._ensure_unconfigure()


@pytest.mark.parametrize("way", ["file", "alarm", "burn"])
def test_a_flag_ends_a_real_drain_undone(api: FakeApi, tmp_path: Path, way: str) -> None:
    scene.never_emptied(api)
    events = tmp_path / "events"
    events.mkdir()
    target = ("--chaos-target", str(scene.write_profile(api, tmp_path)))
    with told(QUIET) as (url, says):
        flags, fire = {
            "file": (("--chaos-stop-file", str(tmp_path / "stop")), (tmp_path / "stop").touch),
            "alarm": (("--chaos-stop-url", url), lambda: says.append(LOUD)),
            "burn": (("--chaos-stop-burn", "0.5"), lambda: failing(events)),
        }[way]
        profile = asked(*target, *flags)
        cluster = Cluster.from_profile(profile)
        write(events, -20, 200)  # the steady phase, 10 requests per second
        stopper = Stopper(profile.stop, PLANNED, events, threading.Event(), 0.05, 0.05)
        thread = threading.Thread(target=when_cordoned, args=(cluster, fire))
        with stopper.looking():
            stopper._burn.fault_begins(at(0))
            thread.start()
            played = toolkit.run(
                PROJECT / "experiments" / "zone-drain.yaml", tmp_path / "run-1", profile,
                {"zone": "zone-a", "deadline_s": 60.0, "stuck_s": 60.0},
                target=target[1], deadline_s=90, stop=stopper,
            )  # fmt: skip
        thread.join()
    assert stopper.reason is not None and stopper.reason.by == way
    assert (played.outcome, played.dirty) == ("stopped", ""), played.why
    assert not cordoned(cluster) and recorded_runs(cluster, scene.NAMESPACE) == []


def failing(events: Path) -> None:
    """More than half of what the whole play may lose: 25 of 50."""
    write(events, 0, 30, "http_503")


def cordoned(cluster: Cluster) -> bool:
    return any(node["spec"].get("unschedulable") for node in cluster.list("Node"))


def when_cordoned(cluster: Cluster, fire: Callable[[], object]) -> None:
    eventually("the cordon", lambda: cordoned(cluster), 100, 0.1)
    fire()
