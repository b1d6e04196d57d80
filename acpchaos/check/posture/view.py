"""A snapshot as the rules ask for it: workloads, containers, flags, configuration, answers.

Room: check. Pure. Asking for what was not gathered raises Unreadable with the reason, so that no
rule can take silence for compliance.
"""

import datetime as dt
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from acpchaos.check.posture import doors
from acpchaos.check.posture.attestations import Attestation, Attested
from acpchaos.check.posture.objects import dig, label, leaves, namespace_of, selects
from acpchaos.check.posture.rule import NotHere, Unreadable
from acpchaos.check.posture.workload import Container, Door, Pods, containers, pods_of, repository
from acpchaos.record.snapshot import Answer, Object, Probe, Served, Snapshot, WorkloadRef

_LASTING = ("Deployment", "StatefulSet", "DaemonSet")
_ROLES = {"Job": "job", "CronJob": "job"}
PRIMARY = "-primary"  # Flagger serves from a copy of the Deployment under this name


def _is_over(pod: Object) -> bool:
    """Whether a pod has ended or is being deleted."""
    ended = dig(pod, "status.phase") in ("Succeeded", "Failed")
    return ended or bool(pod["metadata"].get("deletionTimestamp"))


class View:
    """Questions to one snapshot; nothing here decides."""

    def __init__(
        self, snapshot: Snapshot, attestations: Iterable[Attestation] = (), today: str = ""
    ) -> None:
        self.snapshot, self.scope = snapshot, snapshot.scope
        self.policy = snapshot.scope.policy
        self.today = dt.date.fromisoformat(today or snapshot.taken_at[:10])
        self._places: dict[str, dict[str, list[Object]]] = {}
        self._made: dict[Callable[[View], Any], Any] = {}
        self._attested = Attested(
            attestations, self.policy.attesters, target=self.scope.profile, today=self.today,
            most_days=self.policy.report_days,
        )  # fmt: skip

    def attestation(self, row: str) -> Attestation:
        """What a person has said of a row. NoAttestation when nobody has, which is Unattested and
        Unreadable alike; Unattested when it is old, forged or for another target."""
        return self._attested.of(row)

    def once[T](self, make: Callable[["View"], T]) -> T:
        """What `make` makes of this view, made for all rules once: a cluster is large, rows are
        many."""
        if make not in self._made:
            self._made[make] = make(self)
        found: T = self._made[make]
        return found

    # objects

    def objects(self, kind: str, namespace: str | None = None) -> list[Object]:
        """All objects of a kind, or those of one namespace; Unreadable when they were not gathered
        whole."""
        if kind not in self.snapshot.objects or kind in self.snapshot.unread:
            why = self.snapshot.unread.get(kind) or f"{self.snapshot.source} evidence has none"
            raise Unreadable(f"{kind} objects could not be read: {why}")
        return self.partly(kind, namespace)

    def partly(self, kind: str, namespace: str | None = None) -> list[Object]:
        """The same as far as they are there: good for findings, never for saying that none is."""
        if namespace is None:
            return self.snapshot.objects.get(kind) or []
        return self._placed(kind).get(namespace, [])

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object, None when the kind was gathered without it."""
        named = (o for o in self.objects(kind, namespace) if o["metadata"]["name"] == name)
        return next(named, None)

    def _placed(self, kind: str) -> dict[str, list[Object]]:
        """Objects by namespace."""
        if kind not in self._places:
            found = self._places[kind] = {}
            for each in self.snapshot.objects.get(kind) or []:
                found.setdefault(namespace_of(each), []).append(each)
        return self._places[kind]

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
        """What else runs ACP's image in its namespace: Jobs and CronJobs, and under the role
        `other` workloads and single pods that the profile does not name."""
        images, named = self._images(), {str(pods) for pods in self.acp}
        every = [
            pods
            for kind in ("Job", "CronJob", *_LASTING, "Pod")
            for pods in self._all_of(kind, self.scope.namespace, _ROLES.get(kind, "other"))
        ]
        return [
            pods
            for pods in every
            if str(pods) not in named
            and any(repository(c.image) in images for c in containers(pods))
        ]

    def _images(self) -> set[str]:
        """Images of the containers that the profile names; of all, where it names none."""
        found = set[str]()
        for pods in self.acp:
            every = containers(pods)
            name = self.scope.workloads[pods.role].container
            mine = [each for each in every if each.name == name and not each.init] or every
            found |= {repository(each.image) for each in mine}
        return found

    @cached_property
    def faas(self) -> list[Pods]:
        """Workloads and single pods in the namespace of functions; empty when there is none."""
        return [
            pods
            for kind in (*_LASTING, "Job", "CronJob", "Pod")
            for pods in self._all_of(kind, self.scope.faas_namespace, "faas")
            if kind != "Job" or not pods.object["metadata"].get("ownerReferences")
        ]

    def _all_of(self, kind: str, namespace: str, role: str) -> list[Pods]:
        """Workloads of a kind; of pods those that no workload made."""
        if kind != "Pod":
            return self._of_kind(kind, namespace, role)
        gathered = self.partly if self.snapshot.source == "manifests" else self.objects
        single = (o for o in gathered(kind, namespace) if not o["metadata"].get("ownerReferences"))
        return [pods_of(kind, o, role) for o in single if not _is_over(o)]

    def injected(self, workloads: Iterable[Pods]) -> list[Pods]:
        """Containers that running pods have and their workloads do not, as a mesh or an agent puts
        them there: each once, under the pod that was seen first. None in manifests."""
        if self.snapshot.source == "manifests":
            return []
        found: dict[tuple[str, str], Pods] = {}
        for owner in workloads:
            if owner.kind == "Pod":
                continue
            known = {each.name for each in containers(owner)}
            for pod in self._running(owner):
                spec = pod["spec"]
                more = {
                    key: [each for each in spec.get(key) or [] if each.get("name") not in known]
                    for key in ("initContainers", "containers")
                }
                for key, each in ((key, each) for key, some in more.items() for each in some):
                    alone = {**spec, "initContainers": [], "containers": [], key: [each]}
                    made = pods_of("Pod", {**pod, "spec": alone}, owner.role)
                    found.setdefault((str(owner), str(each.get("name"))), made)
        return list(found.values())

    def _running(self, owner: Pods) -> list[Object]:
        """Pods with the labels that a workload's selector asks for."""
        selector = dig(owner.object, "spec.selector")
        if not selector:
            return []
        every = self.objects("Pod", owner.namespace)
        return [o for o in every if selects(selector, o["metadata"].get("labels") or {})
                and not _is_over(o)]  # fmt: skip

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

    # flags and settings of all containers of a workload; doors has them one by one

    def flag(self, pods: Pods, name: str, *, valued: bool = False) -> list[Door]:
        """Where `--name` or `--name=value` stands; a bare flag has the value True, one that is
        `valued` that of the next word."""
        every = (doors.flags(self, each, name, valued=valued) for each in containers(pods))
        return [door for found in every for door in found]

    def setting(self, pods: Pods, path: str) -> list[Door]:
        """Everything but flags that sets `path` ("features.dev_mode"), the deciding one last:
        configuration files in their order, as far as they are shown, then the variable."""
        found = {
            (door.object, door.field): door
            for each in containers(pods)
            for door in doors.setting(self, each, path, partly=True)
        }
        return list(found.values())

    def mounted(self, pods: Pods, path: str) -> tuple[str, str, str] | None:
        """(kind, name, key) of the ConfigMap or Secret that is mounted at `path`, or None."""
        for container in containers(pods):
            try:
                found = doors.mounted(self, container, path)
            except doors.Elsewhere:
                continue
            if found is not None:
                return found
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


__all__ = [
    "PRIMARY", "Container", "Door", "NotHere", "Pods", "Unreadable", "View", "containers", "dig",
    "label", "leaves", "namespace_of", "pods_of", "selects",
]  # fmt: skip
