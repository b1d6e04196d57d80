"""Rendered manifests as a snapshot: for a pull request, before there is a cluster.

Room: posture. A release's manifests are whole for what the release makes, and silent about the rest
of a cluster: kinds that others make too are left out, so that a rule is undecided where it would
otherwise take silence for absence. It must not know rules.
"""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from acpchaos.errors import UsageError
from acpchaos.posture.documents import LOADER, expands
from acpchaos.posture.redaction import Sealer
from acpchaos.posture.scope import scope_of
from acpchaos.posture.sealing import sealed_object
from acpchaos.posture.wanted import CUSTOM
from acpchaos.record.snapshot import Object, Snapshot
from acpchaos.target.kinds import KINDS
from acpchaos.target.profile import Profile

SOURCE = "acpchaos.io/source"  # annotation: path:line of an object
SUFFIXES = {".yaml", ".yml", ".json"}
# whole in the manifests of a release: the list is there, also where it is empty
_OWN = (
    "ClusterRole", "ConfigMap", "CronJob", "DaemonSet", "Deployment", "Ingress", "Job",
    "NetworkPolicy", "Role", "RoleBinding", "Secret", "Service", "ServiceAccount", "StatefulSet",
)  # fmt: skip
# of the repository around a release: there when seen, else not known
AROUND = ("ExternalSecret", "HelmRelease", "Kustomization", "SealedSecret")
TOLD = (*_OWN, *(kind for kind in CUSTOM if kind not in AROUND))
# made by others, too: manifests that have some of them do not have all
SILENT = {
    "ClusterRoleBinding": "bindings of others reach every namespace",
    "Node": "nodes are the cluster's",
    "Pod": "pods are made later",
}
_RBAC = "rbac.authorization.k8s.io"
_KUSTOMIZE = "kustomize.config.k8s.io/"
# groups that Kubernetes' own kinds stand in, or once stood in; others have kinds of the same names
_GROUPS = {
    "ConfigMap": {""}, "Node": {""}, "Namespace": {""}, "Pod": {""}, "Secret": {""},
    "Service": {""}, "ServiceAccount": {""},
    "DaemonSet": {"apps", "extensions"}, "Deployment": {"apps", "extensions"},
    "StatefulSet": {"apps"}, "CronJob": {"batch"}, "Job": {"batch"},
    "Ingress": {"networking.k8s.io", "extensions"},
    "NetworkPolicy": {"networking.k8s.io", "extensions"},
    "ClusterRole": {_RBAC}, "ClusterRoleBinding": {_RBAC}, "Role": {_RBAC}, "RoleBinding": {_RBAC},
    **{kind: {group} for kind, (group, _, _) in CUSTOM.items() if "." not in kind},
    "GlobalNetworkPolicy": set(), "ClusterNetworkPolicy": set(),  # always with their groups
}  # fmt: skip
_CLUSTER_SCOPED = {name for name, kind in KINDS.items() if not kind.namespaced} | {
    "APIService", "AdminNetworkPolicy", "BaselineAdminNetworkPolicy",
    "CiliumClusterwideNetworkPolicy", "ClusterNetworkPolicy", "GlobalNetworkPolicy",
    "ClusterExternalSecret", "ClusterIssuer", "ClusterSecretStore",
    "CustomResourceDefinition", "GatewayClass", "MutatingWebhookConfiguration", "PriorityClass",
    "RuntimeClass", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration", "VolumeSnapshotClass",
}  # fmt: skip


def from_manifests(path: Path, profile: Profile, taken_at: str = "") -> Snapshot:
    """All objects below a folder or in a file; UsageError when there is none or a text is no YAML.

    Hooks are kept: a Helm job runs as any other.
    """
    raw = list(_read(path, profile))
    if not raw:
        raise UsageError(
            f"read rendered manifests from {path}", "no Kubernetes object is in it",
            "render them first: helm template RELEASE CHART --values FILE --output-dir DIR",
        )  # fmt: skip
    objects, unread = _sealed(raw), {}
    for kind, why in SILENT.items():
        unread[kind] = f"rendered manifests do not tell: {why}"
    _settle_namespaces(objects, unread, profile)
    for kind in TOLD:
        objects.setdefault(kind, [])
    for kind in AROUND:
        if kind not in objects:
            unread[kind] = "rendered manifests do not tell: it may stand elsewhere"
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    return Snapshot(
        source="manifests", taken_at=taken_at or now, scope=scope_of(profile), objects=objects,
        unread=unread,
    )  # fmt: skip


def _sealed(raw: list[Object]) -> dict[str, list[Object]]:
    """Objects by kind; Secrets first, since what they hold is looked for in the others."""
    sealer, objects = Sealer(), dict[str, list[Object]]()
    named = [(_kind(each), each) for each in raw]
    for kind, each in sorted(named, key=lambda pair: pair[0] != "Secret"):
        objects.setdefault(kind, []).append(sealed_object(kind, each, sealer))
    return objects


def _kind(found: Object) -> str:
    """The kind, with its group where it is one of another maker that has the same name."""
    kind, group = str(found["kind"]), str(found["apiVersion"]).rpartition("/")[0]
    return kind if group in _GROUPS.get(kind, {group}) else f"{kind}.{group or 'core'}"


def _settle_namespaces(
    objects: dict[str, list[Object]], unread: dict[str, str], profile: Profile
) -> None:
    """Namespaces count when those of the installation are there; policies name them by label."""
    found = objects.get("Namespace", [])
    wanted = {profile.namespaces.acp, profile.namespaces.ingress}
    if not wanted <= {each["metadata"]["name"] for each in found}:
        objects.pop("Namespace", None)
        unread["Namespace"] = f"rendered manifests lack one of {', '.join(sorted(wanted))}"
    for each in found:
        labels = each["metadata"].setdefault("labels", {})
        labels.setdefault("kubernetes.io/metadata.name", each["metadata"]["name"])


def _read(path: Path, profile: Profile) -> Iterator[Object]:
    for file in _files(path):
        for found, node in _documents(file):
            for each, at in _flattened(found, node):
                yield _completed(each, f"{_shown(file)}:{at}", profile.namespaces.acp)


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        next_step = "name a file, or the folder that helm template wrote"
        raise UsageError(f"read rendered manifests from {path}", "no such place", next_step)
    every = (file for file in sorted(path.rglob("*")) if file.suffix.lower() in SUFFIXES)
    return [file for file in every if file.is_file()]


def _shown(file: Path) -> str:
    """From the working folder, where a code-scanning page looks for the file, when it is there."""
    try:
        return file.resolve().relative_to(Path.cwd()).as_posix()
    except ValueError:
        return file.as_posix()


def _documents(file: Path) -> Iterator[tuple[Any, yaml.Node]]:
    """Each document of a file, as content and as node, which knows its lines."""
    try:
        text = file.read_text(encoding="utf-8")
        if expands(text):
            raise yaml.YAMLError("its aliases make it too large")
        loader = LOADER(text)
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                yield loader.construct_document(node), node
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UsageError(
            f"read rendered manifests from {file}", str(error),
            "give what helm template or kustomize build prints; a chart's templates are no YAML",
        ) from None  # fmt: skip


def _flattened(found: Any, node: yaml.Node) -> Iterator[tuple[Object, int]]:
    """Kubernetes objects with their lines, those in a List one by one; all else is passed over."""
    if not isinstance(found, dict) or not found.get("kind") or not found.get("apiVersion"):
        return
    if str(found["kind"]).endswith("List") and isinstance(found.get("items"), list):
        nodes = next(value.value for key, value in node.value if key.value == "items")
        for item, below in zip(found["items"], nodes, strict=True):
            yield from _flattened(item, below)
    elif (found.get("metadata") or {}).get("name") and not _is_kustomize(found):
        yield found, node.start_mark.line + 1


def _is_kustomize(found: Object) -> bool:
    return str(found["apiVersion"]).startswith(_KUSTOMIZE)


def _completed(found: Object, source: str, namespace: str) -> Object:
    """The object with its source, and with what the API server would add and rules ask for."""
    meta = dict(found["metadata"])
    meta["annotations"] = {**(meta.get("annotations") or {}), SOURCE: source}
    if found["kind"] in _CLUSTER_SCOPED:
        meta.pop("namespace", None)  # the API server takes no notice of it
    else:
        meta["namespace"] = meta.get("namespace") or namespace
    full = {**found, "metadata": meta}
    spec = found.get("spec")
    if _kind(found) == "NetworkPolicy" and isinstance(spec, dict) and not spec.get("policyTypes"):
        types = ["Ingress", *(["Egress"] if spec.get("egress") else [])]
        full["spec"] = {**spec, "policyTypes": types}
    return full
