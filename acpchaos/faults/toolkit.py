"""Plays one experiment file in a Chaos Toolkit child process, and undoes whatever it left.

Room: faults. The toolkit is format and journal, never judge or undo: its exit code is 0 for most
things that go wrong, so what happened is read from its report, and the undo log has the last word.
The child has a process group of its own, so that Ctrl-C reaches it once and through this module.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from acpchaos.errors import AcpchaosError, TargetLeftDirty
from acpchaos.faults.undo import outstanding_of, undo_run
from acpchaos.record.journal import Journal
from acpchaos.record.mutations import FILE, Mutations
from acpchaos.target import access
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import Profile

POLL_S = 0.25
HEAL_S = 90.0  # rollbacks and the net below them, after a stop
TELL_S = 5.0  # between two words of what is waited for
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CUT_SHORT = ("stopped", "overdue", "crashed")  # outcomes that are not the toolkit's word

type Say = Callable[[str], None]


class Stop(Protocol):
    """Whether the play is to end now; a threading.Event is one."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True)
class Played:
    """How an experiment went. Only `conclusive` ones say that their fault was played as written.

    `outcome` is the toolkit's word, or "stopped", "overdue" or "crashed". `undone` are changes that
    the child left behind and that were reverted here; `dirty` tells what could not be.
    """

    outcome: str
    conclusive: bool
    why: str
    undone: tuple[str, ...] = ()
    dirty: str = ""


def run(
    experiment: Path,
    run_dir: Path,
    profile: Profile,
    configuration: Mapping[str, str | int | float | bool],
    *,
    target: str,
    deadline_s: float,
    stop: Stop | None = None,
    say: Say = lambda text: None,
) -> Played:
    """Play `experiment` for run folder `run_dir`. Ctrl-C, SIGTERM handlers that raise, `stop` and
    the deadline all end the child, let it heal, and undo; an exception is passed on after that, or
    TargetLeftDirty in its place. `say` is told what is waited for meanwhile."""
    folder = run_dir / "chaos"
    folder.mkdir(parents=True, exist_ok=True)
    kubeconfig = access.write_kubeconfig(profile, folder / "kubeconfig")
    child = _start(experiment, folder, configuration, _environment(run_dir, target, kubeconfig))
    ended, interrupted = "interrupted", None
    try:
        ended = _attend(child, deadline_s, stop or threading.Event())
    except BaseException as error:  # passed on when all is undone
        interrupted = error
    tell = _softly(say)
    with _held_off(run_dir.name, tell) as signals:
        try:
            _end(child, ended, profile, run_dir.name, tell)
        finally:
            kubeconfig.unlink(missing_ok=True)  # credentials do not belong into evidence
            undone, dirty = _undo(profile, run_dir)
        if ended or undone or dirty:
            left = f"left changed: {dirty}" if dirty else "nothing is left changed"
            tell(f"taken back from here: {', '.join(undone) or 'nothing'}; {left}")
    if interrupted is not None and dirty:
        raise TargetLeftDirty(
            f"undo run {run_dir.name}", dirty,
            f"remove the cause, then: acpchaos undo {run_dir.name}",
        ) from interrupted  # fmt: skip
    if interrupted is not None:
        raise interrupted
    if signals and not dirty:
        signal.raise_signal(signals[0])
    return _told(folder, ended, undone, dirty)


@contextmanager
def handled(handler: Callable[[int, object], None], *numbers: int) -> Iterator[None]:
    """Within the block these signals go to `handler`; in the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, handler) for each in numbers}
    try:
        yield
    finally:
        for number, one in before.items():
            signal.signal(number, one)


def _softly(say: Say) -> Say:
    """A closed terminal, or a word that comes in the middle of another, keeps nothing undone."""

    def tell(text: str) -> None:
        with suppress(Exception):
            say(text)

    return tell


@contextmanager
def _held_off(run_id: str, say: Say) -> Iterator[list[int]]:
    """Within the block nobody's impatience keeps anything from being undone: signals are answered,
    and listed for afterwards."""
    seen: list[int] = []

    def answer(number: int, frame: object) -> None:
        seen.append(number)
        say(
            f"{signal.Signals(number).name}: still undoing; kill -KILL {os.getpid()} ends it all "
            f"the same, and then: acpchaos undo {run_id}"
        )

    with handled(answer, *ENDING):
        yield seen


def command(experiment: Path, folder: Path) -> list[str]:
    """The toolkit's command line: no news from its server, no settings of the user's home."""
    return [
        *(sys.executable, "-m", "chaostoolkit", "--no-version-check"),
        *("--log-file", str(folder / "toolkit.log"), "--settings", str(folder / "settings.yaml")),
        *("run", "--journal-path", str(folder / "journal.json")),
        *("--events-file", str(folder / "events.ndjson"), "--output", "agent"),
        *("--rollback-strategy", "always", "--var-file", str(folder / "variables.json")),
        str(experiment),
    ]


def _start(
    experiment: Path, folder: Path, configuration: Mapping[str, Any], environment: dict[str, str]
) -> subprocess.Popen[bytes]:
    (folder / "settings.yaml").write_text("{}\n", encoding="utf-8")
    variables = {"configuration": dict(configuration)}
    (folder / "variables.json").write_text(json.dumps(variables), encoding="utf-8")
    with (folder / "report.json").open("wb") as out, (folder / "stderr.log").open("wb") as err:
        return subprocess.Popen(
            command(experiment.absolute(), folder),
            stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=environment,
            start_new_session=True, preexec_fn=heed_interrupt,
        )  # fmt: skip


def heed_interrupt() -> None:
    """In a child: SIGINT works even where the shell that began us had it ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _environment(run_dir: Path, target: str, kubeconfig: Path) -> dict[str, str]:
    own = {
        "ACPCHAOS_RUN_DIR": str(run_dir.absolute()),
        "ACPCHAOS_TARGET": target,
        "KUBECONFIG": str(kubeconfig.absolute()),
    }
    return dict(os.environ) | own


def _attend(child: subprocess.Popen[bytes], deadline_s: float, stop: Stop) -> str:
    """Wait for the child's own end; "" then, else why it is to be stopped."""
    for _ in range(max(1, round(deadline_s / POLL_S))):
        try:
            child.wait(POLL_S)
            return ""
        except subprocess.TimeoutExpired:
            if stop.is_set():
                return "stopped"
    return "overdue"


def _end(
    child: subprocess.Popen[bytes], why: str, profile: Profile, run_id: str, say: Say
) -> None:  # fmt: skip
    """Interrupt the child, let it heal, and kill its group only when it does not end."""
    if child.poll() is not None:
        return
    child.send_signal(signal.SIGINT)
    end_s = time.monotonic() + HEAL_S
    say(f"the experiment is {why} and told to end; {_still(profile, run_id)}")
    while (left_s := end_s - time.monotonic()) > 0:
        try:
            child.wait(min(TELL_S, left_s))
            return
        except subprocess.TimeoutExpired:
            say(f"waiting for the experiment to end; {_still(profile, run_id)}")
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def _still(profile: Profile, run_id: str) -> str:
    """What is to be taken back, for people."""
    try:
        left = outstanding_of(profile, run_id)
    except AcpchaosError as error:
        return f"what it has to take back cannot be read: {error.seen}"
    return f"it has to take back: {', '.join(left) or 'nothing'}"


def _undo(profile: Profile, run_dir: Path) -> tuple[tuple[str, ...], str]:
    """What was reverted here, and what kept the rest from it; no way back needs a free disk."""
    mutations, journal = Mutations(run_dir / FILE), None
    try:
        with suppress(OSError):
            journal = Journal(run_dir / "events" / "undo.ndjson")
        cluster = Cluster.from_profile(profile, mutations)
        return tuple(undo_run(profile, run_dir.name, cluster, journal)), ""
    except AcpchaosError as error:  # whatever keeps us from looking, nobody knows it clean
        return (), str(error)
    finally:
        mutations.leave()
        if journal is not None:
            journal.close()


def _told(folder: Path, ended: str, undone: tuple[str, ...], dirty: str) -> Played:
    if ended:
        return Played(ended, False, f"the experiment was {ended}", undone, dirty)
    try:
        report = json.loads((folder / "report.json").read_bytes())
    except ValueError:
        last = (folder / "stderr.log").read_text(encoding="utf-8", errors="replace")[-400:]
        return Played("crashed", False, f"it left no report: {last}", undone, dirty)
    return told(report, undone, dirty)


def told(report: Mapping[str, Any], undone: tuple[str, ...] = (), dirty: str = "") -> Played:
    """Map the toolkit's own report; failed rollbacks are made good by the undo log or are dirty."""
    warnings = "; ".join(each["message"] for each in report.get("warnings") or [])
    why = f"{report.get('verdict') or report.get('outcome')} {warnings}".strip()
    conclusive = bool(report.get("conclusive"))
    return Played(str(report.get("outcome")), conclusive, why, undone, dirty)
