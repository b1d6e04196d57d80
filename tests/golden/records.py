"""Golden records: small made-up runs, each with one known truth, as builders.

`good()` is a pod loss that went well; every other record is the good one with one thing changed,
so that a verdict can only differ for that reason.
"""

from collections.abc import Callable, Iterable

import msgspec

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
from acpchaos.record.run import Run, RunMeta
from acpchaos.scenario import Claim, Load, Scenario

ZERO_NS = 1_700_000_000_000_000_000
MIX = {"client_credentials": 2, "refresh": 1, "introspect": 1}
RATE_PER_S = 10
PHASES_S = {"gate": 0, "steady": 10, "fault": 30, "recovery": 60, "after": 80, "end": 85}
STRUCK_S = 32.0

CLAIMS = (
    Claim(
        id="never-down",
        says="never fully down",
        check="availability.never_down",
        rows=("HA1-01", "HA1-03"),
        params={"longest_gap_s": 2.0},
    ),
    Claim(
        id="errors",
        says="the error budget holds",
        check="availability.error_ratio",
        rows=("HA1-03",),
        params={"max_ratio": 0.02},
    ),
    Claim(
        id="replicas",
        says="as many pods are ready again",
        check="recovery.replicas_return",
        params={"app": "acp", "within_s": 30.0},
    ),
    Claim(
        id="sessions",
        says="no token is lost",
        check="sessions.losses_as_declared",
        params={"fault": "pod_loss"},
    ),
)


def at(second: float) -> int:
    """Nanoseconds of a second of the play."""
    return ZERO_NS + round(second * 1e9)


def meta(claims: tuple[Claim, ...] = CLAIMS, load: Load | None = None) -> RunMeta:
    return RunMeta(
        run_id="golden",
        seed=1,
        started_ns=ZERO_NS,
        commit="0" * 40,
        dirty=False,
        argv=("acpchaos",),
        target={"name": "kind"},
        versions={"acpchaos": "0.1.0"},
        clock_offsets_ms={"load": 0.0},
        scenario=Scenario(
            name="golden",
            load=load or Load(rate_per_s=RATE_PER_S, mix=MIX),
            experiment="pod-loss.yaml",
            steady_s=20,
            fault_s=30,
            recovery_s=20,
            claims=claims,
        ),
    )


def request(second: float, flow: str, source: str = "load", **changes: object) -> Request:
    """A good request due at `second`, answered 20 ms later."""
    plain = Request(
        t_ns=at(second + 0.02),
        source=source,
        flow=flow,
        step="token",
        intended_ns=at(second),
        start_ns=at(second),
        status=200,
        session=f"{source}-{second:.3f}" if source == "load" else "",
    )
    return msgspec.structs.replace(plain, **changes)


def phases() -> list[AnyEvent]:
    return [Phase(t_ns=at(second), name=name) for name, second in PHASES_S.items()]


def health() -> list[AnyEvent]:
    return [
        Health(t_ns=at(second), when=when, what=what, ok=True, saw="3 of 3")
        for when, second in (("before", 1), ("after", 81))
        for what in ("pods", "token")
    ]


def fault(name: str = "pod_loss") -> list[AnyEvent]:
    """One fault struck at STRUCK_S, seen by its witness, its one change undone."""
    verbs = {"setup": STRUCK_S, "inject": 33, "effective": 34, "recover": 50, "recovered": 51}
    told: list[AnyEvent] = [
        Fault(t_ns=at(second), fault=name, verb=verb, ok=True, targets=("acp-1",))
        for verb, second in verbs.items()
    ]
    told.append(Witness(t_ns=at(34.5), fault=name, outcome="installed", saw="uid gone"))
    for state, second in (("recorded", 31.9), ("reverted", 52), ("verified", 52.5)):
        told.append(Undo(t_ns=at(second), change="cordon of worker2", state=state))
    return told


def load(per_s: float = RATE_PER_S, from_s: float = 10, until_s: float = 80) -> list[AnyEvent]:
    """Flows of the mix in turn, evenly spaced."""
    wheel = [flow for flow, weight in MIX.items() for _ in range(weight)]
    count = round((until_s - from_s) * per_s)
    return [request(from_s + n / per_s, wheel[n % len(wheel)]) for n in range(count)]


def prober(from_s: float = 9, until_s: float = 82) -> list[AnyEvent]:
    """Two probed flows, five times a second each."""
    count = round((until_s - from_s) * 5)
    return [
        request(from_s + n / 5 + shift, flow, "prober")
        for n in range(count)
        for flow, shift in (("client_credentials", 0.0), ("discovery", 0.05))
    ]


def pod(second: float, number: int, app: str = "acp", **changes: object) -> Pod:
    plain = Pod(
        t_ns=at(second),
        name=f"{app}-{number}",
        uid=f"uid-{app}-{number}",
        app=app,
        node=f"worker{number % 3}",
        zone=f"zone-{'abc'[number % 3]}",
        phase="Running",
        ready=True,
    )
    return msgspec.structs.replace(plain, **changes)


def pods(back_s: float = 45) -> list[AnyEvent]:
    """Three pods; number 1 is killed with the fault and number 4 takes its place."""
    return [
        *(pod(0, number) for number in range(3)),
        pod(32.5, 1, gone=True, ready=False),
        pod(33, 4, ready=False, phase="Pending"),
        pod(back_s, 4),
    ]


def nodes() -> list[AnyEvent]:
    return [
        Node(t_ns=at(0), name=f"worker{n}", zone=f"zone-{'abc'[n]}", ready=True) for n in range(3)
    ]


LEDGER = ("access_jwt", "access_opaque", "refresh", "sso_session", "jwt_offline", "revoked_jwt")


def ledger(items: Iterable[str] = LEDGER, **results: str) -> list[AnyEvent]:
    """Two tokens of each kind, looked at before, during and after; `results` overrides the look
    after, by kind."""
    told: list[AnyEvent] = []
    for item in items:
        proper = "invalid" if item == "revoked_jwt" else "valid"
        for number in (1, 2):
            for when, second in (("before", 2), ("during", 40), ("after", 82)):
                result = results.get(item, proper) if when == "after" else proper
                told.append(
                    TokenProbe(
                        t_ns=at(second),
                        token=f"{item}-{number}",
                        item=item,
                        when=when,
                        result=result,
                    )
                )
    return told


def observations(**after: object) -> list[AnyEvent]:
    """Configuration and signing keys; `after` overrides the later look."""
    facts = {"configuration_sha256": "ab" * 32, "jwks_kids": {"main": ["k1", "k2"]}}
    return [
        Observation(t_ns=at(second), when=when, name=name, value=value)
        for when, second, seen in (("before", 3, facts), ("after", 83, facts | after))
        for name, value in seen.items()
    ]


def redis_sight(second: float, number: int, **changes: object) -> RedisNode:
    plain = RedisNode(
        t_ns=at(second),
        pod=f"redis-cluster-{number}",
        reachable=True,
        run_id=f"old{number}",
        role="master" if number < 3 else "slave",
        state="ok",
        slots=16384,
        link_up=True,
    )
    return msgspec.structs.replace(plain, **changes)


def redis_wipe(back_s: float = 50) -> list[AnyEvent]:
    """Six nodes, away from the fault on, back under new run ids at `back_s`."""
    return [
        sight
        for n in range(6)
        for sight in (
            redis_sight(5, n),
            redis_sight(40, n, reachable=False, run_id="", state="", slots=0, link_up=False),
            redis_sight(back_s, n, run_id=f"new{n}"),
        )
    ]


def autoscaler(second: float, desired: int, cpu: int = 40, **changes: object) -> Autoscaler:
    plain = Autoscaler(
        t_ns=at(second),
        name="acp",
        min_replicas=3,
        max_replicas=6,
        current=desired,
        desired=desired,
        target_cpu_percent=70,
        cpu_percent=cpu,
    )
    return msgspec.structs.replace(plain, **changes)


def scaling(in_s: float = 75) -> list[AnyEvent]:
    """A surge that makes 3 replicas 6 and 3 again."""
    return [
        autoscaler(5, 3),
        autoscaler(40, 6, 140, current=3),
        autoscaler(50, 6, 65),
        autoscaler(in_s, 3),
        *(pod(0, number) for number in range(3)),
        *(pod(48, number) for number in range(3, 6)),
        *(pod(in_s + 1, number, gone=True, ready=False) for number in range(3, 6)),
    ]


def good_events() -> list[AnyEvent]:
    return [
        *phases(),
        *health(),
        *fault(),
        *load(),
        *prober(),
        *pods(),
        *nodes(),
        *ledger(),
        *observations(),
    ]


def run_of(events: Iterable[AnyEvent], claims: tuple[Claim, ...] = CLAIMS) -> Run:
    return Run(meta(claims), events)


def changed(
    events: Iterable[AnyEvent], where: Callable[[AnyEvent], bool], **changes: object
) -> list[AnyEvent]:
    """The events with those that `where` picks changed."""
    return [msgspec.structs.replace(e, **changes) if where(e) else e for e in events]


def without(events: Iterable[AnyEvent], where: Callable[[AnyEvent], bool]) -> list[AnyEvent]:
    return [event for event in events if not where(event)]


def due_between(from_s: float, until_s: float, source: str = "") -> Callable[[AnyEvent], bool]:
    """Picks requests due in a stretch of the play."""

    def where(event: AnyEvent) -> bool:
        return (
            isinstance(event, Request)
            and at(from_s) <= event.intended_ns < at(until_s)
            and source in ("", event.source)
        )

    return where


def good() -> Run:
    return run_of(good_events())


def outage() -> Run:
    """Nobody was answered for 6 s after the fault."""
    refused = changed(good_events(), due_between(33, 39), error="refused", status=0)
    return run_of(refused)


def lost_session() -> Run:
    """One kind of token was gone after a fault that may lose none."""
    kept = without(good_events(), lambda event: isinstance(event, TokenProbe))
    return run_of([*kept, *ledger(refresh="invalid")])


def fault_did_nothing() -> Run:
    """The injection claimed success, the witness saw all pods alive."""
    return run_of(
        changed(good_events(), lambda e: isinstance(e, Witness), outcome="not installed", saw="uid")
    )


def too_little_load() -> Run:
    """Half of the planned flows were offered."""
    other = without(good_events(), lambda e: isinstance(e, Request) and e.source == "load")
    return run_of([*other, *load(per_s=RATE_PER_S / 2)])


def recorder_gap() -> Run:
    """The watch of the cluster was blind for 5 s of the fault."""
    gap = Gap(t_ns=at(40), recorder="timeline-pods", from_ns=at(35), why="watch lost")
    return run_of([*good_events(), gap])


def undo_failed() -> Run:
    """The node that was cordoned could not be freed."""
    return run_of(
        changed(
            good_events(), lambda e: isinstance(e, Undo) and e.state == "verified", state="failed"
        )
    )


def unhealthy_before() -> Run:
    """A pod was not ready before anything was done."""
    return run_of(
        changed(
            good_events(),
            lambda e: isinstance(e, Health) and e.when == "before" and e.what == "pods",
            ok=False,
            saw="2 of 3",
        )
    )
