"""Where probes live: a namespace of their own, pods that do nothing, and the way to be rid of both.

Room: posture. Everything made here carries the label acpchaos.io/posture=<id>. It is deleted at the
end of a run whatever happens; what a runner that died has left is deleted at the next start, and
its pods have ended by themselves before that.

Stand-ins. What ACP's pods may reach is seen from inside only. An ephemeral container in a pod of
ACP is the nearest place, but it cannot be taken out again: it stays in the pod's spec and status
until the pod is replaced, counts against the pod's memory, and needs an image that ACP's namespace
may pull. So the probe runs in a pod of its own that carries the labels of ACP's pods in ACP's
namespace, since these are all that a NetworkPolicy knows. It is kept from mattering otherwise:
- it is never ready (a readiness gate that nobody sets) and declares no port, so no Service sends it
  traffic; where a Service publishes pods that are not ready, no stand-in is made at all;
- hash labels are left out, so the controller of ACP's pods does not adopt it; where a controller's
  selector would match all the same, no stand-in is made. It has no owner, so disruption budgets
  count it as unmanaged and unhealthy, which takes nothing from the healthy ones;
- it requests CPU and memory, since an autoscaler fails on a pod without; not being ready it counts
  as idle while scaling out, for the half minute that it lives.
Seen on the lab while one lived: it stood in the EndpointSlice as not ready; allowed disruptions,
replicas and the autoscaler's conditions were unchanged.
"""

import re
import threading
from collections.abc import Iterable, Mapping

import msgspec

from acpchaos.errors import AcpchaosError, DeadlinePassed, TargetLeftDirty
from acpchaos.posture.probes.attempts import RUN, SOURCE, SOURCE_VARIABLE, Source
from acpchaos.target.cluster import ApiRefused, Cluster, Object
from acpchaos.target.profile import Profile
from acpchaos.wait import eventually

LABEL = "acpchaos.io/posture"
PREFIX = "acpchaos-posture-"  # of every namespace, and of every pod outside of one
START_S = 30.0
GONE_S = 60.0
LOOK_S = 0.5
LIFE_S = 180  # a pod whose runner died ends by itself
NEVER = "acpchaos.io/never-ready"
_OWNED = re.compile(r"-hash$|^statefulset\.|^apps\.kubernetes\.io/|job-name$|controller-uid$")
_STUCK = re.compile(r"ErrImage|ImagePullBackOff|InvalidImage|CreateContainer|RunContainer|StartErr")


class ScratchClosed(AcpchaosError):
    """The run is being cleaned up, so nothing more is made."""


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """What probe pods run, and where it is already: no nodes means anywhere."""

    name: str
    nodes: tuple[str, ...] = ()
    tolerations: tuple[Object, ...] = ()


class Scratch:
    """Makes and removes everything of one run. Safe to share between threads."""

    def __init__(self, cluster: Cluster, profile: Profile, run_id: str) -> None:
        self.cluster, self.run_id = cluster, run_id
        self.namespace = PREFIX + run_id
        self._homes = (profile.namespaces.acp, profile.namespaces.faas)
        self._lock = threading.Lock()
        self._closed = False

    def open(self) -> None:
        """Make the namespace, as strict as ACP's should be."""
        strict = {"pod-security.kubernetes.io/enforce": "restricted"}
        meta = {"name": self.namespace, "labels": strict}
        self.create("Namespace", {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}, "")

    def create(self, kind: str, body: Object, namespace: str | None = None) -> Object:
        """Create one labelled object, in the scratch namespace unless told otherwise."""
        body["metadata"].setdefault("labels", {})[LABEL] = self.run_id
        where = self.namespace if namespace is None else namespace
        with self._lock:
            if self._closed:
                attempted = f"create {kind} {where}/{body['metadata']['name']}"
                raise ScratchClosed(attempted, "the probes are being ended", "run them again")
            return self.cluster.create(kind, body, where)

    def start(self, pods: Mapping[str, Object]) -> tuple[dict[str, Object], dict[str, str]]:
        """Create pods, by a name of the caller's; (those that run, why the others do not)."""
        failed: dict[str, str] = {}
        for key, pod in pods.items():
            try:
                self.create("Pod", pod, pod["metadata"]["namespace"])
            except AcpchaosError as error:
                failed[key] = error.seen
        waited = {key: pod for key, pod in pods.items() if key not in failed}
        running: dict[str, Object] = {}

        def all_told() -> bool:
            for key, pod in waited.items():
                meta = pod["metadata"]
                found = self.cluster.get("Pod", meta["name"], meta["namespace"])
                if _running(found):
                    running[key] = found
                elif why := _stuck(found):
                    failed[key] = why
            return running.keys() | failed.keys() >= waited.keys()

        try:
            eventually("probe pods to run", all_told, START_S, LOOK_S, transient=(AcpchaosError,))
        except DeadlinePassed:
            late = waited.keys() - running.keys() - failed.keys()
            failed |= dict.fromkeys(late, f"the pod did not run within {START_S:g} s")
        return running, failed

    def clear(self) -> list[str]:
        """Delete everything of any run of probes and see it gone. Returns what was there."""
        found: set[str] = set()
        last = ""

        def gone() -> bool:
            nonlocal last
            try:
                left = self._left()
            except ApiRefused as error:
                if error.status in (401, 403):
                    raise
                last = error.seen  # one that is away for a moment must not end the clean-up
                return False
            found.update(left)
            last = f"still there: {', '.join(left)}"
            return not left

        try:
            eventually("probe pods and namespaces to be gone", gone, GONE_S, LOOK_S)
        except DeadlinePassed:
            raise TargetLeftDirty(
                "remove the posture probes", last,
                f"kubectl delete namespace,pod -A -l {LABEL}",
            ) from None  # fmt: skip
        return sorted(found)

    def close(self) -> None:
        """Make nothing more and delete everything; TargetLeftDirty when something stays."""
        with self._lock:
            self._closed = True
        self.clear()

    def _left(self) -> list[str]:
        """What is still there; whatever is not on its way out is deleted."""
        left = []
        for home in self._homes:
            for meta in _ours(self.cluster.list("Pod", home, LABEL)):
                left.append(f"Pod {home}/{meta['name']}")
                if "deletionTimestamp" not in meta:
                    self.cluster.delete("Pod", meta["name"], home, uid=meta["uid"], grace_s=1)
        for meta in _ours(self.cluster.list("Namespace", selector=LABEL)):
            left.append(f"Namespace {meta['name']}")
            if "deletionTimestamp" not in meta:
                self.cluster.delete("Namespace", meta["name"], uid=meta["uid"])
        return left


def _ours(items: Iterable[Object]) -> list[Object]:
    """Metadata of what a run made, by name too: a label set by mistake deletes nothing."""
    every = (item["metadata"] for item in items)
    return [meta for meta in every if meta["name"].startswith(PREFIX)]


def probe_pod(
    name: str, namespace: str, image: Image, argv: Iterable[str], *,
    labels: Mapping[str, str] | None = None, never_ready: bool = False,
) -> Object:  # fmt: skip
    """A pod that pod-security level "restricted" admits and that ends after LIFE_S.

    Pods of a run prefer different nodes, so that a pair also crosses the way between nodes.
    """
    spec: Object = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": LIFE_S,
        "terminationGracePeriodSeconds": 1,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 65534, "runAsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "tolerations": list(image.tolerations),
        "topologySpreadConstraints": [_APART],
        "containers": [_container(image.name, argv)],
    }  # fmt: skip
    if image.nodes:
        terms = [_on_node(node) for node in image.nodes]
        required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
        spec["affinity"] = {"nodeAffinity": required}
    if never_ready:
        spec["readinessGates"] = [{"conditionType": NEVER}]
    # a mesh's proxy would answer in the place of every target
    unmeshed = {"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"}
    meta = {"name": name, "namespace": namespace, "labels": dict(labels or {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta | {"annotations": unmeshed},
        "spec": spec,
    }


def _container(image: str, argv: Iterable[str]) -> Object:
    return {
        "name": "probe",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": [*RUN, *argv],
        "env": [
            {"name": SOURCE_VARIABLE, "value": SOURCE},
            {"name": "PYTHONDONTWRITEBYTECODE", "value": "1"},
        ],
        "resources": {
            "requests": {"cpu": "10m", "memory": "32Mi"},
            "limits": {"cpu": "500m", "memory": "64Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


_APART: Object = {
    "maxSkew": 1,
    "topologyKey": "kubernetes.io/hostname",
    "whenUnsatisfiable": "ScheduleAnyway",
    "labelSelector": {"matchExpressions": [{"key": LABEL, "operator": "Exists"}]},
}


def _on_node(name: str) -> Object:
    return {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [name]}]}


def stand_in_labels(pod: Object) -> dict[str, str]:
    """The labels of a pod by which policies know it, without those by which its owner does."""
    labels: dict[str, str] = pod["metadata"].get("labels") or {}
    return {key: value for key, value in labels.items() if not _OWNED.search(key)}


def forbids_stand_in(cluster: Cluster, namespace: str, labels: Mapping[str, str]) -> str:
    """Why a stand-in with these labels would not be harmless here; empty when it would be."""
    for service in cluster.list("Service", namespace):
        spec = service["spec"]
        if spec.get("publishNotReadyAddresses") and _within(spec.get("selector"), labels):
            name = service["metadata"]["name"]
            return f"Service {namespace}/{name} publishes pods that are not ready"
    for kind in ("ReplicaSet", "DaemonSet"):
        for owner in cluster.list(kind, namespace):
            # expressions are taken to hold: one stand-in too few harms nobody
            if _within((owner["spec"].get("selector") or {}).get("matchLabels"), labels):
                return f"{kind} {namespace}/{owner['metadata']['name']} would adopt the pod"
    return ""


def _within(selector: Mapping[str, str] | None, labels: Mapping[str, str]) -> bool:
    return bool(selector) and selector.items() <= labels.items()  # type: ignore[union-attr]


def source_of(pod: Object) -> Source:
    """A pod as a place to ask from."""
    return Source(pod["metadata"]["namespace"], pod["metadata"]["name"])


def _running(pod: Object) -> bool:
    status = pod.get("status") or {}
    return status.get("phase") == "Running" and bool(status.get("podIP"))


def _stuck(pod: Object) -> str:
    """Why a pod will never run; empty while it still may."""
    status = pod.get("status") or {}
    if status.get("phase") in ("Failed", "Succeeded"):
        return f"the pod ended at once: {status.get('reason') or _ended(status)}"
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if _STUCK.search(waiting.get("reason", "")):
            return f"{waiting['reason']}: {waiting.get('message', '')}"[:300]
    return ""


def _ended(status: Object) -> str:
    ends = [
        (container.get("state") or {}).get("terminated") or {}
        for container in status.get("containerStatuses") or []
    ]
    told = [f"{end.get('reason', '')} {end.get('message', '')}".strip() for end in ends if end]
    return "; ".join(told)[:300] or "no reason told"
