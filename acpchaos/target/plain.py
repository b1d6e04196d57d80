"""Sends the flows' requests over urllib3, for ledger, observations and posture.

Room: target. No retries and no redirects: what the server said is what is recorded.
"""

import socket
from collections.abc import Callable, Mapping

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from acpchaos.target.client_auth import trusting
from acpchaos.target.oidc import Account, Answer, anything, encoded

TIMEOUT_S = 5.0


class Plain:
    """A `Send` that remembers nothing but its connections."""

    def __init__(self, ca_file: str, timeout_s: float = TIMEOUT_S) -> None:
        self._ca_file, self._timeout_s = ca_file, timeout_s
        self._pools: dict[Account | None, urllib3.PoolManager] = {}

    def renew(self) -> None:
        """Drop kept connections: one that idled through a fault may be cut, which is no answer."""
        for pool in self._pools.values():
            pool.clear()

    def _pool(self, shows: Account | None) -> urllib3.PoolManager:
        """Connections on which that client's certificate, or none, was shown."""
        if shows not in self._pools:
            self._pools[shows] = urllib3.PoolManager(
                ca_certs=self._ca_file or None, cert_reqs="CERT_REQUIRED", retries=False,
                timeout=urllib3.Timeout(connect=self._timeout_s, read=self._timeout_s),
                ssl_context=trusting(self._ca_file, shows) if shows else None,
            )  # fmt: skip
        return self._pools[shows]

    def __call__(
        self, step: str, method: str, url: str, *, form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None, expect: tuple[int, ...] = (200,),
        good: Callable[[Answer], bool] = anything, shows: Account | None = None,
    ) -> Answer:  # fmt: skip
        """One request; an answer of status 0 names what kept it from being answered."""
        body = encoded(form) if form is not None else None
        sent = dict(headers or {})
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            got = self._pool(shows).request(method, url, body=body, headers=sent, redirect=False)
        except HTTPError as error:
            return Answer(0, error=class_of(error))
        folded = {name.lower(): "\n".join(got.headers.getlist(name)) for name in got.headers}
        return Answer(got.status, folded, got.data)


def class_of(error: BaseException) -> str:
    """The class of events.Request for an exception of urllib3, sockets or TLS."""
    match error:  # urllib3 derives both of the first two from ConnectTimeoutError
        case NameResolutionError() | socket.gaierror():
            return "dns"
        case NewConnectionError() | ConnectionRefusedError():
            return "refused"
        case ConnectTimeoutError() | ReadTimeoutError() | TimeoutError():
            return "timeout"
        case SSLError():
            return "tls"
        case _:
            return "tls" if "ssl" in type(error).__module__ else "reset"
