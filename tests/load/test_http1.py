"""The lean client: what HTTP/1.1 allows is read, all else is an error, and nothing is hidden."""

import gzip
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
import zlib

import pytest

from acpchaos.target.profile import PROJECT
from acpchaos.wait import pause_until
from tests.load.secured import certified

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CLOSE, RESET, SILENT = "close", "reset", "silent"


class Script:
    """A server that answers by script: `conversations[n]` has the n-th connection's replies, each
    bytes, CLOSE, RESET or SILENT, or a list of them. The last one's connections have all others."""

    def __init__(self, *conversations, context=None, end_early=False):
        self.conversations, self.context, self.end_early = list(conversations), context, end_early
        self.requests, self.resumed = [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.url = f"{'https' if context else 'http'}://localhost:{self.port}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def _accept(self):
        number = 0
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            replies = self.conversations[min(number, len(self.conversations) - 1)]
            number += 1
            threading.Thread(target=self._serve, args=(sock, replies), daemon=True).start()

    def _serve(self, sock, replies):
        try:
            if self.context:
                sock = self.context.wrap_socket(sock, server_side=True)
                self.resumed.append(sock.session_reused)
            for reply in replies:
                if not (request := self._request(sock)):
                    return
                self.requests.append(request)
                for part in reply if isinstance(reply, list) else [reply]:
                    if not self._do(sock, part):
                        return
            self._request(sock)  # until the other side closes
        except (OSError, ssl.SSLError):
            return
        finally:
            sock.close()

    def _do(self, sock, part):
        if part == RESET:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if part == SILENT:
            pause_until(time.monotonic() + 3)
        if isinstance(part, float):
            pause_until(time.monotonic() + part)
            return True
        if isinstance(part, bytes):
            sock.sendall(part)
            return True
        if part == "notify":
            sock.unwrap()
        return False

    def _request(self, sock):
        data = b""
        while b"\r\n\r\n" not in data:
            if not (more := sock.recv(4096)):
                return b""
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        size = next(
            (int(line[15:]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length:")),
            0,
        )
        while len(body) < size:
            body += sock.recv(4096)
        return head + b"\r\n\r\n" + body


class Asking:
    """The child that asks, started when first needed."""

    child = None

    @classmethod
    def line(cls, task):
        if cls.child is None:
            cls.child = subprocess.Popen(
                [sys.executable, "-m", "tests.load.asking"], cwd=PROJECT, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            )  # fmt: skip
        cls.child.stdin.write(json.dumps(task) + "\n")
        cls.child.stdin.flush()
        return json.loads(cls.child.stdout.readline())


@pytest.fixture(scope="module", autouse=True)
def ended():
    yield
    Asking.child.communicate(timeout=10)
    assert Asking.child.returncode == 0
    Asking.child = None


def ask(*steps, ca_file="", limit_s=2.0):
    """[(status, headers, body, error)] of the requests among the steps; a URL alone is a GET."""
    steps = [["GET", step, {}, None] if isinstance(step, str) else step for step in steps]
    return [tuple(told) for told in Asking.line([str(ca_file), limit_s, steps])]


def answer(*lines, body=b""):
    head = "\r\n".join(["HTTP/1.1 200 OK", *lines])
    return head.encode() + b"\r\n\r\n" + body


HALF = zlib.compress(b"abcdefgh" * 9)[:9]
CHUNKED = answer(
    "Transfer-Encoding: chunked", "Trailer: X",
    body=b"3;note=1\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n",
)  # fmt: skip


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (OK, "ok"),
        (CHUNKED, "abcde"),
        ([CHUNKED[n : n + 1] for n in range(len(CHUNKED))], "abcde"),
        ([answer("Content-Length: 4", body=b"ab"), 0.1, b"cd"], "abcd"),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK, "ok"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", ""),
        (
            answer(
                "Content-Length: 33",
                "Content-Encoding: gzip",
                body=gzip.compress(b"x" * 999, mtime=0),
            ),
            0,
        ),
    ],
)
def test_an_answer_is_read_whole_and_its_connection_used_again(reply, body):
    if body == 0:
        packed = gzip.compress(b"x" * 999, mtime=0)
        reply, body = (
            answer(f"Content-Length: {len(packed)}", "Content-Encoding: gzip", body=packed),
            "x" * 999,
        )
    with Script([reply, OK], [CLOSE]) as server:
        first, second = ask(server.url, server.url)
        assert (first[2], first[3]) == (body, "")
        assert (second[0], second[2]) == (200, "ok")
        assert len(server.requests) == 2


def test_headers_are_folded_by_name_and_redirects_are_not_followed():
    moved = (
        b"HTTP/1.1 302 Found\r\nLocation: /b\r\nSet-Cookie: a=1; Expires=Wed, 01 Jan 2031\r\n"
        b"set-cookie: b=2\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n"
    )
    with Script([moved]) as server:
        ((status, headers, _, error),) = ask(server.url)
        assert (status, error, len(server.requests)) == (302, "", 1)
    assert headers["location"] == "/b" and headers["x-empty"] == ""
    assert headers["set-cookie"] == "a=1; Expires=Wed, 01 Jan 2031\nb=2"


def test_headers_are_those_of_the_answer_and_of_nothing_else():
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    for reply in (hints + CHUNKED, [hints, 0.1, CHUNKED], CHUNKED + OK):
        with Script([reply]) as server:
            ((_, headers, body, _),) = ask(server.url)
        assert (headers, body) == ({"transfer-encoding": "chunked", "trailer": "X"}, "abcde")


def test_what_is_sent_is_what_was_asked_for():
    with Script([OK, OK]) as server:
        url = server.url + "p a?q=ü&r=%20#part"
        ask(["POST", url, {"Cookie": "a=1; b=2"}, "k=v"], ["POST", url, {"X": "a\r\nb: c"}, None],
            ["HEAD", server.url, {}, None])  # fmt: skip
        (sent,) = server.requests  # the header with a line end in it never left, nor did HEAD
    head, _, body = sent.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /p%20a?q=%C3%BC&r=%20 HTTP/1.1"
    assert f"Host: localhost:{server.port}" in lines and "Cookie: a=1; b=2" in lines
    assert "Content-Length: 3" in lines and body == b"k=v"


@pytest.mark.parametrize(
    ("reply", "status", "error"),
    [
        ([CLOSE], 0, "reset"),
        ([RESET], 0, "reset"),
        ([b"HTTP/1.1 200 OK\r\nContent-Le", CLOSE], 0, "reset"),
        ([answer("Content-Length: 9", body=b"cut"), CLOSE], 200, "reset"),
        ([answer("Content-Length: 9", body=b"cut"), RESET], 200, "reset"),
        ([answer("Transfer-Encoding: chunked", body=b"9\r\ncut"), CLOSE], 200, "reset"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n", CLOSE], 0, "reset"),
        ([SILENT], 0, "timeout"),
        ([answer("Content-Length: 9", body=b"cut"), SILENT], 200, "timeout"),
        ([answer("Content-Length: 99"), *([b"x", 0.2] * 20)], 200, "timeout"),  # dripping
        ([b"SSH-2.0-OpenSSH\r\n"], 0, "bad_body"),
        ([answer("Content-Length: 2", "Content-Length: 3", body=b"abc")], 0, "bad_body"),
        ([answer("Transfer-Encoding: chunked", body=b"xyz\r\n")], 200, "bad_body"),
        ([answer("Content-Length: 3", "Content-Encoding: br", body=b"abc")], 200, "bad_body"),
        ([answer("Content-Length: 3", "Content-Encoding: gzip", body=b"abc")], 200, "bad_body"),
        ([answer("Content-Length: 9", "Content-Encoding: deflate", body=HALF)], 200, "bad_body"),
    ],
)
def test_each_way_to_fail_is_told_once_and_never_tried_again(reply, status, error):
    with Script([reply], [OK]) as server:
        (first, second) = ask(server.url, server.url, limit_s=1.0)
        assert (first[0], first[2], first[3]) == (status, "", error)
        assert len(server.requests) == 2  # one for each request that was asked for
        assert (second[0], second[3]) == (200, "")  # on a connection of its own


@pytest.mark.parametrize("surplus", [OK, b"junk", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_what_nobody_asked_for_is_nobodys_answer(surplus):
    """An answer too many must not become the next request's."""
    fine = answer("Content-Length: 5", body=b"mine!")
    with Script([OK + surplus], [fine]) as server:
        first, second = ask(server.url, server.url)
        assert (first[2], second[2]) == ("ok", "mine!")
    with Script([[OK, 0.2, surplus]], [fine]) as server:
        first, second = ask(server.url, 0.5, server.url)
        assert (first[2], second[2]) == ("ok", "mine!")


@pytest.mark.parametrize("end", [CLOSE, RESET])
def test_a_connection_closed_while_it_idled_is_left_and_no_request_is_sent_twice(end):
    with Script([[OK, end]], [OK]) as server:
        first, second = ask(server.url, 0.3, server.url)
        assert (first[3], second[3]) == ("", "")
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (answer("Connection: close", "Content-Length: 2", body=b"ok"), "ok"),
        ([answer("Content-Type: text/plain", body=b"to the end"), CLOSE], "to the end"),
        ([b"HTTP/1.0 200 OK\r\n\r\nold", CLOSE], "old"),
    ],
)
def test_a_connection_that_ends_with_its_answer_is_not_used_again(reply, body):
    with Script([reply], [OK]) as server:
        first, second = ask(server.url, server.url)
        assert (first[2], first[3], second[2]) == (body, "", "ok")


def test_nobody_there_and_no_such_name():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    refused, unknown = ask(f"http://127.0.0.1:{port}/", "http://nobody.invalid/", limit_s=5)
    assert (refused[3], unknown[3]) == ("refused", "dns")


def test_tls_is_verified_resumed_and_its_end_is_checked(tmp_path):
    context = certified(tmp_path, "localhost")
    ends = answer("Connection: close", "Content-Length: 2", body=b"ok")
    trusted = tmp_path / "ca.crt"
    with Script([ends], context=context) as server:
        got = ask(*[server.url] * 3, ca_file=trusted)
        assert [one[2] for one in got] == ["ok"] * 3
        assert server.resumed == [False, True, True]
        (stranger,) = ask(server.url)
        (misnamed,) = ask(server.url.replace("localhost", "127.0.0.1"), ca_file=trusted)
        assert (stranger[3], misnamed[3]) == ("tls", "tls")
    open_end = answer("Content-Type: text/plain", body=b"is this all")
    with Script([[open_end, CLOSE]], context=context) as server:
        ((status, _, body, error),) = ask(server.url, ca_file=trusted)
        assert (status, body, error) == (200, "", "reset")  # cut, as far as one can know
    with Script([[open_end, "notify"]], context=context) as server:
        ((_, _, body, error),) = ask(server.url, ca_file=trusted)
        assert (body, error) == ("is this all", "")


def test_a_kept_tls_connection_is_used_again_and_a_closed_one_is_left(tmp_path):
    context = certified(tmp_path, "localhost")
    with Script([OK, [OK, CLOSE]], [OK], context=context) as server:
        got = ask(server.url, 0.2, server.url, 0.3, server.url, ca_file=tmp_path / "ca.crt")
        assert [one[3] for one in got] == ["", "", ""]
        assert server.resumed == [False, True] and len(server.requests) == 3


def test_what_nobody_asked_for_is_nobodys_answer_over_tls_either(tmp_path):
    """Both answers may come in one segment, and the second wait decrypted or not."""
    context, fine = certified(tmp_path, "localhost"), answer("Content-Length: 5", body=b"mine!")
    for much in ([OK, OK], [OK + OK], [OK, 0.2, OK]):
        with Script([much], [fine], context=context) as server:
            first, second = ask(server.url, 0.4, server.url, ca_file=tmp_path / "ca.crt")
            assert (first[2], second[2]) == ("ok", "mine!")


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("ftp://localhost/", "bad_body"),
        ("http://localhost:99999/", "bad_body"),
        ("http:///nowhere", "bad_body"),
        ("/relative", "bad_body"),
        (f"http://{'a' * 70}.test/", "dns"),
        ("http://b\u00fccher.invalid/", "dns"),
    ],
)
def test_a_place_that_cannot_be_gone_to_is_an_answer_of_its_own(url, error):
    ((status, _, _, found),) = ask(url, limit_s=5)
    assert (status, found) == (0, error)


def test_plain_text_where_tls_was_expected_is_told():
    with Script([OK]) as server:
        ((status, _, _, error),) = ask(server.url.replace("http", "https"), limit_s=1)
        assert (status, error) in ((0, "tls"), (0, "timeout"))
