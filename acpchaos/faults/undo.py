"""Write-ahead undo: a change is recorded in the cluster before it is made, and reverted from there.

Room: faults. The record is the ConfigMap acpchaos-undo-<run> in ACP's namespace, so it outlives the
runner; `undo_run` is the stop button that any later process may press, as often as it likes.
"""

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from acpchaos.errors import AcpchaosError, PreconditionUnmet, TargetLeftDirty
from acpchaos.faults import node_changes, node_records
from acpchaos.faults.changes import REVERTERS, Change, describe
from acpchaos.record.events import Clock, Undo
from acpchaos.record.journal import Journal
from acpchaos.target import guard
from acpchaos.target.cluster import ApiRefused, Cluster, Hook, Object
from acpchaos.target.lock import holder_of, is_held_by
from acpchaos.target.profile import Profile
from acpchaos.wait import eventually

UNDO_LABEL = "acpchaos.io/undo"
AWAY = (0, 429, 500, 502, 503, 504)
VERIFY_S = 120.0  # the slowest is a namespace whose pods and volumes end first


class UndoLog:
    """The recorded changes of one run."""

    def __init__(
        self, cluster: Cluster, namespace: str, run_id: str, journal: Journal | None, clock: Clock
    ) -> None:
        self._cluster, self._namespace, self.run_id = cluster, namespace, run_id
        self._healing = cluster.healing()
        self._journal, self._clock, self._begun = journal, clock, False
        self._name = record_name(run_id)

    def record(self, change: Change) -> str:
        """Make the record durable in the cluster; only then may the change be made."""
        recorded = self._read()
        self._require_ours(recorded)
        if recorded is None:
            self._cluster.create("ConfigMap", self._body(), self._namespace)
            recorded = {}
        self._begun = True
        key = f"{max((int(key) for key in recorded), default=0) + 1:04d}"
        body = {"data": {key: json.dumps(change, sort_keys=True)}}
        self._cluster.patch("ConfigMap", self._name, body, self._namespace)
        self._tell(change, "recorded")
        return key

    def _require_ours(self, recorded: dict[str, Change] | None) -> None:
        """Nothing is changed for a run that was undone, or whose target another run holds."""
        seen = ""
        if self._begun and recorded is None:
            seen = "its undo record was taken away: somebody has undone this run"
        holder = holder_of(self._cluster, self._namespace)
        if holder and not is_held_by(holder, self.run_id):
            seen = f"the target is held by {holder}"
        if seen:
            raise PreconditionUnmet(f"change something for run {self.run_id}", seen, "play again")

    def outstanding(self) -> dict[str, Change]:
        """Recorded changes that are not verified as reverted, by key."""
        return self._read() or {}

    def revert(self, *keys: str) -> None:
        """Revert these changes and see that the prior state is back; else TargetLeftDirty."""
        ours = node_records.of_run(self._cluster, self.run_id)  # perhaps the API server's own node
        changes = self._patiently(self.outstanding, ours) if ours else self.outstanding()
        self._revert({key: changes[key] for key in keys if key in changes})

    def revert_all(self) -> int:
        """Revert all that is outstanding, newest first, and remove the record. Returns how many.
        What is recorded meanwhile is reverted, too."""
        ours, count = node_records.of_run(self._cluster, self.run_id), 0
        while (record := self._patiently(self._record, ours)) is not None:
            changes = _changes(record)
            self._revert(dict(sorted(changes.items(), reverse=True)))
            count += len(changes)
            if not changes:
                self._remove(record)
        self._begun = False
        return count

    def _remove(self, record: Object) -> None:
        """The empty record, unless something has been recorded in it since it was read."""
        meta = record["metadata"]
        try:
            self._patiently(
                lambda: self._healing.delete(
                    "ConfigMap", self._name, self._namespace,
                    uid=meta["uid"], version=meta["resourceVersion"],
                )
            )  # fmt: skip
        except ApiRefused as error:
            if error.status != 409:
                raise

    def _revert(self, changes: dict[str, Change]) -> None:
        """One failure does not keep the others from being reverted."""
        failures = []
        for key, change in changes.items():
            try:
                self._revert_one(key, change)
            except AcpchaosError as error:
                self._tell_if_possible(change, "failed", seen=error.seen)
                failures.append(f"{describe(change)}: {error.seen}")
        if failures:
            raise TargetLeftDirty(
                f"undo run {self.run_id}",
                "; ".join(failures),
                f"remove the cause, then: acpchaos undo {self.run_id}",
            )

    def _revert_one(self, key: str, change: Change) -> None:
        way_back = REVERTERS.get(change["kind"])
        if way_back is None:
            raise TargetLeftDirty(
                f"undo {describe(change)}", f"no way back of kind {change['kind']!r} is known",
                "use the version that made this record, or revert it by hand",
            )  # fmt: skip

        def settled() -> bool:
            if way_back.settled(self._healing, self.run_id, change):
                return True
            way_back.revert(self._healing, self.run_id, change)
            return way_back.settled(self._healing, self.run_id, change)

        eventually(f"undo of {describe(change)}", settled, VERIFY_S, transient=(AcpchaosError,))
        self._tell_if_possible(change, "reverted")
        self._tell_if_possible(change, "verified")
        done: Object = {"data": {key: None}}
        ours = [change] if change["kind"].startswith(node_changes.PREFIX) else []
        self._patiently(
            lambda: self._healing.patch("ConfigMap", self._name, done, self._namespace), ours
        )

    def _patiently[T](self, act: Callable[[], T], ours: Sequence[Change] = ()) -> T:
        """Do it again while the API server is away; any other refusal is passed on at once. What
        this run did to nodes is taken back meanwhile: it may be why nobody answers. With `ours`,
        changes of nodes, an API server may have just begun: it forbids everything until it has
        read its own roles."""
        done: list[T] = []
        passing = (*AWAY, 403) if ours else AWAY

        def answered() -> bool:
            try:
                done.append(act())
            except ApiRefused as error:
                if error.status not in passing:
                    raise
                node_changes.reach(self._healing, self.run_id)
            return bool(done)

        eventually(f"the API server to look at run {self.run_id}", answered, VERIFY_S)
        return done[0]

    def _record(self) -> Object | None:
        return self._cluster.find("ConfigMap", self._name, self._namespace)

    def _read(self) -> dict[str, Change] | None:
        found = self._record()
        return None if found is None else _changes(found)

    def _body(self) -> Object:
        meta = {
            "name": self._name,
            "labels": {UNDO_LABEL: "true"},
            "annotations": {"acpchaos.io/run": self.run_id},
        }
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}

    def _tell_if_possible(self, change: Change, state: str, **detail: Any) -> None:
        """A full disk must not keep anything from being reverted."""
        with suppress(OSError):
            self._tell(change, state, **detail)

    def _tell(self, change: Change, state: str, **detail: Any) -> None:
        if self._journal is not None:
            now_ns = self._clock.now_ns()
            event = Undo(t_ns=now_ns, change=describe(change), state=state, detail=detail)
            self._journal.write(event)


def _changes(record: Object) -> dict[str, Change]:
    return {key: _change(key, text) for key, text in (record.get("data") or {}).items()}


def _change(key: str, text: str) -> Change:
    """One recorded change; what cannot be read is kept as such, so that it is told and stays."""
    try:
        change: Change = json.loads(text)
        return {"kind": str(change["kind"]), "name": str(change["name"])} | change
    except (ValueError, KeyError, TypeError):
        return {"kind": "unreadable", "name": f"entry {key}"}


def record_name(run_id: str) -> str:
    """Name of the ConfigMap that holds a run's undo record."""
    return "acpchaos-undo-" + re.sub(r"[^a-z0-9.-]+", "-", run_id.lower()).strip("-.")


def recorded_runs(cluster: Cluster, namespace: str) -> list[str]:
    """Runs that left an undo record in the cluster."""
    records = cluster.list("ConfigMap", namespace, selector=f"{UNDO_LABEL}=true")
    return [record["metadata"]["annotations"]["acpchaos.io/run"] for record in records]


def require_undone(cluster: Cluster, namespace: str) -> None:
    """Return only where no run left a record: what it changed may still be as it left it."""
    if left := recorded_runs(cluster, namespace):
        raise PreconditionUnmet(
            "begin a play", f"changes of run {', '.join(left)} are not taken back",
            f"acpchaos undo {left[0] if len(left) == 1 else 'all'}",
        )  # fmt: skip


def outstanding_of(profile: Profile, run_id: str) -> list[str]:
    """What a run has recorded and not yet reverted, for people. Reads only."""
    cluster = Cluster.from_profile(profile)
    log = UndoLog(cluster, profile.namespaces.acp, run_id, None, Clock())
    return [describe(change) for change in log.outstanding().values()]


def undo_run(
    profile: Profile, run_id: str, cluster: Cluster | None = None, journal: Journal | None = None,
    hook_of: Callable[[str], Hook] | None = None,
) -> list[str]:  # fmt: skip
    """Undo one run, or "all"; returns the changes reverted. TargetLeftDirty when any stays.

    The guard's pins are asked, so that a wrong kubeconfig is never touched. `hook_of` gives, by
    run, where mutations are journalled.
    """
    cluster = cluster or Cluster.from_profile(profile)
    _require(cluster, profile, run_id)
    namespace = profile.namespaces.acp
    runs = recorded_runs(cluster, namespace) if run_id == "all" else [run_id]
    reverted: list[str] = []
    for each in runs:
        own = cluster.hooked(hook_of(each)) if hook_of else cluster
        log = UndoLog(own, namespace, each, journal, Clock())
        changes = [describe(change) for change in log.outstanding().values()]
        log.revert_all()
        reverted += changes
    return reverted


def _require(cluster: Cluster, profile: Profile, run_id: str) -> None:
    """The guard. Where the API server does not answer it and this machine has records of disturbed
    nodes of this very cluster, these are taken back first, and the guard is asked again."""

    def passed() -> bool:
        try:
            guard.require(cluster, profile)
        except ApiRefused as error:
            if error.status in (*AWAY, 403) and node_records.of_run(cluster, run_id):
                node_changes.reach(cluster, run_id)
                return False
            raise
        return True

    eventually("the API server to answer the guard", passed, VERIFY_S, 1.0)


def undo() -> dict[str, Any]:
    """Rollback of every experiment: revert what this run has recorded and see that it is back."""
    from acpchaos.faults.session import current

    return {"reverted": current().undo.revert_all()}
