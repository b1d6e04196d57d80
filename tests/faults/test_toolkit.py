"""Real Chaos Toolkit children on the fake API server: whatever stops them, the target is clean."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid
from chaoslib.loader import load_experiment
from fake_api.scene import NAMESPACE, never_emptied
from fake_api.server import FakeApi

from acpchaos.errors import TargetLeftDirty
from acpchaos.faults import changes, toolkit
from acpchaos.faults.catalogue import ENTRIES
from acpchaos.faults.undo import UndoLog
from acpchaos.record.events import Clock
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import PROJECT, load_profile
from acpchaos.wait import eventually
from faults.told import cordoned, events, undo_records

EXPERIMENTS = sorted((PROJECT / "experiments").glob("*.yaml"))
DRAIN: dict[str, Any] = {"zone": "zone-a", "deadline_s": 20.0, "stuck_s": 2.0, "hold_s": 0.0}


@pytest.fixture(autouse=True)
def _heeds_interrupt() -> Iterator[None]:
    """SIGINT works here even where the shell that began the tests had it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def leases(api: FakeApi) -> list[str]:
    with api.store.lock:
        return [key[2] for key in api.store.objects if key[0] == "leases"]


def play(
    profile_path: Path, run_dir: Path, name: str, configuration: dict[str, Any], **more: Any
) -> toolkit.Played:
    return toolkit.run(
        PROJECT / "experiments" / name, run_dir, load_profile(profile_path), configuration,
        target=str(profile_path), deadline_s=more.pop("deadline_s", 60), **more,
    )  # fmt: skip


def test_every_experiment_is_valid_and_always_rolls_back() -> None:
    assert {path.name for path in EXPERIMENTS} == {entry.experiment for entry in ENTRIES}
    for path in EXPERIMENTS:
        experiment = load_experiment(str(path))
        ensure_experiment_is_valid(experiment)
        assert experiment["runtime"]["rollbacks"]["strategy"] == "always"
        assert experiment["rollbacks"][0]["provider"]["func"] == "undo"


def test_drain_and_back(api: FakeApi, profile_path: Path, tmp_path: Path) -> None:
    run_dir = tmp_path / "run-7"
    played = play(profile_path, run_dir, "zone-drain.yaml", DRAIN)
    assert (played.outcome, played.conclusive) == ("passed", True), played.why
    assert (played.undone, played.dirty) == ((), "")
    told = events(run_dir / "events" / "chaos.ndjson")
    assert [e["outcome"] for e in told if e["kind"] == "witness"] == ["installed"]
    health = {(e["what"], e["when"], e["ok"]) for e in told if e["kind"] == "health"}
    assert {("redis", "before", True), ("nodes", "after", True)} <= health
    assert [e["state"] for e in told if e["kind"] == "undo"] == ["recorded", "reverted", "verified"]
    assert cordoned(api) == [] and undo_records(api) == [] and leases(api) == []
    assert not (run_dir / "chaos" / "kubeconfig").exists()
    assert "t0ken" not in "".join(path.read_text() for path in run_dir.rglob("*") if path.is_file())


def test_unhealthy_target_is_never_touched(
    api: FakeApi, profile_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.on_exec = lambda pod, argv: ("", 1)  # no Redis node answers
    text = (PROJECT / "experiments" / "zone-drain.yaml").read_text()
    quick = tmp_path / "quick.yaml"
    quick.write_text(text.replace('analytics"}', 'analytics", budget_s: 1}'))
    played = toolkit.run(
        quick, tmp_path / "run", load_profile(profile_path), DRAIN,
        target=str(profile_path), deadline_s=60,
    )  # fmt: skip
    assert (played.outcome, played.conclusive) == ("baseline-not-met", False)
    assert not [call for call in api.store.calls if call.startswith("PATCH") and "/nodes/" in call]


def alone(profile_path: Path, run_dir: Path) -> subprocess.Popen[bytes]:
    """`chaos run` typed by hand, with the toolkit's default rollback strategy."""
    environment = os.environ | {
        "ACPCHAOS_TARGET": str(profile_path), "ACPCHAOS_RUN_DIR": str(run_dir),
        "ZONE_DRAIN_ZONE": "zone-a", "ZONE_DRAIN_DEADLINE_S": "60", "ZONE_DRAIN_STUCK_S": "60",
    }  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--no-log-file", "run",
         "--journal-path", str(run_dir / "journal.json"),
         str(PROJECT / "experiments" / "zone-drain.yaml")],
        cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=toolkit.heed_interrupt,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_during_a_drain_leaves_no_cordoned_node(
    api: FakeApi, profile_path: Path, tmp_path: Path, number: signal.Signals
) -> None:
    never_emptied(api)
    run_dir = tmp_path / "run-8"
    run_dir.mkdir()
    child = alone(profile_path, run_dir)
    try:
        eventually("the cordon", lambda: cordoned(api) == ["worker-a"], 40, 0.1)
        assert undo_records(api) == ["acpchaos-undo-run-8"]
        child.send_signal(number)
        child.wait(30)
    finally:
        child.kill()
    assert cordoned(api) == [] and undo_records(api) == [] and leases(api) == []


def test_ctrl_c_at_the_runner_passes_on_and_leaves_no_cordoned_node(
    api: FakeApi, profile_path: Path, tmp_path: Path
) -> None:
    never_emptied(api)
    script = (
        "import sys; from pathlib import Path; from acpchaos.faults import toolkit;"
        "from acpchaos.target.profile import load_profile; p = sys.argv[1];"
        "toolkit.run(Path('experiments/zone-drain.yaml'), Path(sys.argv[2]), load_profile(p),"
        "{'zone': 'zone-a', 'deadline_s': 60.0, 'stuck_s': 60.0}, target=p, deadline_s=90)"
    )
    runner = subprocess.Popen(
        [sys.executable, "-c", script, str(profile_path), str(tmp_path / "run-9")],
        cwd=PROJECT, stderr=subprocess.PIPE, preexec_fn=toolkit.heed_interrupt,
    )  # fmt: skip
    try:
        eventually("the cordon", lambda: cordoned(api) == ["worker-a"], 40, 0.1)
        runner.send_signal(signal.SIGINT)
        _, stderr = runner.communicate(timeout=40)
    finally:
        runner.kill()
    assert b"KeyboardInterrupt" in stderr
    assert cordoned(api) == [] and undo_records(api) == [] and leases(api) == []


PATIENT = """
import signal, time
signal.signal(signal.SIGINT, lambda *_: (time.sleep(1), exit()))
print("up", flush=True)
time.sleep(60)
"""


def interrupted(
    api: FakeApi, profile_path: Path, run_dir: Path, patch: pytest.MonkeyPatch
) -> list[str]:
    """What is said by a runner whose child takes a second to end after Ctrl-C, which comes once
    more meanwhile. One change is recorded and made."""
    cluster = Cluster.from_profile(load_profile(profile_path))
    log = UndoLog(cluster, NAMESPACE, run_dir.name, None, Clock())
    node = cluster.get("Node", "worker-a")
    log.record(changes.cordon(node))
    marked = {"annotations": {changes.CORDONED_BY: run_dir.name}}
    cluster.patch("Node", "worker-a", {"metadata": marked, "spec": {"unschedulable": True}})
    words: list[str] = []

    def start(*_: object) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-c", PATIENT], stdout=subprocess.PIPE, start_new_session=True
        )
        assert child.stdout and child.stdout.readline() == b"up\n"
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        return child

    def say(text: str) -> None:
        words.append(text)
        if len(words) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    patch.setattr(toolkit, "_start", start)
    with contextlib.suppress(KeyboardInterrupt):
        toolkit.run(
            PROJECT / "experiments" / "zone-drain.yaml", run_dir, load_profile(profile_path), {},
            target=str(profile_path), deadline_s=30, say=say,
        )  # fmt: skip
        pytest.fail("Ctrl-C was not passed on")
    return words


def test_ctrl_c_says_at_once_what_is_undone_and_a_second_one_does_not_stop_that(
    api: FakeApi, profile_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = interrupted(api, profile_path, tmp_path / "run-14", monkeypatch)
    assert words[0].startswith("the experiment is interrupted and told to end; it has to take back")
    assert words[0].endswith(": cordon worker-a")
    assert "SIGINT: still undoing" in words[1] and "acpchaos undo run-14" in words[1]
    assert words[-1] == "taken back from here: cordon worker-a; nothing is left changed"
    assert cordoned(api) == [] and undo_records(api) == []


def test_ctrl_c_does_not_hide_that_something_is_left_changed(
    api: FakeApi, profile_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(toolkit, "_undo", lambda *_: ((), "cordon worker-a: HTTP 403"))
    with pytest.raises(TargetLeftDirty, match="acpchaos undo run-15") as caught:
        interrupted(api, profile_path, tmp_path / "run-15", monkeypatch)
    assert isinstance(caught.value.__cause__, KeyboardInterrupt)


def test_ctrl_c_after_the_experiment_waits_for_the_undo_and_counts(
    api: FakeApi, profile_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def undo(*_: object) -> tuple[tuple[str, ...], str]:
        os.kill(os.getpid(), signal.SIGINT)
        undone.append("all")
        return (), ""

    undone: list[str] = []
    monkeypatch.setattr(toolkit, "_start", lambda *_: subprocess.Popen(["true"]))
    monkeypatch.setattr(toolkit, "_undo", undo)
    with pytest.raises(KeyboardInterrupt):
        play(profile_path, tmp_path / "run-16", "zone-drain.yaml", DRAIN)
    assert undone == ["all"]


def test_killed_child_is_undone_by_its_parent(
    api: FakeApi, profile_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL: no rollback, no handler, no net below; only the record in the cluster is left."""
    never_emptied(api)
    started: list[subprocess.Popen[bytes]] = []
    start = toolkit._start
    monkeypatch.setattr(
        toolkit, "_start", lambda *given: started.append(start(*given)) or started[-1]
    )

    def kill_when_cordoned() -> None:
        eventually("the cordon", lambda: cordoned(api) == ["worker-a"], 40, 0.1)
        started[0].kill()

    killer = threading.Thread(target=kill_when_cordoned)
    killer.start()
    slow = DRAIN | {"deadline_s": 60.0, "stuck_s": 60.0}
    played = play(profile_path, tmp_path / "run-10", "zone-drain.yaml", slow)
    killer.join()
    assert (played.outcome, played.conclusive) == ("crashed", False)
    assert played.undone == ("cordon worker-a",)
    assert cordoned(api) == [] and undo_records(api) == []


def test_stop_and_deadline_end_the_child(api: FakeApi, profile_path: Path, tmp_path: Path) -> None:
    never_emptied(api)
    stop = threading.Event()
    stop.set()
    slow = DRAIN | {"deadline_s": 60.0, "stuck_s": 60.0}
    stopped = play(profile_path, tmp_path / "run-11", "zone-drain.yaml", slow, stop=stop)
    assert (stopped.outcome, stopped.conclusive) == ("stopped", False)
    overdue = play(profile_path, tmp_path / "run-12", "zone-drain.yaml", slow, deadline_s=1)
    assert (overdue.outcome, overdue.conclusive) == ("overdue", False)
    assert cordoned(api) == []


@pytest.mark.parametrize(
    ("report", "expected"),
    [
        ({"outcome": "passed", "conclusive": True, "verdict": "held"}, ("passed", True)),
        ({"outcome": "deviated", "conclusive": True}, ("deviated", True)),
        (
            {"outcome": "passed", "conclusive": False,
             "warnings": [{"code": "method-activity-failed", "message": "drain failed"}]},
            ("passed", False),
        ),
        ({"outcome": "baseline-not-met", "conclusive": False}, ("baseline-not-met", False)),
        ({"outcome": "interrupted"}, ("interrupted", False)),
    ],
)  # fmt: skip
def test_report_is_mapped(report: dict[str, Any], expected: tuple[str, bool]) -> None:
    played = toolkit.told(report)
    assert (played.outcome, played.conclusive) == expected
    for warning in report.get("warnings", []):
        assert warning["message"] in played.why
