"""Checks of recovery: each passes on a record that shows its claim, fails for its own
reason, and decides nothing when the record is silent."""

import itertools

from golden import records
from golden.records import at

from acpchaos.check import (
    recovery,
)
from acpchaos.record.events import AnyEvent, Node

from .judging import F, I, N, P, expect, played


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
    undecided = expect(recovery.service_recovers(played(*down), 18.0), I, "between these bounds")
    assert "after 17.9 to 18.3 s" in undecided.why


def test_clocks_that_stand_apart_widen_the_bounds_of_a_recovery() -> None:
    down = records.changed(records.load(), records.due_between(33, 50), error="http_503")
    run = played(*down)
    expect(recovery.service_recovers(run, 18.5), P, "all 3 flows")
    run.meta.clock_offsets_ms["load"] = -600.0
    expect(recovery.service_recovers(run, 18.5), I, "17.3 to 18.9 s")


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


def test_a_relapse_counts_where_chance_cannot_explain_it() -> None:
    """The golden load has 10 requests/s of three flows in turn; the service is back at 50."""
    down = records.changed(records.load(), records.due_between(33, 50), error="http_503")

    def relapse(until_s: float, every: int) -> list[AnyEvent]:
        seen = itertools.count()
        due = records.due_between(55, until_s)
        return records.changed(down, lambda e: due(e) and next(seen) % every == 0, error="reset")

    few = relapse(80, 15)  # of each flow 5 to 8 in 100, 5 are allowed
    expect(recovery.service_recovers(played(*few), 20), I, "too few to tell")
    many = relapse(80, 7)
    expect(recovery.service_recovers(played(*many), 20), F, "requests failed after its return")


def test_a_service_that_stays_down_is_no_number() -> None:
    down = records.changed(records.load(), records.due_between(33, 99), error="http_503")
    verdict = expect(recovery.service_recovers(played(*down), 20), F, "still failing")
    assert verdict.measured == "never"


def test_a_flow_without_followers_hides_no_flow_that_is_broken() -> None:
    few = records.without(
        records.load(), lambda e: e.flow == "client_credentials" and e.intended_ns >= at(33)
    )
    expect(recovery.service_recovers(played(*few), 20), I, "client_credentials: ")
    down = records.changed(few, lambda e: e.flow == "refresh" and at(33) <= e.intended_ns < at(99),
                           error="http_503")  # fmt: skip
    expect(recovery.service_recovers(played(*down), 20), F, "refresh was still failing")
    late = records.changed(few, lambda e: e.flow == "refresh" and at(33) <= e.intended_ns < at(60),
                           error="http_503")  # fmt: skip
    expect(recovery.service_recovers(played(*late), 20), F, "2 of 3 flows work again")


def test_a_recovery_needs_followers() -> None:
    down = records.changed(records.load(), records.due_between(33, 79), error="http_503")
    expect(recovery.service_recovers(played(*down), 60), I, "are needed")
    expect(recovery.service_recovers(played(), 60), I, "are needed")
