"""The prober keeps its cadence, and an outage has two edges in its record."""

import os
import signal
import time
from itertools import pairwise
from pathlib import Path

import pytest

from acpchaos.errors import DeadlinePassed
from acpchaos.load import prober as probing
from acpchaos.load.prober import Prober
from acpchaos.record.events import Gap, Request
from acpchaos.record.journal import read_journal
from acpchaos.wait import pause_until


def probes(folder, flow="token"):
    found = [e for file in (folder / "events").glob("prober-*") for e in read_journal(file).events]
    mine = [e for e in found if isinstance(e, Request) and e.flow == flow]
    return sorted(mine, key=lambda e: e.intended_ns)


def pause(for_s):
    pause_until(time.monotonic() + for_s)


@pytest.fixture
def prober(issuer, make_profile, tmp_path):
    (tmp_path / "events").mkdir()
    made = Prober(make_profile(issuer), tmp_path)
    made.start()
    yield made
    made.stop()


def test_cadence_fresh_connections_and_no_secret(prober, issuer, tmp_path):
    pause(2.0)
    child = prober._child
    process = Path(f"/proc/{child.pid}")
    assert b"5up3r" not in (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
    prober.stop()
    assert child.poll() == 0
    tokens, keys = probes(tmp_path), probes(tmp_path, "jwks")
    assert tokens and keys and not any(e.error for e in tokens + keys)
    gaps = [b.intended_ns - a.intended_ns for a, b in pairwise(tokens)]
    assert all(gap == pytest.approx(0.2e9, abs=2e6) for gap in gaps)
    assert all(e.source == "prober" and e.intended_ns <= e.start_ns <= e.t_ns for e in tokens)
    assert issuer.counts["token"] == len(tokens)
    assert issuer.connections == len(tokens) + len(keys) + 1  # one to discover
    assert "5up3r" not in "".join(f.read_text() for f in (tmp_path / "events").iterdir())


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_an_outage_has_two_edges(prober, issuer, tmp_path, how):
    pause(0.8)
    gone_ns = time.time_ns()
    issuer.close() if how == "stopped" else issuer.freeze()
    pause(1.6)
    back_ns = time.time_ns()
    issuer.open() if how == "stopped" else issuer.thaw()
    pause(1.0)
    prober.stop()
    seen = probes(tmp_path)
    bad = [e for e in seen if e.error]
    assert {e.error for e in bad} == {"refused" if how == "stopped" else "timeout"}
    before, after = ([e for e in seen if not e.error and e.t_ns < gone_ns + 2e8],
                     [e for e in seen if not e.error and e.t_ns > back_ns])  # fmt: skip
    assert before and after
    assert bad[0].intended_ns - gone_ns < 0.5e9
    assert after[-1].intended_ns > back_ns
    # every due probe was begun, however the ones before fared
    gaps = [b.intended_ns - a.intended_ns for a, b in pairwise(seen)]
    assert max(gaps) < 0.21e9
    during = [e for e in seen if gone_ns < e.intended_ns < back_ns - 1e9]
    assert during and all(e.error for e in during)


def test_a_suspended_prober_says_it_was_blind(prober, tmp_path):
    os.kill(prober._child.pid, signal.SIGSTOP)
    pause(1.6)
    os.kill(prober._child.pid, signal.SIGCONT)
    pause(0.5)
    prober.stop()
    found = [
        e for file in (tmp_path / "events").glob("prober-*") for e in read_journal(file).events
    ]
    blind = [e for e in found if isinstance(e, Gap)]
    assert blind and {e.recorder for e in blind} == {"prober"}
    assert max(e.t_ns - e.from_ns for e in blind) > 1.2e9


def test_no_discovery_document_is_told_as_what_was_awaited(
    issuer, make_profile, tmp_path, monkeypatch
):
    profile = make_profile(issuer)
    issuer.unavailable = True
    monkeypatch.setattr(probing, "DISCOVERY_S", 0.2)
    with pytest.raises(DeadlinePassed) as told:
        probing.plan(profile, tmp_path)
    assert f"{issuer.base_url}/acme/main" in told.value.attempted
    assert "no discovery document (HTTP 503)" in told.value.seen
