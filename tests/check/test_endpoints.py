"""What each endpoint went through: outages, budget spent, and three ways to be back."""

import pytest
from golden import records
from golden.records import at

from acpchaos.check.endpoints import PERIOD_S, SLO_RATIO, Endpoint, endpoints, steps
from acpchaos.check.window import seconds
from acpchaos.record.events import AnyEvent, Request

from .judging import played, probes


def only(events: list[AnyEvent], name: str) -> Endpoint:
    return next(each for each in endpoints(played(*events)) if each.name == name)


def at_s(t_ns: int) -> float:
    return round(seconds(at(0), t_ns), 2)


def test_every_probed_endpoint_and_the_load_as_a_whole() -> None:
    found = endpoints(played(*records.prober(), *records.load()))
    assert [each.name for each in found] == [
        "prober client_credentials",
        "prober discovery",
        "load",
    ]
    assert all(each.down and not each.down.outages and each.back is None for each in found)


def test_no_window_shows_no_endpoint_and_no_answer_is_unknown() -> None:
    assert endpoints(records.run_of(records.prober())) == []
    unsent = records.changed(probes(), records.due_between(30, 80), error="never_sent")
    found = only(unsent, "prober client_credentials")
    assert found.down is None and found.spent is None
    assert (found.failed.low, found.failed.high) == (0.0, 1.0)


def test_the_budget_of_a_month_is_spent_by_the_failed_share() -> None:
    found = only(list(probes((40, 43))), "prober client_credentials")
    assert found.failed.failed == 15 and found.failed.of == 250
    spent_s = 3.0  # 6 % of 50 s
    assert found.spent is not None
    low, high = (part * PERIOD_S * (1 - SLO_RATIO) for part in found.spent)
    assert low < spent_s < high < 5.0


def test_first_sustained_and_quick_are_told_apart() -> None:
    """Down for 3 s, one lucky answer in the middle, then flickering for 2 s, then slow for 5 s."""
    history: list[AnyEvent] = []
    for event in probes((40, 43)):
        second = at_s(event.intended_ns)
        if second == 41.0:
            event = records.msgspec.structs.replace(event, error="")
        elif 43 <= second < 45 and round(second * 5) % 4 == 0:
            event = records.msgspec.structs.replace(event, error="reset")
        elif 45 <= second < 50:
            event = records.msgspec.structs.replace(event, t_ns=event.t_ns + 300_000_000)
        history.append(event)
    back = only(history, "prober client_credentials").back
    assert back is not None and back.first and back.sustained and back.quick_ns
    assert (at_s(back.first.from_ns), at_s(back.first.until_ns)) == (40.8, 41.02)
    assert (at_s(back.sustained.from_ns), at_s(back.sustained.until_ns)) == (
        45.2,
        45.32,
    )  # sent then, late
    assert 49 <= at_s(back.quick_ns) <= 51


def test_a_single_later_failure_is_no_relapse() -> None:
    back = only(list(probes((40, 43), (70, 70.1))), "prober client_credentials").back
    assert back is not None and back.sustained is not None
    assert at_s(back.sustained.until_ns) == 43.02


def test_what_never_came_back_has_no_moment() -> None:
    back = only(list(probes((40, 99))), "prober client_credentials").back
    assert back is not None
    assert (back.first, back.sustained, back.quick_ns) == (None, None, None)


def test_failures_before_the_fault_are_not_its() -> None:
    assert only(list(probes((30.5, 31))), "prober client_credentials").back is None


def test_steps_tell_what_their_failures_can_mean() -> None:
    bad = records.changed(records.load(), records.due_between(40, 42), error="http_503")
    found = {(each.flow, each.step): each.failed for each in steps(played(*bad))}
    assert sum(each.of for each in found.values()) == 500
    share = found["client_credentials", "token"]
    assert share.failed == 10 and share.low < 10 / 250 < share.high
    assert share.low == pytest.approx(0.0193, abs=1e-3)
    assert steps(records.run_of([])) == []
    assert all(isinstance(each, Request) for each in bad)
