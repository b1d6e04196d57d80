"""What several rooms' tests share: a fake API server with one scene on it; and which of them run
beside each other in `make test`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api import scene
from fake_api.server import FakeApi

# these hold bars in real time, by signals, cadences and deadlines of real processes: nothing runs
# beside them; a stand-in whose Redis is starved keeps what it should have forgotten
ALONE = (
    "standin",
    "load/test_broken_answers.py", "load/test_by_hand.py", "load/test_prober.py",
    "load/test_surge.py", "load/test_swarm.py", "safety/test_kills.py", "safety/test_races.py",
)  # fmt: skip
TOGETHER = ("report",)  # in one process: its session starts a browser


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what runs alone; else a file, or a room of TOGETHER, stays in one process."""
    here, shared = Path(__file__).parent, config.pluginmanager.hasplugin("xdist")
    for item in items:
        if not item.path.is_relative_to(here):
            continue
        place = item.path.relative_to(here)
        if place.as_posix() in ALONE or place.parts[0] in ALONE:
            item.add_marker(pytest.mark.alone)
        if shared:
            group = place.parts[0] if place.parts[0] in TOGETHER else place.as_posix()
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture
def api() -> Iterator[FakeApi]:
    server = FakeApi()
    scene.build(server)
    yield server
    server.close()
