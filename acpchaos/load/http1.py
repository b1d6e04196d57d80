"""A lean HTTP/1.1 client for load: one request out, one answer in, nothing hidden.

Room: load. For gevent's world, so only Locust's child process imports it; it knows no flow and no
Locust. llhttp parses (through httptools, see pyproject.toml). What it leaves out, it leaves out on
purpose: it follows no redirect, keeps no cookie, and never sends a request twice.
"""

import contextlib
import functools
import socket
import ssl
import time
import zlib
from collections.abc import Iterator, Mapping
from urllib.parse import quote, urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from acpchaos.load.wire import NEVER, SecureWire, Wire, connect
from acpchaos.target.oidc import Answer

MOST_BODY = 1 << 24
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH")  # the answer to HEAD is framed otherwise

type Origin = tuple[str, str, int]  # scheme, host, port


class Malformed(Exception):
    """The answer is not HTTP/1.1, too long, or not what its encoding says."""


class Trust:
    """Whom to believe, and the TLS sessions begun under it; shared by all users of a process."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context
        self.sessions: dict[Origin, ssl.SSLSession] = {}


class Headers(Mapping[str, str]):
    """Names in lower case, repeated ones joined by line ends, since cookies contain commas. Read
    when first asked, from what came, as most answers are judged by status and body."""

    def __init__(self, came: bytes | bytearray) -> None:
        self._came = came

    @functools.cached_property
    def _folded(self) -> dict[str, str]:
        together: dict[str, list[str]] = {}
        for name, value in _Lines(self._came).found:
            together.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        return {name: "\n".join(values) for name, values in together.items()}

    def __getitem__(self, name: str) -> str:
        return self._folded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._folded)

    def __len__(self) -> int:
        return len(self._folded)


class _Lines:
    """The header lines of the answer in what came: not of interim answers before it, nor what may
    follow its body; the `on_` methods are the parser's."""

    def __init__(self, came: bytes | bytearray) -> None:
        self.found: list[tuple[bytes, bytes]] = []
        self._headed = False
        self._parser = HttpResponseParser(self)
        with contextlib.suppress(HttpParserError, HttpParserUpgrade):  # of what comes after them
            self._parser.feed_data(came)
        del self._parser  # it holds this, and this holds it

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._headed:
            self.found.append((name, value))

    def on_headers_complete(self) -> None:
        self._headed = self._headed or self._parser.get_status_code() >= 200
        if not self._headed:
            self.found.clear()


class Connection:
    """One connection and the answer under way on it; the `on_` methods are the parser's, which
    reads and checks all headers, but hands none over: see Headers."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.status = 0  # of the answer under way, 0 before its head is whole
        self.reusable = True
        self._parser = HttpResponseParser(self)
        self._clear()

    def _clear(self) -> None:
        self._body: list[bytes] = []
        self._size, self.status, self._whole = 0, 0, False

    def exchange(self, request: bytes, timeout_s: float) -> Answer:
        """Send it and wait for the whole answer, together at most `timeout_s`."""
        self._clear()
        self._head = bytearray()  # all that came up to the body, and often beyond
        self.reusable = False  # until the answer is whole
        wire = self.wire
        wire.deadline_s = time.monotonic() + timeout_s
        wire.send(request)
        while not self._whole:
            if not (data := wire.receive()):
                self._ended()
                break
            if self.status < 200:
                self._head += data
            self._feed(data)
        wire.deadline_s = NEVER
        headers = Headers(self._head)
        return Answer(self.status, headers, self._decoded(headers))

    def _feed(self, data: bytes | memoryview) -> None:
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            self.reusable = False  # more came than was asked for
            if not self._whole:
                raise Malformed(str(error)) from error

    def _ended(self) -> None:
        """The peer closed: right only where that is how the body ends."""
        framed = Headers(self._head).keys() & {"content-length", "transfer-encoding"}
        if not self.status or framed:
            raise ConnectionResetError("closed before the answer was whole")
        if self.status < 200:
            raise ConnectionResetError("closed after an interim answer")

    def _decoded(self, headers: Headers) -> bytes:
        body = b"".join(self._body)
        if b"content-encoding" not in self._head.lower():  # which is sooner known than what it is
            return body
        return _inflated(body, headers.get("content-encoding", "").strip().lower())

    def on_message_begin(self) -> None:
        if self._whole:
            raise Malformed("an answer that nobody asked for")

    def on_headers_complete(self) -> None:
        self.status = self._parser.get_status_code()
        self._keeps = self._parser.should_keep_alive()

    def on_body(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MOST_BODY:
            raise Malformed("the body is too long")
        self._body.append(part)

    def on_message_complete(self) -> None:
        if self.status < 200:  # 100 Continue and 103 Early Hints come before the answer
            self._clear()
        else:
            self._whole, self.reusable = True, self._keeps

    def close(self) -> None:
        """It holds the parser, and the parser holds it."""
        self.wire.close()
        del self._parser


class Client:
    """Keeps connections by origin. Made per user, so that a user has its own, as browsers do."""

    def __init__(self, trust: Trust, connect_s: float, answer_s: float) -> None:
        self._trust, self._connect_s, self._answer_s = trust, connect_s, answer_s
        self._idle: dict[Origin, list[Connection]] = {}

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """What the server said; of status 0, or with an error, when that was nothing whole.
        ValueError for a method or header that cannot be sent."""
        connection = None
        try:
            size = None if body is None else len(body)
            origin, head = _head(method, url, tuple(headers.items()), size)
            connection = self._idle_one(origin) or self._connect(origin)
            answer = connection.exchange(head + body if body else head, self._answer_s)
        except (OSError, Malformed, UnicodeError) as error:
            status = connection.status if connection else 0
            self._drop(connection)
            return Answer(status, error=class_of(error))
        except BaseException:  # ended in between: what comes next on it would be another's answer
            self._drop(connection)
            raise
        self._keep(origin, connection)
        return answer

    def close(self) -> None:
        """Close all that are idle."""
        for connections in self._idle.values():
            for connection in connections:
                connection.close()
        self._idle.clear()

    def _idle_one(self, origin: Origin) -> Connection | None:
        connections = self._idle.get(origin)
        while connections:
            connection = connections.pop()
            # nothing was sent on it yet, so to open another one hides no lost request
            if connection.wire.idle():
                return connection
            connection.close()
        return None

    def _connect(self, origin: Origin) -> Connection:
        scheme, host, port = origin
        context = self._trust.context if scheme == "https" else None
        session = self._trust.sessions.get(origin)
        return Connection(connect(host, port, context, session, self._connect_s))

    def _keep(self, origin: Origin, connection: Connection) -> None:
        wire = connection.wire
        if isinstance(wire, SecureWire) and (session := wire.session):
            self._trust.sessions[origin] = session
        if not connection.reusable:
            connection.close()
        elif origin in self._idle:
            self._idle[origin].append(connection)
        else:
            self._idle[origin] = [connection]

    def _drop(self, connection: Connection | None) -> None:
        if connection is not None:
            connection.close()


def class_of(error: BaseException) -> str:
    """The class of events.Request for what sockets, TLS and the parser raise."""
    match error:
        case TimeoutError():
            return "timeout"
        case ConnectionRefusedError():
            return "refused"
        case socket.gaierror() | UnicodeError():  # a name that cannot even be asked for
            return "dns"
        case ssl.SSLError():
            return "tls"
        case Malformed():
            return "bad_body"
        case _:
            return "reset"


@functools.lru_cache(maxsize=512)  # most of a load's requests differ in nothing, or in the body
def _head(
    method: str, url: str, headers: tuple[tuple[str, str], ...], size: int | None
) -> tuple[Origin, bytes]:
    """(where to connect, all that is sent before a body of `size` bytes). Malformed: the URL may
    be the server's."""
    if method not in METHODS:
        raise ValueError(f"cannot send {method}")
    origin, host, target = _place(url)
    begin = (
        f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: acpchaos\r\n"
        "Accept: */*\r\nAccept-Encoding: gzip, deflate\r\n"
    )
    for name, value in headers:
        if "\r" in value or "\n" in value:
            raise ValueError(f"header {name} has a line end in it")
        begin += f"{name}: {value}\r\n"
    if size is not None:
        begin += f"Content-Length: {size}\r\n"
    return origin, f"{begin}\r\n".encode("latin-1")


@functools.lru_cache(maxsize=512)
def _place(url: str) -> tuple[Origin, str, str]:
    """(where to connect, the host as it is named, what is asked for there)."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (ValueError, KeyError):
        raise Malformed(f"no URL to go to: {url[:80]!r}") from None
    if not parts.hostname:
        raise Malformed(f"no host to go to: {url[:80]!r}")
    target = parts.path or "/"
    if parts.query:
        target += "?" + parts.query
    quoted = quote(target, safe="%/:=&?~+!$,;'@()*[]")
    host = parts.netloc.rpartition("@")[2]
    return (parts.scheme, parts.hostname, port), host, quoted


def _inflated(body: bytes, encoding: str) -> bytes:
    """A compressed body; Malformed when it is not, or not whole."""
    if encoding in ("", "identity") or not body:
        return body
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise Malformed(f"the body has an encoding that was not offered: {encoding!r}")
    inflating = zlib.decompressobj(wbits=47)  # gzip or zlib, as its head says
    try:
        found = inflating.decompress(body, MOST_BODY)
    except zlib.error as error:
        raise Malformed(str(error)) from error
    if not inflating.eof:
        raise Malformed("the compressed body is cut, or too long")
    return found
