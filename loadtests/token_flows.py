"""Token flows as Locust users, offered on a schedule and recorded request by request.

By hand:  locust -f loadtests/token_flows.py --host https://issuer/tenant/workspace
with ACPCHAOS_LOAD_* variables (without them it says which). Each process offers its own rate, so
Locust's --master and --worker multiply it by the workers. Any OIDC issuer with discovery works.
"""

from locust import FastHttpUser, constant, events, task  # isort: skip  (must patch first)

import contextlib
import functools
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import gevent
import gevent.queue
import geventhttpclient.client
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS

from acpchaos.errors import EXIT_USAGE, UsageError
from acpchaos.load.arrivals import Schedule, flows
from acpchaos.load.settings import PREFIX, Settings, take_over
from acpchaos.record.events import Clock, Gap, Request
from acpchaos.record.journal import Journal
from acpchaos.target import oidc
from acpchaos.target.oidc import Answer, StepFailed, anything, error_class

TICK_S = 0.005
CONTROL_S = 0.2
STALE_S = 10.0  # an arrival nobody could take for so long is told as never sent
TIMEOUT_S = 5.0
BLIND_S = 1.0  # a dispatcher later than this was starved: the generator, not the target, was slow

# A client that silently asks again hides the request that was lost.
geventhttpclient.client.IDEMPOTENT_METHODS = frozenset()

clock = Clock()
arrivals: gevent.queue.Queue = gevent.queue.Queue()
state: dict[str, Any] = {}


@events.init.add_listener
def refuse_without_clients(environment, **_):
    """Say what is missing before anything starts; the issuer may still come from the web UI."""
    try:
        take_over(os.environ, environment.host or "https://issuer.invalid")
    except (UsageError, ValueError) as error:  # ValueError: a number or the mix is none
        print(f"the ACPCHAOS_LOAD_* variables: {error}", file=sys.stderr)
        sys.exit(EXIT_USAGE)


@events.test_start.add_listener
def begin(environment, **_):
    """Start the dispatcher in each process that has users; the master has none."""
    if type(environment.runner).__name__ == "MasterRunner":
        return
    settings = state["settings"] = take_over(os.environ, environment.host or "")
    name = f"load-{socket.gethostname()}-{os.getpid()}.ndjson"
    state["journal"] = Journal(Path(settings.events) / name) if settings.events else None
    state["dispatcher"] = gevent.spawn(dispatch, settings)


@events.test_stopping.add_listener
def stop_offering(**_):
    """No new arrivals while the users finish what they have."""
    if dispatcher := state.pop("dispatcher", None):
        dispatcher.kill()


@events.test_stop.add_listener
def end(**_):
    """What nobody took is told."""
    while not arrivals.empty():
        never_sent(*arrivals.get())


@events.quitting.add_listener
def forget(**_):
    """Remove the private settings, since whoever handed them over may have been killed."""
    if path := os.environ.get(PREFIX + "SETTINGS"):
        Path(path).unlink(missing_ok=True)


def dispatch(settings: Settings) -> None:
    """Hand out arrivals at the scheduled moments, at the rate of the control file."""
    schedule = Schedule(settings.rate_per_s, time.monotonic(), settings.seed)
    names, asked_s, last_s = flows(settings.mix, settings.seed), 0.0, time.monotonic()
    while True:
        now_s = time.monotonic()
        if (late_s := now_s - last_s - TICK_S) > BLIND_S:
            now_ns = clock.now_ns()
            why = "the load generator was starved or suspended"
            record(Gap(t_ns=now_ns, recorder="load", from_ns=now_ns - int(late_s * 1e9), why=why))
        last_s = now_s
        if settings.control and now_s - asked_s > CONTROL_S:
            asked_s = now_s
            schedule.set_rate(_controlled(settings), now_s)
        for due_s in schedule.due(now_s):
            arrivals.put((clock.now_ns() - int((now_s - due_s) * 1e9), next(names)))
        gevent.sleep(TICK_S)


def _controlled(settings: Settings) -> float:
    try:
        return float(json.loads(Path(settings.control).read_bytes())["rate_per_s"])
    except (OSError, ValueError, KeyError):
        return settings.rate_per_s


def record(event: Request | Gap) -> None:
    """Write to this process's own file, when there is one."""
    if state.get("journal"):
        state["journal"].write(event)


def never_sent(intended_ns: int, flow: str) -> None:
    """An arrival that found no free user in time."""
    now_ns = clock.now_ns()
    record(
        Request(
            t_ns=now_ns, source="load", flow=flow, step="begin", intended_ns=intended_ns,
            start_ns=now_ns, error="never_sent",
        )
    )  # fmt: skip


class TokenUser(FastHttpUser):
    """Takes the next arrival, plays its flow, takes the next."""

    wait_time = constant(0)
    connection_timeout = TIMEOUT_S
    network_timeout = TIMEOUT_S
    insecure = False  # Locust's default verifies neither chain nor name
    counter = 0

    def __init__(self, environment) -> None:
        settings: Settings = take_over(os.environ, environment.host or "")
        self.ssl_context_factory = lambda cafile=None: _trusting(settings.ca_file or cafile)
        super().__init__(environment)
        self.settings = settings
        TokenUser.counter += 1
        number = TokenUser.counter % max(settings.user_count, 1)
        self.login = f"{settings.user_prefix}-{number:03d}"
        self.sessions = 0
        self.tag = f"{os.getpid()}-{TokenUser.counter}"
        self.flow = self.session = ""
        self.intended_ns = 0

    @task
    def next_arrival(self) -> None:
        """One flow."""
        try:
            self.intended_ns, self.flow = arrivals.get(timeout=1.0)
        except gevent.queue.Empty:
            return
        if clock.now_ns() - self.intended_ns > STALE_S * 1e9:
            never_sent(self.intended_ns, self.flow)
            return
        self.sessions += 1
        self.session = f"{self.tag}-{self.sessions}"
        with contextlib.suppress(StepFailed):  # its failed step is recorded
            FLOWS[self.flow](self)

    def send(
        self, step: str, method: str, url: str, *, form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None, expect: tuple[int, ...] = (200,),
        good: Callable[[Answer], bool] = anything,
    ) -> Answer:  # fmt: skip
        """An oidc.Send that records each step and keeps Locust's own statistics."""
        sent = dict(headers or {})
        body = urlencode(form) if form is not None else None
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        start_ns = clock.now_ns()
        with self.client.request(
            method, url, name=f"{self.flow} {step}", data=body, headers=sent,
            allow_redirects=False, catch_response=True,
        ) as got:  # fmt: skip
            answer = _answer(got)
            error = error_class(answer, expect, good)
            got.failure(error) if error else got.success()
        self.client.cookiejar.clear()  # cookies belong to the flow, not to the connection
        record(
            Request(
                t_ns=clock.now_ns(), source="load", flow=self.flow, step=step,
                intended_ns=self.intended_ns or start_ns, start_ns=start_ns,
                status=answer.status, error=error, session=self.session,
            )
        )  # fmt: skip
        self.intended_ns = 0  # later steps are due when the one before has ended
        return answer

    def ends(self) -> oidc.Endpoints:
        """Discovered once per process, outside any flow's record."""
        if "ends" not in state:
            kept, self.flow, self.intended_ns = (self.flow, self.intended_ns), "discovery", 0
            try:
                state["ends"] = oidc.discover(self.send, self.settings.issuer)
            finally:
                self.flow, self.intended_ns = kept
        return state["ends"]

    def sign_in(self) -> dict[str, Any]:
        """Login and consent forms to a token set."""
        ends, web = self.ends(), self.settings.web
        request, verifier = oidc.authorization_request(web)
        browser = oidc.Browser(self.send, self.login, self.settings.user_password)
        code = browser.code(oidc.authorize_url(ends, request), web.redirect_uri)
        return oidc.exchange(self.send, ends, web, code, verifier)

    def client_credentials(self) -> str:
        """An access token for the client itself."""
        return oidc.client_credentials(self.send, self.ends(), self.settings.m2m)

    def introspect(self) -> None:
        """A new token, then asked for by a resource server."""
        token = self.client_credentials()
        oidc.introspect(self.send, self.ends(), self.settings.introspect, token, fresh=True)

    def revoke(self) -> None:
        """A new token, then revoked."""
        oidc.revoke(self.send, self.ends(), self.settings.m2m, self.client_credentials())

    def userinfo(self) -> None:
        """A new token, then its claims."""
        oidc.userinfo(self.send, self.ends(), self.client_credentials())

    def refresh(self) -> None:
        """A sign-in, then its refresh token used once."""
        tokens = self.sign_in()
        oidc.refresh(self.send, self.ends(), self.settings.web, tokens.get("refresh_token", ""))


FLOWS: dict[str, Callable[[TokenUser], object]] = {
    "client_credentials": TokenUser.client_credentials,
    "authorization_code": TokenUser.sign_in,
    "refresh": TokenUser.refresh,
    "introspect": TokenUser.introspect,
    "revoke": TokenUser.revoke,
    "userinfo": TokenUser.userinfo,
}


def _answer(got: Any) -> Answer:
    if not got.status_code:
        return Answer(0, error=_class_of(got.error))
    try:
        body = got.content or b""
    except FAILURE_EXCEPTIONS as error:  # it broke off within the body
        return Answer(got.status_code, error=_class_of(error))
    return Answer(got.status_code, dict(_folded(got.headers)), body)


def _folded(headers: Any) -> Iterator[tuple[str, str]]:
    """Lower-case names, repeated ones joined by line ends (cookies contain commas)."""
    together: dict[str, list[str]] = {}
    for name, value in headers.items():
        together.setdefault(name.lower(), []).append(value)
    for name, values in together.items():
        yield name, "\n".join(values)


def _class_of(error: BaseException | None) -> str:
    name = type(error).__name__
    if isinstance(error, TimeoutError) or "Timeout" in name:
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, socket.gaierror):
        return "dns"
    return "tls" if "SSL" in name else "reset"


@functools.cache
def _trusting(ca_file: str | None) -> Any:
    """One TLS context for all users: reading a bundle of authorities takes longer than a flow."""
    import ssl

    return ssl.create_default_context(cafile=ca_file)
