"""A place outside of the cluster that pods may try: the machine that runs the probes.

Room: posture. It listens for the time of the probes on the address by which nodes know it, and
hangs up on who calls. Nothing outside of the owner's own machines is ever called.
"""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from acpchaos.posture.probes.attempts import Place

HERE = "this machine"


class Outside:
    """Listens while in a `with` block. `places` is empty when no address can be had."""

    def __init__(self, configured: str, node: str) -> None:
        """`configured` is the profile's host:port or host, `node` the address of any node."""
        host, colon, port = configured.rpartition(":")
        elsewhere = bool(colon) and port.isdigit()
        found = _address(host) if elsewhere else ""
        self.places = (Place("outside", found, int(port)),) if found else ()
        self._address = "" if elsewhere else configured or _towards(node)
        self._server: socket.socket | None = None

    def __enter__(self) -> Self:
        if self._address:
            with contextlib.suppress(OSError):  # not an address of this machine
                self._server = socket.create_server((self._address, 0))
                self.places = (Place(HERE, self._address, self._server.getsockname()[1]),)
                threading.Thread(target=self._hang_up, name="outside", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._server is not None:
            with contextlib.suppress(OSError):
                self._server.shutdown(socket.SHUT_RDWR)  # wakes the thread, closing alone does not
            self._server.close()

    def _hang_up(self) -> None:
        assert self._server is not None
        with contextlib.suppress(OSError):  # closed at the end
            while True:
                self._server.accept()[0].close()


def _address(host: str) -> str:
    """Looked up here, so that a pod kept from DNS is not taken for one kept from the place."""
    with contextlib.suppress(OSError):
        return socket.gethostbyname(host)
    return ""


def _towards(node: str) -> str:
    """The address of this machine that packets to a node would carry; nothing is sent."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect((node, 9))
        return str(sock.getsockname()[0])
    return ""
