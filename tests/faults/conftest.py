"""A session on the fake API server: guard passed, lock not taken, journal in a run folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api import scene
from fake_api.server import FakeApi
from fake_api.stores import Stores

from acpchaos.faults.session import Session
from acpchaos.faults.undo import UndoLog
from acpchaos.record.events import Clock
from acpchaos.record.journal import Journal
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import load_profile


@pytest.fixture
def profile_path(api: FakeApi, tmp_path: Path) -> Path:
    return scene.write_profile(api, tmp_path)


@pytest.fixture
def session(profile_path: Path, tmp_path: Path) -> Iterator[Session]:
    profile = load_profile(profile_path)
    cluster, clock = Cluster.from_profile(profile), Clock()
    with Journal(tmp_path / "run-1" / "events" / "chaos.ndjson") as journal:
        undo = UndoLog(cluster, scene.NAMESPACE, "run-1", journal, clock)
        yield Session(profile, cluster, "run-1", journal, clock, undo)


@pytest.fixture
def stores(api: FakeApi) -> Stores:
    """The larger scene: six Redis nodes, Patroni, services of the cluster."""
    return scene.whole(api)
