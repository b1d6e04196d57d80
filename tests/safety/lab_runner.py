"""The runner that R6 kills on the lab: guard, Lease, armed reaper, recorded changes, and a hold."""

import sys
import threading
from pathlib import Path

from acpchaos.faults import arming, changes
from acpchaos.faults.undo import UndoLog
from acpchaos.record.events import Clock
from acpchaos.record.mutations import FILE, Mutations
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import Lock
from acpchaos.target.profile import load_profile

TTL_S = 5
HOLD_S = 4.0  # how long the changes last, so that most kills find them
MADE = "acpchaos-r6"


def strike(cluster: Cluster, undo: UndoLog, namespace: str) -> None:
    """A node cordoned and an object made: no pod of the lab is disturbed by either."""
    node = cluster.list("Node", selector=f"{guard.OPT_IN}=true")[0]
    undo.record(changes.cordon(node))
    meta = {"uid": node["metadata"]["uid"], "annotations": {changes.CORDONED_BY: undo.run_id}}
    name = node["metadata"]["name"]
    cluster.patch("Node", name, {"metadata": meta, "spec": {"unschedulable": True}})
    undo.record(changes.create_object("ConfigMap", namespace, MADE))
    own = {"name": MADE, "labels": {changes.RUN_LABEL: undo.run_id}}
    cluster.create("ConfigMap", {"metadata": own}, namespace)


def main(target: str, home: str, run_id: str) -> None:
    """Live once."""
    profile = load_profile(target)
    namespace = profile.namespaces.acp
    with Mutations(Path(home) / FILE) as mutations:
        cluster = Cluster.from_profile(profile, mutations)
        guard.require(cluster, profile)
        with (
            Lock(cluster, namespace, run_id, TTL_S),
            arming.armed(cluster, profile, run_id) as said,
        ):
            print(said, flush=True)
            undo = UndoLog(cluster, namespace, run_id, None, Clock())
            strike(cluster, undo, namespace)
            threading.Event().wait(HOLD_S)
            undo.revert_all()


if __name__ == "__main__":
    main(*sys.argv[1:])
