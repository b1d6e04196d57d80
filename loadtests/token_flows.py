"""Token flows as Locust users, offered on a schedule and recorded request by request.

By hand:  locust -f loadtests/token_flows.py --host https://issuer/tenant/workspace
with ACPCHAOS_LOAD_* variables (without them it says which). Each process offers its own rate, so
Locust's --master and --worker multiply it by the workers. Any OIDC issuer with discovery works.
The HTTP client is the lean one; ACPCHAOS_LOAD_SENDER=fast takes Locust's FastHttpUser instead.
"""

from locust import FastHttpUser, User, constant, events, task  # isort: skip  (must patch first)

import contextlib
import functools
import gc
import os
import socket
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import geventhttpclient.client
from geventhttpclient.response import HTTPConnectionClosed, HTTPParseError
from locust.contrib.fasthttp import FAILURE_EXCEPTIONS, FastHttpSession
from locust.exception import RescheduleTaskImmediately

from acpchaos.errors import EXIT_USAGE, UsageError
from acpchaos.load.http1 import Client, Trust
from acpchaos.load.lean import LeanHttpUser
from acpchaos.load.offer import Offer
from acpchaos.load.settings import PREFIX, Settings, sender, take_over
from acpchaos.record.events import Request
from acpchaos.target import oidc
from acpchaos.target.client_auth import trusting
from acpchaos.target.oidc import Account, Answer, StepFailed, anything, error_class

TIMEOUT_S = 5.0

# A client that silently asks again hides the request that was lost.
geventhttpclient.client.IDEMPOTENT_METHODS = frozenset()

offer = Offer()
state: dict[str, Any] = {}


@events.init.add_listener
def refuse_without_clients(environment, **_):
    """Say what is missing before anything starts; the issuer may still come from the web UI."""
    try:
        take_over(os.environ, environment.host or "https://issuer.invalid")
    except (UsageError, ValueError, OSError) as error:  # ValueError: a number or the mix is none
        print(f"the ACPCHAOS_LOAD_* variables: {error}", file=sys.stderr)
        sys.exit(EXIT_USAGE)


@events.test_start.add_listener
def begin(environment, **_):
    """Start to offer in each process that has users; the master has none."""
    if type(environment.runner).__name__ != "MasterRunner":
        state.pop("ends", None)
        gc.collect()
        gc.freeze()  # no pause of the collector looks through all that was imported
        offer.begin(take_over(os.environ, environment.host or ""))


@events.test_stopping.add_listener
def stop_offering(**_):
    """No new arrivals while the users finish what they have."""
    offer.end_arrivals()


@events.test_stop.add_listener
def end(**_):
    """What nobody took is told."""
    offer.tell_rest()


@events.quitting.add_listener
def forget(**_):
    """Write the rest of the record, and remove the private settings, since whoever handed them
    over may have been killed."""
    offer.close()
    if path := os.environ.get(PREFIX + "SETTINGS"):
        Path(path).unlink(missing_ok=True)


class FlowUser(User):
    """Takes the next arrival, plays its flow, takes the next. How it asks is its client's."""

    abstract = True
    wait_time = constant(0)
    counter = 0
    sessions = 0  # of the process: numbers in the order of arrivals cost the sealed record nothing

    def __init__(self, environment) -> None:
        self.settings: Settings = take_over(os.environ, environment.host or "")
        super().__init__(environment)
        FlowUser.counter += 1
        number = FlowUser.counter % max(self.settings.user_count, 1)
        self.login = f"{self.settings.user_prefix}-{number:03d}"
        self.flow = self.session = ""
        self.intended_ns = 0

    @task
    def next_arrival(self) -> None:
        """One flow. After one that went well Locust need not let others go first: it has waited
        for its answers, and they had their turn."""
        if (arrival := offer.take(wait_s=1.0)) is None:
            return
        self.intended_ns, self.flow = arrival
        FlowUser.sessions += 1
        self.session = f"{offer.writer}-{FlowUser.sessions}"
        with contextlib.suppress(StepFailed):  # its failed step is recorded
            FLOWS[self.flow](self)
            raise RescheduleTaskImmediately

    def send(
        self, step: str, method: str, url: str, *, form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None, expect: tuple[int, ...] = (200,),
        good: Callable[[Answer], bool] = anything, shows: Account | None = None,
    ) -> Answer:  # fmt: skip
        """An oidc.Send that records each step and keeps Locust's own statistics."""
        sent = dict(headers or {})
        body = oidc.encoded(form) if form is not None else None
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        start_ns = offer.clock.now_ns()
        answer, error = self.told(
            f"{self.flow} {step}", method, url, sent, body,
            lambda got: error_class(got, expect, good), shows,
        )  # fmt: skip
        offer.record(
            Request(
                t_ns=offer.clock.now_ns(), source="load", flow=self.flow, step=step,
                intended_ns=self.intended_ns or start_ns, start_ns=start_ns,
                status=answer.status, error=error, session=self.session,
            )
        )  # fmt: skip
        self.intended_ns = 0  # later steps are due when the one before has ended
        return answer

    def told(
        self, name: str, method: str, url: str, headers: Mapping[str, str], body: bytes | None,
        judge: Callable[[Answer], str], shows: Account | None,
    ) -> tuple[Answer, str]:  # fmt: skip
        """(what came back, "" or what is wrong with it); Locust is told as well."""
        raise NotImplementedError(f"{type(self).__name__} has no HTTP client")

    def ends(self) -> oidc.Endpoints:
        """Discovered once per process, outside any flow's record."""
        if "ends" not in state:
            kept, self.flow, self.intended_ns = (self.flow, self.intended_ns), "discovery", 0
            try:
                found = oidc.discover(self.send, self.settings.issuer)
            finally:
                self.flow, self.intended_ns = kept
            if state.setdefault("ends", found) is found:
                offer.sign_ahead(found, self.settings)
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


FLOWS: dict[str, Callable[[FlowUser], object]] = {
    "client_credentials": FlowUser.client_credentials,
    "authorization_code": FlowUser.sign_in,
    "refresh": FlowUser.refresh,
    "introspect": FlowUser.introspect,
    "revoke": FlowUser.revoke,
    "userinfo": FlowUser.userinfo,
}


class Lean(FlowUser, LeanHttpUser):
    """The flows over the lean client."""

    abstract = True
    connection_timeout = network_timeout = TIMEOUT_S

    def __init__(self, environment) -> None:
        super().__init__(environment)
        self.shown: dict[Account, Client] = {}

    def trusted(self) -> Trust:
        return _trust(self.settings.ca_file, None)

    def on_stop(self) -> None:
        super().on_stop()
        for client in self.shown.values():
            client.close()

    def told(self, name, method, url, headers, body, judge, shows):
        client = self.client
        if shows is not None:
            if shows not in self.shown:
                self.shown[shows] = self.client_for(_trust(self.settings.ca_file, shows))
            client = self.shown[shows]
        return self.ask(name, method, url, headers, body, judge, client)


class Fast(FlowUser, FastHttpUser):
    """The flows over Locust's FastHttpUser."""

    abstract = True
    connection_timeout = network_timeout = TIMEOUT_S
    insecure = False  # Locust's default verifies neither chain nor name

    def __init__(self, environment) -> None:
        ca_file = take_over(os.environ, environment.host or "").ca_file
        self.ssl_context_factory = lambda cafile=None: _trust(ca_file or cafile or "", None).context
        super().__init__(environment)
        self.shown: dict[Account, FastHttpSession] = {}

    def told(self, name, method, url, headers, body, judge, shows):
        session = self.client if shows is None else self._showing(shows)
        with session.request(
            method, url, name=name, data=body, headers=headers, allow_redirects=False,
            catch_response=True,
        ) as got:  # fmt: skip
            answer = _answer(got)
            error = judge(answer)
            got.failure(error) if error else got.success()
        session.cookiejar.clear()  # cookies belong to the flow, not to the connection
        return answer, error

    def _showing(self, shows: Account) -> FastHttpSession:
        if shows not in self.shown:
            self.shown[shows] = FastHttpSession(
                base_url=self.host, request_event=self.environment.events.request, user=self,
                insecure=False, connection_timeout=TIMEOUT_S, network_timeout=TIMEOUT_S,
                ssl_context_factory=lambda cafile=None: (
                    _trust(self.settings.ca_file or cafile or "", shows).context
                ),
            )  # fmt: skip
        return self.shown[shows]


def _chosen() -> type[FlowUser]:
    """What is no choice is told by `refuse_without_clients`."""
    with contextlib.suppress(ValueError, OSError):
        return {"lean": Lean, "fast": Fast}[sender(os.environ)]
    return Lean


class TokenUser(_chosen()):  # type: ignore[misc]
    """The users that Locust starts."""


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
    if isinstance(error, HTTPParseError) and not isinstance(error, HTTPConnectionClosed):
        return "bad_body"
    return "tls" if isinstance(error, ssl.SSLError) or "SSL" in name else "reset"


@functools.cache
def _trust(ca_file: str, shows: Account | None) -> Trust:
    """One for all users: reading a bundle of authorities takes longer than a flow."""
    return Trust(trusting(ca_file, shows))
