"""The prober keeps its cadence, and an outage has two edges in its record."""

import asyncio
import os
import signal
import time
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from acpchaos.errors import DeadlinePassed
from acpchaos.load import prober as probing
from acpchaos.load.prober import Prober
from acpchaos.record.events import ENDPOINT, PROBER, Gap, Request
from acpchaos.record.journal import Journal, read_journal
from acpchaos.wait import pause_until


def probes(folder, flow="token"):
    """Of one flow, or of all."""
    found = [e for file in (folder / "events").glob("prober-*") for e in read_journal(file).events]
    mine = [e for e in found if isinstance(e, Request) and flow in ("", e.flow)]
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
    every = probes(tmp_path, "")
    assert {e.flow for e in every} >= {"token", "jwks", "discovery"}
    assert issuer.connections - len(every) in (1, 2)  # to discover, and to see what is public
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


def sources(planned):
    return {probe.flow: probe.source for probe in planned.probes}


def test_every_endpoint_that_keeps_no_trace_is_asked_and_only_what_claims_count_fails_them(
    issuer, make_profile, tmp_path, monkeypatch
):
    profile = make_profile(issuer)
    assert sources(probing.plan(profile, tmp_path)) == {
        "token": PROBER, "jwks": PROBER, "discovery": ENDPOINT, "introspect": ENDPOINT,
    }  # fmt: skip
    mixed = profile.load.model_copy(update={"mix": {"userinfo": 1}})
    monkeypatch.setattr(probing, "NOT_PUBLIC", ())
    wide = sources(probing.plan(profile.model_copy(update={"load": mixed}), tmp_path))
    assert wide["userinfo"] == wide["alive"] == ENDPOINT
    assert sources(probing.plan(make_profile(issuer, without=("m2m", "introspect")), tmp_path)) == {
        "jwks": PROBER, "discovery": ENDPOINT, "alive": ENDPOINT,
    }  # fmt: skip


def probed(planned, folder, monkeypatch, enough):
    """All events of the plan's probes in this process until there are `enough`; each may take its
    time."""
    monkeypatch.setattr(probing, "TIMEOUT_S", 30.0)

    async def until_enough():
        stop = asyncio.Event()
        with Journal(folder / "events" / "prober-1.ndjson") as journal:
            running = asyncio.create_task(probing.probe_all(planned, journal, stop))
            async with asyncio.timeout(60):
                while not enough(Counter(e.flow for e in probes(folder, ""))):
                    await asyncio.sleep(0.1)
            stop.set()
            await running

    (folder / "events").mkdir()
    asyncio.run(until_enough())


@pytest.mark.parametrize("lying", [False, True])
def test_introspection_and_userinfo_are_asked_about_the_last_token(
    issuer, make_profile, tmp_path, monkeypatch, lying
):
    profile = make_profile(issuer)
    mixed = profile.load.model_copy(update={"mix": {"userinfo": 1}})
    planned = probing.plan(profile.model_copy(update={"load": mixed}), tmp_path)
    issuer.lying = lying
    probed(planned, tmp_path, monkeypatch, lambda n: n["introspect"] > 1 and n["userinfo"] > 1)
    introspected, opened = probes(tmp_path, "introspect"), probes(tmp_path, "userinfo")
    assert {e.error for e in introspected} == {"bad_body" if lying else ""}
    assert {e.error for e in opened} == {""} and {e.source for e in opened} == {ENDPOINT}
    first_ns = min(e.t_ns for e in probes(tmp_path))
    assert all(e.start_ns >= first_ns for e in introspected + opened), "no token, no question"
    written = "".join(file.read_text() for file in (tmp_path / "events").iterdir())
    assert issuer.issued and not any(token in written for token in issuer.issued)


def test_without_a_token_nothing_is_asked_about_one(issuer, make_profile, tmp_path, monkeypatch):
    planned = probing.plan(make_profile(issuer), tmp_path)
    issuer.unavailable = True
    probed(planned, tmp_path, monkeypatch, lambda n: n["token"] > 3 and n["jwks"] > 1)
    assert {e.error for e in probes(tmp_path)} == {"http_503"}
    assert probes(tmp_path, "introspect") == []


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
