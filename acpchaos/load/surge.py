"""A surge climbs until the autoscaler is asked for more: what is enough differs by machine and pod.

Room: load. It turns a rate and watches a number; it knows no cluster and judges nothing.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from acpchaos.errors import AcpchaosError

ENOUGH = 1.2  # times what the autoscaler tolerates: beyond any doubt of rounding
RUNG_S = 45.0  # until a rate shows in a reading: two rounds of the controller, one of its metrics
LOOK_S = 2.0
LEAST_STEP, MOST_STEP = 1.25, 3.0


def next_rate(rate_per_s: float, most_per_s: float, asked: float) -> float:
    """The rate that should ask for enough, given what `rate_per_s` asked for (> 0; 1 is what the
    autoscaler still tolerates). Steps are bounded, and so is the result."""
    return min(most_per_s, rate_per_s * min(MOST_STEP, max(LEAST_STEP, ENOUGH / asked)))


@contextmanager
def climbing(
    first_per_s: float,
    most_per_s: float,
    offer: Callable[[float], None],
    asked: Callable[[], float],
    *,
    rung_s: float = RUNG_S,
    look_s: float = LOOK_S,
) -> Iterator[None]:
    """Offer `first_per_s`; meanwhile raise it until `asked` has read ENOUGH once, at most to
    `most_per_s`. Where no reading comes (an error or 0) nothing is raised blindly."""
    over = threading.Event()

    def climb() -> None:
        rate_per_s = first_per_s
        while rate_per_s < most_per_s and (reading := _reading(asked, rung_s, look_s, over)):
            if reading >= ENOUGH:
                return
            rate_per_s = next_rate(rate_per_s, most_per_s, reading)
            offer(rate_per_s)

    offer(first_per_s)
    thread = threading.Thread(target=climb, name="surge", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _reading(
    asked: Callable[[], float], rung_s: float, look_s: float, over: threading.Event
) -> float:
    """The first reading of a rung that is ENOUGH, else its last one; 0 when the surge is over."""
    last, looks = 0.0, max(1, round(rung_s / look_s))
    while not over.wait(look_s):
        try:
            last = asked()
        except AcpchaosError:
            last = 0.0
        looks -= 1
        if last >= ENOUGH or (looks <= 0 and last > 0):
            return last
    return 0.0
