"""Who reaches whom on the fake API server: NetworkPolicies in force, or not where the network of a
cluster enforces none; and the stores' connections that depend on it.

An evaluation of its own, so that the product's arithmetic on policies is judged by what it does.
"""

import re
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
            every = [
                policy["spec"]
                for policy in self.api.store.items("networkpolicies", NAMESPACE, "", "")
            ]
        return _lets(every, "Ingress", to, of) and _lets(every, "Egress", of, to)

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
        if "create_connection" in line and "ThreadPool" in line:
            return self._tried_all(pod, argv[3:])
        if "create_connection" in line:
            return self._tried(pod, argv[-2])
        if "CLIENT KILL ID" in line:
            return self._ended(pod, line, argv[4:])
        if "pg_terminate_backend" in line:
            return self._ended(pod, line, re.findall(r"'([\d.]+)'::inet", line))
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
        [target] = self._of([host])
        return ("open\n" if self.reaches(source, target) else "timeout\n"), 0

    def _tried_all(self, source: str, places: list[str]) -> Answer:
        if source in self.silent:
            return "", 1
        open_now = [p for p in places if self.reaches(source, self._of([p.partition(":")[0]])[0])]
        return "\n".join(open_now), 0

    def _of(self, addresses: list[str]) -> list[str]:
        with self.api.store.lock:
            every = self.api.store.items("pods", NAMESPACE, "", "")
            pods = {p["status"].get("podIP"): str(p["metadata"]["name"]) for p in every}
        return [pods[address] for address in addresses if address in pods]

    def _ended(self, pod: str, line: str, addresses: list[str]) -> Answer:
        """Whoever is let in comes again."""
        had = self.sessions.get(pod, 2)
        hit = self.stores._changes(pod, line)
        if hit:
            again = any(self.reaches(each, hit) for each in self._of(addresses))
            self.sessions[hit] = 2 if again else 0
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


def _lets(every: list[Object], way: str, own: dict[str, str], other: dict[str, str]) -> bool:
    """Whether policies that say of `own` who comes in (or where it may go) allow the other one."""
    rules = [
        spec.get(way.lower()) or []
        for spec in every
        if way in spec.get("policyTypes", ["Ingress"]) and _selected(spec["podSelector"], own)
    ]
    peers = "from" if way == "Ingress" else "to"
    return not rules or any(
        not rule.get(peers)
        or any(_selected(each.get("podSelector", {}), other) for each in rule[peers])
        for each_rules in rules
        for rule in each_rules
    )


def _selected(selector: Object, labels: dict[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    for each in selector.get("matchExpressions", []):
        among = labels.get(each["key"]) in each["values"]
        if among != (each["operator"] == "In"):
            return False
    return True
