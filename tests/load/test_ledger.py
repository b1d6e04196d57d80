"""The ledger tells valid from invalid from unavailable, and records no token."""

import pytest

from acpchaos.errors import PreconditionUnmet
from acpchaos.load.ledger import Ledger
from acpchaos.record.journal import Journal, read_journal

KEPT = {"access_jwt", "jwt_offline", "access_opaque", "refresh", "sso_session"}
ONCE = {"code", "par"}


class Looked:
    """A ledger minted at the issuer, and what its looks recorded."""

    def __init__(self, profile, folder):
        self.path = folder / "ledger.ndjson"
        self.journal = Journal(self.path)
        self.ledger = Ledger(profile, self.journal, seed=1, each=2)
        self.ledger.mint()

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
    looked.look("after")
    assert len(renewed) == 2


def test_each_token_is_looked_at_and_none_is_recorded(looked, issuer):
    looked.look("before")
    looked.look("after")
    ids = {event.token for event in read_journal(looked.path).events}
    assert ids == {f"{item}-{n}" for item in KEPT | ONCE | {"revoked_jwt"} for n in (0, 1)}
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
