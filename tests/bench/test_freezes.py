"""P4 tells an honest load from one that waited for the server: crafted latencies on both sides."""

import math

import pytest

from acpchaos.check.outage import Span
from acpchaos.check.window import Window
from acpchaos.record.events import Request
from benchmarks.freezes import ANSWER_S, RATE_PER_S, WINDOW_S, Freeze, analytic_s, row

S = 1_000_000_000
BEGIN_S = 2.3


def freeze(length_s):
    ends = (Span(int(at_s * S), int(at_s * S)) for at_s in (BEGIN_S, BEGIN_S + length_s))
    return Freeze(Window(0, int(WINDOW_S * S)), *ends)


def latency_s(due_s, length_s):
    """Of a server that reads, waits and answers, but not while it is frozen."""
    end_s = BEGIN_S + length_s
    read_s = end_s if BEGIN_S <= due_s < end_s else due_s
    done_s = read_s + ANSWER_S
    return (end_s if BEGIN_S <= done_s < end_s else done_s) - due_s


def load(length_s, seen=latency_s, error=""):
    """An open-model load: due at an even rate; `seen` is what it records of each."""
    found = []
    for number in range(int(RATE_PER_S * WINDOW_S)):
        due_s = number / RATE_PER_S
        due_ns = int(due_s * S)
        end_ns = due_ns + int(seen(due_s, length_s) * S)
        found.append(
            Request(t_ns=end_ns, source="load", flow="f", step="token", intended_ns=due_ns,
                    start_ns=due_ns, error=error)
        )  # fmt: skip
    return found


lengths = pytest.mark.parametrize("length_s", [0.5, 1.0, 3.0])


@lengths
def test_an_honest_record_is_as_analysis_has_it(length_s):
    found = row(freeze(length_s), load(length_s))
    assert found.met and float(found.figure.split("%")[0]) < 1, found


@lengths
@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99, 0.999])
def test_analysis_is_what_a_fine_simulation_gives(length_s, quantile):
    count = 100_000
    seen = sorted(latency_s(n * WINDOW_S / count, length_s) for n in range(count))
    exact = seen[math.ceil(quantile * count) - 1]
    assert analytic_s(length_s, WINDOW_S, quantile) == pytest.approx(exact, rel=1e-3)


@lengths
def test_a_load_that_counts_from_sending_is_found_out(length_s):
    """Each of 20 users waits for its answer, and what it then sends counts from there."""

    def closed(due_s, length_s):
        waited = latency_s(due_s, length_s)
        return waited if due_s * RATE_PER_S % (RATE_PER_S * length_s / 20) < 1 else ANSWER_S

    assert not row(freeze(length_s), load(length_s, closed)).met


def test_three_percent_are_too_much():
    slow = load(1.0, lambda due_s, length_s: latency_s(due_s, length_s) * 1.03)
    found = row(freeze(1.0), slow)
    assert not found.met and found.figure == "3.0% off"


def test_what_was_not_sent_or_not_offered_counts():
    assert not row(freeze(1.0), load(1.0, error="never_sent")).met
    assert not row(freeze(1.0), load(1.0)[::2]).met
    assert not row(freeze(1.0), []).met
