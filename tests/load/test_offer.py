"""What is offered comes in time or is told as never sent; the record holds each once."""

import time

import gevent
import pytest
from joserfc.jwk import ECKey

from acpchaos.load import offer as offering
from acpchaos.load.offer import Offer
from acpchaos.load.settings import Settings
from acpchaos.record.events import Observation, Request
from acpchaos.record.journal import read_journal
from acpchaos.scenario import Stage
from acpchaos.target import client_auth
from acpchaos.target.client_auth import Account, assertions
from acpchaos.target.oidc import Endpoints

MIX = {"client_credentials": 2, "revoke": 1}


@pytest.fixture
def offer(tmp_path):
    made = Offer()
    yield made
    made.end_arrivals()
    made.close()


def begin(offer, tmp_path, **given):
    offer.begin(Settings(issuer="i", mix=MIX, seed=3, events=str(tmp_path), **given))


def recorded(offer, tmp_path):
    offer.close()
    return [e for file in tmp_path.glob("load-*.ndjson") for e in read_journal(file).events]


def test_arrivals_come_when_they_are_due(offer, tmp_path):
    begin(
        offer, tmp_path, rate_per_s=50, stages=(Stage(for_s=0.5, times=0), Stage(for_s=1, times=1))
    )
    begin_ns, taken = time.time_ns(), []
    while time.time_ns() < begin_ns + 1.5e9:
        if found := offer.take(0.05):
            taken.append((*found, offer.clock.now_ns()))
    assert len(taken) == pytest.approx(50, rel=0.2)
    assert taken[0][0] - begin_ns > 0.48e9
    assert all(due_ns <= got_ns for due_ns, _, got_ns in taken)
    assert sorted(got - due for due, _, got in taken)[len(taken) // 2] < 0.02e9
    cycle = sorted(flow for _, flow, _ in taken[:3])
    assert cycle == ["client_credentials", "client_credentials", "revoke"]


def test_what_waits_too_long_or_to_the_end_is_told_as_never_sent(offer, tmp_path, monkeypatch):
    monkeypatch.setattr(offering, "STALE_S", 0.3)
    begin(offer, tmp_path, rate_per_s=50)
    gevent.sleep(0.6)  # nobody is free
    offer.end_arrivals()
    fresh, stale = [], 0
    while True:
        before = offer._queue.qsize()
        if (found := offer.take(0.0)) is not None:
            fresh.append(found)
        elif before:
            stale += 1
        if len(fresh) == 5:
            break
    left = offer._queue.qsize()
    offer.tell_rest()
    events = recorded(offer, tmp_path)
    assert stale > 5 and left > 0
    assert [e.error for e in events if isinstance(e, Request)] == ["never_sent"] * (stale + left)
    assert all(e.start_ns - e.intended_ns > 0.3e9 for e in events[:stale])
    assert not {e.intended_ns for e in events} & {due_ns for due_ns, _ in fresh}


def test_the_end_of_arrivals_is_one(offer, tmp_path):
    begin(offer, tmp_path, rate_per_s=200)
    gevent.sleep(0.2)
    offer.end_arrivals()
    count = offer._queue.qsize()
    gevent.sleep(0.2)
    assert offer._queue.qsize() == count > 10


def test_assertions_are_ready_before_they_are_needed(offer, tmp_path):
    client_auth.assertions.cache_clear()
    key = ECKey.generate_key("P-256").as_pem(private=True).decode()
    client = Account("a", auth="private_key_jwt", key=key)
    ends = Endpoints("i", "https://i/token", "", "", "", "", "")
    given = Settings(issuer="i", mix=MIX, rate_per_s=4, m2m=client, events=str(tmp_path))
    offer.open(given)
    stock = assertions(client, ends.token)
    first = stock.take()  # nothing was ready yet: counted, and told
    offer.sign_ahead(ends, given)
    gevent.sleep(1.0)
    assert stock.short_of(int(4 * offering.AHEAD_S)) == 0
    assert stock.take() != first and stock.late == 1
    told = [e for e in recorded(offer, tmp_path) if isinstance(e, Observation)]
    assert [(e.name, e.value) for e in told] == [("assertions_signed_late", 1)]
