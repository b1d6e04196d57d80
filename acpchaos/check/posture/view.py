"""A snapshot as the rules ask for it: workloads, containers, flags, configuration, answers.

Room: check. Pure. Asking for what was not gathered raises Unreadable with the reason, so that no
rule can take silence for compliance.
"""

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import yaml

from acpchaos.check.posture.attestations import Attestation, Attested
from acpchaos.check.posture.objects import (
    boolean,
    dig,
    label,
    leaves,
    namespace_of,
    selects,
)
from acpchaos.check.posture.rule import NotHere, Unreadable
from acpchaos.record.snapshot import Answer, Object, Probe, Served, Snapshot, WorkloadRef

PRIMARY = "-primary"  # Flagger serves from a copy of the Deployment under this name
_WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob", "Pod")


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


@dataclass(frozen=True)
class Door:
    """One place that sets a value: where it stands and what it says, in rising precedence."""

    object: str
    field: str
    value: Any


class View:
    """Questions to one snapshot; nothing here decides."""

    def __init__(
        self, snapshot: Snapshot, attestations: Iterable[Attestation] = (), today: str = ""
    ) -> None:
        self.snapshot, self.scope = snapshot, snapshot.scope
        self.policy = snapshot.scope.policy
        self.today = dt.date.fromisoformat(today or snapshot.taken_at[:10])
        self._attested = Attested(
            attestations, self.policy.attesters, target=self.scope.profile, today=self.today,
            most_days=self.policy.report_days,
        )  # fmt: skip

    def attestation(self, row: str) -> Attestation:
        """What a person has said of a row. NoAttestation when nobody has, which is Unattested and
        Unreadable alike; Unattested when it is old, forged or for another target."""
        return self._attested.of(row)

    # objects

    def objects(self, kind: str, namespace: str | None = None) -> list[Object]:
        """All objects of a kind, or those of one namespace; Unreadable when not gathered."""
        if kind not in self.snapshot.objects:
            why = self.snapshot.unread.get(kind) or f"{self.snapshot.source} evidence has none"
            raise Unreadable(f"{kind} objects could not be read: {why}")
        found = self.snapshot.objects[kind]
        return [o for o in found if namespace is None or namespace_of(o) == namespace]

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object, None when the kind was gathered without it."""
        named = (o for o in self.objects(kind, namespace) if o["metadata"]["name"] == name)
        return next(named, None)

    # workloads

    @cached_property
    def acp(self) -> list[Pods]:
        """ACP's main and worker Deployments, Flagger's copies included; Unreadable without main."""
        found = [*self._named("acp"), *self._named("workers")]
        if not any(pods.role == "acp" for pods in found):
            ref = self.scope.workloads["acp"]
            raise Unreadable(f"{ref.kind} {self.scope.namespace}/{ref.name} is not in the evidence")
        return found

    @cached_property
    def jobs(self) -> list[Pods]:
        """Jobs and CronJobs in ACP's namespace that run ACP's image."""
        images = {
            _repository(each.spec.get("image", "")) for p in self.acp for each in containers(p)
        }
        return [
            pods
            for kind in ("Job", "CronJob")
            for pods in self._of_kind(kind, self.scope.namespace, "job")
            if any(_repository(c.spec.get("image", "")) in images for c in containers(pods))
        ]

    @cached_property
    def faas(self) -> list[Pods]:
        """Workloads in the namespace of functions; empty when there is none."""
        return [
            pods
            for kind in ("Deployment", "StatefulSet")
            for pods in self._of_kind(kind, self.scope.faas_namespace, "faas")
        ]

    @cached_property
    def neighbours(self) -> list[Pods]:
        """Redis, SQL and analytics stores of the profile, as far as they run in this cluster."""
        return [p for role in ("redis", "sql", "analytics") for p in self._named(role)]

    def _named(self, role: str) -> list[Pods]:
        ref: WorkloadRef | None = self.scope.workloads.get(role)
        if ref is None:
            return []
        names = {ref.name, ref.name + PRIMARY}
        found = self._of_kind(ref.kind, self.scope.namespace, role)
        return [pods for pods in found if pods.name in names]

    def _of_kind(self, kind: str, namespace: str, role: str) -> list[Pods]:
        return [pods_of(kind, o, role) for o in self.objects(kind, namespace)]

    # flags and settings

    def arguments(self, pods: Pods) -> list[tuple[Container, str]]:
        """Words of command and args of every container that runs ACP's server, in order."""
        return [
            (container, str(word))
            for container in containers(pods)
            for word in [
                *(container.spec.get("command") or []),
                *(container.spec.get("args") or []),
            ]
        ]

    def flag(self, pods: Pods, name: str) -> list[Door]:
        """Where `--name` or `--name=value` stands; a bare flag has the value True."""
        doors = []
        for container in containers(pods):
            for list_name in ("command", "args"):
                for at, word in enumerate(container.spec.get(list_name) or []):
                    key, eq, value = str(word).partition("=")
                    if key == f"--{name}":
                        field = f"{container.path}.{list_name}[{at}]"
                        doors.append(Door(str(pods), field, boolean(value) if eq else True))
        return doors

    def config_paths(self, pods: Pods) -> list[str]:
        """The files of `--config`, in rising precedence."""
        paths: list[str] = []
        words = [word for _, word in self.arguments(pods)]
        for at, word in enumerate(words):
            key, eq, value = word.partition("=")
            if key == "--config":
                given = value if eq else (words[at + 1] if at + 1 < len(words) else "")
                paths += [path.strip() for path in given.split(",") if path.strip()]
        return paths

    def config_files(self, pods: Pods) -> list[tuple[str, str, Object]]:
        """(path, "Kind namespace/name[key]", content) of every configuration file that is mounted.

        Unreadable when a file's ConfigMap or Secret was not gathered, or is no YAML mapping.
        """
        files = []
        for path in self.config_paths(pods):
            source = self.mounted(pods, path)
            if source is None:
                continue
            kind, name, key = source
            text = self.text_of(kind, pods.namespace, name, key)
            try:
                content = yaml.safe_load(text) or {}
            except yaml.YAMLError as error:
                place = f"{kind} {pods.namespace}/{name}[{key}]"
                raise Unreadable(f"{place} is no YAML: {error}") from None
            if isinstance(content, dict):
                files.append((path, f"{kind} {pods.namespace}/{name}[{key}]", content))
        return files

    def mounted(self, pods: Pods, path: str) -> tuple[str, str, str] | None:
        """(kind, name, key) of the ConfigMap or Secret that is mounted at `path`, or None."""
        volumes = {v["name"]: v for v in pods.spec.get("volumes") or []}
        for container in containers(pods):
            for mount in container.spec.get("volumeMounts") or []:
                folder = str(mount.get("mountPath", "")).rstrip("/")
                volume = volumes.get(mount.get("name", ""), {})
                if mount.get("subPath"):
                    if folder == path and (found := _sources(volume)):
                        return (*found[0][:2], str(mount["subPath"]))
                    continue
                if path.startswith(folder + "/"):
                    wanted = path[len(folder) + 1 :]
                    for kind, name, keys in _sources(volume):
                        if found_key := self._key(pods.namespace, kind, name, keys, wanted):
                            return kind, name, found_key
        return None

    def _key(
        self, namespace: str, kind: str, name: str, keys: dict[str, str] | None, wanted: str
    ) -> str:
        if keys is not None:
            return keys.get(wanted, "")
        found = self.find(kind, namespace, name)
        return wanted if found and wanted in (found.get("data") or {}) else ""

    def text_of(self, kind: str, namespace: str, name: str, key: str) -> str:
        """One value of a ConfigMap or Secret, secrets in it sealed."""
        found = self.find(kind, namespace, name)
        if found is None or key not in (found.get("data") or {}):
            raise Unreadable(f"{kind} {namespace}/{name} has no key {key} in the evidence")
        return str(found["data"][key])

    def setting(self, pods: Pods, path: str) -> list[Door]:
        """Everything but flags that sets `path` ("features.dev_mode"), the deciding one last:
        configuration files in their order, then the environment variable of that name."""
        doors = []
        for _, where, content in self.config_files(pods):
            value = dig(content, path)
            if value is not None:
                doors.append(Door(where, path, value))
        variable = path.upper().replace(".", "_")
        for container in containers(pods):
            for at, entry in enumerate(container.spec.get("env") or []):
                if entry.get("name") == variable:
                    value = boolean(entry["value"]) if "value" in entry else self._from(pods, entry)
                    doors.append(Door(str(pods), f"{container.path}.env[{at}]", value))
        return doors

    def _from(self, pods: Pods, entry: Object) -> Any:
        source = entry.get("valueFrom") or {}
        for kind, key in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
            if key in source:
                ref = source[key]
                return boolean(self.text_of(kind, pods.namespace, ref["name"], ref["key"]))
        return None

    # ACP's answers, served certificates, probes

    def answer(self, path: str) -> Answer:
        """What ACP answered to GET `path`; Unreadable without an answer or without the right."""
        found = self.snapshot.answers.get(path)
        if found is None or found.status == 0 or found.status in (401, 403) or found.status >= 500:
            why = self.snapshot.unread.get(f"answer {path}") or (found.error if found else "")
            if found is not None and found.status:
                why = f"HTTP {found.status} {why}".strip()
            raise Unreadable(f"GET {path} was not answered: {why or 'not asked'}")
        return found

    def served(self, prefix: str = "") -> list[Served]:
        """Served certificates of places whose name begins so; Unreadable when there is none."""
        found = [s for s in self.snapshot.served if s.where.startswith(prefix) and s.chain]
        if not found:
            tried = [s for s in self.snapshot.served if s.where.startswith(prefix)]
            why = tried[0].error if tried else self._unread("served " + prefix) or "not asked"
            raise Unreadable(f"no certificate was seen at {prefix or 'any place'}: {why}")
        return found

    def probe(self, name: str) -> Probe:
        """One probe's outcome; Unreadable when it was not run or proved nothing."""
        found = self.snapshot.probes.get(name)
        if found is None:
            why = self._unread(f"probe {name}") or "probes need --allow-probes"
            raise Unreadable(f"probe {name} was not run: {why}")
        if found.outcome == "unknown":
            raise Unreadable(f"probe {name} proved nothing: {found.saw}")
        return found

    def probes(self, prefix: str) -> dict[str, Probe]:
        """All probes that were run whose name begins so; Unreadable when there is none."""
        found = {n: p for n, p in self.snapshot.probes.items() if n.startswith(prefix)}
        if not found:
            why = self._unread(f"probe {prefix}") or "probes need --allow-probes"
            raise Unreadable(f"probes {prefix}* were not run: {why}")
        return found

    def _unread(self, prefix: str) -> str:
        return next((w for k, w in self.snapshot.unread.items() if k.startswith(prefix)), "")


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


def _sources(volume: Object) -> list[tuple[str, str, dict[str, str] | None]]:
    """(kind, name, {path: key} or None for all keys) of what a volume shows."""
    found: list[tuple[str, str, dict[str, str] | None]] = []
    parts = (volume.get("projected") or {}).get("sources") or [volume]
    for part in parts:
        for kind, key, name in (
            ("ConfigMap", "configMap", "name"), ("Secret", "secret", "secretName"),
        ):  # fmt: skip
            if key in part:
                source = part[key]
                items = {i["path"]: i["key"] for i in source.get("items") or []} or None
                found.append((kind, source.get(name) or source.get("name", ""), items))
    return found


def _repository(image: str) -> str:
    return re.sub(r"(@sha256:.*|:[^/:]*)$", "", image)


__all__ = [
    "PRIMARY", "Container", "Door", "NotHere", "Pods", "Unreadable", "View", "boolean",
    "containers", "dig", "label", "leaves", "namespace_of", "pods_of", "selects",
]  # fmt: skip
