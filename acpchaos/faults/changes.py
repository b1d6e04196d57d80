"""The kinds of change a fault may make to the cluster, each with its way back and a look after.

Room: faults. A change is plain data that lies in the cluster before the change is made, so that any
later process can undo it. Reverting is idempotent, touches only what the run itself changed, and
leads to the prior state, not to a default.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from acpchaos.faults import fields, files, frozen, machines, node_changes, objects, records
from acpchaos.faults.filling import disk_emptied, empty_disk
from acpchaos.faults.rotation import passwords_restored, restore_passwords
from acpchaos.stores import postgres
from acpchaos.stores.exec import Exec, inside
from acpchaos.target.cluster import ApiRefused, Cluster, Object
from acpchaos.target.profile import Workload

CORDONED_BY = "acpchaos.io/cordoned-by"
RUN_LABEL = "acpchaos.io/run"

Change = dict[str, Any]


class Reverter(NamedTuple):
    """`revert` starts the way back; `settled` looks whether the prior state is there again."""

    revert: Callable[[Cluster, str, Change], None]
    settled: Callable[[Cluster, str, Change], bool]


def cordon(node: Object) -> Change:
    """The node was schedulable and will be cordoned by the run."""
    return {"kind": "cordon", "name": node["metadata"]["name"], "uid": node["metadata"]["uid"]}


def remove_stateful_set(manifest: Object) -> Change:
    """The StatefulSet will be deleted with its volumes, and is to be created again as it was."""
    meta = manifest["metadata"]
    kept = {key: meta[key] for key in ("name", "namespace", "labels", "annotations") if key in meta}
    body = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": kept,
        "spec": manifest["spec"],
    }
    return {"kind": "stateful-set", "name": meta["name"], "uid": meta["uid"], "manifest": body}


def create_object(kind: str, namespace: str, name: str) -> Change:
    """An object labelled acpchaos.io/run will be created, and is to be deleted."""
    return {"kind": "created", "object": kind, "namespace": namespace, "name": name}


def add_markers(namespace: str, workload: Workload) -> Change:
    """A table of our own will be added to the SQL store, and is to be dropped."""
    return {
        "kind": "markers", "name": workload.name, "namespace": namespace,
        "selector": workload.selector, "container": workload.container,
    }  # fmt: skip


def describe(change: Change) -> str:
    """Short name of a change for people, e.g. `cordon worker-2`, `field coredns spec.replicas`."""
    where = f" {'.'.join(change['path'])}" if "path" in change else ""
    where += f" {change['word']}" if change.get("word") else ""
    return f"{change['kind']} {change['name']}{where}"


def _uncordon(cluster: Cluster, run_id: str, change: Change) -> None:
    if _cordoned_by(cluster, run_id, change):
        body = {
            "metadata": {"uid": change["uid"], "annotations": {CORDONED_BY: None}},
            "spec": {"unschedulable": None},
        }
        cluster.patch("Node", change["name"], body)


def _uncordoned(cluster: Cluster, run_id: str, change: Change) -> bool:
    return not _cordoned_by(cluster, run_id, change)


def _cordoned_by(cluster: Cluster, run_id: str, change: Change) -> bool:
    node = cluster.find("Node", change["name"])
    if node is None or node["metadata"]["uid"] != change["uid"]:
        return False
    return (node["metadata"].get("annotations") or {}).get(CORDONED_BY) == run_id


def _redeploy(cluster: Cluster, run_id: str, change: Change) -> None:
    manifest = change["manifest"]
    namespace = manifest["metadata"]["namespace"]
    found = cluster.find("StatefulSet", change["name"], namespace)
    if found is None:
        try:
            cluster.create("StatefulSet", manifest, namespace)
        except ApiRefused as error:
            if error.status != 409:  # someone redeployed it meanwhile, which is the goal
                raise


def _redeployed(cluster: Cluster, run_id: str, change: Change) -> bool:
    namespace = change["manifest"]["metadata"]["namespace"]
    found = cluster.find("StatefulSet", change["name"], namespace)
    if found is None or "deletionTimestamp" in found["metadata"]:
        return False
    wanted = change["manifest"]["spec"].get("replicas", 1)
    return bool(found["spec"].get("replicas", 1) == wanted)


def _remove(cluster: Cluster, run_id: str, change: Change) -> None:
    found = _created(cluster, run_id, change)
    if found is not None:
        cluster.delete(
            change["object"], change["name"], change["namespace"], uid=found["metadata"]["uid"]
        )


def _created(cluster: Cluster, run_id: str, change: Change) -> Object | None:
    found = cluster.find(change["object"], change["name"], change["namespace"])
    ours = found is not None and (found["metadata"].get("labels") or {}).get(RUN_LABEL) == run_id
    return found if ours else None


def _removed(cluster: Cluster, run_id: str, change: Change) -> bool:
    return _created(cluster, run_id, change) is None


def _drop_markers(cluster: Cluster, run_id: str, change: Change) -> None:
    run, leader = _sql_leader(cluster, change)
    postgres.drop_markers(run, leader, change["container"])


def _dropped(cluster: Cluster, run_id: str, change: Change) -> bool:
    run, leader = _sql_leader(cluster, change)
    return not postgres.markers(run, leader, change["container"])


def _sql_leader(cluster: Cluster, change: Change) -> tuple[Exec, str]:
    pods = cluster.list("Pod", change["namespace"], change["selector"])
    run = inside(cluster, change["namespace"])
    names = sorted(pod["metadata"]["name"] for pod in pods)
    return run, postgres.leader(postgres.members(run, names, change["container"]))


REVERTERS = {
    "cordon": Reverter(_uncordon, _uncordoned),
    "stateful-set": Reverter(_redeploy, _redeployed),
    "markers": Reverter(_drop_markers, _dropped),
    "created": Reverter(_remove, _removed),
    "object": Reverter(objects.restore, objects.restored),
    "words": Reverter(objects.restore_words, objects.words_restored),
    "field": Reverter(fields.restore_field, fields.field_restored),
    "frozen": Reverter(frozen.thaw, frozen.thawed),
    "secret": Reverter(objects.restore_secret, objects.secret_restored),
    "redis-password": Reverter(restore_passwords, passwords_restored),
    "filled": Reverter(empty_disk, disk_emptied),
    "records": Reverter(records.remove_records, records.records_removed),
    "file": Reverter(files.restore_file, files.file_restored),
    machines.KIND: Reverter(machines.revert, machines.settled),
    **dict.fromkeys(node_changes.WAYS, Reverter(node_changes.revert, node_changes.settled)),
}
