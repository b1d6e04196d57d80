"""The kill matrix on the lab: each live sabotage made, read, judged, undone, and seen undone.

One change at a time, under the target's lock. Every change is recorded in the cluster before it is
made, so that `acpchaos undo` mends a lab whose runner died; what such a runner left is undone
before anything is played. Rows that only a probe can turn red are probed before, with and after
their change. Never played on anything but the lab: `make kill-matrix-lab`, also with ROWS="...".
"""

import datetime as dt
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress

import jsonpatch

from acpchaos.check.verdict import Outcome
from acpchaos.errors import AcpchaosError, DeadlinePassed, UsageError
from acpchaos.faults.undo import UndoLog, recorded_runs, undo_run
from acpchaos.record.events import Clock
from acpchaos.report.progress import Progress
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.lock import Lock
from acpchaos.target.profile import load_profile
from acpchaos.wait import eventually
from lab.paths import state_of
from posture.kill_matrix import Kill, Outcomes, attested, judged, show
from posture.kill_matrix_lab_changes import Lab, is_slow, make, of_secret
from posture.kill_matrix_lab_look import OF_ROW, Look, looker
from posture.sabotage import Misses, Sabotage, apply, load

RESTART_S = 300.0
CACHED_S = 20.0  # the stand-in asks SQL again after 15 s
SEEN_S = 240.0  # kubelet mounts a changed Secret within 90 s, ACP reads it again within 10 s
LOOK_AGAIN_S = 5.0
RUN_NAME = "kill-matrix"
_LASTING = "HARD-24"  # broken by every write of a Secret until pods restart, at the end


def outcomes(lab: Lab, look: Look = Look(), *changes: dict[str, object]) -> Outcomes:  # noqa: B008
    """Every row judged on what the lab shows now; `changes` are those of attestations."""
    return judged(apply(attested(lab.look(look)), changes))


def matrix(lab: Lab, chosen: list[Sabotage]) -> Iterator[Kill]:
    """Each sabotage in turn. TargetLeftDirty ends it: nothing more may be changed then."""
    every = Look(frozenset(OF_ROW[each.row] for each in chosen if each.row in OF_ROW))
    before = outcomes(lab, every)
    secrets = False
    for each in sorted(chosen, key=_late):
        begin_s = time.monotonic()
        kill = play(lab, each, before)
        secrets |= any(of_secret(change) for change in each.changes)
        lab.say(f"{each.row}: {kill.wrong or 'killed'}, undone, {time.monotonic() - begin_s:.1f} s")
        yield kill
    if secrets:  # their last write is now later than the start of the pods that read them
        restart(lab)
    after = outcomes(lab, every)
    changed = {row: f"{before[row]} to {after[row]}" for row in after if after[row] != before[row]}
    if changed:
        yield Kill("all rows", "everything undone", wrong=f"not as before: {changed}")


def _late(each: Sabotage) -> tuple[bool, bool]:
    """Changes of Secrets last: HARD-24 stays broken until pods restart. Its own is the first."""
    return any(of_secret(change) for change in each.changes), "HARD-24" in each.companions


def play(lab: Lab, sabotage: Sabotage, before: Outcomes) -> Kill:
    """Change, read, judge, undo; undone whatever happens in between."""
    row, says = sabotage.row, sabotage.says
    slow = any(is_slow(change) for change in sabotage.changes)
    try:
        try:
            for change in sabotage.changes:
                make(lab, change)
            after = _bitten(lab, sabotage, before, SEEN_S if slow else _known_s(sabotage))
        finally:
            lab.log.revert_all()
        left = _left(lab, sabotage, before) if slow else ()
    except (Misses, ValueError, KeyError, jsonpatch.JsonPatchException) as error:
        return Kill(row, says, wrong=f"cannot be applied: {type(error).__name__}: {error}")
    except AcpchaosError as error:
        if error.exit_code == 11:  # dirty
            raise
        return Kill(row, says, wrong=f"could not be played: {error.attempted}: {error.seen}")
    newly = _newly(before, after)
    wrong = _wrong(sabotage, before, after, newly)
    if left:
        wrong = wrong or f"undone, but {', '.join(left)} still fail"
    return Kill(row, says, newly, wrong)


def _known_s(sabotage: Sabotage) -> float:
    """How long ACP may go on with what it knew of its own configuration."""
    return CACHED_S if any("configure" in change for change in sabotage.changes) else 0.0


def _bitten(lab: Lab, sabotage: Sabotage, before: Outcomes, budget_s: float) -> Outcomes:
    """What is judged with the change; a slow one is looked at until it shows what it says."""
    look = _look_of(sabotage, with_change=True)
    said = [change for change in sabotage.changes if "attestation" in change]
    named = {sabotage.row, *sabotage.companions}
    wanted = {row for row in named if before[row] is not Outcome.FAILED}
    seen: list[Outcomes] = []

    def shows() -> bool:
        seen.append(outcomes(lab, look, *said))
        return set(_newly(before, seen[-1])) == wanted

    with suppress(DeadlinePassed):  # what was seen last is judged
        eventually(f"{sabotage.row} to be broken", shows, budget_s, LOOK_AGAIN_S)
    return seen[-1]


def _left(lab: Lab, sabotage: Sabotage, before: Outcomes) -> tuple[str, ...]:
    """Rows that still fail when caches and agents had their time to see a slow change undone."""
    look = _look_of(sabotage, with_change=False)
    left: list[tuple[str, ...]] = []

    def gone() -> bool:
        newly = _newly(before, outcomes(lab, look))
        left.append(tuple(row for row in newly if row != _LASTING))
        return not left[-1]

    with suppress(DeadlinePassed):  # told by the caller
        eventually(f"{sabotage.row} to hold again", gone, SEEN_S, LOOK_AGAIN_S)
    return left[-1]


def _look_of(sabotage: Sabotage, *, with_change: bool) -> Look:
    """What a look needs for one sabotage, with its change made and without."""
    groups = frozenset({OF_ROW[sabotage.row]} if sabotage.row in OF_ROW else ())
    if not with_change:
        return Look(groups)
    scratch = tuple(change["scratch"] for change in sabotage.changes if "scratch" in change)
    instead = next((c["instead"] for c in sabotage.changes if "instead" in c), "")
    return Look(groups, scratch, instead)


def _newly(before: Outcomes, after: Outcomes) -> tuple[str, ...]:
    return tuple(r for r in after if after[r] is Outcome.FAILED and before[r] is not after[r])


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
    run_id = f"{dt.datetime.now(dt.UTC):%Y%m%dt%H%M%S}-{RUN_NAME}"
    log = UndoLog(cluster, profile.namespaces.acp, run_id, None, Clock())
    begin_s = time.monotonic()
    with Lock(cluster, profile.namespaces.acp, run_id):
        for left in _left_behind(cluster, profile.namespaces.acp):
            progress.say(f"undone, of {left}: {', '.join(undo_run(profile, left, cluster))}")
        state = state_of(profile.cluster.lab)
        lab = Lab(cluster, profile, log, looker(cluster, profile, log), progress.say, state)
        kills = list(matrix(lab, chosen))
    return show(kills, time.monotonic() - begin_s)


def _left_behind(cluster: Cluster, namespace: str) -> list[str]:
    """Runs of this matrix that died with changes made; the lock says that none is alive."""
    return [each for each in recorded_runs(cluster, namespace) if each.endswith(f"-{RUN_NAME}")]


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AcpchaosError as error:
        print(f"kill matrix: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
