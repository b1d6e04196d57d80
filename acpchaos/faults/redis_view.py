"""Each Redis Cluster node's own view, asked inside its pod: identity, role, slots, keys.

Room: faults. Pod readiness says nothing about a Redis Cluster (a pod once ready stays so while the
cluster is down), so the nodes are asked. The password stays inside the pod.
"""

import msgspec

from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.target.execute import execute
from acpchaos.target.profile import Profile

SLOTS = 16384
# The vendor's chart sets REDIS_PASSWORD, the lab REDISCLI_AUTH. The node is asked by itself, over
# loopback, hence no certificate check.
_ASK = (
    'export REDISCLI_AUTH="${REDISCLI_AUTH:-$REDIS_PASSWORD}"; '
    "printf 'INFO server\\nINFO replication\\nCLUSTER INFO\\nDBSIZE\\n' | "
    "redis-cli --tls --insecure"
)


class NodeView(msgspec.Struct, frozen=True, kw_only=True):
    """One node as it sees itself and its cluster. `slots` are those it knows to be served."""

    pod: str
    reachable: bool
    run_id: str = ""
    role: str = ""
    state: str = ""
    slots: int = 0
    keys: int = 0
    link_up: bool = False
    replicas: int = 0


def look(cluster: Cluster, profile: Profile) -> list[NodeView]:
    """Ask every Redis pod; one that cannot be asked is reported as unreachable."""
    workload, namespace = profile.workloads.redis, profile.namespaces.acp
    pods = cluster.list("Pod", namespace, workload.selector)
    names = sorted(pod["metadata"]["name"] for pod in pods)
    return [_ask(cluster, namespace, name, workload.container) for name in names]


def healthy(nodes: list[NodeView]) -> tuple[bool, str]:
    """All reachable, all slots served in every view, every replica linked, each master followed."""
    bad = [
        node.pod
        for node in nodes
        if not node.reachable
        or node.state != "ok"
        or node.slots != SLOTS
        or (node.role == "slave" and not node.link_up)
        or (node.role == "master" and not node.replicas)
    ]
    masters = sum(node.role == "master" for node in nodes)
    saw = f"{len(nodes)} nodes, {masters} masters, {len(nodes) - len(bad)} healthy"
    return bool(nodes) and not bad and masters >= 3, saw + (f", not {bad}" if bad else "")


def _ask(cluster: Cluster, namespace: str, pod: str, container: str) -> NodeView:
    try:
        answer = execute(cluster, namespace, pod, container, ["sh", "-c", _ASK], timeout_s=10)
    except ApiRefused:
        return NodeView(pod=pod, reachable=False)
    return parse(pod, answer.stdout)


def parse(pod: str, text: str) -> NodeView:
    """Read the answers of INFO, CLUSTER INFO and DBSIZE, in that order."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    if "run_id" not in facts:
        return NodeView(pod=pod, reachable=False)
    # `redis-cli` without a terminal prints a bare number for DBSIZE
    keys = next((int(line) for line in reversed(lines) if line.isdigit()), 0)
    return NodeView(
        pod=pod,
        reachable=True,
        run_id=facts["run_id"],
        role=facts.get("role", ""),
        state=facts.get("cluster_state", ""),
        slots=int(facts.get("cluster_slots_ok", 0)),
        keys=keys,
        link_up=facts.get("master_link_status") == "up",
        replicas=int(facts.get("connected_slaves", 0)),
    )
