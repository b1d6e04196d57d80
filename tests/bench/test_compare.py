"""The comparison reads each reader as its own users do, from crafted records of one outage."""

import math

import pytest

from acpchaos.check.outage import Span
from acpchaos.check.window import Window
from acpchaos.record.events import Request
from benchmarks.compare import gap_s, polled_s, seen, table

S = 1_000_000_000
BEGIN, END = 5.1013, 5.7013


def probe(number, error=""):
    at_ns = int(number * 0.005 * S)
    return Request(
        t_ns=at_ns + S // 1000, source="prober", flow="token", step="token", intended_ns=at_ns,
        start_ns=at_ns, error=error,
    )  # fmt: skip


PROBES = [probe(n, "refused" if BEGIN <= n * 0.005 < END else "") for n in range(int(11 / 0.005))]
GOOD_S = [n * 0.1 for n in range(110) if not BEGIN <= n * 0.1 < END]


def told_of(probes=PROBES, load=PROBES[::4], good_s=GOOD_S):
    return seen(
        "close", Span(int(BEGIN * S), int(BEGIN * S)), Span(int(END * S), int(END * S)),
        Window(0, 11 * S), probes, load, {"p99_ms": 12, "good_s": good_s},
        [(n * S, True) for n in range(11)],
    )  # fmt: skip


@pytest.mark.parametrize("missing", ["probes", "load", "good_s"])
def test_a_reader_that_was_not_there_says_nothing(missing):
    with pytest.raises(RuntimeError, match="too busy"):
        told_of(**{missing: []})


def test_one_outage_and_four_words_on_it():
    told = told_of()
    assert told.least_s <= 0.6 <= told.most_s < 0.61
    assert abs(told.closed_gap_s - 0.7) < 1e-6 and told.polled_s is None
    assert table([told])[2] == (
        f"| close 0.600 s | {told.least_s:.3f} to {told.most_s:.3f} s | 1 ms | 12 ms | 0.700 s | "
        "nothing |"
    )


def test_a_poll_counts_from_first_bad_to_next_good():
    sights = [(S, True), (2 * S, False), (5 * S, False), (6 * S, True), (7 * S, False)]
    assert polled_s(sights) == 4.0
    assert polled_s(sights[:3]) == math.inf


def test_a_gap_elsewhere_is_not_this_outage():
    assert gap_s([0, 3, 3.1, 3.2, 9], Window(int(3.05 * S), int(3.15 * S))) == 3.2 - 3.1
