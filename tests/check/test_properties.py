"""Properties of the judge: more failures or less evidence never make a claim pass, and the same
record judges alike whatever the order it was read in."""

from collections.abc import Callable

from golden import records
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from acpchaos.check.judge import encode, judge
from acpchaos.check.verdict import Outcome
from acpchaos.record.events import (
    AnyEvent,
    Autoscaler,
    Fault,
    Gap,
    Health,
    Node,
    Observation,
    Phase,
    Pod,
    RedisNode,
    Request,
    TokenProbe,
    Undo,
    Witness,
)
from acpchaos.record.run import Run
from acpchaos.scenario import Claim

CLAIMS = (
    *records.CLAIMS,
    Claim(id="recovers", says="", check="recovery.service_recovers", params={"within_s": 20.0}),
    Claim(id="flows", says="", check="sessions.new_flows_work"),
    Claim(id="restarts", says="", check="recovery.no_restarts", params={"app": "acp-workers"}),
    Claim(id="spread", says="", check="recovery.respread", params={"app": "acp", "min_zones": 2.0}),
    Claim(id="configuration", says="", check="configuration.unchanged"),
    Claim(id="redis", says="", check="redis.cluster_recovered", params={"within_s": 60.0}),
)

_quick = settings(
    max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)

EVENTS: list[AnyEvent] = [
    *records.good_events(),
    *records.redis_wipe(),
    *(records.pod(0, number, "acp-workers") for number in range(2)),
]
REQUESTS = [index for index, event in enumerate(EVENTS) if isinstance(event, Request)]


def passed(events: list[AnyEvent]) -> set[str]:
    judged = judge(records.run_of(events, CLAIMS))
    return {claim.id for claim in judged if claim.verdict.outcome is Outcome.PASSED}


def test_the_record_all_properties_start_from_passes() -> None:
    assert passed(EVENTS) == {claim.id for claim in CLAIMS}


def failing(events: list[AnyEvent], chosen: set[int]) -> list[AnyEvent]:
    """The chosen requests fail."""
    return [
        records.msgspec.structs.replace(event, error="http_500", status=500)
        if index in chosen and isinstance(event, Request)
        else event
        for index, event in enumerate(events)
    ]


bursts = st.lists(
    st.tuples(st.integers(0, len(REQUESTS) - 1), st.integers(1, 60)), min_size=1, max_size=6
).map(lambda each: {REQUESTS[n] for at, size in each for n in range(at, at + size)
                    if n < len(REQUESTS)})  # fmt: skip


@given(first=bursts, more=bursts)
@_quick
def test_more_failures_never_improve_a_verdict(first: set[int], more: set[int]) -> None:
    few, many = failing(EVENTS, first), failing(EVENTS, first | more)
    assert passed(many) <= passed(few) <= passed(EVENTS)


# Evidence that something is well. Taking away what speaks against a claim (a pod that went, a gap)
# may of course help it.
SPEAKS_FOR: list[Callable[[AnyEvent], bool]] = [
    lambda e: isinstance(e, Request) and not e.error,
    lambda e: isinstance(e, Phase | Witness | Health | Observation | TokenProbe),
    lambda e: isinstance(e, Fault) and e.verb == "inject",
    lambda e: isinstance(e, Undo) and e.state == "verified",
    lambda e: isinstance(e, Pod | Node | RedisNode) and getattr(e, "ready", False),
]


@given(first=bursts, data=st.data())
@_quick
def test_less_evidence_never_improves_a_verdict(first: set[int], data: st.DataObject) -> None:
    events = failing(EVENTS, first)
    speaks_for = data.draw(st.sampled_from(SPEAKS_FOR))
    fit = [index for index, event in enumerate(events) if speaks_for(event)]
    size = data.draw(st.integers(1, min(len(fit), 200)))
    start = data.draw(st.integers(0, len(fit) - size))
    gone = set(fit[start : start + size])
    left = [event for index, event in enumerate(events) if index not in gone]
    assert passed(left) <= passed(events)


@given(seconds=st.tuples(st.floats(0, 84), st.floats(0, 30)))
@_quick
def test_a_gap_never_improves_a_verdict(seconds: tuple[float, float]) -> None:
    begin, length = seconds
    gap = Gap(
        t_ns=records.at(begin + length), recorder="prober", from_ns=records.at(begin), why="gone"
    )
    assert passed([*EVENTS, gap]) <= passed(EVENTS)


@given(order=st.randoms(use_true_random=False))
@_quick
def test_the_same_record_judges_alike_in_any_order(order: records.Callable) -> None:
    shuffled = list(EVENTS)
    order.shuffle(shuffled)
    assert encode(judge(records.run_of(shuffled, CLAIMS))) == encode(
        judge(records.run_of(EVENTS, CLAIMS))
    )


def test_scaling_claims_need_their_events() -> None:
    claims = tuple(
        Claim(id=name, says="", check=f"scaling.{name}", params={"name": "acp", **params})
        for name, params in (
            ("scales_out", {"within_s": 30.0}),
            ("within_limits", {}),
            ("scales_in", {"max_error_ratio": 0.01}),
        )
    )
    base = records.without(records.good_events(), lambda e: isinstance(e, Pod))
    events = [*base, *records.scaling()]

    def outcomes(run: Run) -> set[Outcome]:
        return {claim.verdict.outcome for claim in judge(run)}

    assert outcomes(records.run_of(events, claims)) == {Outcome.PASSED}
    blind = records.without(events, lambda e: isinstance(e, Autoscaler))
    assert outcomes(records.run_of(blind, claims)) == {Outcome.INCONCLUSIVE}
