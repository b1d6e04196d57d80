"""Independent looks at a fault's effect; shares no code with the injectors.

Room: faults. Reads whole collections without the injectors' selectors and decides from UIDs and
status alone, so that a wrong selector or a no-op injector cannot fool it.
"""

from collections.abc import Collection, Mapping

from acpchaos.faults.fault import Sight
from acpchaos.target.cluster import Cluster, Object

Owners = Mapping[str, str]


def pods_killed(cluster: Cluster, namespace: str, killed: Owners, before: Collection[str]) -> Sight:
    """`killed` maps the UID of each victim to its owner's UID; `before` are all UIDs at set-up.

    Installed: every victim's UID is gone and the owners made as many new pods.
    """
    now = cluster.list("Pod", namespace)
    present = {pod["metadata"]["uid"] for pod in now}
    gone = [uid for uid in killed if uid not in present]
    owners = set(killed.values())
    fresh = [
        pod["metadata"]["name"]
        for pod in now
        if pod["metadata"]["uid"] not in before
        and any(owner["uid"] in owners for owner in pod["metadata"].get("ownerReferences") or [])
    ]
    saw = f"{len(gone)} of {len(killed)} UIDs gone, {len(fresh)} new pods"
    detail = {"gone": gone, "new": fresh}
    if not gone:
        return Sight("not installed", saw, detail)
    complete = len(gone) == len(killed) and len(fresh) >= len(killed)
    return Sight("installed" if complete else "partial", saw, detail)


def scaled_down(cluster: Cluster, namespace: str, before: Owners, keep: int, service: str) -> Sight:
    """`before` maps the UIDs of all pods at set-up to their owners' UIDs. Installed: no more than
    `keep` of them are left, nobody made new ones, and with none left `service` has no endpoint."""
    owners = set(before.values())
    alive = [
        pod
        for pod in cluster.list("Pod", namespace)
        if pod["metadata"]["uid"] in before
        or any(owner["uid"] in owners for owner in pod["metadata"].get("ownerReferences") or [])
    ]
    fresh = [p["metadata"]["name"] for p in alive if p["metadata"]["uid"] not in before]
    serving = _endpoints(cluster, namespace, service) if service and not keep else 0
    saw = f"{len(alive)} pods left of {len(before)}, {keep} wanted, {len(fresh)} new"
    saw += f", {serving} endpoints of {service}" if service and not keep else ""
    detail = {"left": sorted(pod["metadata"]["name"] for pod in alive), "new": fresh}
    if len(alive) >= len(before) and not fresh:
        return Sight("not installed", saw, detail)
    whole = len(alive) == keep and not fresh and not serving
    return Sight("installed" if whole else "partial", saw, detail)


def _endpoints(cluster: Cluster, namespace: str, service: str) -> int:
    """Ready endpoints of a Service, as its clients are told."""
    slices = cluster.list("EndpointSlice", namespace, f"kubernetes.io/service-name={service}")
    every = [endpoint for each in slices for endpoint in each.get("endpoints") or []]
    return sum((each.get("conditions") or {}).get("ready", True) is not False for each in every)


def all_renewed(cluster: Cluster, namespace: str, workload: str, before: Collection[str]) -> Sight:
    """`workload` is the UID of a Deployment, `before` are the UIDs of its pods at set-up.

    Installed: none of them is left, and as many new ones of the same Deployment are ready.
    """
    sets = cluster.list("ReplicaSet", namespace)
    owners = {workload, *(each["metadata"]["uid"] for each in sets if _of(each, {workload}))}
    now = [pod for pod in cluster.list("Pod", namespace) if _of(pod, owners)]
    left = [pod["metadata"]["name"] for pod in now if pod["metadata"]["uid"] in before]
    fresh = [pod for pod in now if pod["metadata"]["uid"] not in before]
    ready = [pod["metadata"]["name"] for pod in fresh if _answers(pod)]
    saw = f"{len(before) - len(left)} of {len(before)} old pods gone, {len(ready)} new ones ready"
    detail = {"left": left, "new": ready}
    if len(left) == len(before):
        return Sight("partial" if fresh else "not installed", saw, detail)
    whole = not left and len(ready) >= len(before)
    return Sight("installed" if whole else "partial", saw, detail)


def _of(item: Object, owners: Collection[str]) -> bool:
    references = item["metadata"].get("ownerReferences") or []
    return any(owner["uid"] in owners for owner in references)


def _answers(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def zone_drained(cluster: Cluster, nodes: Owners, victims: Collection[str]) -> Sight:
    """`nodes` maps names to UIDs; `victims` are UIDs of the pods that should have left.

    Installed: every node unschedulable, and no pod left but those whose disruption budget allows
    nothing while their volume ties them to this zone: no drain can ever move these.
    """
    seen = {node["metadata"]["name"]: node for node in cluster.list("Node")}
    closed = [
        name
        for name, uid in nodes.items()
        if name in seen
        and seen[name]["metadata"]["uid"] == uid
        and seen[name]["spec"].get("unschedulable")
    ]
    everywhere = cluster.list("Pod")
    here = [pod for pod in everywhere if pod["spec"].get("nodeName") in nodes]
    left = [pod for pod in here if pod["metadata"]["uid"] in victims]
    tied = [pod for pod in left if _tied(cluster, pod)]
    names = sorted(pod["metadata"]["name"] for pod in left)
    saw = (
        f"{len(closed)} of {len(nodes)} nodes unschedulable, "
        f"{len(victims) - len(left)} of {len(victims)} pods left them"
    )
    if tied:
        saw += f"; {len(tied)} stay, tied to their volume under a budget that allows none"
    detail = {"unschedulable": closed, "left": names}
    if not closed or len(left) == len(victims):
        return Sight("not installed", saw, detail)
    whole = len(closed) == len(nodes) and len(tied) == len(left)
    return Sight("installed" if whole else "partial", saw, detail)


def _tied(cluster: Cluster, pod: Object) -> bool:
    namespace = pod["metadata"]["namespace"]
    labels = pod["metadata"].get("labels") or {}
    claims = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in pod["spec"].get("volumes") or []
        if "persistentVolumeClaim" in volume
    ]
    exhausted = any(
        (budget["spec"].get("selector") or {}).get("matchLabels", {}).items() <= labels.items()
        and budget.get("status", {}).get("disruptionsAllowed", 0) == 0
        for budget in cluster.list("PodDisruptionBudget", namespace)
    )
    return exhausted and any(_pinned(cluster, namespace, claim) for claim in claims)


def _pinned(cluster: Cluster, namespace: str, claim: str) -> bool:
    found = cluster.find("PersistentVolumeClaim", claim, namespace)
    name = found["spec"].get("volumeName") if found else None
    volume = cluster.find("PersistentVolume", name) if name else None
    return bool(volume and (volume["spec"].get("nodeAffinity") or {}).get("required"))


def all_absent(cluster: Cluster, namespace: str, expected: Mapping[str, Collection[str]]) -> Sight:
    """`expected` maps kinds to the UIDs that must be gone."""
    left = {
        kind: [item["metadata"]["name"] for item in cluster.list(kind) if _is(item, uids)]
        for kind, uids in expected.items()
    }
    count = sum(len(names) for names in left.values())
    total = sum(len(uids) for uids in expected.values())
    saw = f"{total - count} of {total} objects gone ({', '.join(expected)})"
    outcome = "installed" if not count else "partial" if count < total else "not installed"
    return Sight(outcome, saw, {"left": left})


def _is(item: Object, uids: Collection[str]) -> bool:
    return item["metadata"]["uid"] in uids
