"""R6 and R8 in small: real processes, real signals."""

import pytest

from safety import kills, signals


def test_nothing_is_left_after_a_kill() -> None:
    seen = kills.kill_at_random(6, seed=5)
    assert (seen.done, seen.left, seen.broken) == (6, [], [])
    assert seen.live >= 3
    # `make safety` holds the bar itself; beside other tests a process may wait for its turn
    assert max(seen.late_s) < kills.TTL_S + kills.GRACE_S + 3.0


@pytest.mark.parametrize("way", ["HUP, stdin and stdout closed", "INT on a full disk"])
def test_nothing_is_left_after_a_stop(way: str) -> None:
    seen = signals.stop(way)
    assert (seen.left, seen.code != 0) == ([], True)
    assert seen.clean_s < 10
