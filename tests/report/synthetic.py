"""Run folders made by hand: small, deterministic plays for the report's tests.

No cluster is behind them; every number a test asserts can be read off here.
"""

import random
from pathlib import Path

import msgspec

from acpchaos.check.verdict import JudgedClaim, Outcome, Verdict
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
from acpchaos.record.run import RunFolder, RunMeta
from acpchaos.scenario import Claim, Load, Scenario

S = 1_000_000_000
FLOWS = ("client_credentials", "authorization_code", "refresh", "introspect")
START_NS = 1_764_000_000 * S
FAULT_S, OUTAGE_S, REPAIR_S, RECOVERED_S, END_S = 30.0, 14.0, 40.0, 52.0, 90.0


def at(second: float) -> int:
    """A moment of the play in wall nanoseconds."""
    return START_NS + round(second * S)


def scenario(name: str, claims: list[JudgedClaim]) -> Scenario:
    """A scenario that carries the given claims."""
    return Scenario(
        name=name,
        load=Load(rate_per_s=20, mix=dict.fromkeys(FLOWS, 1)),
        experiment=f"experiments/{name}.yaml",
        steady_s=20,
        fault_s=30,
        recovery_s=30,
        claims=tuple(
            Claim(id=c.id, says=c.says, check="availability.any", rows=c.rows) for c in claims
        ),
    )


def meta(name: str, claims: list[JudgedClaim], run_id: str = "") -> RunMeta:
    """run.json of a play on the lab."""
    return RunMeta(
        run_id=run_id or f"2025-11-24T1600Z-{name}",
        seed=4242,
        started_ns=START_NS,
        commit="0123456789abcdef0123456789abcdef01234567",
        dirty=False,
        argv=("pytest", "suites", "--chaos-target", "kind"),
        target={
            "profile": "kind",
            "kube_system_uid": "7d2f1c52-5d4e-4b1f-9a65-0d6d0f0a9b11",
            "api_host": "127.0.0.1:6443",
            "base_url": "https://localhost:8443",
        },
        versions={"acpchaos": "0.1.0", "kubernetes": "v1.34.1", "acp": "stand-in 2.25"},
        scenario=scenario(name, claims),
        clock_offsets_ms={"api server": 3.4},
    )


def claim(
    id: str,
    outcome: Outcome = Outcome.PASSED,
    rows: tuple[str, ...] = ("BRD-03",),
    measured: float | str | None = 12.4,
    budget: float | str | None = 60,
    unit: str = "s",
    says: str = "new flows work again within budget",
    why: str = "first good flow 12.4 s after the fault",
) -> JudgedClaim:
    """A judged claim with handy defaults."""
    verdict = Verdict(outcome=outcome, why=why, measured=measured, budget=budget, unit=unit)
    return JudgedClaim(id=id, says=says, rows=rows, verdict=verdict)


def phases() -> list[AnyEvent]:
    """Marks of a whole play."""
    marks = {"gate": 0, "steady": 8, "fault": 28, "recovery": 58, "after": 82, "end": END_S}
    return [Phase(t_ns=at(second), name=name) for name, second in marks.items()]


def requests(
    bad_from: float, bad_for: float, rate_per_s: int = 40, seed: int = 1, pod: str = ""
) -> list[AnyEvent]:
    """Steady load and a prober; what is due in the outage ends as http_503."""
    random_ = random.Random(seed)
    found: list[AnyEvent] = []
    second = 8.0
    while second < 82:
        out = bad_from <= second < bad_from + bad_for
        took_s = random_.lognormvariate(-3.4, 0.45) * (1 if not out else 0.4)
        found.append(
            Request(
                t_ns=at(second + took_s),
                source="load",
                flow=random_.choice(FLOWS),
                step="token",
                intended_ns=at(second),
                start_ns=at(second),
                status=503 if out else 200,
                error="http_503" if out else "",
            )
        )
        second += random_.expovariate(rate_per_s)
    for flow in ("alive", "token"):
        for tick in range(8 * 5, 82 * 5):
            due = tick / 5
            out = bad_from <= due < bad_from + bad_for and flow == "token"
            found.append(
                Request(
                    t_ns=at(due + 0.01),
                    source="prober",
                    flow=flow,
                    step=flow,
                    intended_ns=at(due),
                    start_ns=at(due),
                    status=503 if out else 200,
                    error="http_503" if out else "",
                )
            )
    return found


def pod(app: str, number: int, second: float, ready: bool, gone: bool = False) -> Pod:
    """State of one pod; a pod's name and uid follow from its number."""
    name = f"{app}-{number}"
    return Pod(t_ns=at(second), name=name, uid=name, app=app, ready=ready, gone=gone)


def pods() -> list[AnyEvent]:
    """All well, until Redis goes pod by pod at the fault and comes back during repair."""
    well = [("acp", 3), ("acp-workers", 2), ("postgresql", 3), ("redis-cluster", 6)]
    found: list[AnyEvent] = [pod(app, n, -1, True) for app, count in well for n in range(count)]
    for n in range(6):
        found.append(pod("redis-cluster", n, FAULT_S + 0.2 * n, False, gone=True))
        found.append(pod("redis-cluster", n, REPAIR_S + 0.6 + n, True))
    return found


def nodes() -> list[AnyEvent]:
    """Four nodes; one is cordoned from the fault until repair."""
    found: list[AnyEvent] = [Node(t_ns=at(-1), name=f"node-{n}", ready=True) for n in range(4)]
    for second, cordoned in ((FAULT_S, True), (REPAIR_S, False)):
        found.append(Node(t_ns=at(second), name="node-3", ready=True, unschedulable=cordoned))
    return found


def redis() -> list[AnyEvent]:
    """Every second each node's view: away from the fault on, slots served once all are back."""
    found: list[AnyEvent] = []
    for second in range(int(END_S)):
        for n in range(6):
            away = FAULT_S <= second < REPAIR_S + 1 + n
            formed = second < FAULT_S or second >= 48
            found.append(
                RedisNode(
                    t_ns=at(second + 0.01 * n),
                    pod=f"redis-cluster-{n}",
                    reachable=not away,
                    state="ok" if formed else "fail",
                    slots=16384 if formed else 5461 * (n % 3),
                )
            )
    return found


def deeds(fault: str, witnessed: bool = True, undone: bool = True) -> list[AnyEvent]:
    """Fault verbs, what the witness saw, and the undo record."""
    targets = tuple(f"redis-cluster-{n}" for n in range(6))
    found: list[AnyEvent] = [
        Undo(t_ns=at(29.1), change="statefulset/redis-cluster", state="recorded"),
        Fault(t_ns=at(29), fault=fault, verb="setup", ok=True),
        Fault(t_ns=at(FAULT_S), fault=fault, verb="inject", ok=True, targets=targets),
        Fault(t_ns=at(31.4), fault=fault, verb="effective", ok=True),
        Fault(t_ns=at(REPAIR_S), fault=fault, verb="recover", ok=True),
        Fault(t_ns=at(RECOVERED_S), fault=fault, verb="recovered", ok=True),
        Fault(t_ns=at(53), fault=fault, verb="cleanup", ok=True),
    ]
    if witnessed:
        saw = "six new volumes, all run ids changed, dbsize 0"
        found.append(Witness(t_ns=at(44), fault=fault, outcome="installed", saw=saw))
    if undone:
        found += [
            Undo(t_ns=at(52.5), change="statefulset/redis-cluster", state="reverted"),
            Undo(t_ns=at(54), change="statefulset/redis-cluster", state="verified"),
        ]
    return found


def looks() -> list[AnyEvent]:
    """Health lines, observations, the token ledger and the autoscaler."""
    found: list[AnyEvent] = []
    for when, second in (("before", 4.0), ("after", 84.0)):
        for what, saw in (("acp ready", "3 of 3"), ("redis cluster", "state ok, 16384 slots")):
            found.append(Health(t_ns=at(second), when=when, what=what, ok=True, saw=saw))
        found.append(Observation(t_ns=at(second), when=when, name="jwks_kids", value=["k1", "k2"]))
        found.append(
            Observation(t_ns=at(second), when=when, name="volume_uids", value=f"uid {second:g}")
        )
    for item, later in (("access_jwt", "valid"), ("refresh", "invalid"), ("code", "invalid")):
        for number in range(10):
            for when, second, result in (
                ("before", 5.0, "valid"),
                ("during", 36.0, "unavailable"),
                ("after", 85.0, later),
            ):
                found.append(
                    TokenProbe(
                        t_ns=at(second),
                        token=f"{item}-{number}",
                        item=item,
                        when=when,
                        result=result,
                    )
                )
    for second, current, desired in ((0, 3, 3), (33, 3, 5), (36, 5, 5), (70, 5, 3), (74, 3, 3)):
        found.append(
            Autoscaler(
                t_ns=at(second),
                name="acp",
                min_replicas=3,
                max_replicas=6,
                current=current,
                desired=desired,
            )
        )
    return found


def events(fault: str = "redis-wipe", outage_s: float = OUTAGE_S) -> list[AnyEvent]:
    """A whole healthy record of a Redis wipe with one outage."""
    return [
        *phases(),
        *requests(FAULT_S, outage_s),
        *pods(),
        *nodes(),
        *redis(),
        *deeds(fault),
        *looks(),
    ]


def gap() -> Gap:
    """Four seconds in which the cluster watch was blind."""
    return Gap(t_ns=at(64), recorder="timeline-pods", from_ns=at(60), why="watch lost")


def write_run(
    path: Path, name: str, recorded: list[AnyEvent], claims: list[JudgedClaim], run_id: str = ""
) -> Path:
    """A run folder on disk, sealed verdicts included; returns its path."""
    folder = RunFolder.create(path, meta(name, claims, run_id))
    lines = [msgspec.json.encode(event) for event in sorted(recorded, key=lambda e: e.t_ns)]
    (folder.events / "all.ndjson").write_bytes(b"\n".join(lines) + b"\n")
    folder.verdicts.write_bytes(msgspec.json.encode(claims))
    return path
