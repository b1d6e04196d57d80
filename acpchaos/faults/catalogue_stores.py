"""The part of the catalogue about what is cut off, used up, rotated or expired.

Room: faults. Read by `catalogue`, which has the rest.
"""

from typing import Any

from acpchaos.faults import (
    certificates,
    client_secret,
    cuts,
    disk,
    exhaustion,
    memory,
    observers,
    passwords,
)
from acpchaos.faults.entry import Entry

RULES = "recorded: the rules of each policy as they were, if they still are what the run wrote"
SEALED = "recorded: the Secret as it was, sealed in an annotation of its own"


def _sql(what: Any) -> tuple[Entry, ...]:
    area = "SQL" if what == "sql" else "analytics"
    return (
        Entry(
            area, lambda s: cuts.cut_off(s, what, 0.0, 0.0), "cut.yaml",
            "the NetworkPolicies of the store let ACP and its workers in no more, and their "
            "sessions are ended", RULES,
            "a pod that the network takes for one of ACP's connects no longer, a member of the "
            "store still does", f"what: {what}", "workload",
        ),
        Entry(
            area, lambda s: exhaustion.Exhausted(s, what, 1, 0.0, 0.0), "sql-exhausted.yaml",
            "a short-lived pod takes all connections that the leader gives to ordinary users",
            "recorded: the pod is removed, which ends by itself, too",
            "an ordinary login is refused for want of connections, and the server counts as many",
            f"store: {what}", "workload (of a single pod)",
        ),
    )  # fmt: skip


def _gone(what: Any, of: str) -> Entry:
    return Entry(
        "cluster services", lambda s: observers.ObserverGone(s, what, 0.0, 0.0),
        "observer-gone.yaml",
        f"{of} is scaled to zero, or as a DaemonSet kept from every node by its node selector",
        "recorded: that field as it was, if it still is what the run wrote",
        "no pod of it left, no new one, and no ready endpoint of its Service where it has one",
        f"what: {what}", "workload",
    )  # fmt: skip


MORE: tuple[Entry, ...] = (
    Entry(
        "ACP", lambda s: memory.OutOfMemory(s, "acp", 1, 0, 0.0), "memory-oom.yaml",
        "the memory limit of a running container's control group is put to what it uses, by a pod "
        "on its node", "recorded: that pod is removed; the kubelet starts the container",
        "in the same pod, the kubelet says that the container of before was OOMKilled, 137", "",
        "workload (of all pods)",
    ),
    Entry(
        "ACP", lambda s: client_secret.SecretRotated(s, 0.0, 0.0), "secret-rotated.yaml",
        "system.secret in the Secret with ACP's configuration, and a rolling restart",
        f"{SEALED}, and the annotation of the restart, which is a second one",
        "ACP refuses the secret of before to each of six requests from outside", "",
        "workload (of a single pod, or of all with Recreate)",
    ),
    Entry(
        "Redis Cluster", lambda s: cuts.cut_off(s, "redis", 0.0, 0.0), "cut.yaml",
        "the NetworkPolicies of Redis let its replicas in no more, and these hang up on their "
        "masters", RULES,
        "every replica tells that its link has been down for 5 s, every master that it has none",
        "what: redis",
    ),
    Entry(
        "Redis Cluster", lambda s: passwords.RedisPassword(s, 0.0), "redis-password.yaml",
        "every node takes another password, and its clients are hung up on",
        "recorded: each node gets what its own pod knows; the other one lies in a Secret of the "
        "run, which is removed after that",
        "every node refuses the password that its own pod knows", "", "workload",
    ),
    Entry(
        "Redis Cluster", lambda s: disk.RedisDiskFull(s, 0, 1, 0.0), "redis-disk-full.yaml",
        "a file takes all room where one master writes; only on volumes that are file systems of "
        "their own", "recorded: the file is taken away, which goes by itself, too",
        "no file of 1 MiB can be written where that node writes",
    ),
    *_sql("sql"),
    *_sql("analytics"),
    Entry(
        "cluster services", lambda s: certificates.CertificateExpired(s, 0.0),
        "certificate-expired.yaml",
        "the Secret with the certificate that ACP is served with gets one that has expired",
        SEALED, "three handshakes from outside read a notAfter in the past, of another serial", "",
        "workload",
    ),
    _gone("logs", "the log agent"),
    _gone("prometheus", "Prometheus"),
)  # fmt: skip
