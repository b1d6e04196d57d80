"""What a target may do wrong while it seems to answer: each is recorded as what it is."""

import os
import signal
import time
from collections import Counter

import pytest

from acpchaos.load.swarm import Swarm
from acpchaos.record.events import Gap, Request
from acpchaos.record.journal import read_journal
from acpchaos.scenario import Load
from acpchaos.wait import eventually, pause_until
from tests.load.conftest import write_profile
from tests.load.issuer import CALLBACK, Handler, Issuer, moved
from tests.load.secured import Secured


class Cutting(Handler):
    """Takes a request and closes without an answer, when its issuer says so."""

    def _reply(self, form):
        issuer = self.server.issuer
        if issuer.breaking and self.path.endswith("/userinfo"):
            issuer.cut += 1
            self.close_connection = True
        else:
            super()._reply(form)


class Breaking(Issuer):
    """Inactive tokens, refused consent and cut connections, all behind good status codes."""

    def __init__(self):
        self.breaking, self.cut = False, 0
        super().__init__()
        self._server.RequestHandlerClass = Cutting

    def answer(self, method, path, headers, form):
        if self.breaking and path.endswith("/consent"):
            return moved(f"{CALLBACK}?error=server_error")
        return super().answer(method, path, headers, form)


def recorded(folder):
    events = [e for file in (folder / "events").glob("load-*") for e in read_journal(file).events]
    return [e for e in events if isinstance(e, Request)]


def test_a_good_status_hides_nothing(tmp_path, sender):
    mix = {"authorization_code": 1, "introspect": 1, "userinfo": 1}
    with Breaking() as issuer:
        profile = write_profile(issuer, tmp_path, sender=sender)
        swarm = Swarm(profile, Load(rate_per_s=15, mix=mix), tmp_path, seed=3)
        swarm.start()
        try:
            swarm.wait_flowing()
            issuer.breaking = issuer.lying = True
            broken_ns = time.time_ns()
            eventually("some of each", lambda: issuer.cut > 4, 15, 0.2)
            pause_until(time.monotonic() + 1)
        finally:
            swarm.stop()
    seen = [e for e in recorded(tmp_path) if e.start_ns > broken_ns]
    errors = {
        step: {e.error for e in seen if e.step == step}
        for step in ("token", "login", "consent", "introspect", "userinfo")
    }
    assert errors == {
        "token": {""},
        "login": {""},
        "consent": {"oauth_server_error"},
        "introspect": {"bad_body"},
        "userinfo": {"reset"},
    }
    # each cut request is told once: none was hidden by a second try
    assert Counter(e.step for e in recorded(tmp_path) if e.error)["userinfo"] == issuer.cut


@pytest.mark.parametrize(("name", "error"), [("localhost", ""), ("another.example.test", "tls")])
def test_only_the_name_that_was_asked_for_is_trusted(tmp_path, sender, name, error):
    with Secured(tmp_path, name) as issuer:
        profile = write_profile(issuer, tmp_path, sender=sender)
        service = profile.service.model_copy(update={"ca_file": tmp_path / "ca.crt"})
        profile = profile.model_copy(update={"service": service})
        load = Load(rate_per_s=5, mix={"client_credentials": 1})
        swarm = Swarm(profile, load, tmp_path, seed=3)
        swarm.start()
        try:
            eventually("a few records", lambda: len(recorded(tmp_path)) > 3, 30, 0.2)
        finally:
            swarm.stop()
    assert {e.error for e in recorded(tmp_path)} == {error}
    assert bool(issuer.counts) == (not error)


def test_a_suspended_generator_says_it_was_blind(issuer, make_profile, tmp_path, sender):
    load = Load(rate_per_s=5, mix={"client_credentials": 1})
    swarm = Swarm(make_profile(issuer, sender=sender), load, tmp_path, seed=3)
    swarm.start()
    try:
        swarm.wait_flowing()
        os.kill(swarm._child.pid, signal.SIGSTOP)
        pause_until(time.monotonic() + 1.6)
        os.kill(swarm._child.pid, signal.SIGCONT)
        pause_until(time.monotonic() + 0.7)
    finally:
        swarm.stop()
    events = [e for f in (tmp_path / "events").glob("load-*") for e in read_journal(f).events]
    blind = [e for e in events if isinstance(e, Gap)]
    assert [e.recorder for e in blind] == ["load"]
    assert blind[0].t_ns - blind[0].from_ns > 1.2e9
    # what was due meanwhile is told as late, not left out
    late = [e for e in events if isinstance(e, Request) and e.start_ns - e.intended_ns > 0.5e9]
    assert len(late) >= 3
