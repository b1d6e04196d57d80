"""A stand-in for an API server's lists and watches: made-up pods, and faults at set places.

`python -m benchmarks.api` takes a Script as JSON by a line of its input, prints its port, serves
until the input ends, then prints which events no watcher could have seen.

Event n sets pod n % pods to version n, with n restarts. Each watch of pods is cut after a burst of
events, in turn by a reset in the middle of a line, a plain end, an ERROR 410 and, at the next try,
an HTTP 410. With a 410 the next `jump` events fall into the history that is gone.
"""

import json
import socket
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from benchmarks import pods

CUTS = ("reset", "end", "gone", "gone at once")


class Script(msgspec.Struct):
    """How many pods, events, and events to a cut or a jump."""

    pods: int
    events: int = 0
    burst: int = 1
    jump: int = 0


class Served:
    """What has happened so far; events up to `now` are in a list, older than `oldest` are gone."""

    def __init__(self, script: Script) -> None:
        self.script, self.now, self.oldest, self.cuts = script, 0, 0, 0
        self.unseen: list[int] = []
        self.lock = threading.Lock()
        marks = pods.pod(0, 987654321, 123456789)
        self._parts = [json.dumps({**marks, "metadata": {**marks["metadata"], "uid": f"uid-{n}"}})
                       .split("987654321") for n in range(script.pods)]  # fmt: skip

    def item(self, number: int, version: int) -> str:
        """A pod as event `version` left it."""
        before, after = self._parts[number]
        return before + str(version) + after.replace("123456789", str(version))

    def event(self, n: int) -> bytes:
        return f'{{"type":"MODIFIED","object":{self.item(n % self.script.pods, n)}}}\n'.encode()

    def list(self) -> bytes:
        latest = range(max(1, self.now - self.script.pods + 1), self.now + 1)
        version = {n % self.script.pods: n for n in latest}
        items = [self.item(n, version.get(n, 0)) for n in range(self.script.pods)]
        head = f'{{"kind":"PodList","metadata":{{"resourceVersion":"{self.now}"}},"items":['
        return (head + ",".join(items) + "]}").encode()

    def forget(self, seen: int) -> None:
        """Let `jump` events happen that a watcher at `seen` cannot be told one by one."""
        until = min(self.script.events, seen + self.script.jump)
        last = {n % self.script.pods: n for n in range(seen + 1, until + 1)}
        self.unseen += [n for n in range(seen + 1, until + 1) if last[n % self.script.pods] != n]
        self.now = self.oldest = until


class Handler(BaseHTTPRequestHandler):
    """Pods; every other kind is empty and stays so."""

    served: Served
    body = b""  # of a list of pods, where it is not made anew
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        ours = path.endswith("/pods")
        if "watch" not in query:
            empty = b'{"metadata":{"resourceVersion":"1"},"items":[]}'
            with self.served.lock:
                return self._send(200, (self.body or self.served.list()) if ours else empty)
        if not ours:
            self._begin()
            threading.Event().wait()  # nothing ever happens to it
        with self.served.lock:
            return self._watch(int(query["resourceVersion"][0]))

    def _watch(self, seen: int) -> None:
        served, script = self.served, self.served.script
        served.cuts += seen < script.events
        cut = CUTS[served.cuts % len(CUTS)]
        if seen < served.oldest or (cut == "gone at once" and seen < script.events):
            if seen >= served.oldest:
                served.forget(seen)
            return self._send(410, b'{"kind":"Status","code":410,"message":"too old"}')
        self._begin()
        for n in range(seen + 1, min(script.events, seen + script.burst) + 1):
            served.now = max(served.now, n)
            self._chunk(served.event(n))
        if served.now >= script.events:
            served.lock.release()
            threading.Event().wait()
        if cut == "reset":
            self._chunk(served.event(served.now)[:2000])
            on = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, on)
            self.connection.close()
            self.close_connection = True
            return None
        if cut == "gone":
            served.forget(served.now)
            status = {"kind": "Status", "code": 410, "message": "too old"}
            self._chunk(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
        self.wfile.write(b"0\r\n\r\n")
        return None

    def _begin(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _send(self, status: int, data: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def main() -> None:
    """Serve what the script says."""
    script = msgspec.json.decode(sys.stdin.readline(), type=Script)
    Handler.served = Served(script)
    if not script.events:
        Handler.body = pods.body(script.pods)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    print(json.dumps(Handler.served.unseen), flush=True)


if __name__ == "__main__":
    main()
