"""A target on the fake API server with a network of its own: policies, and how they fail."""

import json
from pathlib import Path

from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.posture.probes import network
from acpchaos.posture.probes.attempts import Attempt, Place
from acpchaos.target.profile import Profile, load_profile

FAAS, NETPOL = "acp-faas", "networkpolicies"
PORTS = {
    "acp": [("http", 8443), ("metrics", 9000), ("grpc", 9443)],
    "redis-cluster": [("tcp-redis", 6379), ("tcp-redis-bus", 16379)],
    "postgresql": [("postgresql", 5432), ("patroni", 8008)],
    "timescaledb": [("postgresql", 5432)],
}
SERVED = {"acp": {8443, 9000}, "redis-cluster": {6379, 16379}, "postgresql": {5432, 8008},
          "timescaledb": {5432}}  # fmt: skip


def profile_of(api: FakeApi, folder: Path, **lines: str) -> Profile:
    """The profile of the scene with these lines in [probes]."""
    path = scene.write_profile(api, folder)
    given = "".join(f'{key} = "{value}"\n' for key, value in lines.items())
    path.write_text(path.read_text() + "[probes]\n" + given)
    return load_profile(path)


class Network:
    """Answers probes as the network of a hardened installation does; switches break it.

    `allowed(source, target)` decides for named ends: client, server, acp, workers, faas, a workload
    of the scene, api, node, metadata, outside.
    """

    def __init__(self, api: FakeApi, *, faas: bool = False) -> None:
        self.api = api
        self.enforces = True
        self.denies_as = "rejected"
        self.closed_as = "refused"
        self.pair_works = True
        self.holes: set[tuple[str, str]] = set()
        self.closed_ways: set[tuple[str, str]] = set()
        self.broken: set[str] = set()  # sources whose exec fails
        self.unheeded: set[str] = set()  # of the pair, who passes the deny policy
        self.metadata = "timeout"
        _furnish(api, faas)
        api.on_exec = self.answer

    def answer(self, pod: str, argv: list[str]) -> tuple[str, int]:
        assert argv[3] == "connect", argv
        source = self.source_of(pod)
        if source in self.broken:
            return "", 1
        ends = [text.rpartition(":") for text in argv[5:]]
        words = [self.word(source, host, int(port)) for host, _, port in ends]
        return json.dumps([[word, 1] for word in words]), 0

    def source_of(self, pod: str) -> str:
        if pod in ("client", "server"):
            return pod
        return pod.removeprefix("acpchaos-posture-").split("-")[0]

    def word(self, source: str, host: str, port: int) -> str:
        target = self.target_of(host)
        if {source, target} == {"client", "server"}:
            return self.pair(source, port)
        if target == "metadata":
            return "open" if (source, target) in self.holes else self.metadata
        if self.enforces and not self.allowed(source, target):
            return self.denies_as
        listens = port in SERVED.get(target, {port})
        return "open" if listens else self.closed_as

    def pair(self, source: str, port: int) -> str:
        if not self.pair_works:
            return "timeout"
        if port == network.CLOSED:
            return self.closed_as
        policies = [i["spec"] for k, i in self.api.store.objects.items() if k[0] == NETPOL]
        let_through = any(spec.get("ingress") == [{}] == spec.get("egress") for spec in policies)
        denied = bool(policies) and not let_through  # policies add up
        heeded = denied and self.enforces and source not in self.unheeded
        return self.denies_as if heeded else "open"

    def allowed(self, source: str, target: str) -> bool:
        if (source, target) in self.closed_ways:
            return False
        if (source, target) in self.holes:
            return True
        stores = ("redis-cluster", "postgresql", "timescaledb")
        if source in ("acp", "workers"):
            return target in stores
        if source == "faas":
            return target == "outside"
        return target not in (*stores, "acp", "acp-workers")  # the foreigner: nothing of ACP

    def target_of(self, host: str) -> str:
        if host.startswith("169.254."):
            return "metadata"
        with self.api.store.lock:
            found = list(self.api.store.objects.items())
        for (plural, _, name), item in found:
            status = item.get("status") or {}
            if plural == "pods" and status.get("podIP") == host:
                return name if name in ("client", "server") else _workload(name)
        if host.startswith("10.9.0."):
            return "node"
        return "api" if host in ("10.96.0.1", "10.89.0.2") else "outside"


def _workload(pod: str) -> str:
    for name in ("acp-workers", "acp", "redis-cluster", "postgresql", "timescaledb"):
        if pod.startswith(name):
            return name
    return pod


def _furnish(api: FakeApi, faas: bool) -> None:
    store = api.store
    with store.lock:
        for (plural, _, name), item in list(store.objects.items()):
            if plural == "pods" and item["metadata"]["namespace"] == scene.NAMESPACE:
                workload = _workload(name)
                ports = PORTS.get(workload, PORTS["acp"])
                item["spec"]["containers"] = [{
                    "name": workload, "image": f"{workload}:1",
                    "ports": [{"name": n, "containerPort": p} for n, p in ports],
                }]  # fmt: skip
                item["metadata"]["labels"]["pod-template-hash"] = "abc"
            if plural == "nodes":
                address = {"type": "InternalIP", "address": f"10.9.0.{ord(name[-1])}"}
                item["status"]["addresses"] = [address]
    kubernetes = {"clusterIP": "10.96.0.1", "ports": [{"port": 443}]}
    meta = {"name": "kubernetes", "namespace": "default"}
    store.put("services", {"metadata": dict(meta), "spec": kubernetes})
    labels = {"kubernetes.io/service-name": "kubernetes"}
    store.put("endpointslices", {
        "metadata": {**meta, "labels": labels},
        "endpoints": [{"addresses": ["10.89.0.2"]}], "ports": [{"port": 6443}],
    })  # fmt: skip
    if faas:
        labels = {"app.kubernetes.io/instance": "acp-faas"}
        meta = {"name": "acp-faas-node-1", "namespace": FAAS, "labels": labels}
        store.put("pods", {
            "metadata": meta, "spec": {"containers": [{"name": "node"}], "nodeName": "worker-a"},
            "status": {"phase": "Running", "podIP": "10.244.9.9", "hostIP": "10.9.0.97"},
        })  # fmt: skip


def shut(tried: list[Place]) -> list[Attempt]:
    """From outside nobody listens at any address of the scene, and nothing leaves this machine."""
    return [Attempt(place, "refused") for place in tried]


def quiet(_: str) -> None:
    """Says nothing."""
