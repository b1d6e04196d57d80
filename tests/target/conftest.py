"""A scene per test: fake API server, profile file, connected cluster."""

from pathlib import Path

import pytest
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import Profile, load_profile


@pytest.fixture
def profile(api: FakeApi, tmp_path: Path) -> Profile:
    return load_profile(scene.write_profile(api, tmp_path))


@pytest.fixture
def cluster(profile: Profile) -> Cluster:
    return Cluster.from_profile(profile)
