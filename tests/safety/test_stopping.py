"""A play ends early, undone, when a file appears, an alarm fires or its error budget is burnt; and
never for less. What was stopped proves nothing, but a burnt budget is a broken one."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fake_api import scene
from fake_api.server import FakeApi
from golden import records
from golden.records import at

from acpchaos import play, stopping
from acpchaos.check.judge import judge
from acpchaos.check.verdict import Outcome
from acpchaos.errors import PreconditionUnmet, TargetLeftDirty, UsageError
from acpchaos.faults import toolkit
from acpchaos.plan import resolved
from acpchaos.record.events import STOPPED, Observation, Phase
from acpchaos.record.journal import Journal, read_journal
from acpchaos.scenario import Claim, Load, Scenario
from acpchaos.stopping import Alarm, Burn, Reason, Stopper, firing, require_quiet
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import PROJECT, Profile, Stop, load_profile
from acpchaos.wait import eventually
from safety import target
from safety.test_play_journal import Silent

QUIET, LOUD = b"[]", b'[{"labels": {"alertname": "Down"}, "status": {"state": "active"}}]'
BUDGET = Claim(
    id="errors", says="x", check="availability.error_ratio", params={"max_ratio": 0.1}
)  # fmt: skip
PLANNED = Scenario(
    name="one-pod", load=Load(mix={"client_credentials": 1}), experiment="pod-loss.yaml",
    steady_s=20, fault_s=30, recovery_s=20, claims=(BUDGET,),
)  # fmt: skip


@contextmanager
def told(body: bytes, status: int = 200) -> Iterator[tuple[str, list[bytes]]]:
    """An alarm manager; what it says can be changed meanwhile."""
    says = [body]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(says[-1])

        def log_message(self, *_: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/api/v2/alerts", says
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (QUIET, []),
        (LOUD, ["Down"]),
        (LOUD.replace(b"active", b"suppressed"), []),
        (b'{"data": {"alerts": [{"labels": {"alertname": "A"}, "state": "pending"}]}}', []),
        (b'{"data": {"alerts": [{"labels": {"alertname": "A"}, "state": "firing"}]}}', ["A"]),
        (b'{"data": {"result": []}}', []),
        (b'{"data": {"result": [{"metric": {"job": "acp"}}]}}', ["{'job': 'acp'}"]),
    ],
)
def test_alarms_are_read_in_the_words_of_prometheus(body: bytes, names: list[str]) -> None:
    assert firing(body) == names


@pytest.mark.parametrize("body", [b"", b"<html>", b"{}", b'{"data": {}}', b"true"])
def test_what_is_no_answer_is_not_quiet(body: bytes) -> None:
    with pytest.raises(ValueError):
        firing(body)


def test_a_silent_alarm_is_forgiven_for_a_moment_only() -> None:
    now = [0.0]
    with told(QUIET) as (url, _):
        alarm = Alarm(url, lambda: now[0])
        now[0] = 100.0
        assert alarm.look() == ""
    now[0] += stopping.BLIND_S - 1
    assert alarm.look() == ""
    now[0] += 2
    assert "gave no answer for 15 s" in alarm.look()


def test_nothing_begins_under_an_alarm_or_with_one_that_cannot_be_asked(tmp_path: Path) -> None:
    require_quiet(Stop())
    require_quiet(Stop(file=tmp_path / "stop"))
    with told(QUIET) as (url, says):
        require_quiet(Stop(url=url))
        says.append(LOUD)
        with pytest.raises(PreconditionUnmet, match="alarm Down"):
            require_quiet(Stop(url=url))
    with pytest.raises(PreconditionUnmet, match="cannot be asked"):
        require_quiet(Stop(url=url))
    (tmp_path / "stop").touch()
    with pytest.raises(PreconditionUnmet, match="exists"):
        require_quiet(Stop(file=tmp_path / "stop"))


def write(folder: Path, begin_s: float, count: int, error: str = "", source: str = "load") -> None:
    """`count` requests, ten per second."""
    with Journal(folder / f"{source}-1.ndjson") as journal:
        for number in range(count):
            due_s = begin_s + number / 10
            request = records.request(due_s, "client_credentials", source, error=error)
            journal.write(request)


def test_the_budget_is_that_of_the_whole_play(tmp_path: Path) -> None:
    burn = Burn(tmp_path, PLANNED)
    write(tmp_path, 0, 300)  # 30 s at 10/s, of which the last 20 s are the steady phase
    burn.fault_begins(at(30))
    assert burn.burnt() == 0.0 and burn.allowed == pytest.approx(0.1 * 10 * 50)
    write(tmp_path, 30, 25, "http_503")
    write(tmp_path, 30, 999, "http_503", "prober")  # not the load
    assert (burn.burnt(), burn.failed) == (0.5, 25)
    with (tmp_path / "load-1.ndjson").open("ab") as file:  # a line that is being written
        file.write(msgspec.json.encode(records.request(33, "x", error="reset"))[:50])
    assert burn.burnt() == 0.5
    with (tmp_path / "load-1.ndjson").open("ab") as file:
        file.write(msgspec.json.encode(records.request(33, "x", error="reset"))[50:] + b"\n")
    assert burn.failed == 25 and burn.burnt() == 0.52
    write(tmp_path, 34, 600, "")  # more than was expected: the share counts
    burn.burnt()
    assert burn.allowed == pytest.approx(0.1 * 626)


def test_without_a_declared_budget_nothing_burns(tmp_path: Path) -> None:
    one_flow = msgspec.structs.replace(BUDGET, params={"max_ratio": 0.0001, "flow": "refresh"})
    burn = Burn(tmp_path, msgspec.structs.replace(PLANNED, claims=(one_flow,)))
    burn.fault_begins(at(0))
    write(tmp_path, 0, 100, "reset")
    assert burn.burnt() == 0.0


def looked(stop: Stop, folder: Path, lost: bool = False) -> Reason | None:
    """One look, with 25 of 50 allowed failures on record."""
    write(folder, 0, 200)
    event = threading.Event()
    stopper = Stopper(stop, PLANNED, folder, event)
    stopper._burn.fault_begins(at(20))
    write(folder, 20, 25, "reset")
    if lost:
        event.set()
        return stopper.reason
    return stopper.look()


def test_each_way_is_told_and_nothing_else_stops(tmp_path: Path) -> None:
    (tmp_path / "stop").touch()
    ways = {
        "file": Stop(file=tmp_path / "stop"), "burn": Stop(burn=0.4), "none": Stop(burn=0.6),
        "absent": Stop(file=tmp_path / "not"), "lease": Stop(),
    }  # fmt: skip
    seen = {}
    for way, stop in ways.items():
        folder = tmp_path / way
        folder.mkdir()
        seen[way] = looked(stop, folder, way == "lease")
    assert seen["none"] is None and seen["absent"] is None
    assert {each.by for each in seen.values() if each} == {"file", "burn", "lease"}
    assert seen["burn"] and "25 requests failed, 50 may" in seen["burn"].why
    with told(LOUD) as (url, _):
        alarm = Stopper(Stop(url=url), PLANNED, tmp_path, threading.Event()).look()
    assert alarm and alarm.by == "alarm" and "Down" in alarm.why


def test_options_go_before_the_profile(api: FakeApi, tmp_path: Path) -> None:
    profile = load_profile(scene.write_profile(api, tmp_path))
    assert stopping.asked(profile, None, None, None) is profile
    stop = stopping.asked(profile, "x/stop", "http://a/b", 2.0).stop
    assert stop == Stop(file=Path("x/stop").absolute(), url="http://a/b", burn=2.0)
    for wrong in ((None, "ftp://a", None), (None, None, -1.0)):
        with pytest.raises(UsageError):
            stopping.asked(profile, *wrong)
    lines = stopping.told(stop, resolved(PLANNED, profile))
    assert len(lines) == 3 and "burnt 2 times" in lines[2]


class NoLoad:
    """In place of Locust."""

    def __init__(self, *_: Any, **__: Any) -> None: ...
    def start(self) -> None: ...
    def wait_flowing(self) -> None: ...
    def stop(self) -> None: ...


def playing(
    api: FakeApi, folder: Path, patch: pytest.MonkeyPatch, during: Callable[..., toolkit.Played],
    **lengths: float,
) -> Callable[[], Path]:  # fmt: skip
    """A play on the fake API server without load, recorders and gates; `during` is its fault."""
    profile = load_profile(scene.write_profile(api, folder))
    profile = profile.model_copy(update={"stop": Stop(file=folder / "stop")})
    patch.setattr(play, "Swarm", NoLoad)
    patch.setattr(toolkit, "run", during)
    patch.setattr(stopping, "EVERY_S", 0.02)
    patch.setattr(Stopper.__init__, "__defaults__", (0.02, 0.02))
    for part in ("_recorders", "_gate", "_remember"):
        patch.setattr(play._Play, part, lambda *_: None)
    patch.setattr(play._Play, "_ledger", lambda *_: None)
    scenario = msgspec.structs.replace(PLANNED, **lengths)

    def go() -> Path:
        done = play.play(
            scenario, profile, target="t", reports=folder / "reports", seed=1, progress=Silent()
        )
        return done.folder

    return go


def test_a_stop_in_the_fault_ends_the_play_and_decides_nothing(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def until_stopped(*_: Any, stop: toolkit.Stop, **__: Any) -> toolkit.Played:
        assert not stop.is_set()
        (tmp_path / "stop").touch()
        eventually("the stop", stop.is_set, 10, 0.02)
        return toolkit.Played("stopped", False, "the experiment was stopped")

    go = playing(api, tmp_path, monkeypatch, until_stopped, steady_s=0, recovery_s=60)
    folder = go()
    events = read_journal(folder / "events" / "play.ndjson").events
    assert [e.name for e in events if isinstance(e, Phase)] == [
        "gate", "steady", "fault", "recovery", "after", "end",
    ]  # fmt: skip
    (stop,) = [e for e in events if isinstance(e, Observation)]
    assert stop.name == STOPPED and stop.value["by"] == "file"
    (claim,) = json.loads((folder / "verdicts.json").read_bytes())
    assert claim["verdict"]["outcome"] == "inconclusive"
    assert claim["verdict"]["why"].startswith("the play was stopped: ")
    before = target.changes(api)
    with pytest.raises(PreconditionUnmet, match="exists"):  # the next one of the night
        go()
    assert target.changes(api) == before


@pytest.mark.parametrize("outcome", ["overdue", "crashed"])
def test_an_experiment_that_was_cut_short_decides_nothing(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: str
) -> None:
    def cut(*_: Any, **__: Any) -> toolkit.Played:
        return toolkit.Played(outcome, False, f"the experiment was {outcome}")

    folder = playing(api, tmp_path, monkeypatch, cut, steady_s=0, recovery_s=0)()
    (claim,) = json.loads((folder / "verdicts.json").read_bytes())
    assert claim["verdict"]["why"] == f"the play was stopped: the experiment was {outcome}"


def test_a_look_that_fails_stops_the_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(self: Path) -> bool:
        raise PermissionError(13, "denied", str(self))

    monkeypatch.setattr(Path, "exists", denied)
    stop = Stop(file=tmp_path / "stop")
    with Stopper(stop, PLANNED, tmp_path, threading.Event(), 0.02).looking() as stopper:
        eventually("the stop", stopper.is_set, 5, 0.02)
    assert stopper.reason and "PermissionError" in stopper.reason.why


def test_a_stop_before_the_fault_changes_nothing(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = playing(api, tmp_path, monkeypatch, lambda *_, **__: pytest.fail("began"), steady_s=60)
    threading.Timer(0.1, (tmp_path / "stop").touch).start()
    monkeypatch.setattr(play, "require_quiet", lambda stop: None)
    with pytest.raises(stopping.PlayStopped, match="appeared") as caught:
        go()
    assert caught.value.exit_code == 10
    assert [call.split(" ")[0] for call in target.changes(api)] == ["POST", "DELETE"]  # its Lease


def test_a_stop_that_cannot_be_undone_is_dirty_above_all(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def left(*_: Any, **__: Any) -> toolkit.Played:
        return toolkit.Played("stopped", False, "stopped", dirty="cordon worker-a: HTTP 403")

    with pytest.raises(TargetLeftDirty) as caught:
        playing(api, tmp_path, monkeypatch, left, steady_s=0, recovery_s=0)()
    assert caught.value.exit_code == 11


def test_a_real_drain_is_undone_when_the_file_appears(api: FakeApi, tmp_path: Path) -> None:
    profile = load_profile(scene.write_profile(api, tmp_path))
    scene.never_emptied(api)
    stop, seen = Stop(file=tmp_path / "stop"), list[str]()

    def cordoned() -> bool:
        nodes = Cluster.from_profile(profile).list("Node")
        return any(node["spec"].get("unschedulable") for node in nodes)

    def touch() -> None:
        eventually("the cordon", cordoned, 100, 0.1)
        seen.append("cordoned")
        (tmp_path / "stop").touch()

    thread = threading.Thread(target=touch)
    thread.start()
    with Stopper(stop, PLANNED, tmp_path, threading.Event(), 0.05).looking() as stopper:
        played = toolkit.run(
            PROJECT / "experiments" / "zone-drain.yaml", tmp_path / "run-1", profile,
            {"zone": "zone-a", "deadline_s": 60.0, "stuck_s": 60.0},
            target=str(tmp_path / "fake.toml"), deadline_s=90, stop=stopper,
        )  # fmt: skip
    thread.join()
    assert (seen, played.outcome, played.dirty) == (["cordoned"], "stopped", ""), played.why
    assert not cordoned()


def stopped(by: str, failed_s: float) -> dict[str, Outcome]:
    """Verdicts on the good record, some of it failed, that was stopped `by` something."""
    events = records.good_events()
    events = records.changed(events, records.due_between(40, 40 + failed_s, "load"), error="reset")
    value = {"by": by, "why": "so"}
    events.append(Observation(t_ns=at(45), when="during", name=STOPPED, value=value))
    return {claim.id: claim.verdict.outcome for claim in judge(records.run_of(events))}


def test_only_a_burnt_budget_is_judged_of_what_was_stopped() -> None:
    undecided = dict.fromkeys(("never-down", "errors", "replicas", "sessions"), "inconclusive")
    assert stopped("file", 0) == undecided
    assert stopped("file", 5) == undecided
    assert stopped("burn", 0) == undecided  # the record does not bear it out
    assert stopped("burn", 5) == undecided | {"errors": "failed"}


def profile_of(text: str, folder: Path) -> Profile:
    path = folder / "p.toml"
    path.write_text('[cluster]\ncontext="c"\n[service]\nbase_url="https://a"\n' + text)
    return load_profile(path)


def test_the_profile_names_a_file_beside_it(tmp_path: Path) -> None:
    assert profile_of("", tmp_path).stop == Stop()
    assert profile_of('[stop]\nfile="s"\nburn=2', tmp_path).stop.file == tmp_path / "s"
    with pytest.raises(UsageError, match=r"stop\.url"):
        profile_of('[stop]\nurl="alerts"', tmp_path)
