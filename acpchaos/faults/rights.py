"""What an account needs to play: the only table of rights, and the least roles made from it.

Room: faults. A play looks, holds its Lease and keeps its undo record; each fault tells by itself
what else it changes. Tests compare this with the calls that are really made, both ways.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults.fault import Fault, Need
from acpchaos.faults.rehearsal import named
from acpchaos.target.cluster import Cluster
from acpchaos.target.kinds import find_kind
from acpchaos.target.lock import LEASE
from acpchaos.target.profile import Profile

Object = dict[str, Any]


def of_play(profile: Profile) -> set[Need]:
    """What every play does besides its fault: guard, lock, recorders, gates, and secrets that the
    profile refers to."""
    acp = profile.namespaces.acp
    rights = {Need("get", "Namespace", name=name) for name in ("kube-system", acp)}
    rights |= {Need(verb, "Node") for verb in ("list", "watch")}
    for kind in ("Pod", "EndpointSlice", "HorizontalPodAutoscaler", "PodDisruptionBudget",
                 "StatefulSet", "Event"):  # fmt: skip
        rights |= {Need(verb, kind, acp) for verb in ("list", "watch")}
    rights.add(Need("create", "Lease", acp))  # a name cannot be demanded of what is created
    rights |= {Need(verb, "Lease", acp, name=LEASE) for verb in ("get", "update", "delete")}
    workloads = profile.workloads
    for each in (workloads.acp, workloads.workers, workloads.redis, workloads.sql,
                 workloads.analytics):  # fmt: skip
        rights.add(Need("get", each.kind, acp, name=each.name))
    rights.add(Need("get", "HorizontalPodAutoscaler", acp, name=workloads.acp.name))
    rights |= _exec(acp)
    if profile.reaper.account:
        space = profile.reaper.namespace or acp
        rights |= {Need(verb, "Job", space) for verb in ("create", "delete")}
        rights |= {Need(verb, "ConfigMap", space) for verb in ("create", "get")}
    for space, name in re.findall(r"secret:([\w.-]+)/([\w.-]+)/", profile.model_dump_json()):
        rights.add(Need("get", "Secret", space, name=name))
    return rights


def of_undo(profile: Profile) -> set[Need]:
    """The undo record; what it reverts is a matter of the fault."""
    verbs = ("get", "list", "create", "patch", "delete")
    return {Need(verb, "ConfigMap", profile.namespaces.acp) for verb in verbs}


def of_fault(fault: Fault) -> set[Need]:
    """What this fault changes, by its own word, and what it and its witness read."""
    rights = {*fault.needs(), *fault.reads()}
    # a WebSocket begins with a GET, and Kubernetes 1.35 asks for create as well
    rights |= {right._replace(verb="get") for right in rights if right.sub == "exec"}
    return rights


def of_reaper(experiment: Path, profile: Profile) -> set[Need]:
    """What the reaper needs to take back what one experiment changes, and no more of that."""
    acp = profile.namespaces.acp
    rights = {Need(verb, "Lease", acp, name=LEASE) for verb in ("get", "update", "delete")}
    rights |= {Need(verb, "ConfigMap", acp) for verb in ("get", "patch", "delete")}
    if profile.reaper.namespace not in ("", acp):
        rights.add(Need("patch", "ConfigMap", profile.reaper.namespace))
    with named(experiment, profile) as fault:
        rights |= set(fault.ends() if fault else ())
        for need in fault.needs() if fault else ():
            unmade = need.verb == "delete" and makes(fault, need.kind, need.namespace)
            back = _takes_back(fault.name if fault else "", need.verb, need.kind)
            if not need.sub and (back or unmade):
                rights |= {need._replace(verb="get"), need}
    return narrowed(rights)


def makes(fault: Fault | None, kind: str, namespace: str) -> bool:
    """Whether a fault makes objects of this kind in a namespace that stays, to be removed again;
    what is made on the way back is there to stay."""
    made = Need("create", kind, namespace)
    for_good = _takes_back("", "create", kind)
    return bool(namespace) and not for_good and fault is not None and made in fault.needs()


def _takes_back(fault: str, verb: str, kind: str) -> bool:
    """Whether a fault's own right is also its way back: fields are patched again, what is deleted
    is made again; what is made is deleted, and so is the pod of a process that stays stopped."""
    if verb == "patch":
        return kind not in ("Secret", "ConfigMap")  # copies in a namespace that is deleted
    if verb == "delete":
        return kind == "Namespace" or fault.startswith(("process_", "redis_password"))
    if verb == "update":
        return kind == "Secret"
    return (verb, kind) == ("create", "StatefulSet")


def _exec(namespace: str) -> set[Need]:
    return {Need(verb, "Pod", namespace, "exec") for verb in ("get", "create")}


def of_experiment(experiment: Path, profile: Profile) -> set[Need]:
    """All that one experiment needs. Nothing is read but the file and the profile."""
    rights = of_play(profile) | of_undo(profile)
    with named(experiment, profile) as fault:
        return narrowed(rights | (of_fault(fault) if fault else set()))


def narrowed(rights: Iterable[Need]) -> set[Need]:
    """Without those that a wider one of the same set covers."""
    every = set(rights)
    return {
        right
        for right in every
        if not any(covers(other, right) for other in every if other != right)
    }


def covers(wide: Need, narrow: Need) -> bool:
    """Whether `wide` allows what `narrow` does."""
    same = (wide.verb, wide.kind, wide.sub) == (narrow.verb, narrow.kind, narrow.sub)
    return same and wide.namespace in ("", narrow.namespace) and wide.name in ("", narrow.name)


def require(cluster: Cluster, rights: Iterable[Need]) -> None:
    """Ask the API server about exactly these; PreconditionUnmet lists what the account may not."""
    denied = [str(right) for right in sorted(set(rights)) if not cluster.may(*right)]
    if denied:
        raise PreconditionUnmet(
            "check what the account may do", f"it may not {'; '.join(denied)}",
            "apply what `acpchaos rbac` prints, for the account of the profile's context",
        )  # fmt: skip


def manifests(name: str, rights: Iterable[Need], account: tuple[str, str]) -> list[Object]:
    """Roles and bindings for a service account (namespace, name): one Role per namespace, one
    ClusterRole for the rest."""
    places: dict[str, list[Need]] = {}
    for right in sorted(narrowed(rights)):
        places.setdefault(right.namespace, []).append(right)
    made: list[Object] = []
    for namespace, here in sorted(places.items()):
        made += _role(name, namespace, _rules(here), account)
    return made


def _rules(rights: Iterable[Need]) -> list[Object]:
    """Rules with one resource each; those with the same verbs and names are joined."""
    verbs: dict[tuple[str, str, str], list[str]] = {}
    for right in rights:
        kind = find_kind(right.kind)
        group = kind.api.removeprefix("apis/").rsplit("/", 1)[0] if "apis/" in kind.api else ""
        resource = "/".join(each for each in (kind.plural, right.sub) if each)
        verbs.setdefault((group, resource, right.name), []).append(right.verb)
    rules: list[Object] = []
    for (group, resource, name), allowed in sorted(verbs.items()):
        rule: Object = {"apiGroups": [group], "resources": [resource], "verbs": sorted(allowed)}
        if name:
            rule["resourceNames"] = [name]
        rules.append(rule)
    return rules


def _role(
    name: str, namespace: str, rules: list[Object], account: tuple[str, str]
) -> list[Object]:  # fmt: skip
    cluster = "" if namespace else "Cluster"
    group, meta = "rbac.authorization.k8s.io", {"name": name}
    if namespace:
        meta["namespace"] = namespace
    api = {"apiVersion": f"{group}/v1"}
    subject = {"kind": "ServiceAccount", "namespace": account[0], "name": account[1]}
    binding = {
        "roleRef": {"apiGroup": group, "kind": f"{cluster}Role", "name": name},
        "subjects": [subject],
    }
    return [
        {**api, "kind": f"{cluster}Role", "metadata": dict(meta), "rules": rules},
        {**api, "kind": f"{cluster}RoleBinding", "metadata": dict(meta), **binding},
    ]
