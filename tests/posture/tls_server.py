"""A TLS server that shakes hands and hangs up, and remembers which names it was asked for."""

import datetime as dt
import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.posture.building_x509 import Issuer

NOW = dt.datetime.now(dt.UTC)


class TlsServer:
    """Serves a leaf of `issuer` and the issuer's own certificate; `silent` hangs up at once."""

    def __init__(
        self, folder: Path, issuer: Issuer, *, days: float = 60, silent: bool = False,
        names: Sequence[str] = ("acp.acp-system.svc",),
    ) -> None:  # fmt: skip
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = issuer.issue(names, days=days, key=key)
        self.leaf = leaf.public_bytes(serialization.Encoding.PEM).decode()
        self.chain = (self.leaf, issuer.pem)
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (folder / "chain.pem").write_text("".join(self.chain))
        (folder / "key.pem").write_bytes(pem)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(folder / "chain.pem", folder / "key.pem")
        self._context.sni_callback = lambda _, name, __: self.asked.append(str(name))
        self.asked: list[str] = []
        self.requests: list[bytes] = []
        self._silent = silent
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address: tuple[str, int] = self._listener.getsockname()

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                plain, _ = self._listener.accept()
                threading.Thread(target=self._shake, args=(plain,), daemon=True).start()

    def _shake(self, plain: socket.socket) -> None:
        with plain:
            plain.settimeout(5)
            if self._silent:
                return
            with suppress(OSError), self._context.wrap_socket(plain, server_side=True) as tls:
                if data := tls.recv(100):
                    self.requests.append(data)
