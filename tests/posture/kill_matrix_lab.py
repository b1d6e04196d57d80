"""The kill matrix on the lab: each live sabotage made, read, judged, undone, and seen undone.

One change at a time, under the target's lock. Every change is recorded in the cluster before it is
made, so that `acpchaos undo` mends a lab whose runner died. Rollouts are held back while a workload
is changed: the rows read the object, so no pod needs to restart. Never played on anything but the
lab: `make kill-matrix-lab`.
"""

import base64
import copy
import datetime as dt
import signal
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jsonpatch
import yaml

from acpchaos.check.verdict import Outcome
from acpchaos.errors import AcpchaosError, UsageError
from acpchaos.faults.changes import RUN_LABEL, create_object
from acpchaos.faults.objects import (
    change_object,
    change_secret,
    change_words,
    state,
    write,
    write_secret,
    write_words,
)
from acpchaos.faults.undo import UndoLog
from acpchaos.posture.take import read
from acpchaos.record.events import Clock
from acpchaos.record.snapshot import Snapshot
from acpchaos.report.progress import Progress
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.kinds import find_kind
from acpchaos.target.lock import Lock
from acpchaos.target.profile import Profile, load_profile
from acpchaos.wait import eventually
from posture.kill_matrix import Kill, Outcomes, attested, judged, show
from posture.sabotage import Misses, Sabotage, apply, load, put

RESTART_S = 300.0
_HOLD: dict[str, dict[str, Any]] = {
    "Deployment": {"paused": True},
    "StatefulSet": {"updateStrategy": {"type": "OnDelete"}},
    "DaemonSet": {"updateStrategy": {"type": "OnDelete"}},
}
_LIVE = ("object", "delete", "add", "secret", "attestation")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Lab:
    """The lab, and how its evidence is read."""

    cluster: Cluster
    profile: Profile
    log: UndoLog
    look: Callable[[], Snapshot]
    say: Say

    def outcomes(self, *changes: dict[str, Any]) -> Outcomes:
        """Every row judged on what the lab shows now; `changes` are those of attestations."""
        return judged(apply(attested(self.look()), changes))


def matrix(lab: Lab, chosen: list[Sabotage]) -> Iterator[Kill]:
    """Each sabotage in turn. TargetLeftDirty ends it: nothing more may be changed then."""
    before = lab.outcomes()
    secrets = False
    for each in sorted(chosen, key=_late):
        begin_s = time.monotonic()
        kill = play(lab, each, before)
        secrets |= any(_of_secret(change) for change in each.changes)
        lab.say(f"{each.row}: {kill.wrong or 'killed'}, undone, {time.monotonic() - begin_s:.1f} s")
        yield kill
    if secrets:  # their last write is now later than the start of the pods that read them
        restart(lab)
    after = lab.outcomes()
    changed = {row: f"{before[row]} to {after[row]}" for row in after if after[row] != before[row]}
    if changed:
        yield Kill("all rows", "everything undone", wrong=f"not as before: {changed}")


def _late(each: Sabotage) -> tuple[bool, bool]:
    """Changes of Secrets last: HARD-24 stays broken until pods restart. Its own is the first."""
    return any(_of_secret(change) for change in each.changes), "HARD-24" in each.companions


def play(lab: Lab, sabotage: Sabotage, before: Outcomes) -> Kill:
    """Change, read, judge, undo; undone whatever happens in between."""
    row, says = sabotage.row, sabotage.says
    said = [change for change in sabotage.changes if "attestation" in change]
    try:
        try:
            for change in sabotage.changes:
                make(lab, change)
            after = lab.outcomes(*said)
        finally:
            lab.log.revert_all()
    except (Misses, ValueError, KeyError, jsonpatch.JsonPatchException) as error:
        return Kill(row, says, wrong=f"cannot be applied: {type(error).__name__}: {error}")
    except AcpchaosError as error:
        if error.exit_code == 11:  # dirty
            raise
        return Kill(row, says, wrong=f"could not be played: {error.attempted}: {error.seen}")
    newly = tuple(r for r in after if after[r] is Outcome.FAILED and before[r] is not after[r])
    return Kill(row, says, newly, _wrong(sabotage, before, after, newly))


def _wrong(
    sabotage: Sabotage, before: Outcomes, after: Outcomes, newly: tuple[str, ...]
) -> str:  # fmt: skip
    if before[sabotage.row] is Outcome.FAILED:
        return f"{sabotage.row} fails on the lab already, so nothing is proven"
    if after[sabotage.row] is not Outcome.FAILED:
        return f"{sabotage.row} stays {after[sabotage.row]}"
    if extra := set(newly) - {sabotage.row, *sabotage.companions}:
        return f"fails {', '.join(sorted(extra))} as well, which it does not say"
    return ""


# changes


def make(lab: Lab, change: dict[str, Any]) -> None:
    """One change, recorded first. Those of attestations are no change of the cluster."""
    if not (kind := next((each for each in _LIVE if each in change), "")):
        raise Misses(f"no such change can be made live: {', '.join(change)}")
    makers = {"object": _patch, "delete": _delete, "add": _add, "secret": _set}
    if kind in makers:
        makers[kind](lab, change)


def _patch(lab: Lab, change: dict[str, Any]) -> None:
    kind, namespace, name = _parsed(change["object"])
    found = lab.cluster.get(kind, name, namespace)
    if kind == "Secret":
        _patch_words(lab, found, change["patch"])
        return
    recorded = change_object(kind, found)
    after = jsonpatch.apply_patch(state(kind, found), change["patch"])
    if any(each["path"].startswith("/spec/template") for each in change["patch"]):
        after["spec"] |= copy.deepcopy(_HOLD.get(kind, {}))
    lab.log.record(recorded)
    write(lab.cluster, kind, recorded, after)


def _patch_words(lab: Lab, secret: Object, patch: list[dict[str, Any]]) -> None:
    """Labels and annotations of a Secret; what it holds is changed by {secret, file, set} only."""
    if any(not each["path"].startswith("/metadata/") for each in patch):
        raise Misses("what a Secret holds is changed by {secret, file, set}, else it would leak")
    recorded = change_words("Secret", secret)
    meta = {key: secret["metadata"].get(key) or {} for key in ("labels", "annotations")}
    after = jsonpatch.apply_patch({"metadata": meta}, patch)
    lab.log.record(recorded)
    write_words(lab.cluster, recorded, after["metadata"])


def _delete(lab: Lab, change: dict[str, Any]) -> None:
    kind, namespace, name = _parsed(change["delete"])
    if kind == "Secret":
        raise Misses("a Secret is not deleted live: what it holds could be kept nowhere")
    found = lab.cluster.get(kind, name, namespace)
    lab.log.record(change_object(kind, found))
    lab.cluster.delete(kind, name, namespace, uid=found["metadata"]["uid"])


def _add(lab: Lab, change: dict[str, Any]) -> None:
    body = copy.deepcopy(change["add"])
    kind, meta = body["kind"], body["metadata"]
    meta["labels"] = {**(meta.get("labels") or {}), RUN_LABEL: lab.log.run_id}
    namespace = meta.get("namespace", "")
    lab.log.record(create_object(kind, namespace, meta["name"]))
    lab.cluster.create(kind, body, namespace)


def _set(lab: Lab, change: dict[str, Any]) -> None:
    _, namespace, name = _parsed(f"Secret {change['secret']}")
    data = dict(lab.cluster.get("Secret", name, namespace).get("data") or {})
    if change["file"] not in data:
        raise Misses(f"Secret {change['secret']} has no file {change['file']}")
    content = yaml.safe_load(base64.b64decode(data[change["file"]]))
    for path, value in change["set"].items():
        put(content, path, value)
    text = yaml.safe_dump(content, sort_keys=False)
    data[change["file"]] = base64.b64encode(text.encode()).decode()
    recorded = change_secret({"metadata": {"namespace": namespace, "name": name}})
    lab.log.record(recorded)
    write_secret(lab.cluster, recorded, data)


def _of_secret(change: dict[str, Any]) -> bool:
    return "secret" in change or str(change.get("object", "")).startswith("Secret ")


def _parsed(text: str) -> tuple[str, str, str]:
    kind, _, place = text.partition(" ")
    namespace, _, name = place.rpartition("/")
    find_kind(kind)
    return kind, namespace, name


def restart(lab: Lab) -> None:
    """ACP and its workers on new pods, as after any change of a Secret."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    words = {"annotations": {"kubectl.kubernetes.io/restartedAt": now}}
    body = {"spec": {"template": {"metadata": words}}}
    namespace = lab.profile.namespaces.acp
    for each in (lab.profile.workloads.acp, lab.profile.workloads.workers):
        lab.cluster.patch(each.kind, each.name, body, namespace)

        def rolled_out(name: str = each.name, kind: str = each.kind) -> bool:
            return _rolled_out(lab.cluster.get(kind, name, namespace))

        eventually(f"rollout of {each.name}", rolled_out, RESTART_S, transient=(AcpchaosError,))


def _rolled_out(found: Object) -> bool:
    status, wanted = found.get("status") or {}, found["spec"].get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= found["metadata"].get("generation", 0)
    counts = ("replicas", "updatedReplicas", "availableReplicas")
    return bool(seen and all(status.get(each, 0) == wanted for each in counts))


def main(words: list[str]) -> int:
    """Play all live sabotages, or those of the rows named; 1 when one survives."""
    profile, progress = load_profile("kind"), Progress()
    if not profile.cluster.lab:
        next_step = "make kill-matrix plays without a cluster"
        raise UsageError("sabotage the target", f"{profile.name} is no lab", next_step)
    chosen = [each for _, each in load() if each.live and (not words or each.row in words)]
    cluster = Cluster.from_profile(profile)
    guard.require(cluster, profile, nodes=False)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    progress.begin(f"{len(chosen)} sabotages on {profile.name}")
    run_id = f"{dt.datetime.now(dt.UTC):%Y%m%dt%H%M%S}-kill-matrix"
    log = UndoLog(cluster, profile.namespaces.acp, run_id, None, Clock())
    begin_s = time.monotonic()
    with Lock(cluster, profile.namespaces.acp, run_id):
        lab = Lab(cluster, profile, log, lambda: read(cluster, profile, _silent), progress.say)
        kills = list(matrix(lab, chosen))
    return show(kills, time.monotonic() - begin_s)


def _silent(line: str) -> None:
    """Each reading tells the same; the matrix tells what differs."""


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AcpchaosError as error:
        print(f"kill matrix: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
