"""The only place that waits: a probe, a named budget, and a message that tells the last sight.

Room: below every other. Built on tenacity; sleep and clock are injectable, so tests take no time.
"""

import time
from collections.abc import Callable

import tenacity

from acpchaos.errors import DeadlinePassed

Sleep = Callable[[float], None]
Clock = Callable[[], float]


def eventually[T](
    what: str,
    probe: Callable[[], T | None],
    budget_s: float,
    every_s: float = 0.5,
    *,
    transient: tuple[type[Exception], ...] = (),
    sleep: Sleep = time.sleep,
    clock: Clock = time.monotonic,
) -> T:
    """Return the first truthy value of `probe` within `budget_s` seconds.

    `transient` errors count as "not yet"; any other error ends the wait. DeadlinePassed names
    what was awaited, for how long, and the last value and error seen.
    """
    last: dict[str, object] = {"value": None, "error": None}

    def attempt() -> T | None:
        try:
            last["value"] = value = probe()
        except transient as error:
            last["error"] = error
            return None
        return value

    begin_s = clock()
    retrying: tenacity.Retrying = tenacity.Retrying(
        stop=lambda _: clock() - begin_s >= budget_s,
        wait=tenacity.wait_fixed(every_s),
        retry=tenacity.retry_if_result(lambda value: not value),
        sleep=sleep,
    )
    try:
        return retrying(attempt)  # type: ignore[return-value]
    except tenacity.RetryError:
        raise DeadlinePassed(
            f"waited {budget_s:g} s for {what}",
            f"last value {last['value']!r}, last error {last['error']!r}",
            "look at the target and the run's events, or raise this budget in the profile",
        ) from None


def pause_until(due_s: float, clock: Clock = time.monotonic, sleep: Sleep = time.sleep) -> None:
    """Sleep until the clock reads `due_s`; for cadences and phases, never for readiness."""
    if (left_s := due_s - clock()) > 0:
        sleep(left_s)
