"""Checks of availability: each passes on a record that shows its claim, fails for its own
reason, and decides nothing when the record is silent."""

from golden import records

from acpchaos.check import (
    availability,
)

from .judging import F, I, P, expect, played, probes


def test_between_the_bounds_nothing_is_decided() -> None:
    run = played(*records.load(), *probes((40, 43)))
    expect(availability.never_down(run, longest_gap_s=3.0), I, "between these bounds")
    expect(availability.never_down(run, longest_gap_s=2.5), F, "prober client_credentials")
    verdict = expect(availability.never_down(run, longest_gap_s=3.5), P, "2.78 to 3.22 s")
    assert verdict.measured == 3.22
    assert verdict.evidence == (
        "began between fault+7.8 s and fault+8.0 s", "ended between fault+10.8 s and fault+11.0 s"
    )  # fmt: skip


def test_never_down_needs_prober_and_load() -> None:
    expect(availability.never_down(played(*records.load()), 2), I, "no request")
    expect(availability.never_down(played(*records.prober()), 2), I, "no request")
    expect(availability.never_down(records.run_of([]), 2), I, "no fault and recovery phase")


def test_an_endpoint_that_was_never_asked_hides_none_that_was_down() -> None:
    load = records.changed(records.load(), records.due_between(30, 99), error="never_sent")
    expect(availability.never_down(played(*probes(), *load), 2), I, "nothing was answered")
    expect(availability.never_down(played(*probes((33, 45)), *load), 2), F, "was down for")


def test_an_outage_that_did_not_end_is_said_so() -> None:
    run = played(*records.load(), *probes((40, 99)))
    expect(availability.never_down(run, 5), F, "had not ended")


def test_the_load_is_held_to_it_as_a_whole() -> None:
    down = records.changed(records.load(), records.due_between(40, 44), error="http_503")
    expect(availability.never_down(played(*down, *probes()), 2), F, "load was down for 3.")
    one = records.changed(records.load(), lambda e: e.flow == "introspect", error="http_503")
    expect(availability.never_down(played(*one, *probes()), 2), P, "load")


def test_longest_gap_of_one_flow() -> None:
    run = played(*probes((40, 43)))
    expect(
        availability.longest_gap(run, 2, flow="client_credentials"),
        F,
        "down for 2.78 to 3.22 s (15 failed)",
    )
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
