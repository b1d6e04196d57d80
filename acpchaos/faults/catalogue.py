"""The catalogue: every fault with what it changes, its way back and its witness, in words.

Room: faults. One entry per fault that is tested; a test compares it with the classes and with the
experiment files, both ways. The words are for people; rights and consents are asked from the fault.
"""

from collections.abc import Callable
from typing import Any

from acpchaos.faults import process, redis_faults, scaling, services, sql_faults, workloads
from acpchaos.faults.catalogue_nodes import NODES
from acpchaos.faults.catalogue_stores import MORE
from acpchaos.faults.entry import Entry as Entry
from acpchaos.faults.fault import Fault
from acpchaos.faults.load_surge import LoadSurge
from acpchaos.faults.pods import PodLoss
from acpchaos.faults.redis_wipe import RedisWipe
from acpchaos.faults.restore import Restore
from acpchaos.faults.session import Session
from acpchaos.faults.zone_drain import ZoneDrain

NOTHING = "nothing to undo: the controller replaces the pods"


def _kill(role: redis_faults.Role, changes: str, loses: str = "") -> Entry:
    return Entry(
        "Redis Cluster", lambda s: redis_faults.RedisKill(s, role, 0, 0.0), "redis-kill.yaml",
        changes, NOTHING,
        "run ids of the chosen nodes gone, all other nodes as before; asked from every node",
        f"role: {role}", loses,
    )  # fmt: skip


def _sql(store: Any) -> tuple[Entry, ...]:
    area = "SQL" if store == "sql" else "analytics"
    return (
        Entry(
            area, lambda s: sql_faults.SqlKill(s, store, 0.0), "sql-kill-leader.yaml",
            "the pod that leads is deleted without grace", NOTHING,
            "the leader's PostgreSQL has another start time or is silent, and its pod is another",
            f"store: {store}", "workload (of a single pod)",
        ),
        Entry(
            area, lambda s: sql_faults.SqlSwitchover(s, store, 0, 0.0), "sql-switchover.yaml",
            "Patroni moves the lead to a member that keeps up",
            "nothing to undo: every member may lead",
            "Patroni's lock in the API server names another member, and the old leader's "
            "PostgreSQL says that it follows", f"store: {store}",
        ),
        Entry(
            area, lambda s: scaling.held_down(s, store, 0.0, 0.0), "sql-minority.yaml",
            "the StatefulSet is scaled to the largest minority",
            "recorded: spec.replicas as it was, if it still is what the run wrote",
            "no more pods than that are left, and nobody made new ones",
            f"what: {store}", "quorum",
        ),
    )  # fmt: skip


def _gone(what: str, of: str) -> Entry:
    return Entry(
        "cluster services", lambda s: scaling.held_down(s, what, 0.0, 0.0), f"{what}-gone.yaml",
        f"{of} is scaled to zero",
        "recorded: spec.replicas as it was, if it still is what the run wrote",
        "no pod of it left, no new one, and no ready endpoint of its Service", "", "workload",
    )  # fmt: skip


def _signal(
    name: str, build: Callable[[Session], Fault], changes: str, way_back: str, witness: str
) -> Entry:
    file, loses = f"process-{name}.yaml", "workload (of all pods)"
    return Entry("ACP", build, file, changes, way_back, witness, "", loses)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "ACP", lambda s: PodLoss(s, "acp", 1, 0.0, 0, 0, 0.0), "pod-loss.yaml",
        "pods of one workload are deleted, a number or a share, with or without grace", NOTHING,
        "every UID gone and as many new pods of the same owners", "", "workload (of all pods)",
    ),
    Entry(
        "ACP", lambda s: PodLoss(s, "workers", 1, 1.0, 0, 0, 0.0), "workers-loss.yaml",
        "every worker pod is deleted at once", NOTHING,
        "every UID gone and as many new pods of the same owners", "share: 1", "workload",
    ),
    Entry(
        "ACP", lambda s: scaling.RollingRestart(s, workloads.of_workload(s, "acp"), 0.0, 0.0),
        "rolling-restart.yaml", "the annotation kubectl.kubernetes.io/restartedAt of the template",
        "recorded: the annotation as it was, which is a second rolling restart",
        "no pod of before is left and as many new ones of the same Deployment are ready", "",
        "workload (of a single pod, or of all with Recreate)",
    ),
    _signal(
        "kill", lambda s: process.ProcessKill(s, "acp", 1, 0, 0.0),
        "SIGKILL to the first process of a container, by exec or from a pod on its node",
        "recorded: the pod that sends the signal is removed; the kubelet starts the container",
        "in the same pod, the container of before ended with 137 and not for memory",
    ),
    _signal(
        "freeze", lambda s: process.ProcessFreeze(s, "acp", 1, 0, 0, 0.0),
        "SIGSTOP to the first process of a container, from a pod on its node",
        "recorded: SIGCONT, by itself after hold_s; where nobody can say that it runs again, its "
        "pod is replaced",
        "the same container runs on, never restarted, and its pod is not ready",
    ),
    Entry(
        "ACP", lambda s: LoadSurge(s, 0.0), "autoscaling.yaml",
        "nothing: the play raises the load", "nothing to undo",
        "the autoscaler read more than it tolerates",
    ),
    Entry(
        "nodes and zones", lambda s: ZoneDrain(s, "", 0, 0.0, 0.0, 0.0), "zone-drain.yaml",
        "every node of one zone is cordoned, its pods are evicted within their budgets",
        "recorded: the nodes that the run cordoned are freed",
        "every node unschedulable and no pod left but those tied to a volume of the zone",
    ),
    *NODES,
    _kill("master", "the pod of one master is deleted without grace"),
    _kill("replica", "the pod of one replica is deleted without grace"),
    _kill("shard", "the pods of one master and its replicas are deleted without grace", "shard"),
    _kill("majority", "the pods of most masters are deleted without grace", "quorum"),
    Entry(
        "Redis Cluster", lambda s: redis_faults.RedisFlush(s, 0.0), "redis-flush.yaml",
        "FLUSHALL on every master", "none: the keys are lost, which `redis` consents to",
        "each master's own statistics count one more FLUSHALL, and it holds fewer keys",
    ),
    Entry(
        "Redis Cluster", lambda s: RedisWipe(s, 0.0), "redis-wipe.yaml",
        "StatefulSet, pods and volume claims are deleted; the data is lost",
        "recorded: the StatefulSet as it was", "every UID gone, and afterwards other run ids",
    ),
    *_sql("sql"),
    *_sql("analytics"),
    Entry(
        "SQL", lambda s: Restore(s, 1, 0.0), "restore.yaml",
        "a row of our own is lost; a backup is restored beside the store",
        "recorded: our table is dropped, the namespaces of the drill are deleted",
        "the row is lost in every member, each asked for itself",
    ),
    _gone("dns", "CoreDNS"),
    _gone("metrics", "the metrics server"),
    *MORE,
    Entry(
        "cluster services", lambda s: services.ServiceKill(s, "ingress", 1, 0, 0.0),
        "ingress-kill.yaml", "pods of the ingress controller are deleted without grace", NOTHING,
        "every UID gone and as many new pods of the same owners", "", "workload (of a single pod)",
    ),
)  # fmt: skip
