"""Sends the flows' requests over urllib3, for ledger, observations and posture.

Room: target. No retries and no redirects: what the server said is what is recorded.
"""

import socket
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from acpchaos.target.oidc import Answer, anything

TIMEOUT_S = 5.0


class Plain:
    """A `Send` that remembers nothing but its connections."""

    def __init__(self, ca_file: str, timeout_s: float = TIMEOUT_S) -> None:
        self._pool = urllib3.PoolManager(
            ca_certs=ca_file or None, cert_reqs="CERT_REQUIRED", retries=False,
            timeout=urllib3.Timeout(connect=timeout_s, read=timeout_s),
        )  # fmt: skip

    def renew(self) -> None:
        """Drop kept connections: one that idled through a fault may be cut, which is no answer."""
        self._pool.clear()

    def __call__(
        self, step: str, method: str, url: str, *, form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None, expect: tuple[int, ...] = (200,),
        good: Callable[[Answer], bool] = anything,
    ) -> Answer:  # fmt: skip
        """One request; an answer of status 0 names what kept it from being answered."""
        body = urlencode(form).encode() if form is not None else None
        sent = dict(headers or {})
        if body is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        try:
            got = self._pool.request(method, url, body=body, headers=sent, redirect=False)
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
