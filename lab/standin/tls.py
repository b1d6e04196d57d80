"""Room lab/standin: TLS with a certificate that may be renewed while connections come in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from pathlib import Path

log = logging.getLogger("standin.tls")


class Renewable:
    """A context for one port; each handshake takes the certificate that was read last.

    A renewed one gets a context of its own: one context keeps a certificate for each kind of key,
    and would go on serving an old EC certificate beside a new RSA one.
    """

    def __init__(self, cert_path: str, key_path: str, alpn: tuple[str, ...] = ()) -> None:
        self._pair, self._alpn = (cert_path, key_path), alpn
        self.context = self._latest = self._read()
        self.context.sni_callback = self._choose

    async def watch(self, every_s: float) -> None:
        """Reads the pair again whenever the certificate's file has changed."""
        seen = self._changed_ns()
        while True:
            await asyncio.sleep(every_s)
            with contextlib.suppress(OSError, ssl.SSLError):  # half written: the next round
                if (now := self._changed_ns()) != seen:
                    self._latest, seen = self._read(), now
                    log.info("certificate loaded again")

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self._pair)
        if self._alpn:
            context.set_alpn_protocols(list(self._alpn))
        return context

    def _changed_ns(self) -> int:
        return Path(self._pair[0]).stat().st_mtime_ns

    def _choose(
        self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext
    ) -> None:
        """Called in each handshake, with a server name or without."""
        connection.context = self._latest
