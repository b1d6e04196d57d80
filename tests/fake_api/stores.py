"""Stores on the fake API server that live and die with their pods, and answer commands in them.

A Redis Cluster of three masters with a replica each, and Patroni stores whose leader lock is an
Endpoints object, as the lab has them. A command that changes something can be made to do nothing,
to hit another pod, or to be refused.
"""

import hashlib
import json
from typing import Any

from fake_api.server import FakeApi

NAMESPACE = "acp-system"
SLOTS = ("0-5460", "5461-10922", "10923-16383")
Answer = tuple[str, int]


class Stores:
    """`deaf`: changes are answered as done and not done. `instead`: pod by pod, who is hit."""

    def __init__(self, api: FakeApi) -> None:
        self.api, self.deaf, self.instead = api, False, dict[str, str]()
        self.denied = False
        self.shards = {f"redis-cluster-{n}": f"redis-cluster-{n + 3}" for n in range(3)}
        self.keys = dict.fromkeys(self.shards, 7)
        self.flushes: dict[str, int] = {}  # by UID of the pod, since statistics die with it
        self.commands: list[tuple[str, str]] = []  # that were to change something
        for store in ("postgresql", "timescaledb"):
            self.lead(store, f"{store}-0")
        api.on_exec = self.answer

    def uid(self, pod: str) -> str:
        """Of the pod that bears this name now; empty when there is none."""
        with self.api.store.lock:
            found = self.api.store.objects.get(("pods", NAMESPACE, pod))
            return str(found["metadata"]["uid"]) if found else ""

    def lead(self, store: str, pod: str) -> None:
        """Move Patroni's lock."""
        words = {"leader": pod, "renewTime": "2026-01-01T00:00:00", "transitions": "1"}
        meta = {"name": store, "namespace": NAMESPACE, "annotations": words}
        self.api.store.put("endpoints", {"metadata": meta})

    def leader(self, store: str) -> str:
        with self.api.store.lock:
            item = self.api.store.read(("endpoints", NAMESPACE, store))
            return str(item["metadata"]["annotations"]["leader"])

    def answer(self, pod: str, argv: list[str]) -> Answer:
        """What a command in a pod says, and its exit code."""
        line = " ".join(argv)
        if argv[0] == "touch":
            return self._thaw(pod)
        if not self.uid(pod):
            return "no such pod", 1
        if pod.startswith("redis"):
            return self._redis(pod, line)
        if "pg_postmaster_start_time" in line:
            store = pod.rpartition("-")[0]
            return f"{self.uid(pod)}|{'f' if self.leader(store) == pod else 't'}", 0
        if "/switchover" in line:
            return self._switch(pod, json.loads(argv[-1]))
        if "/cluster" in line:
            return json.dumps({"members": self._members(pod.rpartition("-")[0])}), 0
        return "", 0

    def _thaw(self, helper: str) -> Answer:
        from fake_api import processes

        with self.api.store.lock:
            found = self.api.store.get(("pods", "kube-system", helper))
            if not self.deaf:
                processes.continue_stopped(self.api.store, found)
        return "", 0

    def _changes(self, pod: str, line: str) -> str:
        """The pod that a change really hits; empty when none."""
        self.commands.append((pod, line))
        return "" if self.deaf else self.instead.get(pod, pod)

    def _redis(self, pod: str, line: str) -> Answer:
        if "FLUSHALL" in line:
            if self.denied:
                return "NOPERM this user has no permissions to run the 'flushall' command\n", 1
            hit = self._changes(pod, line)
            if hit in self.keys:
                self.keys[hit] = 0
                self.flushes[self.uid(hit)] = self.flushes.get(self.uid(hit), 0) + 1
            return "OK\n", 0
        if "commandstats" in line:
            calls = self.flushes.get(self.uid(pod), 0)
            return f"cmdstat_get:calls=9,usec=1\r\ncmdstat_flushall:calls={calls},usec=3\r\n", 0
        return self._node(pod), 0

    def _node(self, pod: str) -> str:
        master = pod in self.shards
        own = ["role:master", "connected_slaves:1"]
        if not master:
            own = ["role:slave", "master_link_status:up"]
        shard = pod if master else next(m for m, r in self.shards.items() if r == pod)
        lines = [f"run_id:{self.uid(pod)}", *own, "cluster_state:ok", "cluster_slots_ok:16384"]
        lines += [self._member(each, pod) for each in (*self.shards, *self.shards.values())]
        return "\r\n".join([*lines, str(self.keys[shard])]) + "\r\n"

    def _member(self, pod: str, asked: str) -> str:
        master = next((m for m, r in self.shards.items() if r == pod), "")
        flags = "slave" if master else "master"
        flags += ",myself" if pod == asked else "" if self.uid(pod) else ",fail"
        slots = "" if master else " " + SLOTS[list(self.shards).index(pod)]
        of = node_id(master) if master else "-"
        return f"{node_id(pod)} 10.0.0.1:6379@16379 {flags} {of} 0 0 1 connected{slots}"

    def _switch(self, pod: str, wish: dict[str, str]) -> Answer:
        if self.denied:
            return "Unauthorized", 22
        if wish["leader"] != self.leader(pod.rpartition("-")[0]):
            return "leader name does not match", 22
        hit = self._changes(pod, json.dumps(wish))
        if hit:
            store = hit.rpartition("-")[0]
            number = wish["candidate"].rpartition("-")[2]
            self.lead(store, f"{store}-{number}")
        return "Successfully switched over", 0

    def _members(self, store: str) -> list[dict[str, Any]]:
        leader = self.leader(store)
        names = [name for name in (f"{store}-{n}" for n in range(3)) if self.uid(name)]
        return [
            {"name": name, "role": "leader" if name == leader else "sync_standby", "lag": 0,
             "state": "running" if name == leader else "streaming", "timeline": 1}
            for name in names
        ]  # fmt: skip


def node_id(pod: str) -> str:
    """A Redis node keeps its id on its volume, so it follows the pod's name."""
    return hashlib.sha1(pod.encode()).hexdigest()
