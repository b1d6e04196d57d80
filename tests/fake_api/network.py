"""Who reaches whom on the fake API server: NetworkPolicies in force, or not where the network of a
cluster enforces none; and the stores' connections that depend on it.

An evaluation of its own, so that the product's arithmetic on policies is judged by what it does.
"""

from typing import Any

from fake_api.server import FakeApi
from fake_api.stores import NAMESPACE, Answer, Stores

Object = dict[str, Any]
POD_NAME = "statefulset.kubernetes.io/pod-name"


class Network:
    """`enforced`: whether policies work. `holes`: pods that are let in whatever they say."""

    def __init__(self, api: FakeApi, stores: Stores) -> None:
        self.api, self.stores, self.enforced = api, stores, True
        self.holes: set[str] = set()
        self.silent: set[str] = set()  # pods that answer nobody
        self.sessions: dict[str, int] = {}  # of ACP, by member; whoever is let in comes again
        self.linked = dict.fromkeys(stores.shards.values(), True)
        policies(api)
        with api.store.lock:
            for pod in api.store.items("pods", NAMESPACE, "", ""):
                if pod["metadata"]["ownerReferences"][0]["kind"] == "StatefulSet":
                    pod["metadata"]["labels"][POD_NAME] = pod["metadata"]["name"]
        api.on_exec = self.answer

    def pod(self, name: str) -> Object:
        return self.api.store.get(("pods", NAMESPACE, name))

    def reaches(self, source: str, target: str) -> bool:
        if target in self.silent:
            return False
        if not self.enforced or source in self.holes:
            return True
        with self.api.store.lock:
            of, to = self.labels(source), self.labels(target)
            rules = [
                policy["spec"].get("ingress") or []
                for policy in self.api.store.items("networkpolicies", NAMESPACE, "", "")
                if _selected(policy["spec"]["podSelector"], to)
            ]
        return not rules or any(_lets_in(rule, of) for every in rules for rule in every)

    def labels(self, name: str) -> dict[str, str]:
        labels: dict[str, str] = self.pod(name)["metadata"]["labels"]
        return labels

    def acp(self) -> str:
        with self.api.store.lock:
            label = "app.kubernetes.io/name=acp"
            found = self.api.store.items("pods", NAMESPACE, label, "")
            owned = (p for p in found if p["metadata"].get("ownerReferences"))
            return str(next(owned)["metadata"]["name"])

    def answer(self, pod: str, argv: list[str]) -> Answer:
        line = " ".join(argv)
        if "create_connection" in line:
            return self._tried(pod, argv[-2])
        if "pg_terminate_backend" in line:
            return self._ended(pod, line)
        if "CLIENT KILL TYPE master" in line:
            hit = self.stores._changes(pod, line)
            if hit:
                self.linked[hit] = self.reaches(hit, self._master(hit))
            return "1\n", 0
        if pod in self.silent:
            return "", 1
        if "INFO replication" in line and "CLUSTER" not in line:
            return self._replication(pod), 0
        out, code = self.stores.answer(pod, argv)
        if pod in self.linked and not self._up(pod):
            out = out.replace("master_link_status:up", "master_link_status:down")
        return out, code

    def _tried(self, source: str, host: str) -> Answer:
        with self.api.store.lock:
            every = self.api.store.items("pods", NAMESPACE, "", "")
        [target] = [p["metadata"]["name"] for p in every if p["status"].get("podIP") == host]
        return ("open\n" if self.reaches(source, target) else "timeout\n"), 0

    def _ended(self, pod: str, line: str) -> Answer:
        had = self.sessions.get(pod, 2)
        hit = self.stores._changes(pod, line)
        if hit:
            self.sessions[hit] = 2 if self.reaches(self.acp(), hit) else 0
        return f"{had}\n", 0

    def _up(self, replica: str) -> bool:
        """A replica without its master calls again and again."""
        if not self.linked[replica]:
            self.linked[replica] = self.reaches(replica, self._master(replica))
        return self.linked[replica]

    def _master(self, replica: str) -> str:
        return next(m for m, r in self.stores.shards.items() if r == replica)

    def _replication(self, pod: str) -> str:
        if pod in self.stores.shards:
            count = int(self._up(self.stores.shards[pod]))
            return f"role:master\r\nconnected_slaves:{count}\r\n"
        if self._up(pod):
            return "role:slave\r\nmaster_link_status:up\r\n"
        return "role:slave\r\nmaster_link_status:down\r\nmaster_link_down_since_seconds:9\r\n"


def policies(api: FakeApi) -> None:
    """Of the lab: stores let in ACP, its workers and themselves."""
    callers = {"key": "app.kubernetes.io/name", "operator": "In", "values": ["acp", "acp-workers"]}
    for name, own in (
        ("postgresql", {"app.kubernetes.io/name": "postgresql"}),
        ("timescaledb", {"app": "timescaledb", "cluster-name": "timescaledb"}),
        ("redis-cluster", {"app.kubernetes.io/name": "redis-cluster"}),
    ):
        spec = {
            "podSelector": {"matchLabels": own}, "policyTypes": ["Ingress"],
            "ingress": [
                {"from": [{"podSelector": {"matchExpressions": [callers]}}]},
                {"from": [{"podSelector": {"matchLabels": own}}]},
            ],
        }  # fmt: skip
        api.store.put(
            "networkpolicies", {"metadata": {"name": name, "namespace": NAMESPACE}, "spec": spec}
        )


def _lets_in(rule: Object, labels: dict[str, str]) -> bool:
    peers = rule.get("from")
    return not peers or any(_selected(peer.get("podSelector", {}), labels) for peer in peers)


def _selected(selector: Object, labels: dict[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for each in selector.get("matchExpressions", []):
        among = labels.get(each["key"]) in each["values"]
        if among != (each["operator"] == "In"):
            return False
    return True
