"""The ledger tells valid from invalid from unavailable, through the fault too, and records no
token."""

import time

import pytest
from golden import records

from acpchaos.check import fates, losses
from acpchaos.errors import PreconditionUnmet
from acpchaos.load import ledger as ledger_module
from acpchaos.load.ledger import CODES, CODES_AFTER, Ledger
from acpchaos.load.looks import Looks
from acpchaos.record.events import Gap
from acpchaos.record.journal import Journal, read_journal
from acpchaos.wait import eventually

KEPT = {"access_jwt", "jwt_offline", "access_opaque", "refresh", "sso_session"}
ONCE = {"code", "par"}


class Looked:
    """A ledger minted at the issuer, and what its looks recorded."""

    def __init__(self, profile, folder):
        self.path = folder / "ledger.ndjson"
        self.journal = Journal(self.path)
        self.ledger = Ledger(profile, self.journal, seed=1, each=2, looks_per_s=200)
        self.ledger.mint()

    @property
    def events(self):
        return read_journal(self.path).events

    def until(self, *looks):
        """Follow until each (item, result) of `looks` was seen anew."""
        already = len(self.events)
        eventually(
            f"looks that say {looks}",
            lambda: set(looks) <= {(e.item, e.result) for e in self.events[already:]}, 20, 0.02,
        )  # fmt: skip

    def look(self, when):
        """{item: set of results} of one look."""
        already = len(read_journal(self.path).events)
        self.ledger.probe(when)
        results = {}
        for event in read_journal(self.path).events[already:]:
            assert event.when == when
            results.setdefault(event.item, set()).add(event.result)
        return results


@pytest.fixture
def looked(issuer, make_profile, tmp_path):
    found = Looked(make_profile(issuer), tmp_path)
    yield found
    found.ledger.rest()
    found.journal.close()


def test_an_honest_issuer_keeps_all(looked):
    before = looked.look("before")
    assert before == {item: {"valid"} for item in KEPT} | {"revoked_jwt": {"invalid"}}
    after = looked.look("after")
    assert after == {item: {"valid"} for item in KEPT | ONCE} | {"revoked_jwt": {"invalid"}}
    again = looked.look("after")
    assert {item for item, result in again.items() if result == {"invalid"}} == {
        "code", "par", "revoked_jwt",
    }  # fmt: skip


def test_a_look_does_not_use_connections_kept_from_before_the_fault(looked, monkeypatch):
    renewed = []
    monkeypatch.setattr(looked.ledger._send, "renew", lambda: renewed.append(True))
    looked.look("before")
    assert len(renewed) == len(looked.events)


def test_each_token_is_looked_at_and_none_is_recorded(looked, issuer):
    looked.look("before")
    looked.look("after")
    ids = {event.token for event in read_journal(looked.path).events}
    codes = {f"code-{n}" for n in range(2 * CODES)}
    assert ids == codes | {f"{i}-{n}" for i in KEPT | {"par", "revoked_jwt"} for n in (0, 1)}
    recorded = looked.path.read_text()
    assert issuer.issued and not [token for token in issuer.issued if token in recorded]


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("opaque", "access_opaque"),
        ("refresh", "refresh"),
        ("session", "sso_session"),
        ("code", "code"),
        ("par", "par"),
    ],
)
def test_only_what_a_store_lost_is_invalid(looked, issuer, kind, item):
    looked.look("before")
    issuer.lose(kind)
    after = looked.look("after")
    assert {name for name, found in after.items() if found == {"invalid"}} == {item, "revoked_jwt"}
    assert after.pop(item) == after.pop("revoked_jwt") == {"invalid"}
    assert set().union(*after.values()) == {"valid"}


def test_a_lie_reads_as_invalid_and_then_as_valid(looked, issuer):
    """What a 200 with active false claims while the store is away is the issuer's own no."""
    issuer.lying = True
    during = looked.look("before")
    assert during["access_jwt"] == during["access_opaque"] == {"invalid"}
    assert during["jwt_offline"] == {"valid"}
    issuer.lying = False
    assert looked.look("after")["access_opaque"] == {"valid"}


def test_a_revoked_token_that_comes_back_is_valid(looked, issuer):
    issuer.resurrect()
    assert looked.look("after")["revoked_jwt"] == {"valid"}


def test_no_service_is_unavailable_and_never_invalid(looked, issuer):
    issuer.unavailable = True
    after = looked.look("after")
    assert after.pop("jwt_offline") == {"valid"}
    assert set().union(*after.values()) == {"unavailable"}


def test_offline_looks_ask_the_saved_keys_and_see_a_broken_signature(looked, issuer):
    issuer.unavailable = True
    assert looked.look("before")["jwt_offline"] == {"valid"}
    held = next(h for h in looked.ledger._held if h.item == "jwt_offline")
    head, body, signature = held.token.split(".")
    held.token = f"{head}.{body}.{signature[::-1]}"
    assert looked.look("before")["jwt_offline"] == {"valid", "invalid"}


def test_a_ledger_that_cannot_be_minted_is_a_precondition(issuer, make_profile, tmp_path):
    profile = make_profile(issuer)
    (tmp_path / "m2m.secret").write_text("wrong")
    with Journal(tmp_path / "x.ndjson") as journal, pytest.raises(PreconditionUnmet) as told:
        Ledger(profile, journal, seed=1).mint()
    assert "invalid_client" in str(told.value) and "wrong" not in str(told.value)


def test_without_a_user_only_machine_tokens_are_kept(issuer, make_profile, tmp_path):
    profile = make_profile(issuer, without=("web", "users", "introspect"))
    found = Looked(profile, tmp_path)
    assert set(found.look("after")) == {
        "access_jwt", "jwt_offline", "access_opaque", "revoked_jwt",
    }  # fmt: skip
    found.journal.close()


def test_a_refresh_token_is_spent_at_the_end_only(looked, issuer):
    looked.look("before")
    looked.ledger.follow()
    looked.until(("refresh", "valid"))
    looked.ledger.rest()
    assert issuer.counts["refresh"] == 0
    looked.look("after")
    assert issuer.counts["refresh"] == 2
    ends = [e.saw for e in looked.events if e.item == "refresh" and e.when == "after"]
    assert sorted(ends) == ["", "", "by use", "by use"]


def test_where_refresh_tokens_cannot_be_introspected_they_are_used_before_and_after(
    issuer, make_profile, tmp_path
):
    issuer.tells_of_refresh = False
    looked = Looked(make_profile(issuer), tmp_path)
    assert looked.look("before")["refresh"] == {"valid"}
    looked.ledger.follow()
    looked.until(("sso_session", "valid"), ("access_opaque", "valid"))
    looked.ledger.rest()
    assert looked.look("after")["refresh"] == {"valid"}
    assert {e.when for e in looked.events if e.item == "refresh"} == {"before", "after"}
    looked.journal.close()


def test_a_look_at_a_session_does_not_sign_in(looked, issuer):
    issuer.lose("session")
    logins = issuer.counts["login"]
    assert looked.look("before")["sso_session"] == {"invalid"}
    assert issuer.counts["login"] == logins + 2  # the pages, and no form sent
    assert not issuer.held["session"]


def test_the_schedule_spends_codes_and_pushed_requests_once_and_keeps_some(
    looked, issuer, monkeypatch
):
    monkeypatch.setattr(ledger_module, "TURN", 2)
    looked.ledger.follow()
    looked.until(("code", "valid"), ("par", "valid"))
    eventually("more pushed", lambda: issuer.counts["par"] > 4, 20, 0.02)
    looked.ledger.rest()
    looked.look("after")
    once = [event for event in looked.events if event.item in ONCE]
    assert len({event.token for event in once}) == len(once)
    assert {event.result for event in once} == {"valid"}
    assert sum(e.item == "code" and e.when == "after" for e in once) == CODES_AFTER


def fates_of(looked):
    run = records.run_of([*records.phases(), *records.fault(), *looked.events])
    found = fates.followed(run, losses.RULES["pod_loss"])
    kinds = {each.item for each in found.values()}
    return {item: {each.fate for each in found.values() if each.item == item} for item in kinds}


def test_a_lie_between_two_good_looks_is_seen(looked, issuer):
    assert looked.look("before")["access_opaque"] == {"valid"}
    looked.ledger.follow()
    looked.until(("access_opaque", "valid"))
    issuer.lying = True
    looked.until(("access_opaque", "invalid"), ("refresh", "invalid"))
    issuer.lying = False
    looked.ledger.rest()
    looked.look("after")
    seen = fates_of(looked)
    assert fates.Fate.LIED_TO in seen["access_opaque"] & seen["refresh"]
    assert seen["sso_session"] == seen["jwt_offline"] == {fates.Fate.KEPT}


def test_an_honest_outage_is_no_lie_and_a_revival_is_seen(looked, issuer):
    looked.look("before")
    looked.ledger.follow()
    issuer.unavailable = True
    looked.until(("access_jwt", "unavailable"), ("sso_session", "unavailable"))
    issuer.unavailable = False
    revoked, issuer.revoked = issuer.revoked, set()
    looked.until(("revoked_jwt", "valid"))
    issuer.revoked = revoked
    looked.ledger.rest()
    looked.look("after")
    seen = fates_of(looked)
    assert seen["access_jwt"] == {fates.Fate.KEPT}
    assert fates.Fate.RESURRECTED in seen["revoked_jwt"]


def test_no_more_looks_than_the_rate(issuer, make_profile, tmp_path):
    with Journal(tmp_path / "ledger.ndjson") as journal:
        ledger = Ledger(make_profile(issuer), journal, seed=1, each=1, looks_per_s=20)
        ledger.mint()
        begin_s = time.monotonic()
        ledger.follow()
        issuer.freeze()  # looks that wait are made up for by none
        eventually("time for looks", lambda: time.monotonic() - begin_s > 0.5, 5, 0.05)
        issuer.thaw()
        eventually("time for looks", lambda: time.monotonic() - begin_s > 1.0, 5, 0.05)
        ledger.rest()
        spent_s = time.monotonic() - begin_s
    looks = len(read_journal(tmp_path / "ledger.ndjson").events)
    assert 1 <= looks <= spent_s * 20 + 1


def test_a_schedule_that_dies_is_a_gap(looked, monkeypatch):
    tried = []

    def broken(self, held):
        tried.append(held)
        raise ValueError("cannot look")

    looked.ledger.rest()  # without a schedule there is nothing to end
    monkeypatch.setattr(Looks, "look", broken)
    looked.ledger.follow()
    eventually("a look", lambda: tried, 20, 0.02)
    looked.ledger.rest()
    (gap,) = [event for event in looked.events if isinstance(event, Gap)]
    assert gap.recorder == "ledger" and "cannot look" in gap.why
