"""What other clocks show: how far the API server's and the nodes' stand from this process's own.

Room: target. Every reading is two bounds, never a number. It must not know what they are for.

The API server tells whole seconds in the Date of each answer. One answer bounds its clock to a
second; asked at the moment when that second would turn, each further one halves the bound.
"""

import email.utils
import math
import time
from collections.abc import Callable
from typing import NamedTuple

from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.wait import pause_until

ASKED = 7  # answers: a bound of 1/64 s and the time an answer takes
DATE_S = 1.0  # grain of a Date


class Bounds(NamedTuple):
    """A clock is ahead of ours by `low_s` to `high_s` seconds; None is not known."""

    low_s: float | None
    high_s: float | None
    how: str


def api_server(cluster: Cluster, now_s: Callable[[], float]) -> Bounds:
    """The API server's clock against `now_s` (Unix seconds). Bounds that exclude each other, as of
    several servers behind one address, are told as the hull of all. Takes a few seconds."""
    low_s, high_s = -math.inf, math.inf
    hull_low_s, hull_high_s = math.inf, -math.inf
    for _ in range(ASKED):
        if math.isfinite(high_s - low_s) and low_s < high_s:
            turn_s = now_s() + (low_s + high_s) / 2
            pause_until(time.monotonic() + math.ceil(turn_s) - turn_s)
        try:
            sent_s, date_s, back_s = _asked(cluster, now_s)
        except (ApiRefused, ValueError, TypeError) as error:
            return Bounds(None, None, f"no Date from the API server: {error}")
        low_s, high_s = max(low_s, date_s - back_s), min(high_s, date_s + DATE_S - sent_s)
        hull_low_s = min(hull_low_s, date_s - back_s)
        hull_high_s = max(hull_high_s, date_s + DATE_S - sent_s)
    if low_s > high_s:
        return Bounds(hull_low_s, hull_high_s, "Date of answers that contradict each other")
    return Bounds(low_s, high_s, f"Date of {ASKED} answers")


def _asked(cluster: Cluster, now_s: Callable[[], float]) -> tuple[float, float, float]:
    """(sent, Date, arrived) of one answer, in seconds."""
    sent_s = now_s()
    response = cluster.open("GET", "/version")
    back_s = now_s()
    date = response.headers.get("Date") or ""
    response.read()
    response.release_conn()
    return sent_s, email.utils.parsedate_to_datetime(date).timestamp(), back_s
