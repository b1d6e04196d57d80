"""Records of disturbed nodes on the machine of the engine, beside those in the cluster.

Room: faults. They lie in $ACPCHAOS_STATE, by default ~/.local/state/acpchaos, one folder per
cluster (by its UID), one file per change, durable before the change is made. `watch` starts the
watchdog of one of them and sees it alive; without its file a watchdog ends.
"""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from acpchaos.errors import DeadlinePassed, PreconditionUnmet
from acpchaos.faults import watchdog
from acpchaos.target.cluster import Cluster
from acpchaos.wait import eventually

Change = dict[str, Any]
SCRIPT = Path(watchdog.__file__)


def folder_of(cluster: Cluster) -> Path:
    """Where the records of this cluster's nodes are."""
    base = os.environ.get("ACPCHAOS_STATE") or Path.home() / ".local" / "state" / "acpchaos"
    uid = cluster.profile.cluster.kube_system_uid if cluster.profile else ""
    return Path(base) / (uid or "unpinned")


def keep(
    cluster: Cluster, run_id: str, change: Change, watched: dict[str, Any] | None = None
) -> Path:
    """Make the record durable; `watched` is what a watchdog is to do."""
    path = _path(cluster, run_id, change)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = json.dumps({"run": run_id, "change": change, "watched": watched}, sort_keys=True)
    draft = path.with_suffix(".draft")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    entry = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(entry)
    finally:
        os.close(entry)
    return path


def watch(path: Path, budget_s: float) -> None:
    """Start the watchdog of a record, in a session of its own, and see it look twice."""
    beat = path.with_suffix(".beat")
    beat.unlink(missing_ok=True)

    def alive() -> bool:
        pid, _, looks = beat.read_text(encoding="utf-8").partition(" ")
        return int(looks) > 1 and Path(f"/proc/{int(pid)}").exists()

    try:
        with path.with_suffix(".log").open("ab") as log:
            subprocess.run(  # it leaves a child behind and ends at once
                [sys.executable, "-I", "-S", str(SCRIPT), str(path)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True, check=False, timeout=budget_s,
            )  # fmt: skip
        eventually("the watchdog of a node", alive, budget_s, 0.1, transient=(OSError, ValueError))
    except (DeadlinePassed, subprocess.TimeoutExpired) as error:
        path.unlink(missing_ok=True)  # should it live after all, it ends without doing anything
        raise PreconditionUnmet(
            "arm the way back of a node", str(error), f"see {path.with_suffix('.log')}"
        ) from None


def kept(cluster: Cluster, run_id: str, change: Change) -> bool:
    """Whether this machine has a record of this change."""
    return _path(cluster, run_id, change).exists()


def forget(cluster: Cluster, run_id: str, change: Change) -> None:
    """The change is taken back; its watchdog ends by itself."""
    path = _path(cluster, run_id, change)
    for suffix in (".json", ".beat", ".log"):
        path.with_suffix(suffix).unlink(missing_ok=True)


def of_run(cluster: Cluster, run_id: str) -> list[Change]:
    """The recorded changes of one run, or of "all" runs on this cluster, newest first."""
    return [change for run, change in _records(cluster) if run_id in (run, "all")]


def runs(cluster: Cluster) -> list[str]:
    """Runs with records on this machine."""
    return sorted({run for run, _ in _records(cluster)})


def _records(cluster: Cluster) -> list[tuple[str, Change]]:
    found = []
    paths = folder_of(cluster).glob("*.json")
    for path in sorted(paths, key=lambda each: each.stat().st_mtime_ns, reverse=True):
        record = json.loads(path.read_text(encoding="utf-8"))
        found.append((str(record["run"]), dict(record["change"])))
    return found


def _path(cluster: Cluster, run_id: str, change: Change) -> Path:
    """One file per run, change and container."""
    words = json.dumps([run_id, change["kind"], change["container"], change["unit"]])
    return folder_of(cluster) / f"{hashlib.sha256(words.encode()).hexdigest()[:24]}.json"
