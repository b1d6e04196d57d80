"""The server that is asked: one process, answers ready-made, so that the client is what is slow.

`python -m benchmarks.server` prints its port and serves until its input ends.
"""

import asyncio
import json
import sys
from typing import Any, ClassVar

import uvloop
from httptools import HttpRequestParser

TOKEN = json.dumps(
    {"access_token": "t" * 600, "expires_in": 3600, "scope": "", "token_type": "bearer"}
).encode()  # as long as a JWT signed with ES256 and a few claims


def answer(body: bytes) -> bytes:
    """With the headers that an ingress adds."""
    lines = (
        "HTTP/1.1 200 OK", "Server: nginx", "Date: Sat, 28 Nov 2026 11:00:00 GMT",
        "Content-Type: application/json", f"Content-Length: {len(body)}",
        "Cache-Control: no-store", "Pragma: no-cache", "Vary: Origin",
    )  # fmt: skip
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Server(asyncio.Protocol):
    """One connection; the answers are shared by all."""

    answers: ClassVar[dict[bytes, bytes]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._parser = HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._page = url.rpartition(b"/")[2]

    def on_message_complete(self) -> None:
        self._transport.write(self.answers[self._page])


async def serve() -> None:
    """Until the input ends: whoever started it may have been killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    issuer = f"http://127.0.0.1:{port}/acme/main"
    found = {"issuer": issuer, "token_endpoint": f"{issuer}/token", "jwks_uri": f"{issuer}/jwks"}
    Server.answers = {
        b"token": answer(TOKEN),
        b"openid-configuration": answer(json.dumps(found).encode()),
    }
    print(issuer, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(serve())
