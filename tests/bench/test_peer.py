"""P1: medians against wrk's, what is missing is said, and what wrk did not do well is no figure."""

import re

import pytest

from acpchaos.target import oidc
from benchmarks import peer
from benchmarks.clients import Round

SAID = """Running 4s test @ http://127.0.0.1:1/acme/main/token
  1 threads and 20 connections
  251234 requests in 4.00s, 210.51MB read
Requests/sec:  62808.31
Transfer/sec:     52.63MB
"""


def rounds(*cost):
    return [Round(one, one / 2) for one in cost]


@pytest.mark.parametrize(
    ("ours", "theirs", "met", "figure"),
    [
        ((14_000, 1, 99_999), (70_000, 69_000, 71_000), True, "0.20 of wrk"),
        ((13_500, 13_900, 13_000), (70_000, 1, 99_999), False, "0.19 of wrk"),
    ],
)
def test_medians_are_compared(ours, theirs, met, figure):
    found = peer.row(rounds(*ours), rounds(*theirs))
    assert (found.met, found.figure) == (met, figure)


def test_a_missing_peer_is_said_and_meets_nothing(monkeypatch):
    monkeypatch.setattr(peer, "_found", lambda name: None if name == "wrk" else "/usr/sbin/nginx")
    (found,) = peer.run(1, 1.0)
    assert not found.met and found.more == "apt-get install -y wrk"


def test_wrk_is_read():
    assert peer.read_wrk(SAID, 3.5) == Round(251234 / 3.5, 62808.31)


@pytest.mark.parametrize(
    "said", ["", SAID + "  Non-2xx or 3xx responses: 3\n", SAID + "  Socket errors: connect 1\n"]
)
def test_wrk_without_good_answers_is_no_figure(said):
    with pytest.raises(RuntimeError):
        peer.read_wrk(said, 3.5)


def test_both_send_the_same_form():
    body = re.search(r'wrk.body = "(.*)"', peer.SCRIPT)[1]
    assert oidc.encoded({"grant_type": "client_credentials"}).decode() == body
