"""Where each Kubernetes kind lives in the API: the only table of paths.

Room: target. Plain JSON over these paths replaces the client's typed models, which refuse objects
with an unknown or missing field and cost fifty times the CPU on long lists.
"""

from typing import NamedTuple
from urllib.parse import quote

from acpchaos.errors import UsageError


class Kind(NamedTuple):
    """Path parts of a kind."""

    api: str
    plural: str
    namespaced: bool = True


KINDS: dict[str, Kind] = {
    "Pod": Kind("api/v1", "pods"),
    "Node": Kind("api/v1", "nodes", False),
    "Namespace": Kind("api/v1", "namespaces", False),
    "ConfigMap": Kind("api/v1", "configmaps"),
    "Secret": Kind("api/v1", "secrets"),
    "Service": Kind("api/v1", "services"),
    "ServiceAccount": Kind("api/v1", "serviceaccounts"),
    "Endpoints": Kind("api/v1", "endpoints"),
    "Event": Kind("api/v1", "events"),
    "PersistentVolumeClaim": Kind("api/v1", "persistentvolumeclaims"),
    "PersistentVolume": Kind("api/v1", "persistentvolumes", False),
    "Deployment": Kind("apis/apps/v1", "deployments"),
    "StatefulSet": Kind("apis/apps/v1", "statefulsets"),
    "ReplicaSet": Kind("apis/apps/v1", "replicasets"),
    "DaemonSet": Kind("apis/apps/v1", "daemonsets"),
    "Job": Kind("apis/batch/v1", "jobs"),
    "CronJob": Kind("apis/batch/v1", "cronjobs"),
    "Lease": Kind("apis/coordination.k8s.io/v1", "leases"),
    "EndpointSlice": Kind("apis/discovery.k8s.io/v1", "endpointslices"),
    "PodDisruptionBudget": Kind("apis/policy/v1", "poddisruptionbudgets"),
    "HorizontalPodAutoscaler": Kind("apis/autoscaling/v2", "horizontalpodautoscalers"),
    "NetworkPolicy": Kind("apis/networking.k8s.io/v1", "networkpolicies"),
    "Ingress": Kind("apis/networking.k8s.io/v1", "ingresses"),
    "IngressClass": Kind("apis/networking.k8s.io/v1", "ingressclasses", False),
    "StorageClass": Kind("apis/storage.k8s.io/v1", "storageclasses", False),
    "Role": Kind("apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": Kind("apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    "ClusterRole": Kind("apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": Kind("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "SelfSubjectAccessReview": Kind(
        "apis/authorization.k8s.io/v1", "selfsubjectaccessreviews", False
    ),
    "CustomResourceDefinition": Kind(
        "apis/apiextensions.k8s.io/v1", "customresourcedefinitions", False
    ),
    "Certificate": Kind("apis/cert-manager.io/v1", "certificates"),
    "PodMetrics": Kind("apis/metrics.k8s.io/v1beta1", "pods"),
}

_BY_PLURAL = {kind.plural: name for name, kind in reversed(KINDS.items())} | {"pods": "Pod"}


def find_kind(name: str) -> Kind:
    """The kind by its name or plural, e.g. Pod or pods."""
    kind = KINDS.get(name) or KINDS.get(_BY_PLURAL.get(name, ""))
    if kind is None:
        raise UsageError(f"address kind {name!r}", "not in the table", "add it to target/kinds.py")
    return kind


def path_of(kind_or_name: Kind | str, namespace: str = "", name: str = "", sub: str = "") -> str:
    """URL path of a collection (no name), an object or its sub-resource.

    A Kind is given for what is not in the table, since its version is the cluster's choice.
    """
    kind = kind_or_name if isinstance(kind_or_name, Kind) else find_kind(kind_or_name)
    parts = ["", kind.api]
    if kind.namespaced and namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts.append(kind.plural)
    if name:
        parts.append(quote(name, safe=""))
    if sub:
        parts.append(sub)
    return "/".join(parts)
