"""Arming the reaper: a Job in the cluster that is seen to watch the run before anything is changed.

Room: faults. The Job runs reaper.py from a ConfigMap in any image with python3, on nodes that no
fault may disturb where there are such, and says through its ConfigMap that it can do its work. A
profile without a [reaper] account has no reaper; `acpchaos undo` is then the way back of a run
that died.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from acpchaos.errors import DeadlinePassed, PreconditionUnmet
from acpchaos.faults import reaper
from acpchaos.faults.undo import record_name
from acpchaos.target.cluster import Cluster
from acpchaos.target.guard import OPT_IN
from acpchaos.target.kinds import KINDS
from acpchaos.target.profile import Profile, Reaper
from acpchaos.wait import eventually

Object = dict[str, Any]
ARMED_S = 90.0  # the image may have to be fetched first
LONGEST_S = 6 * 3600  # whatever happens, the Job ends
SCRIPT = Path(reaper.__file__)


@contextmanager
def armed(cluster: Cluster, profile: Profile, run_id: str) -> Iterator[str]:
    """Within the block the reaper watches this run's Lease; yields what is to be told of it.

    PreconditionUnmet when it does not come up. After the block it is removed, unless the block
    ended with an error: then it stays, to finish what may be left, and ends by itself.
    """
    wanted = profile.reaper
    if not wanted.account:
        yield "no reaper in the cluster: the profile names no [reaper] account"
        return
    space = wanted.namespace or profile.namespaces.acp
    job, script = manifests(wanted, profile.namespaces.acp, space, run_id, spared_nodes(cluster))
    name = job["metadata"]["name"]
    uid = cluster.create("Job", job, space)["metadata"]["uid"]
    # the script goes with its Job, however that ends
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": name, "uid": uid}
    script["metadata"]["ownerReferences"] = [owner]
    cluster.create("ConfigMap", script, space)
    yield f"reaper armed on node {_seen(cluster, space, name)}"
    cluster.healing().delete("Job", name, space, uid=uid)


def _seen(cluster: Cluster, space: str, name: str) -> str:
    """Wait until it says that it has read Lease and record; returns the node it runs on."""

    def said() -> str:
        return str((cluster.get("ConfigMap", name, space).get("data") or {}).get("armed", ""))

    try:
        return eventually("the reaper to be armed", said, ARMED_S, 0.5)
    except DeadlinePassed as error:
        raise PreconditionUnmet(
            "arm the reaper", error.seen,
            f"look at Job {space}/{name}: image with python3, account, and its roles from "
            "acpchaos rbac --reaper",
        ) from None  # fmt: skip


def spared_nodes(cluster: Cluster) -> bool:
    """Whether there are nodes that were not opted in, so that no fault may touch them."""
    nodes = cluster.list("Node")
    opted = [(node["metadata"].get("labels") or {}).get(OPT_IN) == "true" for node in nodes]
    return not all(opted)


def reaper_name(run_id: str) -> str:
    """Name of its Job and ConfigMap."""
    return "acpchaos-reaper-" + re.sub(r"[^a-z0-9-]+", "-", run_id.lower())[:40].strip("-")


def manifests(wanted: Reaper, acp: str, space: str, run_id: str, spared: bool) -> list[Object]:
    """The Job, and the ConfigMap with its script. With `spared` nodes it runs on these only."""
    name = reaper_name(run_id)
    meta = {"name": name, "namespace": space, "labels": {"acpchaos.io/run": run_id[:63]}}
    script: Object = {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": dict(meta),
        "data": {"reaper.py": SCRIPT.read_text(encoding="utf-8")},
    }  # fmt: skip
    job = {
        "backoffLimit": 50, "activeDeadlineSeconds": LONGEST_S, "ttlSecondsAfterFinished": 3600,
        "template": {"metadata": {"labels": meta["labels"]},
                     "spec": _pod(wanted, acp, space, run_id, name, spared)},
    }  # fmt: skip
    return [{"apiVersion": "batch/v1", "kind": "Job", "metadata": meta, "spec": job}, script]


def _pod(
    wanted: Reaper, acp: str, space: str, run_id: str, name: str, spared: bool
) -> Object:  # fmt: skip
    settings = {
        "ACPCHAOS_RUN": run_id,
        "ACPCHAOS_NAMESPACE": acp,
        "ACPCHAOS_RECORD": record_name(run_id),
        "ACPCHAOS_SELF": f"{space}/{name}",
        "ACPCHAOS_KINDS": json.dumps(KINDS),
    }
    env: list[Object] = [{"name": key, "value": value} for key, value in settings.items()]
    env.append({"name": "ACPCHAOS_NODE",
                "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}})  # fmt: skip
    term = {"matchExpressions": [{"key": OPT_IN, "operator": "NotIn", "values": ["true"]}]}
    rule = "requiredDuringSchedulingIgnoredDuringExecution"
    affinity = {"affinity": {"nodeAffinity": {rule: {"nodeSelectorTerms": [term]}}}}
    container = {
        "name": "reaper", "image": wanted.image, "env": env,
        "command": ["python3", "-I", "-S", "/reaper/reaper.py"],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "script", "mountPath": "/reaper", "readOnly": True}],
    }  # fmt: skip
    return {
        "serviceAccountName": wanted.account,
        "restartPolicy": "OnFailure",
        "terminationGracePeriodSeconds": 5,
        "tolerations": [{"operator": "Exists"}],  # it must outlive what becomes of its node
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [{"name": "script", "configMap": {"name": name}}],
        **(affinity if spared else {}),
    }  # fmt: skip
