"""Locust as a child: offers what was asked, records what was sent, tells no secret, ends."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

from acpchaos.load.swarm import Swarm
from acpchaos.record.journal import read_journal
from acpchaos.scenario import Load
from acpchaos.target.profile import PROJECT
from acpchaos.wait import eventually, pause_until
from tests.load.conftest import write_profile
from tests.load.issuer import Issuer

FLOWS = ("client_credentials", "authorization_code", "refresh", "introspect", "revoke", "userinfo")
RATE, FASTER = 20.0, 40.0
LOAD = Load(rate_per_s=RATE, mix=dict.fromkeys(FLOWS, 1))
PARENT = """
import sys, time
from pathlib import Path
from acpchaos.load.swarm import Swarm
from acpchaos.scenario import Load
from acpchaos.target.profile import load_profile
swarm = Swarm(load_profile(sys.argv[1]), Load(rate_per_s=5, mix={"client_credentials": 1}),
              Path(sys.argv[2]), seed=1)
swarm.start()
print(swarm._child.pid, swarm._handed, flush=True)
sys.stdin.read()
"""


def requests(folder):
    return [e for file in (folder / "events").glob("load-*") for e in read_journal(file).events]


def pause(for_s):
    pause_until(time.monotonic() + for_s)


def during(play, name):
    begin_ns, end_ns = play.spans[name]
    return [e for e in play.requests if begin_ns <= e.intended_ns < end_ns]


def arrivals_per_s(play, name):
    begin_ns, end_ns = play.spans[name]
    due_ns = {}
    for event in play.requests:
        if event.flow != "discovery":
            due_ns[event.session] = min(event.intended_ns, due_ns.get(event.session, 1 << 63))
    offered = [due for due in due_ns.values() if begin_ns <= due < end_ns]
    return len(offered) / ((end_ns - begin_ns) / 1e9)


@pytest.fixture(scope="module", params=["lean", "fast"])
def play(request, tmp_path_factory):
    """One run of the load: steady, frozen for a second, twice as fast, drained, ended."""
    folder = tmp_path_factory.mktemp("play")
    spans = {}

    def span(name, for_s):
        begin_ns = time.time_ns()
        pause(for_s)
        spans[name] = begin_ns, time.time_ns()

    with Issuer() as issuer:
        swarm = Swarm(write_profile(issuer, folder, sender=request.param), LOAD, folder, seed=5)
        swarm.start()
        try:
            swarm.wait_flowing()
            span("steady", 2.5)
            issuer.freeze()
            span("frozen", 1.0)
            issuer.thaw()
            swarm.set_rate(FASTER)
            pause(0.5)
            span("faster", 1.5)
            swarm.set_rate(0)
            child, handed = swarm._child, swarm._handed
            argv = Path(f"/proc/{child.pid}/cmdline").read_bytes()
            environ = Path(f"/proc/{child.pid}/environ").read_bytes()
            eventually("the last flow's end", lambda: quiet(issuer, folder), 10)
        finally:
            swarm.stop()
        yield SimpleNamespace(
            issuer=issuer, folder=folder, spans=spans, requests=requests(folder), child=child,
            handed=handed, private=argv + environ,
        )  # fmt: skip


def quiet(issuer, folder):
    """Whether nothing was asked for a while."""
    before = issuer.counts.total()
    pause(0.7)
    return issuer.counts.total() == before


def test_what_is_recorded_is_what_was_sent(play):
    recorded = Counter(e.step for e in play.requests)
    asked = Counter(play.issuer.counts)
    asked["discovery"] = asked.pop("openid-configuration")
    assert recorded == asked
    assert recorded["login"] == recorded["consent"] == 2 * recorded["authorize"] > 0


def test_every_flow_is_played_and_succeeds(play):
    played = Counter(e.flow for e in play.requests if e.flow != "discovery")
    assert set(played) == set(FLOWS)
    assert Counter(e.error for e in play.requests) == {"": len(play.requests)}


def test_times_are_in_order(play):
    assert all(0 < e.intended_ns <= e.start_ns <= e.t_ns for e in play.requests)
    assert {e.source for e in play.requests} == {"load"}


@pytest.mark.parametrize(("name", "rate"), [("steady", RATE), ("faster", FASTER)])
def test_the_offered_rate_is_the_one_asked_for(play, name, rate):
    assert arrivals_per_s(play, name) == pytest.approx(rate, rel=0.2)


def test_a_stalled_server_does_not_slow_the_arrivals(play):
    assert arrivals_per_s(play, "frozen") == pytest.approx(RATE, rel=0.3)
    _, thawed_ns = play.spans["frozen"]
    waited = [e for e in during(play, "frozen") if e.t_ns >= thawed_ns]
    assert len(waited) >= 0.5 * RATE
    assert max(e.t_ns - e.intended_ns for e in waited) > 0.8e9


def test_no_secret_and_no_token_leaves_the_child(play):
    files = [f for f in play.folder.rglob("*") if f.is_file() and f.suffix != ".secret"]
    assert {f.name for f in files} >= {"output.log", "locust.log", "load_stats.csv"}
    assert any(f.suffix == ".ndjson" for f in files)
    told = play.private + b"".join(file.read_bytes() for file in files)
    assert b"5up3r" not in told
    assert len(play.issuer.issued) > 100
    assert not [token for token in play.issuer.issued if token.encode() in told]


def test_nothing_is_left_after_the_stop(play):
    assert play.child.returncode == 0
    assert not Path(f"/proc/{play.child.pid}").exists()
    assert not play.handed.exists()


def test_the_child_ends_with_its_parent(issuer, make_profile, tmp_path):
    make_profile(issuer)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path / "target.toml"), str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=PROJECT,
    )  # fmt: skip
    pid, handed = parent.stdout.readline().decode().split()
    try:
        eventually("the first flow", lambda: issuer.counts["token"], 20, 0.1)
    finally:
        parent.kill()
        parent.communicate()
    try:
        eventually("the child's end", lambda: ended(int(pid)), 8, 0.1)
        assert not Path(handed).exists()
    finally:
        Path(handed).unlink(missing_ok=True)
        if not ended(int(pid)):
            os.kill(int(pid), signal.SIGKILL)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "ACPCHAOS_LOAD_M2M_ID"),
        ({"M2M_ID": "a", "RATE": "fast"}, "'fast'"),
        ({"M2M_ID": "a", "SENDER": "requests"}, "'requests'"),
        ({"M2M_ID": "a", "M2M_AUTH": "none"}, "'none'"),
        ({"M2M_ID": "a", "M2M_KEY_FILE": "/nowhere/key"}, "/nowhere/key"),
    ],
)
def test_by_hand_what_is_missing_or_wrong_is_said_at_once(given, told):
    kept = {key: value for key, value in os.environ.items() if "ACPCHAOS_LOAD_" not in key}
    ended = subprocess.run(
        [sys.executable, "-m", "locust", "-f", "loadtests/token_flows.py", "--headless",
         "--host", "http://127.0.0.1:1", "--run-time", "30"],
        env=kept | {f"ACPCHAOS_LOAD_{key}": value for key, value in given.items()},
        cwd=PROJECT, capture_output=True, text=True, timeout=25, check=False,
    )  # fmt: skip
    assert ended.returncode == 4
    assert told in ended.stderr and "Traceback" not in ended.stderr


def ended(pid):
    """Gone, or a zombie that nobody reaps here."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True
