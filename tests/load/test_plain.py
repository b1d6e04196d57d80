"""The plain sender: what a connection kept through a fault does, and what renewing it does."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from acpchaos.target.plain import Plain


class OnceOnly(http.server.BaseHTTPRequestHandler):
    """Answers the first request of a connection and cuts it at the second."""

    protocol_version = "HTTP/1.1"
    answered = False

    def do_GET(self) -> None:
        if self.answered:
            self.close_connection = True
            return
        self.answered = True
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *words: object) -> None:
        """Silent."""


@pytest.fixture
def url() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OnceOnly)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_a_connection_cut_while_it_idled_is_no_answer_and_a_renewed_one_is(url: str) -> None:
    send = Plain("")
    assert send("one", "GET", url).status == 200
    cut = send("two", "GET", url)
    assert (cut.status, cut.error) == (0, "reset")
    assert send("three", "GET", url).status == 200
    send.renew()
    assert send("four", "GET", url).status == 200
