"""The way back of a filled disk: the file that fills it is taken away, or has gone by itself.

Room: faults. The undo record names pod and folder. Nobody reaches the file without a command in the
pod, so the reaper leaves it to its own end.
"""

from typing import Any

from acpchaos.stores import redis_disk
from acpchaos.stores.exec import inside
from acpchaos.target.cluster import Cluster, Object

Change = dict[str, Any]


def fill_disk(pod: Object, container: str, folder: str) -> Change:
    """A file will fill the disk that this folder of the pod lies on."""
    meta = pod["metadata"]
    return {
        "kind": "filled", "name": meta["name"], "namespace": meta["namespace"],
        "container": container, "folder": folder,
    }  # fmt: skip


def empty_disk(cluster: Cluster, run_id: str, change: Change) -> None:
    """Take the file away; the volume follows the name of its pod, not its UID."""
    run = inside(cluster, change["namespace"])
    redis_disk.empty(run, change["name"], change["container"], change["folder"])


def disk_emptied(cluster: Cluster, run_id: str, change: Change) -> bool:
    """Whether the file is there no more."""
    run = inside(cluster, change["namespace"], reads=True)
    return not redis_disk.look(run, change["name"], change["container"]).filled
