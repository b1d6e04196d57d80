"""A Locust file as people write them: 20 users, ten requests a second each, Locust's own client and
its own statistics. What it says is what the comparison shows (benchmarks/compare.py)."""

from locust import FastHttpUser, constant_throughput, events, task  # isort: skip  (must patch first)

import json
import os
import time
from pathlib import Path

RESULT = Path(os.environ["BENCH_RESULT"])
good_s: list[float] = []


class TokenUser(FastHttpUser):
    """Asks for a token, then waits for its turn."""

    wait_time = constant_throughput(10)

    @task
    def token(self) -> None:
        form = {"grant_type": "client_credentials"}
        self.client.post(self.host + "/token", data=form, name="token")


@events.request.add_listener
def note(exception, **_):
    """When good answers came: the largest gap between two is what a reader calls the outage."""
    if exception is None:
        good_s.append(time.time())
        if len(good_s) == 1:
            RESULT.with_suffix(".begun").touch()


@events.quitting.add_listener
def tell(environment, **_):
    """Locust's own figures of the whole run, and the moments."""
    entry = environment.stats.total
    told = {
        "p50_ms": entry.get_response_time_percentile(0.5),
        "p99_ms": entry.get_response_time_percentile(0.99),
        "failed": entry.num_failures, "requests": entry.num_requests, "good_s": good_s,
    }  # fmt: skip
    RESULT.write_text(json.dumps(told))
