"""The token flows by hand, as a Locust user runs them: with the web page, and distributed."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter

import pytest
import requests

from acpchaos.load.settings import PREFIX
from acpchaos.record.events import Request
from acpchaos.record.journal import read_journal
from acpchaos.target.profile import PROJECT
from acpchaos.wait import eventually
from tests.load.issuer import CALLBACK, CLIENTS, PASSWORD

CACHED_S = 2.0  # Locust answers for its statistics from memory for so long
MIX = '{"client_credentials": 2, "authorization_code": 1, "introspect": 1}'


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment(folder, sender):
    own = {
        "M2M_ID": "load-m2m", "M2M_SECRET": CLIENTS["load-m2m"],
        "WEB_ID": "load-web", "WEB_SECRET": CLIENTS["load-web"], "WEB_REDIRECT": CALLBACK,
        "INTROSPECT_ID": "load-introspect", "INTROSPECT_SECRET": CLIENTS["load-introspect"],
        "USER_PREFIX": "load-user", "USER_COUNT": "5", "USER_PASSWORD": PASSWORD,
        "MIX": MIX, "RATE": "20", "EVENTS": str(folder / "events"), "SENDER": sender,
    }  # fmt: skip
    return dict(os.environ) | {PREFIX + name: value for name, value in own.items()}


@contextlib.contextmanager
def locust(folder, sender, *words):
    """A `locust` process; ended when the block is."""
    with (folder / f"locust-{len(list(folder.iterdir()))}.log").open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "locust", "-f", "loadtests/token_flows.py", *words],
            cwd=PROJECT, env=environment(folder, sender), stdout=out, stderr=out,
            start_new_session=True,
        )  # fmt: skip
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


class Page:
    """Locust's web page, by the requests that its buttons send."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, path):
        return requests.get(self.url + path, timeout=5)

    def open(self):
        transient = (requests.RequestException,)
        return eventually("the page", lambda: self.ask("/").text, 30, 0.2, transient=transient)

    def start(self, host):
        form = {"user_count": 10, "spawn_rate": 10, "host": host}
        answer = requests.post(self.url + "/swarm", data=form, timeout=10)
        assert answer.json()["success"], answer.text

    def stop(self):
        assert requests.post(self.url + "/stop", timeout=20).json()["success"]

    def done(self, name):
        """(requests, failures) of a statistics line."""
        for line in self.ask("/stats/requests").json()["stats"]:
            if line["name"] == name:
                return line["num_requests"], line["num_failures"]
        return 0, 0


def recorded(folder):
    files = list((folder / "events").glob("load-*.ndjson"))
    return len(files), [e for file in files for e in read_journal(file).events]


def steady(page):
    """Locust's total once it no longer grows."""
    found = [None]  # the first look may be answered from memory, as the second is not

    def same():
        found.append(page.done("Aggregated"))
        return found[-1] == found[-2]

    eventually("the last request", same, 40, CACHED_S + 1.5)
    return found[-1]


@pytest.mark.timeout(120)
def test_the_web_page_starts_shows_and_stops_the_flows(issuer, tmp_path, sender):
    port = free_port()
    with locust(tmp_path, sender, "--web-host", "127.0.0.1", "--web-port", str(port)):
        page = Page(port)
        assert "Locust" in page.open()
        page.start(f"{issuer.base_url}/acme/main")
        eventually("requests on the page", lambda: page.done("Aggregated")[0] >= 60, 40, 0.5)
        page.stop()
        count, failures = steady(page)
        files, events = recorded(tmp_path)
    assert failures == 0 and files == 1
    made = [e for e in events if isinstance(e, Request)]
    assert len(made) == count and not any(e.error for e in made)
    flows = {"discovery", "client_credentials", "authorization_code", "introspect"}
    assert {e.flow for e in made} == flows


@pytest.mark.timeout(120)
def test_failures_show_in_locusts_own_statistics(issuer, tmp_path, sender):
    issuer.lying, port = True, free_port()
    with locust(tmp_path, sender, "--web-host", "127.0.0.1", "--web-port", str(port)):
        page = Page(port)
        page.open()
        page.start(f"{issuer.base_url}/acme/main")
        eventually("failures", lambda: page.done("introspect introspect")[1] >= 3, 40, 0.5)
        page.stop()
        _, failures = steady(page)
        _, events = recorded(tmp_path)
    told = Counter((e.flow, e.step, e.error) for e in events if e.error)
    assert told == {("introspect", "introspect", "bad_body"): failures}


@pytest.mark.timeout(120)
def test_two_workers_offer_twice_and_record_apart(issuer, tmp_path, sender):
    port, bus = free_port(), free_port()
    join = ("--master-host", "127.0.0.1", "--master-port", str(bus))
    master = ("--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", str(bus),
              "--web-host", "127.0.0.1", "--web-port", str(port))  # fmt: skip
    with (
        locust(tmp_path, sender, *master),
        locust(tmp_path, sender, "--worker", *join),
        locust(tmp_path, sender, "--worker", *join),
    ):
        page = Page(port)
        page.open()
        eventually(
            "two workers", lambda: len(page.ask("/stats/requests").json()["workers"]) == 2, 40, 0.3
        )
        begin_s = time.monotonic()
        page.start(f"{issuer.base_url}/acme/main")
        eventually("requests on the page", lambda: page.done("Aggregated")[0] >= 120, 40, 0.5)
        page.stop()
        lasted_s = time.monotonic() - begin_s
        count, failures = steady(page)
        files, events = recorded(tmp_path)
    made = [e for e in events if isinstance(e, Request)]
    assert failures == 0 and files == 2
    assert count <= len(made)  # Locust's master does not wait for the last report of its workers
    assert not any(e.error for e in made)
    sessions = {e.session for e in made if e.flow != "discovery"}
    assert len(sessions) <= 2 * 20 * lasted_s * 1.2  # each offers its own rate and no more
