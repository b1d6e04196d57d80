"""The hardened lab as a snapshot without a cluster: its manifests, and what it would answer.

What the lab's files say is read from them, so that a row that the lab no longer meets fails here.
"""

import copy
import datetime as dt
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import yaml

from acpchaos.posture.collect import CUSTOM
from acpchaos.record import snapshot as store
from acpchaos.record.snapshot import (
    LAST_CHANGE,
    PUBLISHED,
    PUBLISHED_PORTS,
    Answer,
    Object,
    Policy,
    Probe,
    Scope,
    Served,
    Snapshot,
    WorkloadRef,
)
from acpchaos.target.profile import load_profile
from lab.up import NAMESPACES

from .building_x509 import Issuer, chain

PROJECT = Path(__file__).parents[2]
MANIFESTS = PROJECT / "lab" / "manifests"
RECORDED = Path(__file__).parent / "hardened"  # taken from the lab, with probes
NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
ACP = "acp-system"
STORES = ("redis", "sql", "analytics")
PORTS = {"redis": (6379, 16379), "sql": (5432, 8008), "analytics": (5432, 8008)}
SECRETS = (
    "built-in-secret", "chart-test-secret", "chart-test-value", "docs-secret-1", "docs-secret-2",
)  # fmt: skip
SEALED = "sealed:0123456789ab:43:-"
_KINDS = (
    "Certificate", "ClusterRole", "ClusterRoleBinding", "ConfigMap", "CronJob", "DaemonSet",
    "Deployment", "Ingress", "Job", "Namespace", "NetworkPolicy", "Node", "Pod", "Role",
    "RoleBinding", "Secret", "Service", "ServiceAccount", "StatefulSet",
)  # fmt: skip


def hardened() -> Snapshot:
    """A copy that a test may change."""
    return msgspec.msgpack.decode(_encoded(), type=Snapshot)


def recorded() -> Snapshot:
    """The hardened lab as it was recorded, under the policy that its profile has today. Kinds of
    other makers that have come to be read since are not among the definitions that the lab
    installs, so it had none of them. Nor was it asked for its ports from outside."""
    found = store.read(RECORDED)
    objects = dict[str, list[Object]]({kind: [] for kind in CUSTOM}) | found.objects
    under = msgspec.structs.replace(found.scope, policy=scope().policy)
    probes = outside_ports() | found.probes
    return msgspec.structs.replace(found, objects=objects, scope=under, probes=probes)


@cache
def _encoded() -> bytes:
    return msgspec.msgpack.encode(_hardened())


@cache
def issuer() -> Issuer:
    return Issuer("lab CA", NOW)


@cache
def acp_chain() -> tuple[str, ...]:
    """What ACP's pods serve: leaf and CA."""
    ends = ("", ".acp-system", ".acp-system.svc", ".acp-system.svc.cluster.local")
    names = [service + end for service in ("acp", "acp-workers") for end in ends]
    return chain(issuer(), [*names, "localhost"])


@cache
def ingress_chain() -> tuple[str, ...]:
    return chain(issuer(), ["localhost"])


def _hardened() -> Snapshot:
    objects: dict[str, list[Object]] = {kind: [] for kind in (*_KINDS, *CUSTOM)}
    for each in [*documents(), *_cluster(), *_secrets()]:
        objects.setdefault(each["kind"], []).append(each)
    for deployment in objects["Deployment"]:
        if deployment["metadata"]["namespace"] == ACP:
            deployment["metadata"]["annotations"] = {LAST_CHANGE: _before(hours=1)}
            objects["Pod"].append(_pod_of(deployment))
    return Snapshot(
        source="live",
        taken_at=NOW.isoformat(),
        scope=scope(),
        objects=objects,
        answers=_answers(),
        served=_served(),
        probes=_probes(),
    )


def scope() -> Scope:
    """From the lab's own profile."""
    profile = load_profile(PROJECT / "targets" / "kind.toml")
    names = ("acp", "workers", *STORES)
    workloads = {name: getattr(profile.workloads, name).model_dump() for name in names}
    posture = {k: v for k, v in profile.posture.model_dump().items() if k in _policy_fields()}
    return Scope(
        profile="kind",
        base_url="https://localhost:8443",
        workloads={name: WorkloadRef(**given) for name, given in workloads.items()},
        policy=Policy(**posture),
    )


def _policy_fields() -> set[str]:
    return {each.name for each in msgspec.structs.fields(Policy)}


def documents() -> list[Object]:
    """Objects of the lab's manifests; kustomize does nothing to them but set the namespace."""
    found = []
    for folder, namespace in (
        ("acp", ACP), ("stores/redis-cluster", ACP), ("stores/postgresql", ACP),
        ("stores/timescaledb", ACP), ("cluster", ""),
    ):  # fmt: skip
        for path in sorted((MANIFESTS / folder).glob("*.yaml")):
            if path.name in ("kustomization.yaml", "patroni.yml"):
                continue
            parsed = yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader)
            found += [_placed(each, namespace) for each in parsed]
        found += [_placed(each, namespace) for each in _generated(MANIFESTS / folder)]
    return found


def _generated(folder: Path) -> list[Object]:
    """ConfigMaps that kustomize makes of files."""
    path = folder / "kustomization.yaml"
    told = yaml.safe_load(path.read_text()) if path.exists() else {}
    return [
        {
            "kind": "ConfigMap",
            "apiVersion": "v1",
            "metadata": {"name": each["name"]},
            "data": {file: (folder / file).read_text() for file in each["files"]},
        }
        for each in told.get("configMapGenerator") or []
    ]


def _placed(found: Object, namespace: str) -> Object:
    meta = found["metadata"]
    if namespace and not found["kind"].startswith("Cluster"):
        meta["namespace"] = namespace
    for subject in found.get("subjects") or []:
        subject.setdefault("namespace", namespace)
    return dict(found)


def _cluster() -> list[Object]:
    """What a kubeadm cluster brings itself, as far as rows look at it."""
    others = ("kube-system", "default", "monitoring")
    found: list[Object] = [
        {
            "kind": "Namespace",
            "metadata": {"name": n, "labels": {"kubernetes.io/metadata.name": n, **labels}},
        }
        for n, labels in (NAMESPACES | {name: {} for name in others}).items()
        if n != "ingress"  # among the manifests
    ]
    found += [_node(f"node-{at}", f"10.244.{at}.0/24", f"10.89.0.{at + 2}") for at in range(3)]
    found.append(_apiserver())
    roles: list[tuple[str, Object]] = [
        ("cluster-admin", {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
        ("system:controller:generic-garbage-collector", _rule("*", "*", "get list patch delete")),
        ("system:controller:replicaset-controller", _rule("", "pods", "create patch delete")),
        ("system:kube-controller-manager", _rule("", "secrets", "get create update delete")),
    ]
    for name, rule in roles:
        found.append({"kind": "ClusterRole", "metadata": {"name": name}, "rules": [rule]})
    system = "ServiceAccount:kube-system/"
    for role, subject in (
        ("cluster-admin", "Group:system:masters"),
        ("cluster-admin", "Group:kubeadm:cluster-admins"),
        ("system:controller:generic-garbage-collector", f"{system}generic-garbage-collector"),
        ("system:controller:replicaset-controller", f"{system}replicaset-controller"),
        ("system:kube-controller-manager", "User:system:kube-controller-manager"),
    ):
        found.append(binding("ClusterRoleBinding", f"{role}-{subject[:5]}", role, subject))
    return found


def _rule(group: str, resource: str, verbs: str) -> Object:
    return {"apiGroups": [group], "resources": [resource], "verbs": verbs.split()}


def binding(
    kind: str, name: str, role: str, subject: str, role_kind: str = "ClusterRole"
) -> Object:
    """A binding of one subject, written Kind:name as in policies."""
    sort, _, who = subject.partition(":")
    entry: Object = {"kind": sort, "name": who}
    if sort == "ServiceAccount":
        entry = {"kind": sort, "namespace": who.partition("/")[0], "name": who.partition("/")[2]}
    meta = {"name": name} | ({"namespace": ACP} if kind == "RoleBinding" else {})
    return {
        "kind": kind, "metadata": meta, "subjects": [entry],
        "roleRef": {"kind": role_kind, "name": role},
    }  # fmt: skip


def _node(name: str, pods: str, address: str) -> Object:
    return {
        "kind": "Node",
        "metadata": {"name": name},
        "spec": {"podCIDR": pods, "podCIDRs": [pods]},
        "status": {"addresses": [{"type": "InternalIP", "address": address}]},
    }


def _apiserver() -> Object:
    command = [
        "kube-apiserver", "--encryption-provider-config=/etc/kubernetes/acpchaos/encryption.yaml",
        "--service-cluster-ip-range=10.96.0.0/16",
    ]  # fmt: skip
    return {
        "kind": "Pod",
        "metadata": {
            "name": "kube-apiserver-acpchaos-control-plane",
            "namespace": "kube-system",
            "labels": {"component": "kube-apiserver", "tier": "control-plane"},
        },
        "spec": {"containers": [{"name": "kube-apiserver", "command": command}]},
        "status": {"phase": "Running"},
    }


def _pod_of(deployment: Object) -> Object:
    template = deployment["spec"]["template"]
    owner = {"kind": "ReplicaSet", "name": f"{deployment['metadata']['name']}-5d4f"}
    meta = {
        "name": f"{owner['name']}-x", "namespace": ACP, "ownerReferences": [owner],
        "labels": template["metadata"]["labels"],
    }  # fmt: skip
    spec = copy.deepcopy(template["spec"])
    status = {"phase": "Running", "startTime": _before(hours=1)}
    return {"kind": "Pod", "metadata": meta, "spec": spec, "status": status}


def _before(**past: int) -> str:
    return f"{NOW - dt.timedelta(**past):%Y-%m-%dT%H:%M:%SZ}"


def _secrets() -> list[Object]:
    def secret(name: str, kind: str, data: dict[str, str]) -> Object:
        meta = {"name": name, "namespace": ACP, "annotations": {LAST_CHANGE: _before(hours=2)}}
        return {"kind": "Secret", "type": kind, "metadata": meta, "data": data}

    url = f"postgres://acp:{SEALED}@postgresql.acp-system.svc.cluster.local:5432/acp"
    config = {
        "server": {"url": "https://localhost:8443"},
        "system": {"secret": SEALED},
        "secrets": [{"id": "k1", "key": "sealed:abcdefabcdef:32:-"}],
        "redis": {"password": SEALED},
        "sql": {"url": f"{url}?sslmode=verify-full"},
        "timescale": {"url": url.replace("postgresql", "timescaledb") + "?sslmode=verify-full"},
    }
    tls = {"tls.key": SEALED, "ca.crt": issuer().pem}
    return [
        secret("acp-secret", "Opaque", {"config.yaml": yaml.safe_dump(config)}),
        secret("acp-tls", "kubernetes.io/tls", {**tls, "tls.crt": "".join(acp_chain())}),
        secret("acp-ingress-tls", "kubernetes.io/tls", {**tls, "tls.crt": ingress_chain()[0]}),
    ]


def _answers() -> dict[str, Answer]:
    """What the stand-in answers for the lab's seed."""
    seed = yaml.safe_load((MANIFESTS / "acp" / "seed.yaml.tmpl").read_text())
    system = {"tenant_id": "system", "id": "system", "name": "System"}
    client = {**system, "server_id": "system"}
    tenants = [*seed["tenants"], {"id": "system", "name": "System"}]
    servers = [*seed["servers"], {**system, "type": "system"}]
    clients = [*seed["clients"], client]
    made: dict[str, Any] = {"/api/system/tenants": {"tenants": tenants}}
    for tid in ("acme", "system"):
        mine = [each for each in servers if each["tenant_id"] == tid]
        made[f"/api/admin/{tid}/servers"] = {"servers": mine}
        for server in mine:
            for key, every in (("idps", seed["idps"]), ("clients", clients)):
                kept = [
                    {k: v for k, v in each.items() if k != "secret"}
                    for each in every
                    if (each["tenant_id"], each["server_id"]) == (tid, server["id"])
                ]
                made[f"/api/admin/{tid}/servers/{server['id']}/{key}"] = {key: kept}
    answers = {path: Answer(status=200, body=body) for path, body in made.items()}
    answers["/default/default/.well-known/openid-configuration"] = Answer(status=404)
    features = dict.fromkeys(("dev_mode", "demo_app", "swagger_ui", "insecure_disable_csrf"), False)
    told = features | {"debug": False, "fake_data": False, "system_flags": [], "version": "2.25.0"}
    for path in ("/acme/main", "/acme/opaque", "/api/admin/acme"):
        answers[f"{path}/environment"] = Answer(status=200, body=dict(told))
    return answers


def _served() -> list[Served]:
    pods = ("acp-5d4f-x", "acp-workers-5d4f-x")
    found = [Served(where=f"pod {ACP}/{name}:8443", chain=acp_chain()) for name in pods]
    found.append(Served(where="ingress https://localhost:8443", chain=ingress_chain()))
    return found


def _probes() -> dict[str, Probe]:
    found = {f"login default/{w} {u}": "refused" for w, u in (
        ("admin", "admin"), ("developer", "developer"), ("default", "user"),
    )}  # fmt: skip
    for issuer_path in ("acme/main", "acme/opaque"):  # which have clients to log in by
        found |= {f"login {issuer_path} {u}": "refused" for u in ("admin", "developer", "user")}
    found |= {f"secret {name}": "refused" for name in SECRETS}
    found |= {"cni control": "open", "cni deny": "blocked", "at-rest": "encrypted"}
    found |= {f"foreign acp:{port}": "blocked" for port in (8443, 9000, 9443)}
    found["controller acp:8443"] = "open"
    found |= {f"foreign {s}:{p}": "blocked" for s, ports in PORTS.items() for p in ports}
    found |= {f"acp egress {store}": "open" for store in STORES}
    found |= {f"acp egress {w}": "blocked" for w in ("unlisted", "kube-api", "metadata")}
    return {name: Probe(outcome=outcome) for name, outcome in found.items()} | outside_ports()


def outside_ports() -> dict[str, Probe]:
    """The lab's nodes publish one port, the ingress's: hostPort 8443 in cluster/ingress.yaml."""
    ports = {*PUBLISHED_PORTS, *(port for ports in PORTS.values() for port in ports)}
    return {f"{PUBLISHED}{port}": Probe(outcome="blocked") for port in sorted(ports)}
