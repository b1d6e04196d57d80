"""Safety on the lab, in one table: R6 with real kills, R12 and rights by the API server's own audit
log. `make safety-lab`; ends with 1 where a figure falls short. Played on nothing but the lab.

Everything is done under two service accounts whose every call the lab's audit policy keeps: that of
the runner, with the roles that `acpchaos rbac` prints for one experiment, and the reaper's, made by
`acpchaos lab up`.
"""

import argparse
import datetime as dt
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from acpchaos import play
from acpchaos.errors import AcpchaosError, UsageError
from acpchaos.faults import arming, health, reaper, rights
from acpchaos.faults.engine import Engine
from acpchaos.faults.fault import Need
from acpchaos.faults.undo import record_name, recorded_runs, undo_run
from acpchaos.record.mutations import FILE
from acpchaos.report.progress import Progress
from acpchaos.scenario import Load, Scenario
from acpchaos.target import access, guard
from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.target.kinds import path_of
from acpchaos.target.lock import holder_of
from acpchaos.target.profile import PROJECT, Profile, load_profile
from safety import audit, rbac
from safety.lab_runner import HOLD_S, MADE, TTL_S
from safety.rows import Metronome, Row, show

ACCOUNT = ("acpchaos", "acpchaos")  # namespace and name
EXPERIMENT = PROJECT / "experiments" / "zone-drain.yaml"
VICTIMS = ("runner", "reaper", "runner and reaper", "runner, while the API server is away")
GRACE_S = 1.0
AWAY_S = 5.0
BACK_S = 90.0  # what is not back then is left behind
TOKEN_S = 4 * 3600
# the whole server stands still, as a machine that hangs, and goes on by itself
FREEZE = """
each() { for p in /proc/[0-9]*; do
  [ "$(cat $p/comm 2>/dev/null)" = kube-apiserver ] && kill -$1 ${p#/proc/}; done; }
( each STOP; sleep "$1"; each CONT ) >/dev/null 2>&1 &
"""
DRAIN = Scenario(
    name="rights", load=Load(), experiment=EXPERIMENT.name, steady_s=5, fault_s=240, recovery_s=5,
    claims=(),
)  # fmt: skip


@dataclass
class Lab:
    """The lab as its owner sees it, and as the runner's account does."""

    owner: Cluster
    target: Path  # a profile that names the account's kubeconfig
    profile: Profile
    folder: Path
    since: str = ""
    journals: list[Path] = field(default_factory=list)

    @property
    def namespace(self) -> str:
        return self.profile.namespaces.acp


@dataclass
class Kills:
    """As safety.kills.Kills, on the lab."""

    done: int = 0
    live: int = 0
    left: list[str] = field(default_factory=list)
    late: list[tuple[str, float]] = field(default_factory=list)


def open_lab(folder: Path) -> Lab:
    """Make the runner's account and a profile for it. UsageError unless kind is the lab."""
    own = load_profile("kind")
    if not own.cluster.lab or not own.reaper.account:
        raise UsageError(
            "prove safety on the lab", "kind.local.toml names no lab with a [reaper]",
            "acpchaos lab up",
        )  # fmt: skip
    owner = Cluster.from_profile(own)
    guard.require(owner, own)
    space, name = ACCOUNT
    owner.apply({"apiVersion": "v1", "kind": "ServiceAccount",
                 "metadata": {"name": name, "namespace": space}})  # fmt: skip
    for manifest in rights.manifests(name, rights.of_experiment(EXPERIMENT, own), ACCOUNT):
        owner.apply(manifest)
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
               "spec": {"expirationSeconds": TOKEN_S}}  # fmt: skip
    path = path_of("ServiceAccount", space, name, "token")
    answer = yaml.safe_load(owner.call("POST", path, body=request))
    config = access.flattened(own)
    config["users"][0]["user"] = {"token": answer["status"]["token"]}
    kubeconfig = folder / "kubeconfig"
    kubeconfig.touch(mode=0o600)
    kubeconfig.write_text(yaml.safe_dump(config))
    target = folder / "safety-lab.toml"
    shutil.copy(PROJECT / "targets" / "kind.toml", target)
    local = (PROJECT / "targets" / "kind.local.toml").read_text()
    changed = local.replace(str(own.cluster.kubeconfig), str(kubeconfig))
    target.with_suffix(".local.toml").write_text(changed)
    return Lab(owner, target, load_profile(target), folder)


def close_lab(lab: Lab) -> None:
    """Take the runner's account and its roles away: whoever may start pods is a finding."""
    space, name = ACCOUNT
    granted = rights.manifests(name, rights.of_experiment(EXPERIMENT, lab.profile), ACCOUNT)
    lab.owner.delete("ServiceAccount", name, space)  # its tokens end with it
    for meta, kind in ((each["metadata"], each["kind"]) for each in reversed(list(granted))):
        lab.owner.delete(kind, meta["name"], meta.get("namespace", ""))


def kill_at_random(lab: Lab, count: int, seed: int, say: Callable[[str], None]) -> Kills:
    """`count` runs of the runner, each hit at a random moment of its life."""
    kills = Kills()
    for number in range(count):
        victim = VICTIMS[number % len(VICTIMS)]
        run_id = f"r6-{seed}-{number}"
        home = lab.folder / run_id
        home.mkdir()
        lab.journals.append(home / FILE)
        runner = subprocess.Popen(
            [sys.executable, "-m", "safety.lab_runner", str(lab.target), str(home), run_id],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert runner.stdout is not None and runner.stderr is not None
            if not (said := runner.stdout.readline()):
                raise UsageError("arm the reaper", runner.stderr.read()[-600:], "see its Job")
            dice = random.Random(f"{seed}-{number}")
            threading.Event().wait(dice.uniform(0, HOLD_S + 1.5))
            _hit(lab, kills, runner, victim, run_id)
        finally:
            runner.kill()
            runner.communicate()
            _clean_up(lab, run_id)
        say(f"{number + 1}/{count} {victim}, {said.strip()}: {len(kills.left)} left")
    return kills


def _hit(
    lab: Lab, kills: Kills, runner: subprocess.Popen[str], victim: str, run_id: str
) -> None:  # fmt: skip
    recorded = lab.owner.find("ConfigMap", record_name(run_id), lab.namespace) is not None
    if "away" in victim:
        _freeze_api(lab.owner)
    if "runner" in victim:
        runner.kill()
        runner.wait()
    if "away" in victim:
        threading.Event().wait(AWAY_S)
    if "reaper" in victim:
        _replace_reaper(lab, run_id)
    begun_s = time.monotonic()
    most_s = BACK_S if "runner" in victim else BACK_S + HOLD_S  # a living runner heals by itself
    while (left := _left(lab, run_id)) and time.monotonic() - begun_s < most_s:
        threading.Event().wait(0.1)
    kills.done += 1
    kills.live += recorded
    if recorded and "runner" in victim:
        kills.late.append((f"{run_id} ({victim})", time.monotonic() - begun_s))
    kills.left += [f"{run_id} ({victim}): {each}" for each in left]


def _freeze_api(owner: Cluster) -> None:
    engine = Engine(owner)
    for node in owner.list("Node", selector="node-role.kubernetes.io/control-plane"):
        name = engine.container_of(node["metadata"]["name"])
        engine.change_inside(engine.look(name).name, FREEZE, str(AWAY_S))


def _replace_reaper(lab: Lab, run_id: str) -> None:
    """Kill its pod, and return when the Job's next one is armed: how long that takes is the Job's,
    and not the reaper's."""
    old = _reaper_pods(lab, run_id)
    for pod in old:
        meta = pod["metadata"]
        lab.owner.delete("Pod", meta["name"], meta["namespace"], uid=meta["uid"], grace_s=0)
    gone = {pod["metadata"]["uid"] for pod in old}
    end_s = time.monotonic() + BACK_S
    while time.monotonic() < end_s:
        fresh = [p for p in _reaper_pods(lab, run_id) if p["metadata"]["uid"] not in gone]
        if any(_armed(lab.owner, pod) for pod in fresh):
            return
        if not lab.owner.find("Job", arming.reaper_name(run_id), _space(lab)):
            return  # the runner has ended meanwhile, and its reaper with it
        threading.Event().wait(0.2)


def _armed(owner: Cluster, pod: dict[str, Any]) -> bool:
    """Whether it says that it could read Lease and record, or has already ended."""
    if pod["status"].get("phase") != "Running":
        return bool(pod["status"].get("phase") == "Succeeded")
    meta = pod["metadata"]
    try:
        log = owner.call("GET", path_of("Pod", meta["namespace"], meta["name"], "log"))
    except ApiRefused:
        return False  # its container is not there yet
    return b"armed for" in log


def _reaper_pods(lab: Lab, run_id: str) -> list[dict[str, Any]]:
    return lab.owner.list("Pod", _space(lab), f"job-name={arming.reaper_name(run_id)}")


def _space(lab: Lab) -> str:
    return lab.profile.reaper.namespace or lab.namespace


def _left(lab: Lab, run_id: str) -> list[str]:
    """What of the run is still there; an API server that does not answer hides it."""
    try:
        nodes = [n["metadata"]["name"] for n in lab.owner.list("Node")
                 if n["spec"].get("unschedulable")]  # fmt: skip
        found = [f"node {name} cordoned" for name in nodes]
        for name in (MADE, record_name(run_id)):
            if lab.owner.find("ConfigMap", name, lab.namespace):
                found.append(f"ConfigMap {name}")
        return found
    except ApiRefused as error:
        return [f"cannot look: {error.seen}"]


def _clean_up(lab: Lab, run_id: str) -> None:
    """The ended Job goes; anything that was left behind is undone, so that the next run begins on a
    clean lab. It was counted."""
    if run_id in recorded_runs(lab.owner, lab.namespace):
        undo_run(lab.profile, run_id, lab.owner)
    end_s = time.monotonic() + reaper.HOLD_S + TTL_S
    while holder_of(lab.owner, lab.namespace) and time.monotonic() < end_s:
        threading.Event().wait(0.2)  # a reaper lets the Lease go last
    lab.owner.delete("Job", arming.reaper_name(run_id), _space(lab))


def r6(lab: Lab, count: int, seed: int) -> Iterator[Row]:
    with Metronome() as machine:
        seen = kill_at_random(lab, count, seed, Progress().say)
    most_s = TTL_S + GRACE_S + machine.late_s
    late = [f"{label}: {each:.1f} s" for label, each in seen.late if each > most_s]
    times = sorted(each for _, each in seen.late) or [0.0]
    short = seen.left + late
    if seen.done < count or seen.live < count / 4:
        short.append(f"{seen.done} of {count} kills, {seen.live} found changes live")
    yield Row(
        "R6", "SIGKILL of runner, reaper, both, API away",
        f"0 left, back within {TTL_S + GRACE_S:g} s",
        f"{seen.done} kills, {seen.live} live, {len(seen.left)} left, back after "
        f"{times[len(times) // 2]:.1f} s, at most {times[-1]:.1f} s ({machine})", short,
    )  # fmt: skip


def r12(lab: Lab) -> Iterator[Row]:
    log = audit.read(lab.owner, ":".join(ACCOUNT), lab.since)
    calls = list(audit.changes(log))
    faults = audit.unmatched([path for path in lab.journals if path.exists()], log)
    yield Row(
        "R12", f"{len(lab.journals)} journals and the audit log", "0 unmatched both ways",
        f"{len(calls)} changes in the audit log, {len(faults)} unmatched",
        faults + ([] if calls else ["the audit log has no change of this account"]),
    )  # fmt: skip


def granted_is_used(lab: Lab) -> Iterator[Row]:
    """A whole zone drain under the account, a look at each part of the target, and `undo all`; then
    what was called against what was granted."""
    since = _now()
    reports = lab.folder / "reports"
    play.play(DRAIN, lab.profile, target=str(lab.target), reports=reports, seed=1,
              progress=Progress())  # fmt: skip
    cluster = Cluster.from_profile(lab.profile)
    for part in health.PARTS:
        health.look(cluster, lab.profile, part)
    undo_run(lab.profile, "all", cluster)
    log = audit.read(lab.owner, ":".join(ACCOUNT), since)
    yield _rights("runner", rights.of_experiment(EXPERIMENT, lab.profile), log)


def reaper_rights(lab: Lab) -> Iterator[Row]:
    """What reapers called in R6 against what they need for this experiment."""
    account = f"{_space(lab)}:{lab.profile.reaper.account}"
    log = audit.read(lab.owner, account, lab.since)
    yield _rights("reaper", rights.of_reaper(EXPERIMENT, lab.profile), log)


def _rights(who: str, granted: set[Need], log: list[audit.Event]) -> Row:
    needed = audit.used(log)
    missing, unused = rbac.missing(granted, needed), rbac.unused(granted, needed)
    refused = audit.refused(log)
    return Row(
        "RBAC", f"rights of the {who}, by the audit log", "granted = used",
        f"{len(granted)} granted, {len(needed)} used, {len(missing)} missing, "
        f"{len(unused)} unused, {len(refused)} refused",
        [*(f"used, not granted: {each}" for each in missing),
         *(f"granted, not used: {each}" for each in unused),
         *(f"refused: {each}" for each in refused)],
    )  # fmt: skip


def _now() -> str:
    return f"{dt.datetime.now(dt.UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--r6", type=int, default=50, help="random kills")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 2**31)
    parser.add_argument("--only", default="", help="R6 (with R12 and the reaper) or RBAC")
    given = parser.parse_args()
    short = False
    with tempfile.TemporaryDirectory(prefix="acpchaos-") as folder:
        lab = open_lab(Path(folder))
        lab.since = _now()
        proofs: dict[str, list[Callable[[], Iterator[Row]]]] = {
            "R6": [lambda: r6(lab, given.r6, given.seed), lambda: r12(lab),
                   lambda: reaper_rights(lab)],
            "RBAC": [lambda: granted_is_used(lab)],
        }  # fmt: skip
        print(f"seed {given.seed}", flush=True)
        try:
            for name in given.only.split(",") if given.only else list(proofs):
                for proof in proofs[name]:
                    for row in proof():
                        short |= show(row)
        finally:
            close_lab(lab)
    return int(short)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except AcpchaosError as error:
        print(f"safety on the lab: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
