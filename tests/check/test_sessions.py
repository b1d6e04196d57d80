"""Checks of sessions: each passes on a record that shows its claim, fails for its own
reason, and decides nothing when the record is silent."""

import pytest
from golden import records
from golden.records import at
from hypothesis import given, settings
from hypothesis import strategies as st

from acpchaos.check import fates, losses, sessions
from acpchaos.check.fates import Fate
from acpchaos.check.verdict import Outcome
from acpchaos.record.events import AnyEvent, TokenProbe

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
    assert verdict.evidence == ("lie (refresh): lied to, invalid fault+8.0 s, valid fault+50.0 s",)


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
    for rules in losses.RULES.values():
        assert rules.keys() == losses.RULES["pod_loss"].keys()
        assert rules["revoked_jwt"] is losses.Rule.MUST_STAY_INVALID


def one(*looks: tuple[float, str, str], item: str, fault: str = "redis_wipe") -> Fate:
    """The fate of one token from (second, when, result)."""
    run = played(*(look(second, when, result, item) for second, when, result in looks))
    return fates.followed(run, losses.RULES[fault])["lie"].fate


BEFORE, AFTER = (2.0, "before", "valid"), (82.0, "after", "valid")


@pytest.mark.parametrize(
    ("item", "looks", "fate"),
    [
        ("access_opaque", [BEFORE, (40, "during", "unavailable"), AFTER], Fate.KEPT),
        ("access_opaque", [BEFORE, (40, "during", "invalid"), AFTER], Fate.LIED_TO),
        ("access_opaque", [BEFORE, (40, "during", "invalid"), (50, "during", "valid"),
                           (82, "after", "invalid")], Fate.LIED_TO),
        ("access_opaque", [BEFORE, (40, "during", "invalid"), (82, "after", "invalid")],
         Fate.LOST_AS_DECLARED),
        ("access_opaque", [BEFORE, (20, "during", "invalid"), (82, "after", "invalid")],
         Fate.LOST_UNDECLARED),  # before the fault struck at 30 s
        ("refresh", [BEFORE, (82, "after", "invalid"), (82.1, "after", "valid")], Fate.LIED_TO),
        ("revoked_jwt", [(2, "before", "invalid"), (40, "during", "valid"),
                         (82, "after", "invalid")], Fate.RESURRECTED),
        ("revoked_jwt", [(2, "before", "valid"), (82, "after", "invalid")], Fate.INDETERMINATE),
        ("revoked_jwt", [(2, "before", "invalid"), (82, "after", "unavailable")],
         Fate.UNANSWERED),
        ("code", [(40, "during", "valid")], Fate.KEPT),
        ("code", [(40, "during", "invalid")], Fate.LOST_AS_DECLARED),
        ("code", [(40, "during", "unavailable")], Fate.INDETERMINATE),
        ("code", [(82, "after", "unavailable")], Fate.UNANSWERED),
    ],
)  # fmt: skip
def test_every_look_counts(item: str, looks: list, fate: Fate) -> None:
    assert one(*looks, item=item) is fate


def test_a_ledger_of_before_and_after_is_fooled() -> None:
    """The same plays, of which one sees nothing: each token ends as it began."""
    lie = [look(2, "before", "valid"), look(40, "during", "invalid"), look(82, "after", "valid")]
    let_in = [
        records.TokenProbe(t_ns=at(second), token="back", item="revoked_jwt", when=when, result=r)
        for second, when, r in ((2, "before", "invalid"), (41, "during", "valid"),
                                (82, "after", "invalid"))
    ]  # fmt: skip
    events = [*records.ledger(), *lie, *let_in]
    naive = [e for e in events if not (isinstance(e, TokenProbe) and e.when == "during")]
    expect(sessions.losses_as_declared(played(*naive), "pod_loss"), P, "kept")
    whole = expect(sessions.losses_as_declared(played(*events), "pod_loss"), F, "1 resurrected")
    assert "1 lied to" in whole.why and len(whole.evidence) == 2


def spent(number: int, result: str, when: str = "during") -> AnyEvent:
    return records.TokenProbe(
        t_ns=at(40 + number), token=f"code-{number}", item="code", when=when, result=result
    )


def test_codes_that_got_no_answer_are_spoken_for_by_others() -> None:
    run = played(*records.ledger(), spent(1, "unavailable"), spent(2, "valid"))
    expect(sessions.losses_as_declared(run, "pod_loss"), P, "1 indeterminate")
    run = played(*records.ledger(), spent(1, "unavailable"), spent(2, "unavailable"))
    expect(sessions.losses_as_declared(run, "pod_loss"), I, "2 indeterminate")


def test_the_spread_over_masters_is_told_where_masters_were_seen() -> None:
    verdict = sessions.losses_as_declared(played(*records.ledger(**WIPE)), "redis_wipe")
    assert not [line for line in verdict.evidence if line.startswith("spread")]
    run = played(*records.ledger(**WIPE), *records.redis_wipe())
    (line,) = [
        line
        for line in sessions.losses_as_declared(run, "redis_wipe").evidence
        if line.startswith("spread")
    ]
    assert "2 of access_jwt over 3 Redis masters" in line and "100.0%" in line


RESULTS = ("valid", "invalid", "unavailable", "error")
ORDER = (Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.PASSED)
histories = st.lists(
    st.tuples(st.integers(0, 3), st.floats(31, 81), st.sampled_from(RESULTS)), max_size=12
)


def looked(history: list, items: tuple[str, ...]) -> list[AnyEvent]:
    return [
        records.TokenProbe(
            t_ns=at(second), token=f"{items[n % len(items)]}-1", item=items[n % len(items)],
            when="during", result=result,
        )
        for n, second, result in history
    ]  # fmt: skip


@given(
    history=histories, n=st.integers(0, 3), second=st.floats(31, 81),
    fault=st.sampled_from(["pod_loss", "redis_wipe"]),
)  # fmt: skip
@settings(max_examples=60, deadline=None, derandomize=True)
def test_more_lies_never_improve_a_verdict(
    history: list, n: int, second: float, fault: str
) -> None:
    """A lie: a look that says what is not so of a token that was as it should be before."""
    items = ("access_opaque", "refresh", "sso_session", "revoked_jwt")
    lie = "valid" if items[n] == "revoked_jwt" else "invalid"
    honest = [*records.ledger(), *looked(history, items)]
    few = sessions.losses_as_declared(played(*honest), fault)
    many = sessions.losses_as_declared(played(*honest, *looked([(n, second, lie)], items)), fault)
    assert ORDER.index(many.outcome) <= ORDER.index(few.outcome)
    if few.outcome is Outcome.PASSED:
        assert many.outcome is Outcome.FAILED


@given(history=histories, order=st.randoms(use_true_random=False))
@settings(max_examples=20, deadline=None, derandomize=True)
def test_fates_do_not_depend_on_the_order_of_reading(history: list, order) -> None:
    """Of looks at one moment the order of reading decides, so moments are told apart here."""
    told = list({second: look for look in history for second in [look[1]]}.values())
    events = [*records.ledger(), *looked(told, ("access_opaque", "refresh"))]
    shuffled = list(events)
    order.shuffle(shuffled)
    rules = losses.RULES["pod_loss"]
    assert fates.followed(played(*shuffled), rules) == fates.followed(played(*events), rules)


def test_new_flows_work_after_recovery() -> None:
    expect(sessions.new_flows_work(played(*records.load())), P, "fewest good answers")
    down = records.changed(records.load(), lambda e: e.flow == "refresh", error="http_400")
    expect(sessions.new_flows_work(played(*down)), F, "refresh, 0")
    expect(sessions.new_flows_work(played()), I, "only 0 requests")
    thin = records.without(down, lambda e: e.flow == "client_credentials")
    expect(sessions.new_flows_work(played(*thin)), F, "refresh, 0")
