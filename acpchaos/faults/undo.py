"""Write-ahead undo: a change is recorded in the cluster before it is made, and reverted from there.

Room: faults. The record is the ConfigMap acpchaos-undo-<run> in ACP's namespace, so it outlives the
runner; `undo_run` is the stop button that any later process may press, as often as it likes.
"""

import json
import re
from typing import Any

from acpchaos.errors import AcpchaosError, TargetLeftDirty
from acpchaos.faults.changes import REVERTERS, Change, describe
from acpchaos.record.events import Clock, Undo
from acpchaos.record.journal import Journal
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.profile import Profile
from acpchaos.wait import eventually

UNDO_LABEL = "acpchaos.io/undo"
VERIFY_S = 120.0  # the slowest is a namespace whose pods and volumes end first


class UndoLog:
    """The recorded changes of one run."""

    def __init__(
        self, cluster: Cluster, namespace: str, run_id: str, journal: Journal | None, clock: Clock
    ) -> None:
        self._cluster, self._namespace, self.run_id = cluster, namespace, run_id
        self._journal, self._clock = journal, clock
        self._name = "acpchaos-undo-" + re.sub(r"[^a-z0-9.-]+", "-", run_id.lower()).strip("-.")

    def record(self, change: Change) -> str:
        """Make the record durable in the cluster; only then may the change be made."""
        recorded = self._read()
        if recorded is None:
            self._cluster.create("ConfigMap", self._body(), self._namespace)
            recorded = {}
        key = f"{max((int(key) for key in recorded), default=0) + 1:04d}"
        body = {"data": {key: json.dumps(change, sort_keys=True)}}
        self._cluster.patch("ConfigMap", self._name, body, self._namespace)
        self._tell(change, "recorded")
        return key

    def outstanding(self) -> dict[str, Change]:
        """Recorded changes that are not verified as reverted, by key."""
        return self._read() or {}

    def revert(self, *keys: str) -> None:
        """Revert these changes and see that the prior state is back; else TargetLeftDirty."""
        changes = self.outstanding()
        self._revert({key: changes[key] for key in keys if key in changes})

    def revert_all(self) -> int:
        """Revert all that is outstanding, newest first, and remove the record. Returns how many."""
        changes = self.outstanding()
        self._revert(dict(sorted(changes.items(), reverse=True)))
        self._cluster.delete("ConfigMap", self._name, self._namespace)
        return len(changes)

    def _revert(self, changes: dict[str, Change]) -> None:
        """One failure does not keep the others from being reverted."""
        failures = []
        for key, change in changes.items():
            try:
                self._revert_one(key, change)
            except AcpchaosError as error:
                self._tell(change, "failed", seen=error.seen)
                failures.append(f"{describe(change)}: {error.seen}")
        if failures:
            raise TargetLeftDirty(
                f"undo run {self.run_id}",
                "; ".join(failures),
                f"remove the cause, then: acpchaos undo {self.run_id}",
            )

    def _revert_one(self, key: str, change: Change) -> None:
        way_back = REVERTERS[change["kind"]]

        def settled() -> bool:
            if way_back.settled(self._cluster, self.run_id, change):
                return True
            way_back.revert(self._cluster, self.run_id, change)
            return way_back.settled(self._cluster, self.run_id, change)

        eventually(f"undo of {describe(change)}", settled, VERIFY_S, transient=(AcpchaosError,))
        self._tell(change, "reverted")
        self._tell(change, "verified")
        self._cluster.patch("ConfigMap", self._name, {"data": {key: None}}, self._namespace)

    def _read(self) -> dict[str, Change] | None:
        found = self._cluster.find("ConfigMap", self._name, self._namespace)
        if found is None:
            return None
        return {key: json.loads(text) for key, text in (found.get("data") or {}).items()}

    def _body(self) -> Object:
        meta = {
            "name": self._name,
            "labels": {UNDO_LABEL: "true"},
            "annotations": {"acpchaos.io/run": self.run_id},
        }
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}

    def _tell(self, change: Change, state: str, **detail: Any) -> None:
        if self._journal is not None:
            now_ns = self._clock.now_ns()
            event = Undo(t_ns=now_ns, change=describe(change), state=state, detail=detail)
            self._journal.write(event)


def recorded_runs(cluster: Cluster, namespace: str) -> list[str]:
    """Runs that left an undo record in the cluster."""
    records = cluster.list("ConfigMap", namespace, selector=f"{UNDO_LABEL}=true")
    return [record["metadata"]["annotations"]["acpchaos.io/run"] for record in records]


def undo_run(
    profile: Profile, run_id: str, cluster: Cluster | None = None, journal: Journal | None = None
) -> list[str]:
    """Undo one run, or "all"; returns the changes reverted. TargetLeftDirty when any stays.

    The guard's pins are asked, so that a wrong kubeconfig is never touched.
    """
    cluster = cluster or Cluster.from_profile(profile)
    guard.require(cluster, profile)
    namespace = profile.namespaces.acp
    runs = recorded_runs(cluster, namespace) if run_id == "all" else [run_id]
    reverted: list[str] = []
    for each in runs:
        log = UndoLog(cluster, namespace, each, journal, Clock())
        changes = [describe(change) for change in log.outstanding().values()]
        log.revert_all()
        reverted += changes
    return reverted


def undo() -> dict[str, Any]:
    """Rollback of every experiment: revert what this run has recorded and see that it is back."""
    from acpchaos.faults.session import current

    return {"reverted": current().undo.revert_all()}
