"""Workloads, their containers and what their volumes show.

Room: check. Small pure questions that view and rules share; it must not know a snapshot.
"""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

from acpchaos.check.posture.objects import dig
from acpchaos.record.snapshot import Object


@dataclass(frozen=True)
class Pods:
    """One workload with the pod it makes. `role`: acp, workers, job, faas, or a neighbour."""

    kind: str
    name: str
    namespace: str
    role: str
    object: Object
    path: str  # of the pod spec inside the object
    spec: Object
    labels: dict[str, str]

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Container:
    """One container of a workload, init ones too."""

    owner: Pods
    path: str
    spec: Object
    init: bool

    @property
    def name(self) -> str:
        return str(self.spec.get("name", ""))

    @property
    def image(self) -> str:
        return str(self.spec.get("image", ""))


@dataclass(frozen=True)
class Door:
    """One place that sets a value: where it stands and what it says."""

    object: str
    field: str
    value: Any


class Source(NamedTuple):
    """A ConfigMap or Secret that a volume shows. `items` maps paths to keys; None is all keys."""

    kind: str
    name: str
    items: dict[str, str] | None


def pods_of(kind: str, found: Object, role: str) -> Pods:
    """A workload object as Pods."""
    meta = found["metadata"]
    path = {"Pod": "spec", "CronJob": "spec.jobTemplate.spec.template.spec"}.get(
        kind, "spec.template.spec"
    )
    holder = dig(found, path.rpartition(".")[0]) if kind != "Pod" else found
    return Pods(
        kind=kind, name=meta["name"], namespace=meta.get("namespace", ""), role=role, object=found,
        path=path, spec=dig(found, path) or {},
        labels=dig(holder or {}, "metadata.labels") or {},
    )  # fmt: skip


def containers(pods: Pods) -> list[Container]:
    """Init containers first, then the others; ephemeral ones are not part of a workload."""
    return [
        Container(pods, f"{pods.path}.{key}[{at}]", each, key == "initContainers")
        for key in ("initContainers", "containers")
        for at, each in enumerate(pods.spec.get(key) or [])
    ]


def shown(volume: Object) -> list[Source]:
    """What a volume shows of ConfigMaps and Secrets; nothing for one of another type."""
    found = []
    for part in (volume.get("projected") or {}).get("sources") or [volume]:
        for kind, key, name in (
            ("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName"),
        ):  # fmt: skip
            if key in part:
                source = part[key]
                items = {i["path"]: i["key"] for i in source.get("items") or []} or None
                found.append(Source(kind, source.get(name) or source.get("name", ""), items))
    return found


def repository(image: str) -> str:
    """An image without tag and digest."""
    return re.sub(r"(:[^/:@]*)?(@.*)?$", "", image)
