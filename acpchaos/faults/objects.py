"""Objects of the cluster changed or deleted for a while, and put back as they were.

Room: faults. The prior state lies in the undo record, and for a Secret in an annotation of the
Secret itself, since no other object may hold what it holds. Number of replicas and status are not
part of a state: autoscaler and controllers own them.
"""

import base64
import copy
import json
from typing import Any

from acpchaos.target.cluster import ApiRefused, Cluster, Object
from acpchaos.target.kinds import find_kind

Change = dict[str, Any]
KEPT = "acpchaos.io/kept-secret"  # a name under which snapshots seal what stands there
_CONTROLLERS = "deployment.kubernetes.io/"  # annotations that a controller writes
_OWN = ("labels", "annotations")
_TRIES = 5


def change_object(kind: str, found: Object) -> Change:
    """This object will be changed or deleted, and is to be as it is now. Never a Secret."""
    if kind == "Secret":
        raise ValueError("what a Secret holds must not lie in an undo record")
    meta = found["metadata"]
    return {
        "kind": "object", "object": kind, "namespace": meta.get("namespace", ""),
        "name": meta["name"], "manifest": state(kind, found),
    }  # fmt: skip


def change_words(kind: str, found: Object) -> Change:
    """Labels and annotations of this object will be changed, nothing else of it."""
    meta = found["metadata"]
    return {
        "kind": "words", "object": kind, "namespace": meta.get("namespace", ""),
        "name": meta["name"], **_words(found),
    }  # fmt: skip


def change_secret(found: Object) -> Change:
    """This Secret will be changed by `write_secret`."""
    meta = found["metadata"]
    return {"kind": "secret", "namespace": meta["namespace"], "name": meta["name"]}


def state(kind: str, found: Object) -> Object:
    """What of an object is put back and compared."""
    kept = {k: v for k, v in found.items() if k not in ("status", "metadata")}
    kept = copy.deepcopy(kept) | {"kind": kind, "apiVersion": _version(kind)}
    meta = found["metadata"]
    own = {key: meta[key] for key in ("name", "namespace") if key in meta}
    kept["metadata"] = own | {key: words for key, words in _words(found).items() if words}
    if isinstance(kept.get("spec"), dict):
        kept["spec"].pop("replicas", None)
    return kept


def _version(kind: str) -> str:
    return find_kind(kind).api.removeprefix("apis/").removeprefix("api/")


def _words(found: Object) -> dict[str, dict[str, str]]:
    """Labels and annotations, without those that controllers write."""
    every = {key: found["metadata"].get(key) or {} for key in _OWN}
    return {
        key: {k: v for k, v in words.items() if not k.startswith(_CONTROLLERS)}
        for key, words in every.items()
    }


def write(cluster: Cluster, kind: str, change: Change, after: Object) -> None:
    """Make the object what `after` says, keeping what is not part of its state."""
    for left in reversed(range(_TRIES)):
        found = cluster.get(kind, change["name"], change["namespace"])
        try:
            cluster.replace(kind, _over(found, after), change["namespace"])
            return
        except ApiRefused as error:
            if error.status != 409 or not left:  # 409: a controller wrote in between
                raise


def _over(found: Object, after: Object) -> Object:
    body, meta = copy.deepcopy(after), copy.deepcopy(found["metadata"])
    for key in _OWN:
        written = {k: v for k, v in (meta.get(key) or {}).items() if k.startswith(_CONTROLLERS)}
        meta[key] = {**(after["metadata"].get(key) or {}), **written}
    body["metadata"] = meta
    if "replicas" in (found.get("spec") or {}):
        body["spec"]["replicas"] = found["spec"]["replicas"]
    return body


def write_words(cluster: Cluster, change: Change, words: Object) -> None:
    """Other labels and annotations, as a merge: what is no longer among them is removed."""
    found = cluster.get(change["object"], change["name"], change["namespace"])
    patch: Object = {}
    for key, own in _words(found).items():
        gone = dict.fromkeys(own.keys() - (words.get(key) or {}).keys())
        patch[key] = {**(words.get(key) or {}), **gone}
    cluster.patch(change["object"], change["name"], {"metadata": patch}, change["namespace"])


def write_secret(cluster: Cluster, change: Change, data: dict[str, str]) -> None:
    """Other data (base64) in a Secret; what it held is kept in it in the same write."""
    found = cluster.get("Secret", change["name"], change["namespace"])
    before = json.dumps(found.get("data") or {})
    meta = found["metadata"]
    words = dict(meta.get("annotations") or {})
    words.setdefault(KEPT, base64.b64encode(before.encode()).decode())
    meta["annotations"] = words
    cluster.replace("Secret", {**found, "data": data}, change["namespace"])


def restore(cluster: Cluster, run_id: str, change: Change) -> None:
    """The way back of `change_object`: the object as it was, made again when it is gone."""
    kind, manifest = change["object"], change["manifest"]
    if cluster.find(kind, change["name"], change["namespace"]) is None:
        cluster.create(kind, copy.deepcopy(manifest), change["namespace"])
    else:
        write(cluster, kind, change, manifest)


def restored(cluster: Cluster, run_id: str, change: Change) -> bool:
    """Whether the object is as it was."""
    found = cluster.find(change["object"], change["name"], change["namespace"])
    if found is None or "deletionTimestamp" in found["metadata"]:
        return False
    return bool(state(change["object"], found) == change["manifest"])


def restore_words(cluster: Cluster, run_id: str, change: Change) -> None:
    """The way back of `change_words`."""
    write_words(cluster, change, change)


def words_restored(cluster: Cluster, run_id: str, change: Change) -> bool:
    """Whether labels and annotations are as they were."""
    found = cluster.get(change["object"], change["name"], change["namespace"])
    return bool(_words(found) == {key: change[key] for key in _OWN})


def restore_secret(cluster: Cluster, run_id: str, change: Change) -> None:
    """The way back of `change_secret`; nothing to do where nothing was kept."""
    found = cluster.get("Secret", change["name"], change["namespace"])
    words = dict(found["metadata"].get("annotations") or {})
    if KEPT not in words:
        return
    data = json.loads(base64.b64decode(words.pop(KEPT)))
    found["metadata"]["annotations"] = words
    cluster.replace("Secret", {**found, "data": data}, change["namespace"])


def secret_restored(cluster: Cluster, run_id: str, change: Change) -> bool:
    """Whether nothing is kept in the Secret any more."""
    found = cluster.get("Secret", change["name"], change["namespace"])
    return KEPT not in (found["metadata"].get("annotations") or {})
