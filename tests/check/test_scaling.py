"""Checks of scaling: each passes on a record that shows its claim, fails for its own
reason, and decides nothing when the record is silent."""

import msgspec
from golden import records
from golden.records import at

from acpchaos.check import (
    scaling,
)
from acpchaos.record.events import AnyEvent, Autoscaler, Pod, Rate
from acpchaos.record.run import Run
from acpchaos.scenario import Load

from .judging import F, I, P, expect, played


def test_scaling_out_in_time_or_not() -> None:
    run = played(*records.scaling())
    verdict = expect(scaling.scales_out(run, "acp", 30), P, "3 replicas wanted before, 6 during")
    assert verdict.measured == 18.0
    expect(scaling.scales_out(run, "acp", 10), F, "18.0 s")


def test_time_counts_from_the_rate_that_asked() -> None:
    first, second = rate(30, 60), rate(34, 90)
    run = played(*records.scaling(), first, second)  # read at 40, so by metrics from 25 on
    expect(scaling.scales_out(run, "acp", 30), P, "18.0 s after 60 flows/s")
    shift = 15 - (40 - 34)
    later = [
        msgspec.structs.replace(e, t_ns=at(40 + shift))
        if isinstance(e, Autoscaler) and e.t_ns == at(40)
        else e
        for e in records.scaling()
    ]
    late = expect(
        scaling.scales_out(played(*later, first, second), "acp", 30), P, "after 90 flows/s"
    )
    assert late.measured == 14.0


def test_a_capped_autoscaler_fails() -> None:
    capped = records.changed(
        records.scaling(), lambda e: isinstance(e, Autoscaler) and e.desired > 4, desired=3
    )
    capped = records.without(capped, lambda e: isinstance(e, Pod) and e.t_ns == at(48))
    expect(scaling.scales_out(played(*capped), "acp", 60), F, "no more than 3 pods")


def test_an_autoscaler_that_was_not_asked_proves_nothing() -> None:
    calm = records.changed(records.scaling(), lambda e: isinstance(e, Autoscaler), cpu_percent=50)
    expect(scaling.scales_out(played(*calm), "acp", 60), I, "was not asked")
    tolerated = records.changed(
        records.scaling(), lambda e: isinstance(e, Autoscaler), cpu_percent=77
    )
    expect(scaling.scales_out(played(*tolerated), "acp", 60), I, "what it tolerates")
    beyond = records.changed(
        records.scaling(),
        lambda e: isinstance(e, Autoscaler) and e.cpu_percent == 140,
        cpu_percent=78,
    )
    expect(scaling.scales_out(played(*beyond), "acp", 60), P, "6 during")
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


def rate(second: float, per_s: float) -> Rate:
    return Rate(t_ns=at(second), per_s=per_s)


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
    climbed = [*records.load(), rate(30, 10), rate(40, 40), rate(60, 10)]
    expect(scaling.latency_recovers(surging(climbed), 100), I, "10.0 of 40")


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
