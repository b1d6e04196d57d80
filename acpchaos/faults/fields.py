"""One field of one object changed for a while, and put back as it was.

Room: faults. Narrower than `objects`: only this field is touched both ways, and only while it still
holds what the run wrote, so that whatever an operator or controller did meanwhile stays.
"""

from typing import Any

from acpchaos.target.cluster import Cluster, Object

Change = dict[str, Any]
RESTARTED_AT = ("spec", "template", "metadata", "annotations", "kubectl.kubernetes.io/restartedAt")
REPLICAS = ("spec", "replicas")


def change_field(kind: str, found: Object, path: tuple[str, ...], ours: object) -> Change:
    """This field will hold `ours` and is to hold again what it holds now; None is absent."""
    meta = found["metadata"]
    return {
        "kind": "field", "object": kind, "namespace": meta.get("namespace", ""),
        "name": meta["name"], "uid": meta["uid"], "path": list(path),
        "before": value_at(found, path), "ours": ours,
    }  # fmt: skip


def value_at(found: Object, path: tuple[str, ...] | list[str]) -> Any:
    """What the object holds there, None where it has no such field."""
    value: Any = found
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def write_field(cluster: Cluster, change: Change) -> None:
    """Make the recorded change, on exactly the recorded object."""
    _write(cluster, change, change["ours"])


def restore_field(cluster: Cluster, run_id: str, change: Change) -> None:
    """The way back of `change_field`."""
    if _ours(cluster, change):
        _write(cluster, change, change["before"])


def field_restored(cluster: Cluster, run_id: str, change: Change) -> bool:
    """Whether the run's value is there no more."""
    return not _ours(cluster, change)


def _ours(cluster: Cluster, change: Change) -> bool:
    found = cluster.find(change["object"], change["name"], change["namespace"])
    if found is None or found["metadata"]["uid"] != change["uid"]:
        return False
    return bool(value_at(found, change["path"]) == change["ours"])


def _write(cluster: Cluster, change: Change, value: object) -> None:
    body: Any = value
    for key in reversed(change["path"]):
        body = {key: body}
    body.setdefault("metadata", {})["uid"] = change["uid"]
    cluster.patch(change["object"], change["name"], body, change["namespace"])
