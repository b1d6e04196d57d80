"""Hand-made run folders and the browser that looks at pages made from them."""

import shutil
from pathlib import Path

import pytest

from acpchaos.check.verdict import Outcome
from tests.report import synthetic

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture
def wipe(tmp_path: Path) -> Path:
    """A Redis wipe that held."""
    claims = [synthetic.claim("reconnects"), synthetic.claim("losses", rows=("BRD-06",))]
    return synthetic.write_run(tmp_path / "run-wipe", "redis-wipe", synthetic.events(), claims)


@pytest.fixture
def drain(tmp_path: Path) -> Path:
    """A zone drain nobody witnessed, with a blind recorder; one claim failed, one undecided."""
    recorded = [
        *synthetic.phases(),
        *synthetic.requests(30, 1.3, seed=2),
        *synthetic.pods(),
        *synthetic.deeds("zone-drain", witnessed=False),
        *synthetic.looks(),
        synthetic.gap(),
    ]
    claims = [
        synthetic.claim("held", Outcome.INCONCLUSIVE, ("HA1-06",), None, 1, "%"),
        synthetic.claim("spread", Outcome.FAILED, ("HA4-02", "HA1-06"), 1, 2, "zones"),
    ]
    return synthetic.write_run(tmp_path / "run-drain", "zone-drain", recorded, claims)


@pytest.fixture(scope="session")
def browser() -> str:
    """Path of a Chromium. Never skipped: a page nobody looked at is not tested."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.fail("no Chromium found; install it with: apt-get install -y chromium")
    return found
