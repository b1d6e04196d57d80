"""Checks of availability: each passes on a record that shows its claim, fails for its own
reason, and decides nothing when the record is silent."""

import pytest
from golden import records
from golden.records import at

from acpchaos.check import (
    availability,
)
from acpchaos.check.outage import longest_outage
from acpchaos.check.window import Window

from .judging import F, I, P, expect, played, probes


def test_an_outage_lies_between_its_bounds() -> None:
    outage = longest_outage(probes((40, 43)), Window(at(30), at(80)))
    assert outage.least_s == pytest.approx(2.82, abs=0.01)  # 15 probes, first due to last ended
    assert outage.most_s == pytest.approx(3.2, abs=0.01)  # good answer to good answer
    assert outage.least_s <= 3 <= outage.most_s


def test_an_outage_that_never_ends_lasts_until_the_window_does() -> None:
    outage = longest_outage(probes((40, 99)), Window(at(30), at(80)))
    assert outage.until_ns == at(80)
    assert outage.most_s == pytest.approx(40.18, abs=0.01)


def test_a_slow_good_answer_is_a_wait() -> None:
    slow = records.request(40, "x", "prober", t_ns=at(45))
    others = [records.request(s, "x", "prober") for s in (39, 46)]
    outage = longest_outage([*others, slow], Window(at(38), at(47)))
    assert outage.least_s == pytest.approx(5.0)


def test_between_the_bounds_nothing_is_decided() -> None:
    run = played(*records.load(), *probes((40, 43)))
    expect(availability.never_down(run, longest_gap_s=3.0), I, "between these bounds")
    expect(availability.never_down(run, longest_gap_s=2.5), F, "prober client_credentials")
    expect(availability.never_down(run, longest_gap_s=3.5), P, "3.20 s")


def test_never_down_needs_prober_and_load() -> None:
    expect(availability.never_down(played(*records.load()), 2), I, "no request")
    expect(availability.never_down(played(*records.prober()), 2), I, "no request")
    expect(availability.never_down(records.run_of([]), 2), I, "no fault and recovery phase")


def test_longest_gap_of_one_flow() -> None:
    run = played(*probes((40, 43)))
    expect(availability.longest_gap(run, 2, flow="client_credentials"), F, "went 3.20 s")
    expect(availability.longest_gap(run, 2, flow="discovery"), I, "no request")


def test_the_error_ratio_is_held_and_broken() -> None:
    bad = records.changed(records.load(), records.due_between(40, 41), error="reset")
    verdict = expect(availability.error_ratio(played(*bad), 0.03), P, "10 of 500 requests failed")
    assert verdict.measured == 0.02
    verdict = expect(availability.error_ratio(played(*bad), 0.01), F, "worst flow")
    assert "reset" in verdict.evidence[0]


def test_a_flow_that_always_fails_cannot_hide_in_the_ratio() -> None:
    bad = records.changed(records.load(), lambda e: e.flow == "introspect", error="http_500")
    expect(availability.error_ratio(played(*bad), 0.9), F, "no good answer at all: introspect")


def test_too_few_requests_tell_no_ratio() -> None:
    few = records.load(from_s=40, until_s=44)
    expect(availability.error_ratio(played(*few), 0.01), I, "100 are needed")
    expect(availability.error_ratio(played(), 0.0), I, "only 0 requests")
