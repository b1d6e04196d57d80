"""A Locust file: the token flow as fast as it goes, over the client that BENCH_CLIENT names.

What is recorded, judged and told to Locust is the same for each; only the HTTP client differs.
"""

from locust import HttpUser, events  # isort: skip  (must patch first)

import json
import os
import sys
import time
from pathlib import Path

import gevent
from locust.exception import RescheduleTaskImmediately

sys.path.insert(0, str(Path(__file__).parents[1] / "loadtests"))
import token_flows

from acpchaos.target.oidc import Answer

WARM_S = 1.0


class Http(token_flows.FlowUser, HttpUser):
    """The flows over Locust's HttpUser."""

    abstract = True

    def told(self, name, method, url, headers, body, judge, shows):
        with self.client.request(
            method, url, name=name, data=body, headers=headers, allow_redirects=False,
            timeout=5, catch_response=True,
        ) as got:  # fmt: skip
            headers = {name.lower(): value for name, value in got.headers.items()}
            answer = Answer(got.status_code, headers, got.content or b"")
            error = judge(answer)
            got.failure(error) if error else got.success()
        return answer, error


CLIENTS = {"lean": token_flows.Lean, "fast": token_flows.Fast, "http": Http}


def ask(user) -> None:
    """One token, begun when the last one is there."""
    user.flow, user.session, user.intended_ns = "client_credentials", user.login, 0
    user.client_credentials()
    raise RescheduleTaskImmediately  # as the flows do that went well


class BenchUser(CLIENTS[os.environ["BENCH_CLIENT"]]):
    """A user without a schedule."""


BenchUser.tasks = [ask]


@events.test_start.add_listener
def measure(environment, **_):
    """CPU time and requests of this process between two moments, then the end."""
    gevent.spawn(_measured, environment)


def _measured(environment) -> None:
    gevent.sleep(WARM_S)
    begin = time.process_time(), environment.stats.total.num_requests, time.monotonic()
    gevent.sleep(float(os.environ["BENCH_S"]))
    end = time.process_time(), environment.stats.total.num_requests, time.monotonic()
    cpu_s, requests, wall_s = (b - a for a, b in zip(begin, end, strict=True))
    told = {"cpu_s": cpu_s, "requests": requests, "wall_s": wall_s}
    Path(os.environ["BENCH_RESULT"]).write_text(json.dumps(told))
    environment.runner.quit()
