"""Room lab/standin: a router and request/response pair on bare ASGI.

A framework costs more CPU per request than the token endpoint itself may use (budget 4 ms), so
this module keeps to what the endpoints need. It must not know OAuth.
"""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec

from . import metrics, patience
from .problems import (
    ManagementProblem,
    OAuthProblem,
    StoreUnavailable,
    invalid_request,
    unavailable_body,
)

log = logging.getLogger("standin.web")
MAX_BODY_BYTES = 1 << 20
Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Response:
    """Status, headers and body; sent in one go."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        self.status = status
        self.body = body
        self.headers = headers

    def cookie(self, name: str, value: str, path: str, max_age_s: int) -> Response:
        """Adds a Set-Cookie that scripts cannot read; max_age_s 0 deletes it."""
        text = f"{name}={value}; Path={path}; Max-Age={max_age_s}; HttpOnly; Secure; SameSite=Lax"
        self.headers.append((b"set-cookie", text.encode()))
        return self


_JSON = (b"content-type", b"application/json; charset=utf-8")
_NO_STORE = (b"cache-control", b"no-store")


def json_response(document: object, status: int = 200) -> Response:
    """JSON that no cache keeps."""
    return Response(status, msgspec.json.encode(document), [_JSON, _NO_STORE])


def html_response(text: str, status: int = 200) -> Response:
    """A page that runs no script and cannot be framed."""
    policy = b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"
    head = [(b"content-type", b"text/html; charset=utf-8"), _NO_STORE]
    return Response(status, text.encode(), [*head, (b"content-security-policy", policy)])


def redirect(location: str) -> Response:
    """302, the status ACP uses between its pages."""
    return Response(302, b"", [(b"location", location.encode()), _NO_STORE])


def empty(status: int) -> Response:
    """A status without a body."""
    return Response(status, b"", [])


class Request:
    """One request; body and headers are read on demand."""

    __slots__ = ("_headers", "body", "method", "params", "path", "query_string")

    def __init__(self, scope: Scope, params: Mapping[str, str], body: bytes) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query_string: bytes = scope["query_string"]
        self.params = params
        self.body = body
        self._headers: list[tuple[bytes, bytes]] = scope["headers"]

    def header(self, name: str) -> str:
        """A header's value, empty when absent."""
        wanted = name.encode()
        return next((v.decode("latin-1") for k, v in self._headers if k == wanted), "")

    def query(self) -> dict[str, str]:
        """Query parameters; a doubled one is refused, as OAuth demands."""
        return single(self.query_string)

    def form(self) -> dict[str, str]:
        """Form fields; a doubled one is refused, as OAuth demands."""
        return single(self.body)

    def cookies(self) -> dict[str, str]:
        """All cookies; a malformed header counts as none."""
        try:
            return {k: morsel.value for k, morsel in SimpleCookie(self.header("cookie")).items()}
        except CookieError:
            return {}

    def bearer(self) -> str:
        """The bearer token, empty when there is none."""
        kind, _, token = self.header("authorization").partition(" ")
        return token.strip() if kind.lower() == "bearer" else ""

    def basic(self) -> tuple[str, str] | None:
        """Credentials of HTTP Basic, form-decoded as RFC 6749 section 2.3.1 says."""
        kind, _, text = self.header("authorization").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            user, _, password = base64.b64decode(text, validate=True).decode().partition(":")
        except ValueError:
            return None
        return unquote(user.replace("+", " ")), unquote(password.replace("+", " "))


def single(encoded: bytes) -> dict[str, str]:
    """Decodes a form or query whose names may occur once only."""
    try:
        pairs = parse_qsl(encoded.decode(), keep_blank_values=True, max_num_fields=100)
    except ValueError as problem:
        raise invalid_request("parameters cannot be decoded") from problem
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise invalid_request("a parameter occurs twice")
    return fields


Handler = Callable[[Request], Awaitable[Response]]


class Router:
    """Exact segments first, then {placeholders}; a table per method and segment count."""

    def __init__(self) -> None:
        self._static: dict[str, dict[str, tuple[str, Handler]]] = {}
        self._table: dict[int, list[tuple[tuple[str, ...], str, str, Handler]]] = {}

    def add(self, methods: str, template: str, handler: Handler) -> None:
        """Registers `handler` for space separated methods; earlier routes win."""
        segments = tuple(template.strip("/").split("/"))
        for method in methods.split():
            if "{" not in template:
                self._static.setdefault(template, {})[method] = (template, handler)
            row = (segments, method, template, handler)
            self._table.setdefault(len(segments), []).append(row)

    def find(self, method: str, path: str) -> tuple[str, Handler | None, dict[str, str]]:
        """(template, handler, params); handler None means the path exists for other methods."""
        if (known := self._static.get(path)) is not None and method in known:
            template, handler = known[method]
            return template, handler, {}
        parts = path.strip("/").split("/")
        other = ""
        for segments, allowed, template, handler in self._table.get(len(parts), ()):
            pairs = tuple(zip(segments, parts, strict=True))
            if any(s != p and s[:1] != "{" for s, p in pairs):
                continue
            if allowed == method:
                return template, handler, {s[1:-1]: unquote(p) for s, p in pairs if s[:1] == "{"}
            other = template
        return other, None, {}


class Application:
    """The ASGI application: routes, measures, and turns every problem into its JSON form."""

    def __init__(self, router: Router, per_tenant: bool, budget_s: float) -> None:
        self._router = router
        self._budget_s = budget_s  # for all that it asks of Redis
        self._per_tenant = per_tenant
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one HTTP request."""
        if scope["type"] != "http":
            return
        begin = time.perf_counter()
        method = scope["method"]
        template, handler, params = self._router.find(method, scope["path"])
        response = await self._respond(scope, receive, template, handler, params)
        headers = [*response.headers, (b"content-length", str(len(response.body)).encode())]
        if self.draining:  # keep-alive clients move to another pod before this one goes
            headers.append((b"connection", b"close"))
        start = {"type": "http.response.start", "status": response.status, "headers": headers}
        await send(start)
        await send(
            {"type": "http.response.body", "body": b"" if method == "HEAD" else response.body}
        )
        labels = (template or "unmatched", method, str(response.status))
        taken_s = time.perf_counter() - begin
        metrics.HTTP.labels(*labels).observe(taken_s)
        if self._per_tenant and "tid" in params:
            metrics.HTTP_TENANT.labels(params["tid"], *labels).observe(taken_s)

    async def _respond(
        self,
        scope: Scope,
        receive: Receive,
        template: str,
        handler: Handler | None,
        params: dict[str, str],
    ) -> Response:
        if handler is None:
            status = 405 if template else 404
            return json_response(
                ManagementProblem(status, "NOT_FOUND", "no such endpoint").body(), status
            )
        try:
            body = await read_body(receive) if scope["method"] in ("POST", "PUT", "PATCH") else b""
            patience.begin(self._budget_s)
            return await handler(Request(scope, params, body))
        except (OAuthProblem, ManagementProblem) as problem:
            return refused(problem)
        except StoreUnavailable as problem:
            answer = json_response(unavailable_body(problem), 503)
            answer.headers.append((b"retry-after", b"1"))
            return answer
        except Exception:
            log.exception("request failed: %s %s", scope["method"], template)
            problem_500 = OAuthProblem(
                500, "server_error", "The server met an unexpected condition."
            )
            return json_response(problem_500.body(), 500)


def refused(problem: OAuthProblem | ManagementProblem) -> Response:
    """A problem's JSON, with the challenge that 401 demands."""
    response = json_response(problem.body(), problem.status)
    if problem.status == 401:
        scheme = b"Basic" if getattr(problem, "error", "") == "invalid_client" else b"Bearer"
        response.headers.append((b"www-authenticate", scheme + b' realm="acp"'))
    return response


async def read_body(receive: Receive) -> bytes:
    """The whole body, up to MAX_BODY_BYTES."""
    chunks, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise invalid_request("the client went away")
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise OAuthProblem(413, "invalid_request", "The body is too large.")
        chunks.append(chunk)
        if not message.get("more_body"):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
