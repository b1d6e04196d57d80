"""Arguments of experiment files that name nothing are refused before the cluster is asked."""

from collections.abc import Callable

import pytest
from fake_api.server import FakeApi

from acpchaos.errors import UsageError
from acpchaos.faults import process, redis_faults, scaling, services, sql_faults
from acpchaos.faults.session import Session

BUILDS: dict[str, Callable[[Session], object]] = {
    "redis role": lambda s: redis_faults.RedisKill(s, "king", 0, 1.0),  # type: ignore[arg-type]
    "store": lambda s: sql_faults.SqlKill(s, "acp", 1.0),  # type: ignore[arg-type]
    "store to move": lambda s: sql_faults.SqlSwitchover(s, "x", 0, 1.0),  # type: ignore[arg-type]
    "service": lambda s: services.ServiceKill(s, "kubelet", 1, 0, 1.0),  # type: ignore[arg-type]
    "held down": lambda s: scaling.held_down(s, "acp", 1.0, 1.0),
    "held down dunder": lambda s: scaling.held_down(s, "__class__", 1.0, 1.0),
    "process": lambda s: process.ProcessKill(s, "redis", 1, 0, 1.0),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", BUILDS)
def test_unknown_words_are_refused(api: FakeApi, session: Session, name: str) -> None:
    with pytest.raises(UsageError):
        BUILDS[name](session)
    assert api.store.calls == []
