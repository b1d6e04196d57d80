"""Objects in memory with resource versions, a change history for watches, and tiny controllers.

It models only what the product relies on: UIDs, preconditions, conflicts, disruption budgets,
scheduling by cordon and by volume, and controllers that replace pods.
"""

import copy
import itertools
import json
import re
import threading
import time
import uuid

from fake_api import processes
from fake_api.shelf import Key, Object, Shelf


class Refused(Exception):
    """An HTTP error answer."""

    def __init__(self, status: int, message: str, causes: list[str] | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.causes = status, message, causes or []


class Store:
    """State of the fake cluster. Switches at the top turn on misbehaviour."""

    def __init__(self) -> None:
        self.evict_is_noop = False
        self.forbidden: list[str] = []  # patterns of "METHOD path" answered with 403
        self.swallowed: list[str] = []  # patterns of calls answered with 200 and not carried out
        self.redirected: list[tuple[str, str]] = []  # pattern of changing calls, and what instead
        self.stale: Shelf | None = None  # where reads of all but ConfigMaps come from
        self.may_not: list[str] = []  # patterns of "verb resource" that access reviews deny
        self.terminate_s = 0.05
        self.calls: list[str] = []
        self.asked: list[tuple[str, bool]] = []  # calls, and whether each is a watch
        self.served: list[str] = []  # group/version of kinds that others brought
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.objects = Shelf()
        self.history: list[tuple[int, str, str, Object]] = []  # version, plural, change, object
        self.oldest = 0
        self._versions = itertools.count(1)
        self._serial = itertools.count(1)

    def freeze_reads(self) -> None:
        """From now on reads tell what is true now, whatever changes: a cache that hangs."""
        with self.lock:
            self.stale = copy.deepcopy(self.objects)

    def read(self, key: Key) -> Object:
        """As `get`, from the hanging cache when there is one."""
        if self.stale is None or key[0] == "configmaps":
            return self.get(key)
        if key not in self.stale:
            raise Refused(404, f"{key[0]} {key[2]!r} not found")
        return self.stale[key]

    def put(self, plural: str, item: Object, change: str = "ADDED") -> Object:
        """Store without any check; used to set a scene."""
        with self.lock:
            meta = item["metadata"]
            meta.setdefault("uid", str(uuid.uuid4()))
            version = next(self._versions)
            meta["resourceVersion"] = str(version)
            self.objects[(plural, meta.get("namespace", ""), meta["name"])] = item
            self._note(version, plural, change, item)
            return item

    def drop(self, key: Key) -> None:
        with self.lock:
            item = self.objects.pop(key)
            self._note(next(self._versions), key[0], "DELETED", item)

    def groups(self) -> list[Object]:
        """What discovery tells of `served`."""
        return [
            {"name": each.partition("/")[0], "preferredVersion": {"groupVersion": each}}
            for each in self.served
        ]

    def compact(self) -> None:
        """Forget the history: watches from before get HTTP 410."""
        with self.lock:
            self.oldest = next(self._versions)
            self.history.clear()

    def _note(self, version: int, plural: str, change: str, item: Object) -> None:
        self.history.append((version, plural, change, copy.deepcopy(item)))
        self.changed.notify_all()

    def get(self, key: Key) -> Object:
        if key not in self.objects:
            raise Refused(404, f"{key[0]} {key[2]!r} not found")
        return self.objects[key]

    def items(self, plural: str, namespace: str, labels: str, fields: str) -> list[Object]:
        terms = [term.partition("=") for term in labels.split(",") if term]
        wanted = {key: value for key, equals, value in terms if equals}
        present = {key for key, _, _ in terms}
        node = fields.removeprefix("spec.nodeName=") if fields else ""
        source = self.objects if self.stale is None or plural == "configmaps" else self.stale
        found = source.keys_of.get(plural, ())
        ours = [key for key in found if not namespace or key[1] == namespace]
        return [
            item
            for item in map(source.__getitem__, sorted(ours))
            if wanted.items() <= (item["metadata"].get("labels") or {}).items()
            and present <= (item["metadata"].get("labels") or {}).keys()
            and (not node or item["spec"].get("nodeName") == node)
        ]

    def create(self, plural: str, namespace: str, item: Object) -> Object:
        key = (plural, namespace, item["metadata"]["name"])
        if key in self.objects:
            raise Refused(409, f"{plural} {key[2]!r} already exists")
        if namespace:
            item["metadata"]["namespace"] = namespace
        item["metadata"].setdefault("generation", 1)
        item["metadata"].pop("uid", None)
        return self.put(plural, item)

    def replace(self, key: Key, item: Object) -> Object:
        old = self.get(key)
        version = item["metadata"].get("resourceVersion")
        if version and version != old["metadata"]["resourceVersion"]:
            raise Refused(409, "the object has been modified")
        item["metadata"]["uid"] = old["metadata"]["uid"]
        item["metadata"].setdefault("namespace", key[1])
        return self.put(key[0], item, "MODIFIED")

    def patch(self, key: Key, change: Object) -> Object:
        old = self.get(key)
        self.expect_uid(old, (change.get("metadata") or {}).get("uid"))
        return self.put(key[0], merged(old, change), "MODIFIED")

    def delete(self, key: Key, options: Object) -> None:
        item = self.get(key)
        wanted = options.get("preconditions") or {}
        self.expect_uid(item, wanted.get("uid"))
        if (
            wanted.get("resourceVersion", item["metadata"]["resourceVersion"])
            != (item["metadata"]["resourceVersion"])
        ):
            raise Refused(409, "the object has been modified")
        graceful = key[0] == "pods" and options.get("gracePeriodSeconds") != 0
        if graceful:
            item["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            # who asks again does not put off the end
            item.setdefault("_ends", time.monotonic() + self.terminate_s)
            self.put("pods", item, "MODIFIED")
        else:
            self.drop(key)
        if key[0] == "namespaces":
            for inside in [each for each in self.objects if each[1] == key[2]]:
                self.drop(inside)

    def expect_uid(self, item: Object, uid: str | None) -> None:
        if uid and uid != item["metadata"]["uid"]:
            raise Refused(409, f"uid {uid} is not that of {item['metadata']['name']}")

    def evict(self, key: Key, options: Object) -> None:
        pod = self.get(key)
        self.expect_uid(pod, (options.get("preconditions") or {}).get("uid"))
        for budget in self.budgets(pod):
            if budget["status"]["disruptionsAllowed"] < 1:
                name = budget["metadata"]["name"]
                raise Refused(
                    429,
                    "Cannot evict pod as it would violate the pod's disruption budget.",
                    [f"The disruption budget {name} needs more healthy pods"],
                )
        if not self.evict_is_noop:
            self.delete(key, {})

    def budgets(self, pod: Object) -> list[Object]:
        labels = pod["metadata"].get("labels") or {}
        return [
            budget
            for budget in self.items("poddisruptionbudgets", pod["metadata"]["namespace"], "", "")
            if budget["spec"]["selector"]["matchLabels"].items() <= labels.items()
        ]

    def reconcile(self) -> None:
        """One round of all controllers; called before every request. They see no stale reads."""
        stale, self.stale = self.stale, None
        try:
            self._round()
        finally:
            self.stale = stale

    def _round(self) -> None:
        for key, item in list(self.objects.items()):
            if key[0] == "pods" and item.get("_ends", 1e18) < time.monotonic():
                self.drop(key)
        for plural in ("deployments", "statefulsets", "daemonsets"):
            for owner in self.items(plural, "", "", ""):
                self._replicate(plural, owner)
        for pod in self.items("pods", "", "", ""):
            self._schedule(pod)
        for plural in ("deployments", "statefulsets"):
            for owner in self.items(plural, "", "", ""):
                owner["status"] = self._status(owner)
        processes.run_helpers(self)
        for scaler in self.items("horizontalpodautoscalers", "", "", ""):
            self._autoscale(scaler)
        for piece in self.items("endpointslices", "", "", ""):
            if "_selector" in piece:
                selector = {"matchLabels": piece["_selector"]}
                pods = self._selected(piece["metadata"]["namespace"], {"selector": selector})
                piece["endpoints"] = [{"conditions": {"ready": ready(pod)}} for pod in pods]
        for budget in self.items("poddisruptionbudgets", "", "", ""):
            pods = self._selected(budget["metadata"]["namespace"], budget["spec"])
            unhealthy = sum(not ready(pod) for pod in pods)
            allowed = max(0, budget["spec"]["maxUnavailable"] - unhealthy)
            budget["status"] = {"disruptionsAllowed": allowed}

    def _autoscale(self, scaler: Object) -> None:
        """It sees as long as the metrics server serves, where the scene has one."""
        server = self.objects.get(("deployments", "kube-system", "metrics-server"))
        if server is not None:
            sees = str(server["status"]["readyReplicas"] > 0)
            scaler["status"] = {"conditions": [
                {"type": "AbleToScale", "status": "True"},
                {"type": "ScalingActive", "status": sees},
            ]}  # fmt: skip

    def _selected(self, namespace: str, spec: Object) -> list[Object]:
        wanted = spec["selector"]["matchLabels"]
        return [
            pod
            for pod in self.items("pods", namespace, "", "")
            if wanted.items() <= (pod["metadata"].get("labels") or {}).items()
        ]

    def _replicate(self, plural: str, owner: Object) -> None:
        space, spec = owner["metadata"]["namespace"], owner["spec"]
        kind = {"deployments": "ReplicaSet", "statefulsets": "StatefulSet"}.get(plural, "DaemonSet")
        pods = self._selected(space, spec)
        if kind == "DaemonSet":
            return
        if kind == "StatefulSet":
            names = [f"{owner['metadata']['name']}-{i}" for i in range(spec["replicas"])]
            own = [pod for pod in pods if owned_by(pod, owner)]
            self._end([pod for pod in own if pod["metadata"]["name"] not in names])
            missing = [name for name in names if ("pods", space, name) not in self.objects]
        else:
            going = [pod for pod in pods if "deletionTimestamp" not in pod["metadata"]]
            count = spec["replicas"] - len(going)
            own = [pod for pod in going if owned_by(pod, owner)]
            self._end(own[spec["replicas"] :])
            old = [pod for pod in own if pod.get("_template") != template_of(owner)]
            if len(going) == len(pods) and count == 0 and all(ready(pod) for pod in pods):
                self._end(old[:1])  # a rolling update, one pod at a time
            name = owner["metadata"]["name"]
            missing = [f"{name}-{next(self._serial)}" for _ in range(count)]
        for name in missing:
            self.put("pods", self._pod(owner, kind, name))

    def _end(self, pods: list[Object]) -> None:
        for pod in pods:
            if "deletionTimestamp" not in pod["metadata"]:
                meta = pod["metadata"]
                self.delete(("pods", meta["namespace"], meta["name"]), {})

    def _pod(self, owner: Object, kind: str, name: str) -> Object:
        space = owner["metadata"]["namespace"]
        reference = {
            "kind": kind, "name": owner["metadata"]["name"], "controller": True,
            "uid": owner["metadata"]["uid"],
        }  # fmt: skip
        volumes: list[Object] = [{"name": "tmp", "emptyDir": {}}]
        for template in owner["spec"].get("volumeClaimTemplates") or []:
            claim = f"{template['metadata']['name']}-{name}"
            volumes.append({"name": "data", "persistentVolumeClaim": {"claimName": claim}})
            self._claim(space, claim)
        return {
            "metadata": {
                "name": name, "namespace": space, "ownerReferences": [reference],
                "labels": dict(owner["spec"]["selector"]["matchLabels"]),
            },
            "spec": {"volumes": volumes, "containers": containers_of(owner)},
            "status": {"phase": "Pending"}, "_template": template_of(owner),
        }  # fmt: skip

    def _claim(self, space: str, claim: str) -> None:
        if ("persistentvolumeclaims", space, claim) in self.objects:
            return
        volume = f"pv-{next(self._serial)}"
        meta = {"name": claim, "namespace": space}
        self.put("persistentvolumeclaims", {"metadata": meta, "spec": {"volumeName": volume}})
        self.put("persistentvolumes", {"metadata": {"name": volume}, "spec": {}})

    def _schedule(self, pod: Object) -> None:
        if pod["spec"].get("nodeName"):
            return
        pinned = self._pinned(pod)
        nodes = [
            node["metadata"]["name"]
            for node in self.items("nodes", "", "", "")
            if not node["spec"].get("unschedulable")
            and pinned in ("", node["metadata"]["name"])
            and "zone" in node["metadata"]["labels"].get("topology.kubernetes.io/zone", "")
        ]
        if not nodes:
            return
        labels = pod["metadata"]["labels"]
        peers = [
            other["spec"].get("nodeName")
            for other in self.items("pods", pod["metadata"]["namespace"], "", "")
            if other["metadata"].get("labels") == labels
        ]
        chosen = min(nodes, key=lambda name: (peers.count(name), name))
        pod["spec"]["nodeName"] = chosen
        pod["status"] = {
            "phase": "Running", "conditions": [{"type": "Ready", "status": "True"}],
            "podIP": f"10.244.0.{next(self._serial)}", "hostIP": f"10.9.0.{ord(chosen[-1])}",
            "containerStatuses": [
                {"name": each["name"], "restartCount": 0, "containerID": processes.new_id(),
                 "state": {"running": {}}, "lastState": {}}
                for each in pod["spec"].get("containers") or []
            ],
        }  # fmt: skip
        self._bind(pod, chosen)
        self.put("pods", pod, "MODIFIED")

    def _volumes(self, pod: Object) -> list[Object]:
        space = pod["metadata"]["namespace"]
        names = [
            volume["persistentVolumeClaim"]["claimName"]
            for volume in pod["spec"].get("volumes") or []
            if "persistentVolumeClaim" in volume
        ]
        claims = [self.get(("persistentvolumeclaims", space, name)) for name in names]
        return [self.get(("persistentvolumes", "", c["spec"]["volumeName"])) for c in claims]

    def _pinned(self, pod: Object) -> str:
        bound = [v["spec"]["nodeAffinity"]["required"] for v in self._volumes(pod)
                 if "nodeAffinity" in v["spec"]]  # fmt: skip
        return bound[0]["node"] if bound else ""

    def _bind(self, pod: Object, node: str) -> None:
        for volume in self._volumes(pod):
            volume["spec"]["nodeAffinity"] = {"required": {"node": node}}

    def _status(self, owner: Object) -> Object:
        pods = self._selected(owner["metadata"]["namespace"], owner["spec"])
        whole = sum(ready(pod) for pod in pods)
        counts = dict.fromkeys(("readyReplicas", "availableReplicas"), whole)
        fresh = [pod for pod in pods if pod.get("_template") == template_of(owner)]
        counts["updatedReplicas"] = min(whole, len(fresh))
        return {"replicas": len(pods), "observedGeneration": 99} | counts


def ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    ok = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ok and "deletionTimestamp" not in pod["metadata"]


def owned_by(pod: Object, owner: Object) -> bool:
    references = pod["metadata"].get("ownerReferences") or []
    return any(each["uid"] == owner["metadata"]["uid"] for each in references)


def template_of(owner: Object) -> str:
    """What of a workload's template makes other pods."""
    return json.dumps(owner["spec"].get("template") or {}, sort_keys=True)


def containers_of(owner: Object) -> list[Object]:
    """Its containers, or one of no particular name."""
    spec = (owner["spec"].get("template") or {}).get("spec") or {}
    return copy.deepcopy(spec.get("containers") or [{"name": "main"}])


def merged(base: Object, change: Object) -> Object:
    """RFC 7386."""
    result = copy.deepcopy(base)
    for key, value in change.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            below = result.get(key)
            result[key] = merged(below if isinstance(below, dict) else {}, value)
        else:
            result[key] = value
    return result


def forbidden(store: Store, call: str) -> bool:
    return any(re.search(pattern, call) for pattern in store.forbidden)


def redirected(store: Store, call: str, path: str, body: Object) -> tuple[str, Object]:
    """A changing call as an injector with a wrong target would have made it: other path, no UID."""
    for pattern, instead in store.redirected:
        if re.search(pattern, call):
            path = re.sub(pattern.partition(" ")[2] or pattern, instead, path)
            body = copy.deepcopy(body)
            body.pop("preconditions", None)
            (body.get("metadata") or {}).pop("uid", None)
    return path, body
