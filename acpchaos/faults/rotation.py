"""The way back of a rotated Redis password: each node is given what its own pod knows.

Room: faults. The undo record names the nodes and the Secret that holds the password they have
meanwhile, no value. A node that is asked in vain has its pod replaced, which takes its settings
from its own environment again; so does the reaper, which cannot ask nodes at all.
"""

import base64
from collections.abc import Iterable
from typing import Any

from acpchaos.stores import redis_password
from acpchaos.stores.exec import inside
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.profile import Workload

Change = dict[str, Any]
KEY = "password"


def rotate_password(nodes: Iterable[Object], workload: Workload, secret: str) -> Change:
    """These nodes will take the password in the run's Secret."""
    metas = [pod["metadata"] for pod in nodes]
    pods, space = {meta["name"]: meta["uid"] for meta in metas}, metas[0]["namespace"]
    return {
        "kind": "redis-password", "name": workload.name, "namespace": space,
        "container": workload.container, "pods": pods, "secret": secret,
    }  # fmt: skip


def restore_passwords(cluster: Cluster, run_id: str, change: Change) -> None:
    """Ask each node that does not know its pod's password; without the other one, replace it."""
    space, container = change["namespace"], change["container"]
    held = cluster.find("Secret", change["secret"], space)
    password = base64.b64decode(((held or {}).get("data") or {}).get(KEY, "")).decode()
    run = inside(cluster, space)
    for name in _unlike(cluster, change):
        if password:
            redis_password.restore(run, name, container, password)
        else:
            cluster.delete("Pod", name, space, uid=change["pods"][name])


def passwords_restored(cluster: Cluster, run_id: str, change: Change) -> bool:
    """Whether every node of before takes its pod's password, or its pod is another one."""
    return not _unlike(cluster, change)


def _unlike(cluster: Cluster, change: Change) -> list[str]:
    """Pods of before whose nodes have another password than they know; AcpchaosError when one
    cannot be asked."""
    run = inside(cluster, change["namespace"], reads=True)
    unlike = []
    for name, uid in change["pods"].items():
        found = cluster.find("Pod", name, change["namespace"])
        if found is None or found["metadata"]["uid"] != uid:
            continue
        if not redis_password.restored(run, name, change["container"]):
            unlike.append(name)
    return unlike
