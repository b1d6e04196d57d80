"""What several rooms' tests share: a fake API server with one scene on it."""

from collections.abc import Iterator

import pytest
from fake_api import scene
from fake_api.server import FakeApi


@pytest.fixture
def api() -> Iterator[FakeApi]:
    server = FakeApi()
    scene.build(server)
    yield server
    server.close()
