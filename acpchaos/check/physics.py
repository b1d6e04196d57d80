"""What cannot be true: readings below a floor that Kubernetes or Redis set by their make.

Room: check. A recovery quicker than physics allows means that the fault did not bite or that the
wrong thing was looked at, so such a run decides nothing. Only floors with a source are used. Each
reading is the longest that the record allows, so that an impossible one is impossible for sure.
"""

from itertools import groupby
from typing import NamedTuple

from acpchaos.check.window import seconds, struck_ns
from acpchaos.record.events import Fault, Pod, RedisNode
from acpchaos.record.run import Run

SEEN_LATE_S = 1.0  # an event may reach its recorder this late before the run is invalid anyway
WHOLE_SECOND_S = 1.0  # the API keeps the start of a container to the second

ELECTION_S = 0.5  # a replica waits as long, and up to as long again, once its master is failed
WRITABLE_S = 2.0  # CLUSTER_WRITABLE_DELAY
_ELECTION = (
    "Redis Cluster specification, replica election: a master is failed after the node timeout, "
    "and a replica then waits 0.5 s at least"
)
_WRITABLE = (
    "Redis 7.0 cluster.c, clusterUpdateState: a master that starts is not ok for 2 s; "
    "2.07 to 2.13 s measured"
)
_READINESS = (
    "Kubernetes, pod probes: none before initialDelaySeconds after the container's start "
    "(v1.36.3 kubelet/prober/worker.go)"
)
_DRAIN = "Kubernetes, safely drain a node: a drain evicts the pods of its nodes"


class Reading(NamedTuple):
    """Something that took `seen` at most, and cannot take less than `floor`."""

    what: str
    seen: float
    floor: float
    unit: str
    source: str

    @property
    def impossible(self) -> bool:
        return self.seen < self.floor


def impossible(run: Run) -> list[str]:
    """Objections to a run whose readings cannot be true."""
    return [
        f"impossible reading: {each.what}: {each.seen:.1f} {each.unit} at most, "
        f"not below {each.floor:.1f} {each.unit} ({each.source})"
        for each in readings(run)
        if each.impossible
    ]


def readings(run: Run) -> list[Reading]:
    """Every reading of the record that has a floor, after the fault struck."""
    since_ns = struck_ns(run)
    if since_ns is None:
        return []
    return [
        *_failovers(run, since_ns),
        *_restarts(run, since_ns),
        *_pods(run, since_ns),
        *_drain(run),
    ]


def _failovers(run: Run, since_ns: int) -> list[Reading]:
    """Replicas promoted while a master was away, from its last answer. A master that still answers
    handed over by plan, which has no floor."""
    found: list[Reading] = []
    last: dict[str, RedisNode] = {}
    answered: dict[str, RedisNode] = {}
    for node in run.of(RedisNode):
        before = last.get(node.pod)
        promoted = (
            before is not None
            and before.role == "slave"
            and node.role == "master"
            and before.run_id == node.run_id
        )
        lost_ones = [
            answered[pod]
            for pod, each in last.items()
            if not each.reachable and pod in answered and answered[pod].role == "master"
        ]
        if promoted and lost_ones and node.t_ns > since_ns:
            lost = min(lost_ones, key=lambda each: each.t_ns)
            floor_s = max(node.node_timeout_ms, lost.node_timeout_ms) / 1000 + ELECTION_S
            seen_s = seconds(lost.t_ns, node.t_ns) + SEEN_LATE_S
            what = f"{node.pod} took over from a lost master"
            found.append(Reading(what, seen_s, floor_s, "s", _ELECTION))
        last[node.pod] = node
        if node.reachable:
            answered[node.pod] = node
    return found


def _restarts(run: Run, since_ns: int) -> list[Reading]:
    """Masters that say ok under a new run id, from the last answer under the old one; the quickest
    counts."""
    took_s: list[tuple[float, str]] = []
    old: dict[str, RedisNode] = {}
    for node in run.of(RedisNode):
        if not node.reachable:
            continue
        before = old.get(node.pod)
        if before is None or before.run_id == node.run_id:
            old[node.pod] = node
        elif node.role == "master" and node.state == "ok":
            old[node.pod] = node
            if node.t_ns > since_ns:
                took_s.append((seconds(before.t_ns, node.t_ns) + SEEN_LATE_S, node.pod))
        elif node.role != "master":
            old[node.pod] = node  # a replica may say ok at once
    if not took_s:
        return []
    seen_s, pod = min(took_s)
    return [Reading(f"{pod} restarted as a master and is ok", seen_s, WRITABLE_S, "s", _WRITABLE)]


def _pods(run: Run, since_ns: int) -> list[Reading]:
    """The quickest new pod of each workload, from its first sight until it is ready."""
    first: dict[str, Pod] = {}
    took_s: dict[str, tuple[float, Pod]] = {}
    for pod in run.of(Pod):
        born = first.setdefault(pod.uid, pod)
        if born.ready or born.t_ns <= since_ns or not pod.ready or not pod.ready_delay_s:
            continue
        seen_s = seconds(born.t_ns, pod.t_ns) + SEEN_LATE_S
        took_s[pod.app] = min(took_s.get(pod.app, (seen_s, pod)), (seen_s, pod), key=lambda t: t[0])
    return [
        Reading(
            f"{pod.name} became ready", seen_s, max(0.0, pod.ready_delay_s - WHOLE_SECOND_S), "s",
            _READINESS,
        )
        for _, (seen_s, pod) in sorted(took_s.items())
    ]  # fmt: skip


def _drain(run: Run) -> list[Reading]:
    """Pods that left the nodes of a drain while it lasted; where none stood there is no floor."""
    verbs = [each for each in run.of(Fault) if each.fault == "zone_drain"]
    nodes = {name for each in verbs if each.verb == "inject" for name in each.targets}
    begin_ns = next((each.t_ns for each in verbs if each.verb == "setup"), None)
    end_ns = next((each.t_ns for each in verbs if each.verb == "recover"), run.end_ns)
    if not nodes or begin_ns is None:
        return []
    pods = sorted((pod for pod in run.of(Pod) if pod.t_ns < end_ns), key=lambda pod: pod.uid)
    sights = [list(of_one) for _, of_one in groupby(pods, key=lambda pod: pod.uid)]
    stood = [each for each in sights if any(p.node in nodes and p.t_ns <= begin_ns for p in each)]
    if not stood:
        return []
    left = sum(any((p.deleting or p.gone) and p.t_ns > begin_ns for p in each) for each in stood)
    return [Reading("pods that left the drained nodes", left, 1, "pods", _DRAIN)]
