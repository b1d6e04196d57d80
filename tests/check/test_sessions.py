"""Checks of sessions: each passes on a record that shows its claim, fails for its own
reason, and decides nothing when the record is silent."""

import pytest
from golden import records
from golden.records import at

from acpchaos.check import (
    sessions,
)
from acpchaos.record.events import AnyEvent

from .judging import F, I, P, expect, played

WIPE = {"access_opaque": "invalid", "sso_session": "invalid"}


def test_the_losses_of_a_wipe_are_declared_ones() -> None:
    run = played(*records.ledger(**WIPE))
    expect(sessions.losses_as_declared(run, "redis_wipe"), P, "4 lost as declared")
    verdict = expect(sessions.losses_as_declared(run, "pod_loss"), F, "4 lost undeclared")
    assert "access_opaque-1 (access_opaque): lost undeclared" in verdict.evidence


@pytest.mark.parametrize(
    ("after", "words"),
    [
        ({"revoked_jwt": "valid"}, "2 resurrected"),
        ({"jwt_offline": "invalid"}, "2 lost undeclared"),
        ({"refresh": "unavailable"}, "2 unanswered"),
    ],
)
def test_a_wipe_may_not_do_everything(after: dict[str, str], words: str) -> None:
    run = played(*records.ledger(**(WIPE | after)))
    expect(sessions.losses_as_declared(run, "redis_wipe"), F, words)


def look(second: float, when: str, result: str, item: str = "refresh") -> AnyEvent:
    return records.TokenProbe(t_ns=at(second), token="lie", item=item, when=when, result=result)


def test_a_lie_during_the_outage_is_told() -> None:
    lie = [look(2, "before", "valid"), look(40, "during", "invalid"), look(82, "after", "valid")]
    run = played(*records.ledger(), *lie)
    verdict = expect(sessions.losses_as_declared(run, "redis_wipe"), F, "1 lied to")
    assert verdict.evidence == ("lie (refresh): lied to",)


def test_an_honest_refusal_during_the_outage_is_no_lie() -> None:
    honest = [
        look(2, "before", "valid"),
        look(40, "during", "unavailable"),
        look(82, "after", "valid"),
    ]
    run = played(*records.ledger(), *honest)
    expect(sessions.losses_as_declared(run, "redis_wipe"), P, "kept")


def test_pods_must_agree_on_tokens_that_may_go_either_way() -> None:
    other = [
        look(2, "before", "valid", "access_jwt"),
        look(82, "after", "invalid", "access_jwt"),
    ]
    run = played(*records.ledger(), *other)
    expect(sessions.losses_as_declared(run, "redis_wipe"), F, "differing answers for access_jwt")


def test_a_token_not_looked_at_decides_nothing() -> None:
    run = played(*records.ledger(), look(2, "before", "valid"))
    expect(sessions.losses_as_declared(run, "pod_loss"), I, "1 indeterminate")
    never_valid = [look(2, "before", "error"), look(82, "after", "valid")]
    run = played(*records.ledger(), *never_valid)
    expect(sessions.losses_as_declared(run, "pod_loss"), I, "1 indeterminate")


def test_a_code_can_be_looked_at_only_once() -> None:
    run = played(*records.ledger(**WIPE), look(82, "after", "invalid", "code"))
    expect(sessions.losses_as_declared(run, "redis_wipe"), P, "5 lost as declared")
    run = played(*records.ledger(), look(82, "after", "invalid", "code"))
    expect(sessions.losses_as_declared(run, "pod_loss"), F, "1 lost undeclared")


def test_a_thin_ledger_decides_nothing() -> None:
    expect(sessions.losses_as_declared(played(), "pod_loss"), I, "holds no token")
    run = played(*records.ledger(("access_jwt", "refresh", "jwt_offline")))
    expect(sessions.losses_as_declared(run, "pod_loss"), I, "holds no revoked_jwt")
    expect(sessions.losses_as_declared(run, "flood"), I, "no rules")


def test_every_fault_has_a_rule_for_every_kind() -> None:
    for rules in sessions.RULES.values():
        assert rules.keys() == sessions.RULES["pod_loss"].keys()
        assert rules["revoked_jwt"] is sessions.Rule.MUST_STAY_INVALID


def test_new_flows_work_after_recovery() -> None:
    expect(sessions.new_flows_work(played(*records.load())), P, "fewest good answers")
    down = records.changed(records.load(), lambda e: e.flow == "refresh", error="http_400")
    expect(sessions.new_flows_work(played(*down)), F, "refresh, 0")
    expect(sessions.new_flows_work(played()), I, "only 0 requests")
