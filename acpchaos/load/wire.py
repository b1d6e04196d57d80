"""A stream of bytes to a server, plain or TLS, for a client whose cost per request must be small.

Room: load. For gevent's world. Instead of gevent's socket layer it has one watcher on the hub, as
long as the connection lasts, and one watch for all deadlines instead of a timer for each read: the
two cost more than a request otherwise does. Deadlines are kept to within TICK_S.
"""

import contextlib
import socket
import ssl
import time
from typing import Any

import gevent
import gevent.monkey
import gevent.socket

READ = 1 << 14  # one TLS record
TICK_S = 0.02
NEVER = float("inf")
# gevent's own names for the plain things, which it takes out of the standard modules
_Socket: Any = gevent.monkey.get_original("socket", "socket")
_room = memoryview(bytearray(READ))  # of a process: what came in is handed on before it yields


class Wire:
    """One connection. `deadline_s` is on the monotonic clock; past it every call is a timeout."""

    def __init__(self, sock: Any) -> None:
        self._sock, self._hub = sock, gevent.get_hub()
        sock.setblocking(False)
        self._waiting: Any = None  # the greenlet that is to be woken when something comes
        self._coming = self._hub.loop.io(sock.fileno(), 1)
        self._coming.start(self._came)
        self._expired = False
        self.deadline_s = NEVER
        _watch.add(self)

    def _came(self) -> None:
        """Called by the hub, again and again as long as nobody takes what has come."""
        if self._waiting is None:
            self._coming.stop()
        else:
            self._waiting.switch()

    def expire(self) -> None:
        """Called when the deadline has passed: whoever waits is woken by the end of the stream."""
        self._expired = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)

    def send(self, data: bytes) -> None:
        """All of it; it is seldom more than what fits at once."""
        rest: bytes | memoryview = data
        while True:
            try:
                sent = self._sock.send(rest)
            except BlockingIOError:
                self._until_writable()
            except OSError:
                self._in_time()
                raise
            else:
                if sent == len(rest):
                    return
                rest = memoryview(rest)[sent:]

    def _until_writable(self) -> None:
        writable = self._hub.loop.io(self._sock.fileno(), 2)
        try:
            self._hub.wait(writable)
        finally:
            writable.close()

    def receive(self) -> bytes | memoryview:
        """What has come, at least a byte; nothing when the peer has ended the stream. It holds
        until the caller waits for anything."""
        while True:
            if self._coming.active:
                self._waiting = gevent.getcurrent()
                try:
                    self._hub.switch()
                finally:
                    self._waiting = None
            try:
                count = self._sock.recv_into(_room)
            except BlockingIOError:
                if not self._coming.active:
                    self._coming.start(self._came)
            else:
                if not count:
                    self._in_time()
                return _room[:count]

    def idle(self) -> bool:
        """Whether it stands and nothing has come: an end, an error or a byte is a reason not to
        send on it."""
        try:
            self._sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Safe to repeat."""
        _watch.discard(self)
        self._coming.stop()
        self._coming.close()
        self._sock.close()

    def _in_time(self) -> None:
        if self._expired:
            raise TimeoutError("the answer is not whole in time")


class SecureWire(Wire):
    """TLS over it. A stream that ends without TLS's own end is cut: ConnectionResetError."""

    def __init__(
        self, sock: Any, context: ssl.SSLContext, host: str, session: ssl.SSLSession | None
    ) -> None:
        super().__init__(sock)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host, session=session)

    @property
    def session(self) -> ssl.SSLSession | None:
        """To begin the next one with; TLS 1.3 sends it after the handshake."""
        return self._tls.session

    def shake_hands(self) -> None:
        """ssl.SSLError unless chain and name are verified."""
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._push()
                self._pull()
            except ssl.SSLError:
                with contextlib.suppress(OSError):
                    self._push()  # the alert that tells why
                raise
            else:
                self._push()
                return

    def send(self, data: bytes) -> None:
        self._tls.write(data)
        self._push()

    def receive(self) -> bytes | memoryview:
        while True:
            try:
                return self._tls.read(READ)
            except ssl.SSLWantReadError:
                self._pull()
            except ssl.SSLZeroReturnError:
                return b""
            except ssl.SSLEOFError:
                raise ConnectionResetError("closed without the end of TLS") from None

    def idle(self) -> bool:
        """New session tickets may have come, and more than was asked for may wait here."""
        try:
            if not super().idle():
                if not (data := self._sock.recv(READ)):
                    return False
                self._in.write(data)
            elif not self._in.pending and not self._tls.pending():
                return True
            self._tls.read(1)
        except ssl.SSLWantReadError:
            return True
        except OSError:
            return False
        return False

    def _push(self) -> None:
        if self._out.pending:
            super().send(self._out.read())

    def _pull(self) -> None:
        if data := super().receive():
            self._in.write(data)
        else:
            self._in.write_eof()


class _Watch:
    """Expires wires whose deadline has passed; one greenlet for all of a process."""

    def __init__(self) -> None:
        self._wires: set[Wire] = set()
        self._looking: gevent.Greenlet | None = None

    def add(self, wire: Wire) -> None:
        self._wires.add(wire)
        if self._looking is None:
            self._looking = gevent.spawn(self._look)

    def discard(self, wire: Wire) -> None:
        self._wires.discard(wire)

    def _look(self) -> None:
        while self._wires:
            now_s = time.monotonic()
            for wire in [wire for wire in self._wires if wire.deadline_s <= now_s]:
                wire.expire()
                self._wires.discard(wire)
            gevent.sleep(TICK_S)
        self._looking = None


_watch = _Watch()


def connect(
    host: str, port: int, context: ssl.SSLContext | None, session: ssl.SSLSession | None,
    timeout_s: float,
) -> Wire:  # fmt: skip
    """A new connection, TLS where there is a context. OSError says why there is none."""
    with gevent.Timeout(timeout_s, TimeoutError("no connection in time")):
        made = gevent.socket.create_connection((host, port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock = _Socket(made.family, made.type, made.proto, made.detach())
        if context is None:
            return Wire(sock)
        wire = SecureWire(sock, context, host, session)
        try:
            wire.shake_hands()
        except BaseException:
            wire.close()
            raise
        return wire
