"""The reaper: takes a run's recorded changes back when its Lease goes stale. Runs in the cluster.

Room: faults, but it knows no other module: this one file runs alone in any image with python3, so
that it works while nothing else of this project does. What it reads is the undo record; a Lease is
stale when its renewal stood still for its whole duration by this machine's clock, API outages not
counted. A stale Lease is taken over first, so that a runner that wakes up again notices.

Settings come by environment: ACPCHAOS_RUN, ACPCHAOS_NAMESPACE, ACPCHAOS_RECORD (name of the undo
record), ACPCHAOS_KINDS (JSON: kind to [API path, plural, namespaced]), ACPCHAOS_API (base URL; by
default that of the pod), ACPCHAOS_ONCE (any text: revert now, whatever the Lease says).
"""

import base64
import datetime as dt
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from typing import Any

LEASE = "acpchaos"
EVERY_S = 0.5
HOLD_S = 60  # of the Lease that is taken over; renewed in each round
ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
RUN_LABEL = "acpchaos.io/run"
CORDONED_BY = "acpchaos.io/cordoned-by"
KEPT_SECRET = "acpchaos.io/kept-secret"  # noqa: S105  # an annotation's name
CONTROLLERS = "deployment.kubernetes.io/"
OWN = ("labels", "annotations")

Object = dict[str, Any]


class Away(Exception):
    """The API server gave no answer, or said that it cannot answer now."""


class Api:
    """Plain JSON over HTTP; 404 and 409 are answers."""

    def __init__(self, base: str, kinds: dict[str, list[Any]]) -> None:
        self.base, self.kinds = base.rstrip("/"), kinds
        self._tls = None
        if self.base.startswith("https"):
            self._tls = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")

    def call(self, method: str, kind: str, namespace: str, name: str, body: Any = None) -> Object:
        """The answer, with its HTTP status under `code` where it is no success."""
        api, plural, namespaced = self.kinds[kind]
        parts = [self.base, api, *(["namespaces", namespace] if namespaced and namespace else [])]
        path = "/".join([*parts, plural, *([name] if name else [])])
        kind_of_body = "merge-patch+json" if method == "PATCH" else "json"
        headers = {"Accept": "application/json", "Content-Type": f"application/{kind_of_body}"}
        if os.path.exists(f"{ACCOUNT}/token"):  # noqa: PTH110  # rotated: read each time
            with open(f"{ACCOUNT}/token", encoding="utf-8") as file:  # noqa: PTH123
                headers["Authorization"] = f"Bearer {file.read().strip()}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=10, context=self._tls) as answer:
                return dict(json.loads(answer.read() or b"{}"))
        except urllib.error.HTTPError as error:
            if error.code in (404, 409):
                return {"code": error.code}
            if error.code in (429, 500, 502, 503, 504):
                raise Away(f"{method} {path}: HTTP {error.code}") from None
            raise RuntimeError(f"{method} {path}: HTTP {error.code}") from None
        except (OSError, ValueError) as error:
            raise Away(f"{method} {path}: {error}") from None

    def find(self, kind: str, namespace: str, name: str) -> Object | None:
        """One object, or None."""
        found = self.call("GET", kind, namespace, name)
        return None if found.get("code") == 404 else found

    def delete(self, kind: str, found: Object, **options: Any) -> None:
        """Exactly this object."""
        meta = found["metadata"]
        body = {"preconditions": {"uid": meta["uid"]}, "propagationPolicy": "Background", **options}
        self.call("DELETE", kind, meta.get("namespace", ""), meta["name"], body)


def uncordon(api: Api, run: str, change: Object) -> bool:
    """Only a node that this run cordoned."""
    node = api.find("Node", "", change["name"])
    if node is None or node["metadata"]["uid"] != change["uid"]:
        return True
    if (node["metadata"].get("annotations") or {}).get(CORDONED_BY) != run:
        return True
    meta = {"uid": change["uid"], "annotations": {CORDONED_BY: None}}
    api.call(
        "PATCH", "Node", "", change["name"], {"metadata": meta, "spec": {"unschedulable": None}}
    )
    return False


def redeploy(api: Api, run: str, change: Object) -> bool:
    """The StatefulSet as it was, when there is none."""
    manifest = change["manifest"]
    space = manifest["metadata"]["namespace"]
    found = api.find("StatefulSet", space, change["name"])
    if found is None:
        api.call("POST", "StatefulSet", space, "", manifest)
        return False
    replicas = found["spec"].get("replicas", 1)
    return "deletionTimestamp" not in found["metadata"] and bool(
        replicas == manifest["spec"].get("replicas", 1)
    )


def remove(api: Api, run: str, change: Object) -> bool:
    """What the run made, known by its label."""
    found = api.find(change["object"], change["namespace"], change["name"])
    if found is None or (found["metadata"].get("labels") or {}).get(RUN_LABEL) != run:
        return True
    api.delete(change["object"], found)
    return False


def restore_field(api: Api, run: str, change: Object) -> bool:
    """One field, while it holds what the run wrote."""
    found = api.find(change["object"], change["namespace"], change["name"])
    value: Any = found
    for key in change["path"]:
        value = value.get(key) if isinstance(value, dict) else None
    if found is None or found["metadata"]["uid"] != change["uid"] or value != change["ours"]:
        return True
    body: Any = change["before"]
    for key in reversed(change["path"]):
        body = {key: body}
    body.setdefault("metadata", {})["uid"] = change["uid"]
    api.call("PATCH", change["object"], change["namespace"], change["name"], body)
    return False


def restore_object(api: Api, run: str, change: Object) -> bool:
    """The whole object, but what controllers own: status, replicas, their annotations."""
    kind, space, wanted = change["object"], change["namespace"], change["manifest"]
    found = api.find(kind, space, change["name"])
    if found is None:
        api.call("POST", kind, space, "", wanted)
        return False
    if "deletionTimestamp" in found["metadata"]:
        return False
    spec = dict(found.get("spec") or {})
    replicas = spec.pop("replicas", None)
    now = {k: v for k, v in found.items() if k not in ("status", "metadata", "kind", "apiVersion")}
    if "spec" in now:
        now["spec"] = spec
    then = {k: v for k, v in wanted.items() if k not in ("metadata", "kind", "apiVersion")}
    words = {key: wanted["metadata"].get(key) or {} for key in OWN}
    if now == then and _words(found) == words:
        return True
    body = {**wanted, "metadata": dict(found["metadata"])}
    for key in OWN:
        kept = found["metadata"].get(key) or {}
        theirs = {k: v for k, v in kept.items() if k.startswith(CONTROLLERS)}
        body["metadata"][key] = {**words[key], **theirs}
    if replicas is not None:
        body["spec"] = {**body["spec"], "replicas": replicas}
    api.call("PUT", kind, space, change["name"], body)
    return False


def restore_words(api: Api, run: str, change: Object) -> bool:
    """Labels and annotations."""
    found = api.find(change["object"], change["namespace"], change["name"])
    if found is None or _words(found) == {key: change[key] for key in OWN}:
        return True
    patch = {}
    for key, now in _words(found).items():
        patch[key] = {**dict.fromkeys(now.keys() - change[key].keys()), **change[key]}
    api.call("PATCH", change["object"], change["namespace"], change["name"], {"metadata": patch})
    return False


def restore_secret(api: Api, run: str, change: Object) -> bool:
    """What the Secret itself keeps."""
    found = api.find("Secret", change["namespace"], change["name"])
    words = dict((found or {"metadata": {}})["metadata"].get("annotations") or {})
    if found is None or KEPT_SECRET not in words:
        return True
    found["data"] = json.loads(base64.b64decode(words.pop(KEPT_SECRET)))
    found["metadata"]["annotations"] = words
    api.call("PUT", "Secret", change["namespace"], change["name"], found)
    return False


def replace_pod(api: Api, run: str, change: Object) -> bool:
    """A stopped process: SIGKILL reaches it with its pod, whose controller makes another."""
    found = api.find("Pod", change["namespace"], change["name"])
    if found is None or found["metadata"]["uid"] != change["uid"]:
        return True
    for status in found.get("status", {}).get("containerStatuses") or []:
        same = str(status.get("containerID", "")).endswith(change["container_id"])
        if status["name"] == change["container"] and not same:
            return True
    api.delete("Pod", found, gracePeriodSeconds=0)
    return False


def ended(api: Api, run: str, change: Object) -> bool:
    """Nobody in the cluster reaches what was done to a node from beneath it: it ends by itself at
    its deadline, and has ended when the node is Ready after that, or is another one."""
    node = api.find("Node", "", change["name"])
    if node is None or node["metadata"]["uid"] != change["uid"]:
        return True
    conditions = node.get("status", {}).get("conditions") or []
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return time.time() > change["due"] and ready


def replace_nodes(api: Api, run: str, change: Object) -> bool:
    """Redis nodes with a password that their pods do not know: their successors have the right one.
    Nobody here can ask a node, so all that the run may have changed are replaced."""
    left = [api.find("Pod", change["namespace"], name) for name in sorted(change["pods"])]
    old = [p for p in left if p and p["metadata"]["uid"] == change["pods"][p["metadata"]["name"]]]
    for pod in old:
        if "deletionTimestamp" not in pod["metadata"]:
            api.delete("Pod", pod)
    return not old


def _words(found: Object) -> dict[str, dict[str, str]]:
    every = {key: found["metadata"].get(key) or {} for key in OWN}
    return {
        key: {k: v for k, v in words.items() if not k.startswith(CONTROLLERS)}
        for key, words in every.items()
    }


REVERTERS = {
    "cordon": uncordon,
    "stateful-set": redeploy,
    "created": remove,
    "field": restore_field,
    "object": restore_object,
    "words": restore_words,
    "secret": restore_secret,
    "frozen": replace_pod,
    "redis-password": replace_nodes,
    "node-frozen": ended,
    "node-off": ended,
    "node-kubelet": ended,
    "node-cut": ended,
    "node-manifest": ended,
    "node-machine": ended,
}


def _known(text: str) -> tuple[Object, Any]:
    """A recorded change and its way back; None where there is none, or nobody can read it."""
    try:
        change = json.loads(text)
        return change, REVERTERS.get(change["kind"]) if "name" in change else None
    except (ValueError, TypeError, LookupError):
        return {"kind": "unreadable"}, None


class Reaper:
    """Waits for its run to end or to die; `round` is one look."""

    def __init__(self, api: Api, run: str, namespace: str, record: str, *, once: bool) -> None:
        self.api, self.run, self.namespace, self.record = api, run, namespace, record
        self.me, self._once = f"reaper of {run}", once
        self._renewed: Any = None
        self._told: set[str] = set()
        self._since_s = time.monotonic()

    def round(self) -> int | None:
        """The exit code, or None to look again: 0 all is clean, 1 something stays."""
        lease = self.api.find("Lease", self.namespace, LEASE)
        found = self.api.find("ConfigMap", self.namespace, self.record)
        if not self._once and not self._stale(lease):
            return None
        if found is None:
            self._let_go(lease)
            return 0
        if not self._once and not self._held(lease):
            return None  # the runner renewed it, or another run took it: look again
        return self._revert(found)

    def _stale(self, lease: Object | None) -> bool:
        """Gone, held by someone else, or not renewed for its whole duration while we could look."""
        spec = (lease or {}).get("spec") or {}
        if not str(spec.get("holderIdentity", "")).startswith(f"{self.run} ("):
            return True
        if spec.get("renewTime") != self._renewed:
            self._renewed, self._since_s = spec.get("renewTime"), time.monotonic()
        return time.monotonic() - self._since_s > float(spec.get("leaseDurationSeconds", 30))

    def lost_sight(self) -> None:
        """The API server was away: the runner gets its whole time again."""
        self._since_s = time.monotonic()

    def _held(self, lease: Object | None) -> bool:
        """Take the run's stale Lease, or keep ours; another run's is left alone, and what is
        recorded is reverted beside it."""
        if lease is None:
            return True
        holder = str(lease["spec"].get("holderIdentity", ""))
        if not holder.startswith((f"{self.run} (", self.me)):
            return True
        now = dt.datetime.now(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")  # noqa: UP017
        ours = {"holderIdentity": self.me, "leaseDurationSeconds": HOLD_S, "renewTime": now}
        lease["spec"] = {**lease["spec"], **ours}
        return "code" not in self.api.call("PUT", "Lease", self.namespace, LEASE, lease)

    def _revert(self, found: Object) -> int | None:
        """Newest first; what is settled leaves the record, and the record goes when it is empty."""
        changes = dict(sorted((found.get("data") or {}).items(), reverse=True))
        unknown = []
        for key, text in changes.items():
            change, way_back = _known(text)
            if way_back is None:
                unknown.append(f"{change.get('kind')} {change.get('name', f'entry {key}')}")
            elif self._reverted(change, way_back):
                body = {"metadata": {"uid": found["metadata"]["uid"]}, "data": {key: None}}
                self.api.call("PATCH", "ConfigMap", self.namespace, self.record, body)
                print(f"reverted {change['kind']} {change['name']}", flush=True)
        left = self.api.find("ConfigMap", self.namespace, self.record)
        if left is None or not left.get("data"):
            if left is not None:
                self.api.delete("ConfigMap", left)
            self._let_go(self.api.find("Lease", self.namespace, LEASE))
            return 0
        if unknown and len(left["data"]) <= len(unknown):
            print(f"no way back from here: {', '.join(unknown)}; acpchaos undo", file=sys.stderr)
            return 1
        return None

    def _reverted(self, change: Object, way_back: Any) -> bool:
        """Act, and look. A refusal is told once and keeps no other change from being reverted."""
        try:
            return any(way_back(self.api, self.run, change) for _ in range(2))
        except (RuntimeError, LookupError, TypeError, ValueError, AttributeError) as error:
            told = f"cannot revert {change['kind']} {change['name']} now: {error}"
            if told not in self._told:
                self._told.add(told)
                print(told, file=sys.stderr, flush=True)
            return False

    def _let_go(self, lease: Object | None) -> None:
        if lease is not None and lease["spec"].get("holderIdentity") == self.me:
            self.api.delete("Lease", lease)


def main() -> int:
    """Look until the run has ended, or is dead and undone."""
    settings = os.environ
    home = f"https://{settings.get('KUBERNETES_SERVICE_HOST')}:443"
    api = Api(settings.get("ACPCHAOS_API", home), json.loads(settings["ACPCHAOS_KINDS"]))
    reaper = Reaper(
        api, settings["ACPCHAOS_RUN"], settings["ACPCHAOS_NAMESPACE"], settings["ACPCHAOS_RECORD"],
        once=bool(settings.get("ACPCHAOS_ONCE")),
    )  # fmt: skip
    space, _, myself = settings.get("ACPCHAOS_SELF", "").partition("/")
    told = False
    while True:
        try:
            if (code := reaper.round()) is not None:
                return code
            if not told:  # Lease and record could be read
                print(f"armed for {reaper.run}", flush=True)
                said = {"data": {"armed": settings.get("ACPCHAOS_NODE") or "unknown"}}
                told = not myself or "code" not in api.call(
                    "PATCH", "ConfigMap", space, myself, said
                )
        except Away as error:
            reaper.lost_sight()
            print(error, file=sys.stderr, flush=True)
        time.sleep(EVERY_S)  # noqa: TID251  # this file runs without the rest of the project


if __name__ == "__main__":
    sys.exit(main())
