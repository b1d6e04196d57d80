"""Workloads of ACP and of the cluster: where they are, which pods are theirs, whether they settled.

Room: faults. Pods are found by their owners' UIDs, not by labels, which anyone may bear.
"""

from typing import NamedTuple

from acpchaos.errors import UsageError
from acpchaos.faults.session import Session
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.profile import ClusterService


class Where(NamedTuple):
    """A workload of any namespace; `part` of health.PARTS or empty, `service` whose endpoints."""

    kind: str
    namespace: str
    name: str
    part: str = ""
    service: str = ""


def pods_of(cluster: Cluster, workload: Object) -> list[Object]:
    """All pods that this workload's controllers made, sorted by name."""
    meta = workload["metadata"]
    namespace, uid = meta["namespace"], meta["uid"]
    sets = owned(cluster.list("ReplicaSet", namespace), {uid})
    owners = {uid, *(each["metadata"]["uid"] for each in sets)}
    pods = owned(cluster.list("Pod", namespace), owners)
    return sorted(pods, key=lambda pod: str(pod["metadata"]["name"]))


def address(pod: Object) -> str:
    """The pod's IP address; empty while it has none."""
    return str(pod.get("status", {}).get("podIP", ""))


def settled(found: Object) -> bool:
    """The controller has seen the object as it is, and all pods are of it and ready."""
    status, wanted = found.get("status") or {}, found["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < found["metadata"].get("generation", 0):
        return False
    if found.get("kind") == "DaemonSet":
        return bool(status.get("numberReady", 0) == status.get("desiredNumberScheduled"))
    keys = ["replicas", "readyReplicas"]
    keys += ["updatedReplicas"] if found.get("kind", "Deployment") == "Deployment" else []
    return all(status.get(key, 0) == wanted for key in keys)


def wanted(found: Object) -> int:
    """How many pods it is to have: by its own word, of a DaemonSet by its controller's."""
    if found.get("kind") == "DaemonSet":
        return int((found.get("status") or {}).get("desiredNumberScheduled", 0))
    return int(found.get("spec", {}).get("replicas", 1))


def owned(items: list[Object], owners: set[str]) -> list[Object]:
    """Those that an owner of these UIDs owns."""
    return [
        item
        for item in items
        if any(ref["uid"] in owners for ref in item["metadata"].get("ownerReferences") or [])
    ]


def ordinal(pod: Object) -> tuple[int, str]:
    """Order in which a StatefulSet makes its pods."""
    name = pod["metadata"]["name"]
    number = name.rpartition("-")[2]
    return (int(number) if number.isdigit() else 0, name)


def of_workload(session: Session, what: str) -> Where:
    """A workload of ACP or its stores by its name in the profile."""
    workload = session.workload(what, ("acp", "workers", "sql", "analytics"))
    return Where(workload.kind, session.namespace, workload.name, what)


def of_service(session: Session, what: str) -> Where:
    """A service of the cluster by its name in the profile; without a name where it has none."""
    known = type(session.profile.services).model_fields
    if what not in known:
        raise UsageError(f"use service {what!r}", "there is none", f"one of {', '.join(known)}")
    service: ClusterService | None = getattr(session.profile.services, what)
    if service is None:
        return Where("Deployment", "", "")
    # without metrics the autoscaler is blind, and sees again some time after they are back
    part = "autoscaler" if what == "metrics" and session.profile.experiments.hpa else ""
    return Where(service.kind, service.namespace, service.name, part, service.service)
