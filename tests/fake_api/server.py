"""The HTTP side of the fake API server, with watches and exec over WebSocket."""

import base64
import hashlib
import json
import re
import struct
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from fake_api.forwarding import forward, typed
from fake_api.shelf import Key, Object
from fake_api.store import Refused, Store, forbidden, redirected

_PATH = re.compile(
    r"^/(?:api|apis/[^/]+)/[^/]+(?:/namespaces/(?P<ns>[^/]+)(?=/))?/(?P<plural>[a-z]+)"
    r"(?:/(?P<name>[^/]+))?(?:/(?P<sub>.+))?$"
)
Exec = Callable[[str, list[str]], tuple[str, int]]


class FakeApi:
    """A running server. `store` is the cluster; `on_exec` answers commands in pods, and
    `listening` tells where the port of a pod really listens."""

    def __init__(self) -> None:
        self.store = Store()
        self.on_exec: Exec = lambda pod, argv: ("", 0)
        self.listening: dict[tuple[str, int], tuple[str, int]] = {}
        self.typed: dict[str, str] = {}  # the last input of a command, by pod
        api = self

        class Handler(_Handler):
            fake = api

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.closing = False
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self.closing = True
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    fake: FakeApi
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:
        """Tests print nothing."""

    def _serve(self) -> None:
        if self.fake.closing:  # a kept-alive connection; hang up as a dead server would
            self.close_connection = True
            return None
        parts = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or b"{}")
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        store = self.fake.store
        call = f"{self.command} {parts.path}"
        try:
            with store.lock:
                store.calls.append(call)
                store.asked.append((call, "watch" in query))
                store.reconcile()
                if forbidden(store, call):
                    raise Refused(403, f"forbidden: {call}")
                if "watch" not in query and not parts.path.endswith(("/exec", "/portforward")):
                    path = parts.path
                    if self.command != "GET":
                        if any(re.search(pattern, call) for pattern in store.swallowed):
                            return self._send(200, {"kind": "Status", "status": "Success"})
                        path, body = redirected(store, call, path, body)
                    answer = self._answer(path, query, body)
                    if self.command != "GET":
                        store.reconcile()
                    return self._send(200, answer)
            if "watch" in query:
                return self._watch(parts.path, query)
            if parts.path.endswith("/portforward"):
                return self._forward(parts.path, int(query["ports"]))
            return self._exec(parts.path, parse_qs(parts.query))
        except Refused as error:
            causes = [{"message": text} for text in error.causes]
            status = {"kind": "Status", "message": error.message, "details": {"causes": causes}}
            return self._send(error.status, status)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def _answer(self, path: str, query: dict[str, str], body: Object) -> Object:
        store = self.fake.store
        if path == "/readyz":
            return {"value": "ok"}
        if path == "/apis":
            return {"kind": "APIGroupList", "groups": store.groups()}
        plural, space, name, sub = _parsed(path)
        key: Key = (plural, space, name)
        if self.command == "POST":
            if plural == "selfsubjectaccessreviews":
                return _review(store, body)
            if sub == "eviction":
                store.evict(key, body.get("deleteOptions") or {})
                return {"kind": "Status", "status": "Success"}
            return store.create(plural, space, body)
        if self.command == "PUT":
            return store.replace(key, body)
        if self.command == "PATCH":
            return store.patch(key, body)
        if self.command == "DELETE":
            store.delete(key, body)
            return {"kind": "Status", "status": "Success"}
        if name:
            return store.read(key)
        labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
        version = str(max([store.oldest, *(entry[0] for entry in store.history)]))
        items = store.items(plural, space, labels, fields)
        return _page(items, version, int(query.get("limit", 0)), query.get("continue", ""))

    def _watch(self, path: str, query: dict[str, str]) -> None:
        store, (plural, space, _, _) = self.fake.store, _parsed(path)
        seen = int(query["resourceVersion"])
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while not self.fake.closing:
            with store.lock:
                if seen < store.oldest:
                    error = {"kind": "Status", "code": 410, "message": "too old"}
                    self._chunk({"type": "ERROR", "object": error})
                    break
                fresh = [entry for entry in store.history if entry[0] > seen]
                if not fresh:
                    store.changed.wait(0.2)
            for version, kind, change, item in fresh:
                seen = version
                if kind == plural and item["metadata"].get("namespace", "") in ("", space):
                    self._chunk({"type": change, "object": item})
        self.wfile.write(b"0\r\n\r\n")

    def _chunk(self, event: Object) -> None:
        data = json.dumps(event).encode() + b"\n"
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    def _exec(self, path: str, query: dict[str, list[str]]) -> None:
        self._upgrade()
        pod = _parsed(path)[2]
        if query.get("stdin") == ["true"]:
            self.fake.typed[pod] = typed(self.rfile)
        out, code = self.fake.on_exec(pod, query["command"])
        end: Object = {"status": "Success"}
        if code:
            cause = {"reason": "ExitCode", "message": str(code)}
            end = {"status": "Failure", "details": {"causes": [cause]}}
        for channel, text in ((1, out), (3, json.dumps(end))):
            data = bytes([channel]) + text.encode()
            self.wfile.write(b"\x82" + struct.pack(">BH", 126, len(data)) + data)
        self.wfile.write(b"\x88\x02\x03\xe8")
        self.close_connection = True

    def _forward(self, path: str, port: int) -> None:
        self._upgrade()
        pod = _parsed(path)[2]
        forward(self.rfile, self.wfile, port, self.fake.listening.get((pod, port)))
        self.close_connection = True

    def _upgrade(self) -> None:
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.send_header("Sec-WebSocket-Protocol", "v5.channel.k8s.io")
        self.end_headers()

    def _send(self, status: int, answer: Object) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _parsed(path: str) -> tuple[str, str, str, str]:
    found = _PATH.match(path)
    if not found:
        raise Refused(404, f"no such path {path}")
    parts = found.groupdict("")
    if parts["plural"] == "namespaces":
        return "namespaces", "", parts["name"] or parts["ns"], parts["sub"]
    return parts["plural"], parts["ns"], parts["name"], parts["sub"]


def _review(store: Store, body: Object) -> Object:
    wanted = body["spec"]["resourceAttributes"]
    asked = f"{wanted['verb']} {wanted['resource']}"
    denied = any(re.search(pattern, asked) for pattern in store.may_not)
    return body | {"status": {"allowed": not denied}}


def _page(items: list[Object], version: str, limit: int, token: str) -> Object:
    """One page; the token counts what was given. A token from before a compaction is too old."""
    meta: Object = {"resourceVersion": version}
    if not limit:
        return {"metadata": meta, "items": items}
    begun, _, at = token.partition(":")
    if begun and begun != version:
        raise Refused(410, "the continue token is too old")
    start = int(at or 0)
    if start + limit < len(items):
        meta["continue"] = f"{version}:{start + limit}"
    return {"metadata": meta, "items": items[start : start + limit]}
