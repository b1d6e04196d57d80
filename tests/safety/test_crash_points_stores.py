"""R7 for faults that cut off, use up and rotate: the process dies at some steps after its first
change, and another one leaves nothing behind, in the cluster and in the stores."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fake_api import scene
from fake_api.network import Network
from fake_api.server import FakeApi
from fake_api.stores import Stores
from faults.cases import allowing_all
from faults.test_exhaustion import Server
from faults.test_passwords import Nodes

from acpchaos.faults import cuts, exhaustion, passwords
from acpchaos.faults.undo import undo_run
from acpchaos.target.profile import load_profile
from safety import crash_points, target

FAULTS: dict[str, tuple[Callable[[FakeApi, Stores], Any], crash_points.Make]] = {
    "sql_cut": (Network, lambda s: cuts.cut_off(allowing_all(s), "sql", 8.0, 8.0)),
    "redis_cut": (Network, lambda s: cuts.cut_off(allowing_all(s), "redis", 8.0, 8.0)),
    "sql_exhausted": (
        Server, lambda s: exhaustion.Exhausted(allowing_all(s), "sql", 60, 8.0, 8.0),
    ),
    "redis_password": (Nodes, lambda s: passwords.RedisPassword(allowing_all(s), 8.0)),
}  # fmt: skip
SAMPLES = 4


@pytest.mark.parametrize("name", FAULTS)
def test_nothing_is_left_wherever_the_process_dies(api: FakeApi, tmp_path: Path, name: str) -> None:
    model, make = FAULTS[name]
    with target.impatient():
        profile = load_profile(scene.write_profile(api, tmp_path))

        def fresh() -> Any:
            target.fresh(api)
            return model(api, scene.whole(api))

        fresh()
        whole = crash_points.die(api, profile, tmp_path / "whole", make, None).steps
        first = next(at for at, step in enumerate(whole) if _changes(step))
        points = range(first, len(whole), max(1, (len(whole) - first) // SAMPLES))
        assert len(points) >= SAMPLES
        for at in points:
            stores = fresh()
            before = target.state(api)
            fate = crash_points.die(api, profile, tmp_path / str(at), make, at)
            undo_run(profile, "all")
            assert target.left_behind(before, target.state(api)) == [], (at, fate.where)
            assert not getattr(stores, "other", ()), (at, fate.where)


def _changes(step: str) -> bool:
    """Whether the step is before the first change beyond Lease and undo record."""
    own = ("/leases", "/configmaps", "accessreviews")
    changing = step.startswith(("before POST", "before PATCH", "before PUT"))
    return changing and not any(each in step for each in own)
