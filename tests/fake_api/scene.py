"""A three-zone target as the lab makes it, on the fake API server, and its profile file."""

import json
from pathlib import Path

from fake_api.server import FakeApi
from fake_api.shelf import Object
from fake_api.store import Refused
from fake_api.stores import Stores

NAMESPACE = "acp-system"
KUBE_SYSTEM_UID = "uid-of-kube-system"
NODES = {"worker-a": "zone-a", "worker-b": "zone-b", "worker-c": "zone-c"}
REDIS = (
    "run_id:{run_id}\r\nrole:master\r\nconnected_slaves:1\r\ncluster_state:ok\r\n"
    "cluster_slots_ok:16384\r\n7\r\n"
)


def labels(name: str) -> dict[str, str]:
    if name == "timescaledb":
        return {"app": name, "cluster-name": name}
    return {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": "acp"}


def never_emptied(api: FakeApi) -> None:
    """From here on every eviction is refused, though no budget says so beforehand."""

    def refuse(key: object, options: object) -> None:
        raise Refused(429, "Cannot evict pod as it would violate the pod's disruption budget.")

    api.store.evict = refuse  # type: ignore[method-assign]


def build(api: FakeApi) -> None:
    """Nodes, workloads and budgets; Redis answers as three healthy masters."""
    store = api.store
    store.put("namespaces", {"metadata": {"name": "kube-system", "uid": KUBE_SYSTEM_UID}})
    allowed = {"acpchaos.io/allowed": "true"}
    confined = {"pod-security.kubernetes.io/enforce": "restricted"}
    store.put("namespaces", {"metadata": {"name": NAMESPACE, "labels": allowed | confined}})
    healthy = {"conditions": [{"type": "Ready", "status": "True"}]}
    for name, zone in NODES.items():
        meta = {"name": name, "labels": allowed | {"topology.kubernetes.io/zone": zone}}
        store.put("nodes", {"metadata": meta, "spec": {}, "status": dict(healthy)})
    control = {"name": "control-plane", "labels": {}}
    store.put("nodes", {"metadata": control, "spec": {}, "status": dict(healthy)})
    for name in ("acp", "acp-workers"):
        workload(api, "deployments", name)
    for name in ("redis-cluster", "postgresql", "timescaledb"):
        workload(api, "statefulsets", name, volumes=True)
    daemon(api)
    api.on_exec = lambda pod, argv: (_said(api, pod), 0)
    with store.lock:
        store.reconcile()


def _said(api: FakeApi, pod: str) -> str:
    """Healthy words of each store: Patroni's table, or a Redis node's own view."""
    if pod.startswith("redis"):
        return REDIS.format(run_id=_uid(api, pod))
    name, _, _ = pod.rpartition("-")
    roles = [("leader", "running"), ("replica", "streaming"), ("replica", "streaming")]
    members = [
        {"name": f"{name}-{number}", "role": role, "state": state, "timeline": 1, "lag": 0}
        for number, (role, state) in enumerate(roles)
    ]
    return json.dumps({"members": members})


def _uid(api: FakeApi, pod: str) -> str:
    with api.store.lock:
        return str(api.store.get(("pods", NAMESPACE, pod))["metadata"]["uid"])


def workload(api: FakeApi, plural: str, name: str, *, volumes: bool = False) -> None:
    selector = {"matchLabels": labels(name)}
    spec: Object = {"replicas": 3, "selector": selector}
    if volumes:
        spec["volumeClaimTemplates"] = [{"metadata": {"name": "data"}}]
    meta = {"name": name, "namespace": NAMESPACE, "generation": 1, "labels": labels(name)}
    api.store.put(plural, {"metadata": meta, "spec": spec})
    budget = {"maxUnavailable": 1, "selector": selector}
    item = {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": budget,
            "status": {"disruptionsAllowed": 1}}  # fmt: skip
    api.store.put("poddisruptionbudgets", item)


def daemon(api: FakeApi) -> None:
    """A DaemonSet pod with scratch volume, a mirror pod and a pod without owner per node."""
    for node in NODES:
        owners = {
            "agent": [{"kind": "DaemonSet", "controller": True, "uid": "ds"}],
            "mirror": [{"kind": "Node", "controller": True, "uid": "n"}],
            "bare": [],
        }
        for name, references in owners.items():
            meta = {"name": f"{name}-{node}", "namespace": "kube-system",
                    "ownerReferences": references}  # fmt: skip
            spec = {"nodeName": node, "volumes": [{"name": "x", "emptyDir": {}}]}
            api.store.put("pods", {"metadata": meta, "spec": spec, "status": {"phase": "Running"}})


def write_profile(api: FakeApi, folder: Path, **pins: str) -> Path:
    """A kubeconfig for the fake server and a profile that points to it."""
    (folder / "kubeconfig").write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: other\n"
        f"clusters: [{{name: c, cluster: {{server: 'http://{api.host}'}}}}]\n"
        "users: [{name: u, user: {token: t0ken}}]\n"
        "contexts: [{name: fake, context: {cluster: c, user: u}}]\n"
    )
    uid, host = pins.get("uid", KUBE_SYSTEM_UID), pins.get("host", api.host)
    path = folder / "fake.toml"
    path.write_text(
        '[cluster]\nkubeconfig = "kubeconfig"\ncontext = "fake"\n'
        f'kube_system_uid = "{uid}"\napi_host = "{host}"\n'
        '[service]\nbase_url = "https://localhost:8443"\n'
        "[experiments]\nsql_manager = 'patroni'\nzones = true\nredis_cluster = true\nhpa = true\n"
        'may_disrupt = ["acp", "nodes", "redis", "sql", "dns", "metrics", "ingress"]\n'
        'may_lose = ["workload", "quorum", "shard"]\n'
    )
    return path


def whole(api: FakeApi) -> Stores:
    """More of the lab on top of `build`: six Redis nodes, stores that remember, probes and names of
    containers, services of the cluster, and pods of the same names in another namespace."""
    store = api.store
    with store.lock:
        store.get(("statefulsets", NAMESPACE, "redis-cluster"))["spec"]["replicas"] = 6
        for name, container in (("acp", "acp"), ("acp-workers", "acp"), ("redis-cluster", "redis")):
            plural = "statefulsets" if name == "redis-cluster" else "deployments"
            probe = {"periodSeconds": 1, "failureThreshold": 1, "timeoutSeconds": 1}
            image = {"name": container, "image": f"lab/{container}:1", "readinessProbe": probe}
            spec = store.get((plural, NAMESPACE, name))["spec"]
            spec["template"] = {"metadata": {}, "spec": {"containers": [image]}}
    meta = {"name": "acp", "namespace": NAMESPACE}
    store.put("horizontalpodautoscalers", {"metadata": meta, "spec": {}})
    elsewhere = {"metadata": {"name": "elsewhere", "labels": {"acpchaos.io/allowed": "true"}}}
    store.put("namespaces", elsewhere)
    for space, name, count in (
        ("kube-system", "coredns", 2), ("kube-system", "metrics-server", 1),
        ("ingress", "ingress", 2), ("elsewhere", "acp", 3), ("elsewhere", "coredns", 2),
    ):  # fmt: skip
        service(api, space, name, count)
    for pod in [key for key in store.objects if key[0] == "pods" and key[1] == NAMESPACE]:
        store.drop(pod)  # their successors have the templates' containers
    stores = Stores(api)
    with store.lock:
        for _ in range(3):  # claims, pods, statuses
            store.reconcile()
    return stores


def service(api: FakeApi, space: str, name: str, count: int) -> None:
    """A Deployment of the cluster itself, with the endpoints of a Service."""
    words = {"k8s-app": name}
    spec: Object = {"replicas": count, "selector": {"matchLabels": words}}
    meta = {"name": name, "namespace": space, "labels": words, "generation": 1}
    api.store.put("deployments", {"metadata": meta, "spec": spec})
    of = "kube-dns" if name == "coredns" else name
    labels = {"kubernetes.io/service-name": of}
    meta = {"name": f"{of}-x", "namespace": space, "labels": labels}
    api.store.put("endpointslices", {"metadata": meta, "endpoints": [], "_selector": words})
