"""A bar that is missed is said to be: crafted measurements on both sides of each."""

import pytest

from acpchaos.record.events import Request
from acpchaos.target import oidc
from acpchaos.target.client_auth import Account
from acpchaos.target.plain import Plain
from benchmarks import clients, lateness, recording
from benchmarks.clients import Round
from benchmarks.machine import served
from benchmarks.table import Row, exit_code


def row(met):
    return Row("X", "", "", "", "", met)


@pytest.mark.parametrize(
    ("rows", "code"),
    [([row(True)], 0), ([row(True), row(False)], 1), ([row(False)], 1), ([], 1)],
)
def test_one_missed_bar_or_none_at_all_is_a_failure(rows, code):
    assert exit_code(rows) == code


def test_clients_are_compared_by_the_median_of_their_rounds():
    def rounds(*cost):
        return [Round(one, one / 2) for one in cost]

    found = clients.rows({
        "lean": rounds(1, 8000, 99_999), "fast": rounds(2000, 1, 9000),
        "http": rounds(500, 540, 600),
    })  # fmt: skip
    assert [(one.met, one.figure) for one in found] == [(True, "4.0 x"), (False, "14.8 x")]


def requests(late_ms, rate_per_s=5000, span_s=4.0, error=""):
    """At an even rate; `late_ms` by number."""
    gap_ns = 1e9 / rate_per_s
    return [
        Request(
            t_ns=0, source="load", flow="f", step="token", intended_ns=int(number * gap_ns),
            start_ns=int(number * gap_ns + late_ms(number) * 1e6), error=error,
        )
        for number in range(int(rate_per_s * span_s))
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "met"),
    [
        (requests(lambda _: 0.5), True),
        (requests(lambda n: 30 if n < 9000 else 0.5), True),  # while it warms up
        (requests(lambda n: 2.5 if n % 50 == 0 else 0.1), False),  # p99
        (requests(lambda n: 16 if n == 15_000 else 0.1), False),  # the worst
        (requests(lambda _: 0.1, rate_per_s=4900), False),  # not offered
        (requests(lambda _: 0.1, error="never_sent"), False),
        (requests(lambda _: 0.1, span_s=2.5), False),  # too short to say
        ([], False),
    ],
)
def test_lateness(seen, met):
    assert lateness.row(seen).met is met


@pytest.mark.parametrize(
    ("cost_us", "size_b", "met"), [(1.9, 7.9, True), (2.1, 7.9, False), (1.9, 8.1, False)]
)
def test_both_costs_of_the_record_count(cost_us, size_b, met):
    assert recording.row(cost_us, size_b).met is met


def test_the_record_is_measured_for_real():
    (found,) = recording.run(4000, rounds=1)
    cost_us, size_b = (float(part.split()[0]) for part in found.figure.split(", "))
    assert 0.2 < cost_us < 200 and 2 < size_b < 60


def test_the_server_answers_the_flow():
    with served() as issuer:
        send = Plain("")
        ends = oidc.discover(send, issuer)
        assert oidc.client_credentials(send, ends, Account("a", "b")) == "t" * 600
