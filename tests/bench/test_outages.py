"""R1 and R2 say what they should of records whose truth is known, and see through their own eyes:
a wrong truth, a missed outage, a false one, loose bounds and an excuse that is none."""

import urllib.error
import urllib.request

import pytest

from acpchaos.check.outage import Outage, Span
from acpchaos.check.window import Window
from acpchaos.record.events import Clock, Request
from benchmarks import outages
from benchmarks.breakable import CLOSE, FREEZE, breakable
from benchmarks.outages import Trial, row, row_sham, told
from benchmarks.stalls import longest_s, stalls

MS = 1_000_000
ANSWER_NS = 700_000
DOWN = (1003.2, 1303.9)  # ms


def probes(how, rate_per_s=200, until_ms=2600):
    """A service that answers in 0.7 ms but in DOWN, where it refuses or answers when it is back."""
    begin_ns, end_ns = (int(one * MS) for one in DOWN)
    found = []
    for number in range(int(until_ms * rate_per_s / 1000)):
        sent_ns = int(number * 1000 * MS / rate_per_s)
        away = begin_ns <= sent_ns < end_ns
        t_ns = sent_ns + ANSWER_NS
        if away:
            t_ns = sent_ns + 300_000 if how == CLOSE else end_ns + ANSWER_NS
        found.append(
            Request(
                t_ns=t_ns, source="prober", flow="token", step="token", intended_ns=sent_ns,
                start_ns=sent_ns, status=200, error="refused" if away and how == CLOSE else "",
            )
        )  # fmt: skip
    return found


def trial(how, moved_ms=0.0):
    begin_ns, end_ns = (int((one + moved_ms) * MS) for one in DOWN)
    steady = Window(0, 950 * MS)
    return Trial(how, steady, Span(begin_ns, begin_ns + 1000), Span(end_ns, end_ns + 1000))


both = pytest.mark.parametrize("how", [FREEZE, CLOSE])


@both
def test_an_outage_is_bounded_within_the_bar(how):
    found = row([told(trial(how), probes(how))], [])
    assert found.met, found
    worst_ms = float(found.figure.split()[1])
    assert 2 < worst_ms < 10


@both
def test_another_truth_is_not_within_the_bounds(how):
    found = row([told(trial(how, moved_ms=30), probes(how))], [])
    assert not found.met and "2 of 2 without the truth" in found.figure


@both
def test_an_outage_that_no_probe_saw_is_missed(how):
    well = [r for r in probes(how) if not 1000 * MS < r.start_ns < 1310 * MS]
    found = row([told(trial(how), well)], [])
    assert not found.met and "1 missed" in found.more


@both
def test_slow_probing_gives_loose_bounds(how):
    found = row([told(trial(how), probes(how, rate_per_s=50))], [])
    assert not found.met and "0 of 2 without the truth" in found.figure


def failing(requests, begin_ms, end_ms):
    return [
        Request(
            t_ns=r.t_ns, source=r.source, flow=r.flow, step=r.step, intended_ns=r.intended_ns,
            start_ns=r.start_ns, error="reset",
        )
        if begin_ms * MS <= r.start_ns < end_ms * MS else r
        for r in requests
    ]  # fmt: skip


def test_what_nobody_made_is_a_false_outage():
    seen = told(trial(CLOSE), failing(probes(CLOSE), 1800, 1830))
    found = row([seen], [])
    assert not found.met and "1 false" in found.more
    stalled = row([seen], [Window(1790 * MS, 1840 * MS)])
    assert not stalled.met, "a failed request is not a stall of the machine"


def test_ends_at_a_stall_are_told_apart_but_not_too_many():
    loose = told(trial(CLOSE), probes(CLOSE, rate_per_s=50))
    exact = [told(trial(CLOSE), probes(CLOSE))] * 9
    at_begin = [Window(1000 * MS, 1010 * MS)]
    assert not row([loose], at_begin).met, "all ends were those of a stalled machine"
    fair = row([loose._replace(trial=loose.trial._replace(steady=Window(2000 * MS, 2001 * MS))),
                *exact], [Window(2000 * MS, 2010 * MS)])  # fmt: skip
    assert fair.met and "2 ends at a stall" in fair.more


def sham(failed, least_ms=0):
    return Outage(Span(0, 10 * MS), Span((10 + least_ms) * MS, (20 + least_ms) * MS), failed=failed)


@pytest.mark.parametrize(
    ("found", "late", "met"),
    [
        ([], [], True),
        ([sham(1)], [], False),
        ([sham(0, 20)], [], False),
        ([sham(0, 20)], [Window(5 * MS, 30 * MS)], True),
        ([sham(0, 20)], [Window(5 * MS, 15 * MS)], False),  # it stood still, but not as long
        ([sham(1, 20)], [Window(5 * MS, 30 * MS)], False),
    ],
)
def test_nothing_may_be_found_where_nothing_was_made(found, late, met):
    assert row_sham(600, found, late).met is met
    assert row_sham(86400, found, late).what.startswith("no outage for 24 h")


def test_lengths_are_log_uniform():
    lengths_s = outages.lengths_s(4000, seed=1)
    assert min(lengths_s) >= 0.05 and max(lengths_s) <= 10
    short = sum(one < 0.7071 for one in lengths_s) / len(lengths_s)
    assert abs(short - 0.5) < 0.05


def test_the_server_is_broken_and_mended_for_real():
    def asked(timeout_s):
        with urllib.request.urlopen(f"{server.issuer}/token", b"x", timeout=timeout_s) as got:
            return got.status

    with stalls() as late, breakable(Clock()) as server:
        assert asked(30) == 200
        for how, error in ((CLOSE, urllib.error.URLError), (FREEZE, TimeoutError)):
            stopped = server.stop(how)
            with pytest.raises(error):
                asked(0.2)
            back = server.go_on(how)
            assert asked(30) == 200
            assert stopped.from_ns <= stopped.until_ns < back.from_ns <= back.until_ns
    assert longest_s(late, Window(0, 2**62)) >= 0 and late == sorted(late)
