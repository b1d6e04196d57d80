"""An outage as bounds: they hold the truth whatever the probe's phase, only grow with failures, and
are not fooled where a naive method is."""

import random
from itertools import pairwise

import pytest
from golden import records
from golden.records import at
from hypothesis import given, settings
from hypothesis import strategies as st

from acpchaos.check import availability
from acpchaos.check.outage import SUSTAINED_RATIO, Outage, Reading, read
from acpchaos.check.window import Window, seconds
from acpchaos.record.events import Request

from .judging import F, I, P, expect, played, probes

STEADY = Window(at(10), at(30))
WINDOW = Window(at(30), at(80))
LATENCY_S, TIMEOUT_S = 0.02, 1.0


def probe(sent_s: float, took_s: float = LATENCY_S, error: str = "", flow: str = "x") -> Request:
    return records.request(sent_s, flow, "prober", t_ns=at(sent_s + took_s), error=error)


def steady(every_s: float = 0.2, from_s: float = 10.0, until_s: float = 30.0) -> list[Request]:
    return [probe(from_s + n * every_s) for n in range(round((until_s - from_s) / every_s))]


def seen(requests: list[Request], ratio: float = 0.2) -> Reading:
    reading = read(requests, WINDOW, STEADY, ratio)
    assert reading is not None
    return reading


def about(second: float) -> object:
    return pytest.approx(second, abs=0.011)


def at_s(t_ns: int) -> float:
    return seconds(at(0), t_ns)


def test_begin_and_end_are_spans_between_good_and_bad() -> None:
    (outage,) = seen(probes((40, 43))).outages
    assert [at_s(t) for t in (*outage.begin, *outage.end)] == [
        about(39.8), about(40.02), about(42.8), about(43.02)
    ]  # fmt: skip
    assert (outage.least_s, outage.most_s) == (about(2.78), about(3.22))
    assert outage.begin.resolution_s == about(0.22), "the cadence and the time of an answer"
    assert (outage.failed, outage.ended) == (15, True)


def test_an_outage_that_does_not_end_lasts_as_far_as_the_window() -> None:
    (outage,) = seen(probes((40, 99))).outages
    assert not outage.ended
    assert (at_s(outage.end.until_ns), outage.most_s) == (80, about(40.2))


def test_an_outage_from_the_first_probe_on_begins_with_the_window_at_the_earliest() -> None:
    (outage,) = seen(
        [probe(30 + n / 5, error="" if n > 9 else "refused") for n in range(30)]
    ).outages
    assert at_s(outage.begin.from_ns) == 30 and outage.least_s > 1.7


def test_zero_samples_are_unknown_never_zero() -> None:
    assert read([], WINDOW, STEADY) is None
    assert read(steady(), WINDOW, STEADY) is None, "nothing was due in the window"
    unsent = [probe(40 + n, error="never_sent") for n in range(5)]
    assert read([*steady(), *unsent], WINDOW, STEADY) is None


def test_reading_tells_cadence_and_reaction() -> None:
    reading = seen(probes())
    assert (reading.cadence_s, reading.reaction_s) == (about(0.2), about(0.02))
    assert (reading.answers, reading.failed, reading.unsent) == (250, 0, 0)
    assert reading.outages == () and reading.longest.most_s == about(0.22)


def test_without_a_steady_phase_only_sending_and_end_of_a_request_bound_anything() -> None:
    (outage,) = read(probes((40, 43)), WINDOW, None).outages  # type: ignore[union-attr]
    assert outage.begin.until_ns == at(40.02)
    assert read(probes(), WINDOW, None).reaction_s is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("due_s", "sent_s"), [(29.8, 29.8), (29.8, 30.4)], ids=["under way", "sent by a starved prober"]
)
def test_a_fault_is_not_its_own_yardstick(due_s: float, sent_s: float) -> None:
    """A service freezes at 30 s for 3 s. What was due before it ends with it, and took as long."""
    caught = records.request(due_s, "x", "prober", start_ns=at(sent_s), t_ns=at(33.02))
    frozen = [probe(30 + n / 5, 3.02 - n / 5) for n in range(15)]
    after = [probe(33 + n / 5) for n in range(30)]
    reading = seen([*steady(until_s=29.8), caught, *frozen, *after])
    longest_before_s = max(LATENCY_S, 30 - sent_s)
    assert reading.reaction_s == about(longest_before_s), "not the 3 s that the freeze took"
    (outage,) = reading.outages
    assert outage.least_s > 2.3 and outage.most_s < 3.5


# Histories that fool a naive method; each is told by the naive reading beside it.


def largest_good_gap_s(requests: list[Request]) -> float:
    """Naive: from one good answer to the next."""
    done = sorted(r.t_ns for r in requests if not r.error)
    return max(seconds(one, two) for one, two in pairwise(done))


def bad_stretch_s(requests: list[Request]) -> float:
    """Naive: from the first failure's due time to the last failure's end."""
    bad = [r for r in requests if r.error]
    return seconds(min(r.intended_ns for r in bad), max(r.t_ns for r in bad)) if bad else 0.0


def test_one_good_answer_does_not_split_an_outage() -> None:
    lucky = [r for r in probes((40, 46)) if r.intended_ns != at(43)]
    history = [*lucky, probe(43)]
    assert largest_good_gap_s(history) == about(3.2), "naive: half of it"
    (outage,) = seen(history).outages
    assert (outage.least_s, outage.most_s) == (about(5.78), about(6.22))
    run = played(*records.load(), *history)
    expect(availability.never_down(run, 4.0), F, "down for 5.78 to 6.22 s")


def test_one_replica_of_three_that_answers_is_not_down_but_impaired() -> None:
    history = [probe(30 + n / 5, error="refused" if 50 <= n < 100 and n % 3 else "")
               for n in range(250)]  # fmt: skip
    assert seen([*steady(), *history]).surest.most_s < 1.0
    (impaired,) = seen([*steady(), *history], SUSTAINED_RATIO).outages
    assert 9.4 < impaired.least_s < impaired.most_s < 10.5


def test_a_stalled_closed_loop_omits_what_it_should_have_asked() -> None:
    """Ten users that wait for their answer before they ask again: a freeze of 3 s is ten slow good
    answers among hundreds, no failure."""
    history = steady(0.1)
    for user in range(10):
        due_s = 30 + user / 100
        while due_s < 80:
            stalled = due_s < 43 and due_s + LATENCY_S > 40
            took_s = 43 + LATENCY_S - due_s if stalled else LATENCY_S
            history.append(probe(due_s, took_s))
            due_s += max(0.1, took_s)
    slow = [r for r in history if r.t_ns - r.start_ns > 1e9]
    assert len(slow) == 10 and bad_stretch_s(history) == 0.0, "naive: nothing happened"
    worst = seen(history).longest
    assert 3.0 <= worst.most_s < 3.2
    run = played(*records.load(), *history)
    expect(availability.never_down(run, 2.0), I, "to 3.")


def test_a_freeze_under_an_open_schedule_is_seen_though_every_answer_is_good() -> None:
    history = [*steady(0.05), *(frozen(30 + n / 20, 40, 40.9) for n in range(1000))]
    (outage,) = seen(history).outages
    assert (outage.failed, outage.slow) == (0, 18)
    assert 0.8 < outage.least_s <= 0.9 <= outage.most_s < 1.0


def frozen(sent_s: float, from_s: float, until_s: float) -> Request:
    """What a stopped and continued process does: it answers what waited when it goes on."""
    waits = from_s < sent_s + LATENCY_S / 2 and sent_s < until_s
    took_s = until_s + LATENCY_S - sent_s if waits else LATENCY_S
    return probe(sent_s, min(took_s, TIMEOUT_S), "timeout" if took_s > TIMEOUT_S else "")


def test_a_client_s_own_timeout_is_no_downtime() -> None:
    """A packet loss of 0.3 s: two probes are lost, each waits its second."""
    history = [
        probe(s, 1.0, "timeout") if 40 <= s < 40.3 else probe(s)
        for s in (10 + n / 5 for n in range(350))
    ]
    assert bad_stretch_s(history) == about(1.2), "naive: four times too long"
    (outage,) = seen(history).outages
    assert outage.least_s <= 0.3 <= outage.most_s < 0.7


def test_a_gap_in_the_samples_at_the_edge_can_hide_an_outage() -> None:
    history = [r for r in probes() if not at(30) <= r.intended_ns < at(33)]
    assert bad_stretch_s(history) == 0.0, "naive: never down"
    run = played(*records.load(), *history)
    verdict = expect(availability.never_down(run, 2.0), I, "was not seen down")
    assert "3.22 s at most could hide" in verdict.why
    late = [r for r in probes() if r.intended_ns < at(76)]
    expect(availability.never_down(played(*records.load(), *late), 2.0), I, "4.20 s at most")


def test_requests_never_sent_prove_nothing() -> None:
    """The generator was starved for 5 s; the service may have been well or not."""
    unsent = [
        records.msgspec.structs.replace(r, error="never_sent", status=0)
        if at(40) <= r.intended_ns < at(45) else r
        for r in probes()
    ]  # fmt: skip
    assert bad_stretch_s(unsent) == about(4.82), "naive: an outage"
    reading = seen(unsent)
    assert reading.outages == () and reading.unsent == 25
    run = played(*records.load(), *unsent)
    expect(availability.never_down(run, 4.0), I, "could hide")


# Properties.

KINDS = ("refuse", "drop", "freeze")


def asked(kind: str, sent_s: float, took_s: float, down: tuple[float, float]) -> Request:
    """One request to a service that is away from down[0] until down[1] and handles a request
    half-way through its time."""
    handled_s = sent_s + took_s / 2
    if not down[0] <= handled_s < down[1]:
        return probe(sent_s, took_s)
    if kind == "refuse":  # in flight when it died: reset then
        return probe(sent_s, max(0.001, down[0] - sent_s), "reset")
    waited_s = down[1] + took_s / 2 - sent_s
    if kind == "freeze" and waited_s <= TIMEOUT_S:
        return probe(sent_s, waited_s)
    return probe(sent_s, TIMEOUT_S, "timeout")


@given(
    kind=st.sampled_from(KINDS),
    period_s=st.floats(0.01, 1.0),
    phase=st.floats(0, 1),
    begin_s=st.floats(40, 41),
    length_s=st.floats(0.0, 10.0),
    longest_s=st.floats(0.001, 0.3),
    seed=st.integers(0, 9),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_the_bounds_hold_the_truth_whatever_the_phase(
    kind: str, period_s: float, phase: float, begin_s: float, length_s: float, longest_s: float,
    seed: int,
) -> None:  # fmt: skip
    down, random_ = (begin_s, begin_s + length_s), random.Random(seed)
    requests = [probe(20 + phase * period_s, longest_s)]  # the reaction is known from steady times
    sent_s = 20 + phase * period_s
    while sent_s < 80:
        sent_s += period_s
        requests.append(asked(kind, sent_s, longest_s * random_.uniform(0.3, 1), down))
    reading = seen(requests)
    assert reading.longest.most_s >= length_s - 1e-6
    assert reading.surest.least_s <= length_s + 1e-6
    begin, end = at(down[0]), at(down[1])
    for outage in reading.outages:  # more than one where answers overtake each other at its ends
        assert outage.begin.from_ns <= begin + 1000 and begin <= outage.begin.until_ns + 1000
        assert outage.end.from_ns <= end + 1000 and end <= outage.end.until_ns + 1000


@given(
    answers=st.lists(st.tuples(st.booleans(), st.floats(0.001, 3.0)), min_size=1, max_size=60),
    flipped=st.sets(st.integers(0, 59), min_size=1, max_size=10),
    every_s=st.floats(0.05, 1.0),
    budget_s=st.floats(0.1, 20),
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_more_failures_never_improve_a_verdict(
    answers: list[tuple[bool, float]], flipped: set[int], every_s: float, budget_s: float
) -> None:
    order = [P, I, F]

    def judged(worse: set[int]) -> tuple[float, float, object]:
        history = [
            probe(31 + n * every_s, took_s, "" if ok and n not in worse else "reset")
            for n, (ok, took_s) in enumerate(answers)
        ]
        reading = seen([*steady(), *history])
        run = played(*records.load(), *steady(), *history)
        outcome = availability.longest_gap(run, budget_s, flow="x").outcome
        return reading.surest.least_s, reading.longest.most_s, outcome

    few, many = judged(set()), judged(flipped)
    assert many[0] >= few[0] and many[1] >= few[1]
    assert order.index(many[2]) >= order.index(few[2])  # type: ignore[arg-type]
    assert few[0] <= few[1] and many[0] <= many[1]


@given(
    answers=st.lists(st.booleans(), min_size=5, max_size=60),
    dropped=st.sets(st.integers(0, 59), min_size=1, max_size=10),
)
@settings(max_examples=200, deadline=None, derandomize=True)
def test_fewer_good_answers_never_narrow_what_is_possible(
    answers: list[bool], dropped: set[int]
) -> None:
    history = [probe(31 + n / 5, error="" if ok else "reset") for n, ok in enumerate(answers)]
    left = [r for n, r in enumerate(history) if r.error or n not in dropped]
    if left:
        assert seen([*steady(), *left]).longest.most_s >= seen([*steady(), *history]).longest.most_s


def test_outages_are_told_apart() -> None:
    found = seen(probes((40, 41), (60, 62))).outages
    assert [round(at_s(each.begin.until_ns)) for each in found] == [40, 60]
    assert isinstance(found[0], Outage) and found[1].failed == 10
