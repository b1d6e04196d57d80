"""The new experiment files, played by real Chaos Toolkit children on the fake API server."""

import threading
from pathlib import Path
from typing import Any

import pytest
from fake_api.server import FakeApi
from fake_api.stores import Stores

from acpchaos.faults import toolkit
from acpchaos.target.profile import PROJECT, load_profile
from acpchaos.wait import eventually
from faults.told import events, undo_records

NODE_PODS = "[signals]\nnode_pods = true\n"
PLAYS: dict[str, dict[str, Any]] = {
    "workers-loss": {},
    "rolling-restart": {},
    "process-freeze": {"hold_s": 5},
    "redis-kill": {"role": "shard"},
    "redis-flush": {},
    "sql-kill-leader": {},
    "sql-minority": {"hold_s": 0.0},
    "dns-gone": {"hold_s": 0.0},
}


@pytest.fixture
def profile(profile_path: Path, stores: Stores) -> Path:
    """Node pods are allowed."""
    profile_path.write_text(profile_path.read_text() + NODE_PODS)
    return profile_path


def play(profile: Path, run_dir: Path, name: str, settings: dict[str, Any], **more: Any) -> Any:
    return toolkit.run(
        PROJECT / "experiments" / f"{name}.yaml", run_dir, load_profile(profile), settings,
        target=str(profile), deadline_s=60, **more,
    )  # fmt: skip


@pytest.mark.parametrize("name", PLAYS)
def test_played_and_whole_again(api: FakeApi, profile: Path, tmp_path: Path, name: str) -> None:
    run_dir = tmp_path / "run-9"
    played = play(profile, run_dir, name, PLAYS[name])
    told = events(run_dir / "events" / "chaos.ndjson")
    assert (played.outcome, played.conclusive) == ("passed", True), played.why
    assert (played.undone, played.dirty) == ((), "")
    assert [e["outcome"] for e in told if e["kind"] == "witness"] == ["installed"]
    assert {e["when"] for e in told if e["kind"] == "health" and e["ok"]} == {"before", "after"}
    assert undo_records(api) == []


def test_stopped_while_held_down_is_scaled_back(
    api: FakeApi, profile: Path, tmp_path: Path
) -> None:
    stop, run_dir = threading.Event(), tmp_path / "run-9"

    def replicas() -> int:
        with api.store.lock:
            found = api.store.get(("deployments", "kube-system", "coredns"))
            return int(found["spec"]["replicas"])

    def when_down() -> None:
        eventually("DNS to be gone", lambda: replicas() == 0, 40, 0.1)
        stop.set()

    watcher = threading.Thread(target=when_down)
    watcher.start()
    played = play(profile, run_dir, "dns-gone", {"hold_s": 60.0}, stop=stop)
    watcher.join()
    assert (played.outcome, played.dirty) == ("stopped", "")
    assert replicas() == 2 and undo_records(api) == []
