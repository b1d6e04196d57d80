"""Each check passes on a record that shows its claim, fails for its own reason, and decides nothing
when the record is silent."""

import pytest
from golden import records
from golden.records import at

from acpchaos.check import (
    availability,
    configuration,
    recovery,
    redis,
    restore,
    scaling,
    sessions,
)
from acpchaos.check.outage import longest_outage
from acpchaos.check.verdict import Outcome, Verdict
from acpchaos.check.window import Window
from acpchaos.record.events import AnyEvent, Autoscaler, Node, Observation, Pod, Request
from acpchaos.record.run import Run
from acpchaos.scenario import Load

P, F, I, N = (  # noqa: E741
    Outcome.PASSED,
    Outcome.FAILED,
    Outcome.INCONCLUSIVE,
    Outcome.NOT_APPLICABLE,
)


def played(*more: AnyEvent) -> Run:
    """Phases and fault, and nothing else but `more`."""
    return records.run_of([*records.phases(), *records.fault(), *more])


def expect(verdict: Verdict, outcome: Outcome, words: str) -> Verdict:
    assert verdict.outcome is outcome, verdict
    assert words in verdict.why
    return verdict


# availability


def probes(*bad_s: tuple[float, float]) -> list[Request]:
    return [
        request
        for request in records.changed(
            records.prober(),
            lambda e: any(at(a) <= e.intended_ns < at(b) for a, b in bad_s),
            error="refused",
        )
        if isinstance(request, Request) and request.flow == "client_credentials"
    ]


def test_an_outage_lies_between_its_bounds() -> None:
    outage = longest_outage(probes((40, 43)), Window(at(30), at(80)))
    assert outage.least_s == pytest.approx(2.82, abs=0.01)  # 15 probes, first due to last ended
    assert outage.most_s == pytest.approx(3.2, abs=0.01)  # good answer to good answer
    assert outage.least_s <= 3 <= outage.most_s


def test_an_outage_that_never_ends_lasts_until_the_window_does() -> None:
    outage = longest_outage(probes((40, 99)), Window(at(30), at(80)))
    assert outage.until_ns == at(80)
    assert outage.most_s == pytest.approx(40.18, abs=0.01)


def test_a_slow_good_answer_is_a_wait() -> None:
    slow = records.request(40, "x", "prober", t_ns=at(45))
    others = [records.request(s, "x", "prober") for s in (39, 46)]
    outage = longest_outage([*others, slow], Window(at(38), at(47)))
    assert outage.least_s == pytest.approx(5.0)


def test_between_the_bounds_nothing_is_decided() -> None:
    run = played(*records.load(), *probes((40, 43)))
    expect(availability.never_down(run, longest_gap_s=3.0), I, "between these bounds")
    expect(availability.never_down(run, longest_gap_s=2.5), F, "prober client_credentials")
    expect(availability.never_down(run, longest_gap_s=3.5), P, "3.20 s")


def test_never_down_needs_prober_and_load() -> None:
    expect(availability.never_down(played(*records.load()), 2), I, "no request")
    expect(availability.never_down(played(*records.prober()), 2), I, "no request")
    expect(availability.never_down(records.run_of([]), 2), I, "no fault and recovery phase")


def test_longest_gap_of_one_flow() -> None:
    run = played(*probes((40, 43)))
    expect(availability.longest_gap(run, 2, flow="client_credentials"), F, "went 3.20 s")
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


# recovery


def test_replicas_return_in_time_or_not() -> None:
    run = played(*records.pods(back_s=45))
    verdict = expect(recovery.replicas_return(run, "acp", within_s=20), P, "1 replaced")
    assert verdict.measured == 12.5
    expect(recovery.replicas_return(run, "acp", within_s=10), F, "12.5 s")


def test_each_loss_of_a_drain_has_its_own_time() -> None:
    second = [records.pod(60, 2, ready=False, deleting=True), records.pod(66, 5)]
    run = played(*records.pods(back_s=45), *second)
    verdict = expect(recovery.replicas_return(run, "acp", within_s=20), P, "2 replaced")
    assert verdict.measured == 12.5


def test_replicas_that_do_not_return_are_no_number() -> None:
    run = played(*records.pods()[:-1])
    verdict = expect(recovery.replicas_return(run, "acp", 60), F, "not back")
    assert verdict.measured == "never"


def test_replicas_must_stay_back() -> None:
    run = played(*records.pods(45), records.pod(70, 4, ready=False))
    expect(recovery.replicas_return(run, "acp", 60), F, "not back")


def test_pods_that_never_left_show_no_return() -> None:
    run = played(*(records.pod(0, number) for number in range(3)))
    expect(recovery.replicas_return(run, "acp", 60), I, "no pod of acp went away")
    expect(recovery.replicas_return(played(), "acp", 60), I, "no ready pod")


def test_an_autoscaler_may_want_fewer() -> None:
    run = played(*records.pods()[:-1], records.autoscaler(1, 3), records.autoscaler(32.2, 2))
    expect(recovery.replicas_return(run, "acp", 60), P, "3 pods of acp before")


def test_spread_over_zones() -> None:
    run = played(*records.nodes(), *records.pods())
    expect(recovery.respread(run, "acp", 2), P, "zone-a, zone-b, zone-c")
    one = played(*records.nodes(), *(records.pod(0, n, zone="zone-a") for n in range(3)))
    expect(recovery.respread(one, "acp", 2), F, "zones: zone-a")
    expect(recovery.respread(played(*records.nodes()), "acp", 2), I, "no pod of acp")
    expect(recovery.respread(played(*records.pods()), "acp", 2), I, "no node with a zone")
    expect(recovery.respread(run, "acp", 4), N, "3 zones")


def node(second: float, name: str, **changes: bool) -> Node:
    return Node(t_ns=at(second), name=name, **({"ready": True} | changes))


def test_nodes_open_again() -> None:
    closed = [*records.nodes(), node(33, "worker1", unschedulable=True)]
    run = played(*closed, node(55, "worker1"))
    expect(recovery.nodes_schedulable(run), P, "3 of 3 nodes")
    expect(recovery.nodes_schedulable(played(*closed)), F, "not: worker1")
    expect(recovery.nodes_schedulable(played(*records.nodes())), I, "no node was closed")


def test_a_node_closed_before_the_fault_need_not_open() -> None:
    control = node(0, "control", unschedulable=True)
    run = played(
        control, *records.nodes(), node(33, "worker1", unschedulable=True), node(55, "worker1")
    )
    expect(recovery.nodes_schedulable(run), P, "3 of 3 nodes")


def test_restarts_and_replacements_are_counted() -> None:
    still = [records.pod(0, number) for number in range(3)]
    expect(recovery.no_restarts(played(*still), "acp"), P, "0 pods replaced")
    expect(
        recovery.no_restarts(played(*still, records.pod(40, 0, restarts=2)), "acp"),
        F,
        "2 container restarts",
    )
    expect(recovery.no_restarts(played(*records.pods()), "acp"), F, "1 pods replaced")
    expect(recovery.no_restarts(played(), "acp"), I, "no pod of acp")


def test_pods_the_autoscaler_gave_up_are_not_replaced() -> None:
    gone = [records.pod(0, n) for n in range(4)] + [records.pod(60, 3, gone=True, ready=False)]
    wishes = [records.autoscaler(1, 4), records.autoscaler(59, 3)]
    expect(recovery.no_restarts(played(*gone, *wishes), "acp"), P, "0 pods replaced")
    expect(recovery.no_restarts(played(*gone), "acp"), F, "1 pods replaced")


def test_the_service_recovers_in_time_or_not() -> None:
    down = records.changed(records.load(), records.due_between(33, 50), error="http_503")
    verdict = expect(recovery.service_recovers(played(*down), 20), P, "all 3 flows work again")
    assert isinstance(verdict.measured, float) and 18 <= verdict.measured <= 18.5
    expect(recovery.service_recovers(played(*down), 15), F, "the last was")


def test_a_lucky_answer_is_no_recovery() -> None:
    flickers = records.changed(
        records.load(),
        lambda e: at(33) <= e.intended_ns < at(60) and e.intended_ns % 3_000_000_000 > 300_000_000,
        error="http_503",
    )
    expect(recovery.service_recovers(played(*flickers), 20), F, "the last was")


def test_one_later_failure_alone_does_not_undo_a_recovery() -> None:
    down = records.changed(records.load(), records.due_between(33, 50), error="http_503")
    hiccup = records.changed(down, records.due_between(70, 70.05), error="reset")
    expect(recovery.service_recovers(played(*hiccup), 20), P, "all 3 flows")


def test_a_service_that_stays_down_is_no_number() -> None:
    down = records.changed(records.load(), records.due_between(33, 99), error="http_503")
    verdict = expect(recovery.service_recovers(played(*down), 20), F, "still failing")
    assert verdict.measured == "never"


def test_a_recovery_needs_followers() -> None:
    down = records.changed(records.load(), records.due_between(33, 79), error="http_503")
    expect(recovery.service_recovers(played(*down), 60), I, "are needed")
    expect(recovery.service_recovers(played(), 60), I, "are needed")


# sessions


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


# configuration


def test_configuration_is_compared_by_value_not_order() -> None:
    same = records.observations(jwks_kids={"main": ["k2", "k1"]})
    expect(configuration.unchanged(played(*same)), P, "equal before and after")
    other = records.observations(jwks_kids={"main": ["k1", "k3"]})
    expect(configuration.unchanged(played(*other)), F, "changed: jwks_kids")


def test_configuration_not_seen_decides_nothing() -> None:
    only_before = [o for o in records.observations() if o.when == "before"]
    expect(configuration.unchanged(played(*only_before)), I, "jwks_kids after")
    empty = records.observations(jwks_kids={})
    expect(configuration.unchanged(played(*empty)), I, "jwks_kids after")


# redis


def test_a_wiped_cluster_is_whole_again() -> None:
    run = played(*records.redis_wipe(back_s=50))
    verdict = expect(redis.cluster_recovered(run, within_s=60), P, "3 masters, 16384 slots")
    assert verdict.measured == 18.0
    expect(redis.cluster_recovered(run, within_s=10), F, "18.0 s")


def test_a_cluster_with_missing_slots_is_not_whole() -> None:
    run = played(
        *records.redis_wipe(50),
        records.redis_sight(60, 1, run_id="new1", slots=10923, state="fail"),
    )
    expect(redis.cluster_recovered(run, 60), F, "10923 slots")


def test_a_replica_without_its_link_is_not_whole() -> None:
    run = played(*records.redis_wipe(50), records.redis_sight(60, 4, run_id="new4", link_up=False))
    expect(redis.cluster_recovered(run, 60), F, "not whole")


def test_an_old_run_id_means_the_wipe_did_not_bite() -> None:
    sights = [records.redis_sight(s, n) for n in range(6) for s in (5, 50)]
    expect(redis.cluster_recovered(played(*sights), 60), I, "kept their run id")
    expect(redis.cluster_recovered(played(*sights), 60, wiped=False), P, "6 of 6 nodes ok")


def test_a_cluster_never_seen_decides_nothing() -> None:
    expect(redis.cluster_recovered(played(), 60), I, "not whole before")
    before = [records.redis_sight(5, n) for n in range(6)]
    expect(redis.cluster_recovered(played(*before), 60), I, "no node was looked at")


# scaling


def test_scaling_out_in_time_or_not() -> None:
    run = played(*records.scaling())
    verdict = expect(scaling.scales_out(run, "acp", 30), P, "3 replicas wanted before, 6 during")
    assert verdict.measured == 18.0
    expect(scaling.scales_out(run, "acp", 10), F, "18.0 s")


def test_a_capped_autoscaler_fails() -> None:
    capped = records.changed(
        records.scaling(), lambda e: isinstance(e, Autoscaler) and e.desired > 4, desired=3
    )
    capped = records.without(capped, lambda e: isinstance(e, Pod) and e.t_ns == at(48))
    expect(scaling.scales_out(played(*capped), "acp", 60), F, "no more than 3 pods")


def test_an_autoscaler_that_was_not_asked_proves_nothing() -> None:
    calm = records.changed(records.scaling(), lambda e: isinstance(e, Autoscaler), cpu_percent=50)
    expect(scaling.scales_out(played(*calm), "acp", 60), I, "was not asked")
    blind = records.changed(
        records.scaling(), lambda e: isinstance(e, Autoscaler), cpu_percent=None
    )
    expect(scaling.scales_out(played(*blind), "acp", 60), I, "was not asked")
    pinned = records.changed(records.scaling(), lambda e: isinstance(e, Autoscaler), max_replicas=3)
    expect(scaling.scales_out(played(*pinned), "acp", 60), I, "at its maximum")
    expect(scaling.scales_out(played(), "acp", 60), I, "no sight")


def test_limits_are_kept_or_left() -> None:
    run = played(*records.scaling())
    expect(scaling.within_limits(run, "acp"), P, "3 to 6 replicas wanted")
    over = played(*records.scaling(), records.autoscaler(55, 7))
    expect(scaling.within_limits(over, "acp"), F, "3 to 7")
    crowd = played(*records.scaling(), records.pod(52, 6))
    expect(scaling.within_limits(crowd, "acp"), F, "3 to 6")
    expect(scaling.within_limits(played(records.autoscaler(5, 3)), "acp"), I, "never changed")


def test_steps_out_follow_the_reading() -> None:
    expect(scaling.follows_target(played(*records.scaling()), "acp"), P, "1 steps out")
    rash = records.changed(
        records.scaling(),
        lambda e: isinstance(e, Autoscaler) and e.cpu_percent == 140,
        cpu_percent=90,
    )
    expect(scaling.follows_target(played(*rash), "acp"), F, "1 larger")
    expect(scaling.follows_target(played(), "acp"), I, "no step out")


def surging(events: list[AnyEvent], surge_per_s: float = 10) -> Run:
    load = Load(rate_per_s=10, surge_per_s=surge_per_s, mix=records.MIX)
    return Run(records.meta(load=load), [*records.phases(), *events])


def test_latency_at_the_end_of_the_surge() -> None:
    run = surging(records.load())
    assert expect(scaling.latency_recovers(run, 100), P, "200 requests").measured == 20.0
    expect(scaling.latency_recovers(run, 10), F, "200 requests")
    early = records.changed(records.load(), records.due_between(30, 38), error="timeout")
    expect(scaling.latency_recovers(surging(early), 100), P, "0 failed")
    late = records.changed(records.load(), records.due_between(55, 58), error="timeout")
    assert (
        expect(scaling.latency_recovers(surging(late), 100), F, "30 failed").measured == "endless"
    )


def test_latency_needs_the_surge() -> None:
    expect(scaling.latency_recovers(surging(records.load(), 40), 100), I, "10.0 of 40")
    expect(scaling.latency_recovers(surging([]), 100), I, "only 0 requests")


def test_scaling_in() -> None:
    run = played(*records.scaling(), *records.load())
    expect(scaling.scales_in(run, "acp", 0.01), P, "6 replicas at the peak, 3 wanted and 3 ready")
    bad = records.changed(records.load(), records.due_between(61, 64), error="reset")
    expect(scaling.scales_in(played(*records.scaling(), *bad), "acp", 0.01), F, "30 of 200")
    stuck = records.without(
        records.scaling(), lambda e: e.t_ns >= at(75) and isinstance(e, Autoscaler)
    )
    expect(scaling.scales_in(played(*stuck, *records.load()), "acp", 0.01), F, "6 wanted")
    flat = [records.autoscaler(5, 3)]
    expect(scaling.scales_in(played(*flat, *records.load()), "acp", 0.01), I, "never scaled out")
    expect(scaling.scales_in(played(*records.scaling()), "acp", 0.01), I, "only 0 requests")


# restore


BACKUP = {"type": "full", "status": "ok", "cipher": "aes-256-cbc", "label": "20240101F"}
GOOD_DRILL = {
    "backups": [
        {"place": "s3-east", "endpoint": "https://east", "bucket": "east", **BACKUP},
        {"place": "s3-west", "endpoint": "https://west", "bucket": "west", **BACKUP},
    ],
    "fingerprints_backup": {"clients": "a1", "users": "b2"},
    "fingerprints_damaged": {"clients": "00", "users": "b2"},
    "fingerprints_restored": {"clients": "a1", "users": "b2"},
    "restore_s": 42.0,
    "old_client": {"served": True, "saw": "token"},
    "wrong_cipher": {"restored": False, "saw": "cannot decrypt"},
    "wrong_key": {"served": False, "saw": "invalid_client"},
    "unencrypted_read": [{"readable": False, "saw": "no known header"}],
    "backup_verify": {"s3-east": "ok", "s3-west": "ok"},
}


def drill(**changes: object) -> Run:
    facts = {name: value for name, value in (GOOD_DRILL | changes).items() if value is not None}
    return played(
        *(Observation(t_ns=at(40), when="during", name=n, value=v) for n, v in facts.items())
    )


def test_a_good_drill_holds() -> None:
    run = drill()
    expect(restore.two_places(run), P, "2 independent places")
    expect(restore.encrypted(run), P, "2 backups with a cipher")
    expect(restore.files_intact(run), P, "2 of 2 places")
    expect(restore.content_equal(run, 60), P, "2 tables equal")
    expect(restore.old_client_served(run), P, "old client: served (token)")
    expect(restore.wrong_cipher_fails(run), P, "not restored (cannot decrypt)")
    expect(restore.wrong_key_fails(run), P, "not served (invalid_client)")


def test_each_part_of_a_bad_drill_fails_for_its_reason() -> None:
    east, west = GOOD_DRILL["backups"]
    expect(restore.two_places(drill(backups=[east, {**west, "bucket": "east"}])), F, "1 indep")
    expect(restore.two_places(drill(backups=[east, {**west, "status": "error"}])), F, "1 of 2")
    expect(restore.encrypted(drill(backups=[east, {**west, "cipher": "none"}])), F, "1 of 2")
    expect(restore.encrypted(drill(unencrypted_read={"readable": True, "saw": "SQL"})), F, "SQL")
    torn = drill(backup_verify={"s3-east": "ok", "s3-west": "checksum differs"})
    expect(restore.files_intact(torn), F, "1 of 2 places")
    lacking = drill(fingerprints_restored={"clients": "a1"})
    expect(restore.content_equal(lacking, 60), F, "1 of 2 tables differ: users")
    expect(restore.content_equal(drill(), 30), F, "in 42 s")
    expect(restore.old_client_served(drill(old_client={"served": False})), F, "not served")
    expect(restore.wrong_cipher_fails(drill(wrong_cipher={"restored": True})), F, "restored")
    expect(restore.wrong_key_fails(drill(wrong_key={"served": True})), F, "served")


def test_a_silent_drill_decides_nothing() -> None:
    nothing = played()
    checks = (
        restore.two_places,
        restore.encrypted,
        restore.files_intact,
        restore.old_client_served,
        restore.wrong_cipher_fails,
        restore.wrong_key_fails,
    )
    for check in checks:
        assert check(nothing).outcome is I
    assert restore.content_equal(nothing, 60).outcome is I


def test_what_could_not_fail_proves_nothing() -> None:
    undamaged = drill(fingerprints_damaged=GOOD_DRILL["fingerprints_backup"])
    expect(restore.content_equal(undamaged, 60), I, "damage changed nothing")
    expect(restore.wrong_key_fails(drill(old_client={"served": False})), I, "right key")
    expect(restore.wrong_cipher_fails(drill(fingerprints_restored=None)), I, "right passphrase")
    expect(restore.encrypted(drill(unencrypted_read=None)), I, "no stored object")
