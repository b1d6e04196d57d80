"""The script that sends signals, run by a real shell on real processes; only /proc is made up."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from acpchaos.faults.process import SCRIPT
from acpchaos.wait import eventually

CONTAINER = "4f" * 32


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(["sleep", "60"])
    yield child
    child.kill()
    child.wait()


def proc(folder: Path, pid: int, group: str, inner: str) -> Path:
    """One process as /proc tells it; `inner` are its ids by namespace, outermost first."""
    own = folder / str(pid)
    own.mkdir(parents=True)
    (own / "cgroup").write_text(f"0::/../{group}\n")
    (own / "status").write_text(f"Name:\tx\nNSpid:\t{inner}\nThreads:\t1\n")
    return folder


def send(folder: Path, name: str, **words: str) -> subprocess.Popen[bytes]:
    said = {"PROC": str(folder), "SAID": str(folder / "said"), "FLAG": str(folder / "thaw")}
    environment = {"PATH": os.environ["PATH"], "SIGNAL": name, "HOLD_S": "30"} | said | words
    return subprocess.Popen(["sh", "-c", SCRIPT.read_text()], env=environment)


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def said(folder: Path) -> str:
    return (folder / "said").read_text().strip()


def test_kills_the_first_process_of_that_container_and_no_other(
    tmp_path: Path, victim: subprocess.Popen[bytes]
) -> None:
    group = f"cri-containerd-{CONTAINER}.scope"
    proc(tmp_path, victim.pid, group, f"{victim.pid}\t1")
    proc(tmp_path, os.getpid(), group, f"{os.getpid()}\t17")  # a later process of the same
    proc(tmp_path, 1, "cri-containerd-other.scope", "1\t1")
    assert send(tmp_path, "KILL", CONTAINER=CONTAINER).wait(20) == 0
    assert victim.wait(5) == -signal.SIGKILL
    assert said(tmp_path) == f"killed {victim.pid}"


def test_unknown_container_is_an_error_and_nobody_is_hit(
    tmp_path: Path, victim: subprocess.Popen[bytes]
) -> None:
    proc(tmp_path, victim.pid, "cri-containerd-other.scope", f"{victim.pid}\t1")
    assert send(tmp_path, "KILL", CONTAINER=CONTAINER).wait(20) == 3
    assert said(tmp_path) == "no first process of the container found"
    assert victim.poll() is None


def stopped(tmp_path: Path, victim: subprocess.Popen[bytes], **words: str) -> subprocess.Popen:
    proc(tmp_path, victim.pid, f"/kubepods/{CONTAINER}", f"{victim.pid}\t9\t1")
    sender = send(tmp_path, "STOP", CONTAINER=CONTAINER, **words)
    eventually("the stop", lambda: state(victim.pid) == "T", 10, 0.05)
    return sender


@pytest.mark.parametrize("end", ["time", "flag", "signal"])
def test_stops_and_continues_by_itself_when_asked_or_when_told_to_end(
    tmp_path: Path, victim: subprocess.Popen[bytes], end: str
) -> None:
    sender = stopped(tmp_path, victim, HOLD_S="2" if end == "time" else "30")
    if end == "flag":
        (tmp_path / "thaw").touch()
    elif end == "signal":
        sender.send_signal(signal.SIGTERM)
    assert sender.wait(10) == 0
    assert state(victim.pid) != "T"
    assert said(tmp_path) == f"continued {victim.pid}"


def test_from_inside_process_1_is_left_alone(tmp_path: Path) -> None:
    proc(tmp_path, 1, "same", "1")
    own = tmp_path / "self"
    own.mkdir()
    (own / "cgroup").write_text("0::/../same\n")
    assert send(tmp_path, "KILL").wait(20) == 4
    assert said(tmp_path) == "process 1 of its own namespace is shielded"


def test_from_inside_the_oldest_process_of_the_own_container_is_hit(
    tmp_path: Path, victim: subprocess.Popen[bytes]
) -> None:
    proc(tmp_path, 1, "pause", "1")  # the pod's own process, of another container
    proc(tmp_path, victim.pid, "same", str(victim.pid))
    own = tmp_path / "self"
    own.mkdir()
    (own / "cgroup").write_text("0::/../same\n")
    assert send(tmp_path, "KILL").wait(20) == 0
    assert victim.wait(5) == -signal.SIGKILL
