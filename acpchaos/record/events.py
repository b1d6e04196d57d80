"""Typed events: everything a run saw, one struct per kind, one NDJSON line per event.

Room: record. It must not know who writes or judges. All times are `*_ns`: Unix wall clock in
nanoseconds, read through `Clock`, which never steps back within one process.
"""

import time
from typing import Any

import msgspec

GRAIN_NS = 1000  # of a Clock, so that a sealed record, kept in microseconds, is exact


ANCHOR_NS = time.time_ns() - time.monotonic_ns()  # one per process, so that its clocks agree


class Clock:
    """Wall time that cannot jump: anchored once, then advanced by the monotonic clock."""

    def __init__(self) -> None:
        self._anchor_ns = ANCHOR_NS

    def now_ns(self) -> int:
        """Unix time in nanoseconds, in whole microseconds."""
        now_ns = self._anchor_ns + time.monotonic_ns()
        return now_ns - now_ns % GRAIN_NS

    def ago_ns(self, late_s: float) -> int:
        """The moment `late_s` seconds ago, in whole microseconds."""
        return self.now_ns() - round(late_s * 1e6) * GRAIN_NS


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", omit_defaults=True):
    """Base of all events; `t_ns` is when the writer saw it."""

    t_ns: int


PROBER, ENDPOINT, ZONE_PATH = PROBED = ("prober", "endpoint", "zone_path")
"""Sources of the prober's requests: those that claims count, endpoints that are shown beside them,
and the way in through one zone."""


class Request(Event, tag="request", frozen=True, kw_only=True):
    """One request of the load or the prober. `t_ns` is its end.

    `status` 0 means no HTTP answer. `error` is "" when the step did what it should, else one
    class: timeout, refused, reset, tls, dns, http_<status>, oauth_<code>, bad_body, never_sent.
    """

    source: str  # "load", or one of PROBED
    flow: str  # client_credentials, authorization_code, refresh, introspect, revoke, userinfo...
    step: str
    intended_ns: int
    start_ns: int
    status: int = 0
    error: str = ""
    session: str = ""


class Phase(Event, tag="phase", frozen=True, kw_only=True):
    """A phase of the play begins: gate, steady, fault, recovery, after, end."""

    name: str


class Rate(Event, tag="rate", frozen=True, kw_only=True):
    """The load generator was told to offer `per_s` flows/s from now on."""

    per_s: float


class Fault(Event, tag="fault", frozen=True, kw_only=True):
    """A fault's verb was carried out: setup, inject, effective, recover, recovered or cleanup."""

    fault: str
    verb: str
    ok: bool
    targets: tuple[str, ...] = ()
    detail: dict[str, Any] = {}


class Witness(Event, tag="witness", frozen=True, kw_only=True):
    """An independent look at the effect: installed, partial, not installed or indeterminate."""

    fault: str
    outcome: str
    saw: str
    detail: dict[str, Any] = {}


class Undo(Event, tag="undo", frozen=True, kw_only=True):
    """Undo of one recorded change. state: recorded, reverted, verified, failed."""

    change: str
    state: str
    detail: dict[str, Any] = {}


class Health(Event, tag="health", frozen=True, kw_only=True):
    """One line of the healthy-before or healthy-after gate. when: before, after."""

    when: str
    what: str
    ok: bool
    saw: str


class Observation(Event, tag="observation", frozen=True, kw_only=True):
    """A named fact at a moment, e.g. configuration_sha256, jwks_kids, table fingerprints."""

    when: str  # before, during, after
    name: str
    value: Any


LEFT_OUT = "cluster_events_left_out"  # name of the Observation that counts those beyond the bound
STOPPED = "stopped"  # name of the Observation that tells why a play ended early: by, why


class TokenProbe(Event, tag="token_probe", frozen=True, kw_only=True):
    """One look at one token of the ledger.

    item: access_jwt, access_opaque, refresh, code, par, sso_session, revoked_jwt, jwt_offline.
    when: before, during, after. result: valid, invalid, unavailable (retryable error), error.
    """

    token: str  # ledger id, never the token itself
    item: str
    when: str
    result: str
    saw: str = ""


class Pod(Event, tag="pod", frozen=True, kw_only=True):
    """State of a pod after a change. `app` is the workload key: app.kubernetes.io/name or app.
    `ready_delay_s` is the largest initial delay of its readiness probes."""

    name: str
    uid: str
    app: str
    node: str = ""
    zone: str = ""
    phase: str = ""
    ready: bool = False
    deleting: bool = False
    gone: bool = False
    restarts: int = 0
    ready_delay_s: int = 0


class Node(Event, tag="node", frozen=True, kw_only=True):
    """State of a node after a change."""

    name: str
    zone: str = ""
    ready: bool = False
    unschedulable: bool = False
    gone: bool = False


class Endpoints(Event, tag="endpoints", frozen=True, kw_only=True):
    """Ready pods behind a Service, by name."""

    service: str
    ready: tuple[str, ...] = ()


class ScalingPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How much may change in a period. kind: Pods or Percent."""

    kind: str
    value: int
    period_s: int


HPA_TOLERANCE = 0.1  # --horizontal-pod-autoscaler-tolerance, where the HPA names none of its own


class ScalingRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One direction of an HPA's behavior, as the API server fills it in. select: Max, Min or
    Disabled. `window_s` is None for scaling in where the controller's own window holds; `tolerance`
    None where its own does."""

    window_s: int | None = None
    select: str = "Max"
    policies: tuple[ScalingPolicy, ...] = ()
    tolerance: float | None = None


class Behavior(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """spec.behavior of an HPA; both None where it has none and the older fixed rules hold."""

    up: ScalingRules | None = None
    down: ScalingRules | None = None


class Autoscaler(Event, tag="autoscaler", frozen=True, kw_only=True):
    """HPA status. `cpu_percent` is None while metrics are unknown. `metrics` counts those of its
    spec; `behavior` is None in records that did not take it down."""

    name: str
    min_replicas: int
    max_replicas: int
    current: int
    desired: int
    target_cpu_percent: int | None = None
    cpu_percent: int | None = None
    metrics: int = 1
    behavior: Behavior | None = None


class DisruptionBudget(Event, tag="disruption_budget", frozen=True, kw_only=True):
    """A PodDisruptionBudget: it refuses an eviction while `allowed` is 0. `wanted` healthy pods are
    kept of `expected` ones."""

    name: str
    allowed: int = 0
    healthy: int = 0
    wanted: int = 0
    expected: int = 0
    gone: bool = False


class StatefulSet(Event, tag="stateful_set", frozen=True, kw_only=True):
    """State of a StatefulSet after a change. It rolls while `revision` is not that of all its pods:
    `updated` of `replicas` have it."""

    name: str
    uid: str
    replicas: int = 0
    ready: int = 0
    updated: int = 0
    revision: str = ""
    gone: bool = False


class ClusterEvent(Event, tag="cluster_event", frozen=True, kw_only=True):
    """What the cluster itself said of an object, once more or for the first time. `first_ns` and
    `last_ns` are stamped by who said it, to the second; 0 is not told."""

    reason: str
    about: str  # Kind/name
    warning: bool = False
    count: int = 1
    first_ns: int = 0
    last_ns: int = 0


class Anchor(Event, tag="anchor", frozen=True, kw_only=True):
    """The clock of one writer: `anchor_ns` is its wall time less the monotonic time that all
    processes of one boot of one machine share. So two of one `boot` stand apart exactly by the
    difference of their anchors, and two of different ones by what nobody knows."""

    writer: str  # play, chaos, load-<host>-<pid>, prober-<pid>
    boot: str
    anchor_ns: int


class ClockOffset(Event, tag="clock_offset", frozen=True, kw_only=True):
    """Another clock is ahead of the runner's by `low_ms` to `high_ms`; None is not known."""

    clock: str  # "api server"
    when: str  # start, end
    low_ms: float | None = None
    high_ms: float | None = None
    how: str = ""


class Heartbeat(Event, tag="heartbeat", frozen=True, kw_only=True):
    """A node's Lease was seen renewed; `renewed_ns` is the kubelet's own time of it."""

    node: str
    renewed_ns: int


class RedisNode(Event, tag="redis_node", frozen=True, kw_only=True):
    """One Redis Cluster node's own view at a fixed cadence."""

    pod: str
    reachable: bool
    run_id: str = ""
    role: str = ""  # master or slave
    state: str = ""  # ok or fail
    slots: int = 0  # slots this node believes are served
    keys: int = 0
    link_up: bool = False
    node_timeout_ms: int = 0  # 0 where it was not told


class Gap(Event, tag="gap", frozen=True, kw_only=True):
    """A recorder was blind from `from_ns` to `t_ns`."""

    recorder: str
    from_ns: int
    why: str


AnyEvent = (
    Request
    | Phase
    | Rate
    | Fault
    | Witness
    | Undo
    | Health
    | Observation
    | TokenProbe
    | Pod
    | Node
    | Endpoints
    | Autoscaler
    | DisruptionBudget
    | StatefulSet
    | ClusterEvent
    | RedisNode
    | Anchor
    | ClockOffset
    | Heartbeat
    | Gap
)
