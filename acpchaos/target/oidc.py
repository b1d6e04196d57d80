"""The token flows, step by step, over whatever sends a request.

Room: target. Written once for load, ledger and posture; it must not know Locust, urllib3 or who
records. Only discovery and standard parameters are used, and forms are read from the page, so any
OIDC issuer whose login is one page of HTML forms works.
"""

import base64
import functools
import hashlib
import html.parser
import re
import secrets
from collections.abc import Callable, Mapping
from typing import Any, Protocol
from urllib.parse import parse_qs, quote_plus, urlencode, urljoin, urlsplit

import msgspec

from acpchaos.target.client_auth import Account as Account
from acpchaos.target.client_auth import authenticated
from acpchaos.target.client_auth import basic as basic

FORM_PAGES = 4  # login, consent and one more of each; beyond that it is a loop


class Answer(msgspec.Struct, frozen=True, dict=True):
    """What came back. `status` 0 means nothing did, and `error` says why in one class."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""
    error: str = ""

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is none."""
        return self._object

    @functools.cached_property
    def _object(self) -> dict[str, Any]:
        """Read once, though several judge it."""
        try:
            found = _DECODER.decode(self.body)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}


_DECODER = msgspec.json.Decoder()


def anything(answer: Answer) -> bool:
    """The content check of steps whose status says it all."""
    return True


class Send(Protocol):
    """Send one request, following no redirect; records the step by itself.

    An answer with a status of `expect` whose content is not `good` is a failure, too.
    The connection shows the certificate of `shows`, where it is given.
    """

    def __call__(
        self, step: str, method: str, url: str, *, form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None, expect: tuple[int, ...] = (200,),
        good: Callable[[Answer], bool] = anything, shows: Account | None = None,
    ) -> Answer: ...  # fmt: skip


class StepFailed(Exception):
    """A flow ended early; `answer` is what its last step got."""

    def __init__(self, step: str, answer: Answer, error: str = "") -> None:
        super().__init__(f"{step}: {error or error_class(answer)}")
        self.step, self.answer = step, answer


class Endpoints(msgspec.Struct, frozen=True):
    """From discovery; `par` may be empty. `mtls` has those that differ for clients which prove
    themselves by certificate (RFC 8705 section 5)."""

    issuer: str
    token: str
    authorize: str
    introspect: str
    revoke: str
    userinfo: str
    jwks: str
    par: str = ""
    mtls: dict[str, str] = {}

    def of(self, name: str, client: Account) -> str:
        """The endpoint called `name` here, for this client."""
        alias = self.mtls.get(name) if client.auth == "tls_client_auth" else None
        return alias or str(getattr(self, name))


def error_class(
    answer: Answer, expect: tuple[int, ...] = (200,), good: Callable[[Answer], bool] = anything
) -> str:
    """One class for an answer: "" when expected and good, else the class of events.Request."""
    if answer.error:
        return answer.error
    if answer.status in expect:
        return "" if good(answer) else told_in_redirect(answer) or "bad_body"
    code = answer.json().get("error")
    return f"oauth_{code}" if isinstance(code, str) and code else f"http_{answer.status}"


def encoded(form: Mapping[str, str]) -> bytes:
    """The form as a body. Many are sent again and again; tokens and names, which need no quoting,
    are not looked at letter by letter."""
    return _encoded(tuple(form.items()))


@functools.lru_cache(maxsize=64)
def _encoded(items: tuple[tuple[str, str], ...]) -> bytes:
    return "&".join([f"{_quoted(name)}={_quoted(value)}" for name, value in items]).encode()


def _quoted(text: str) -> str:
    return text if _SAFE(text) else quote_plus(text)


_SAFE = re.compile(r"[A-Za-z0-9_.~-]*").fullmatch


def holds(key: str) -> Callable[[Answer], bool]:
    """Whether the answer is JSON with something under `key`."""
    return lambda answer: bool(answer.json().get(key))


def told_in_redirect(answer: Answer) -> str:
    """An authorization error travels in the redirect back to the client."""
    found = parse_qs(urlsplit(answer.headers.get("location", "")).query)
    return f"oauth_{found['error'][0]}" if "error" in found else ""


def discover(send: Send, issuer: str) -> Endpoints:
    """Read the issuer's discovery document."""
    url = f"{issuer}/.well-known/openid-configuration"
    answer = send("discovery", "GET", url, good=holds("token_endpoint"))
    found = answer.json()
    if answer.status != 200 or "token_endpoint" not in found:
        seen = f"HTTP {answer.status}" if answer.status else error_class(answer)
        raise StepFailed("discovery", answer, f"no discovery document ({seen})")
    aliases = found.get("mtls_endpoint_aliases") or {}
    return Endpoints(
        issuer=found.get("issuer", issuer),
        token=found["token_endpoint"],
        authorize=found.get("authorization_endpoint", ""),
        introspect=found.get("introspection_endpoint", ""),
        revoke=found.get("revocation_endpoint", ""),
        userinfo=found.get("userinfo_endpoint", ""),
        jwks=found.get("jwks_uri", ""),
        par=found.get("pushed_authorization_request_endpoint", ""),
        mtls={name: aliases[told] for name, told in _ALIASES.items() if told in aliases},
    )


_ALIASES = {
    "token": "token_endpoint",
    "introspect": "introspection_endpoint",
    "revoke": "revocation_endpoint",
    "par": "pushed_authorization_request_endpoint",
}


def client_credentials(send: Send, ends: Endpoints, client: Account) -> str:
    """An access token for the client itself."""
    form = {"grant_type": "client_credentials"}
    return str(_token(send, "token", ends, client, form)["access_token"])


def refresh(send: Send, ends: Endpoints, client: Account, token: str) -> dict[str, Any]:
    """A new token set; the old refresh token may be used up."""
    form = {"grant_type": "refresh_token", "refresh_token": token}
    return _token(send, "refresh", ends, client, form)


def introspect(
    send: Send, ends: Endpoints, client: Account, token: str, *, fresh: bool = False
) -> bool:
    """Whether the issuer calls the token active; for a `fresh` one anything else is a failure."""
    good = holds("active") if fresh else lambda got: "active" in got.json()
    answer = _proven(send, "introspect", ends, "introspect", client, {"token": token}, good)
    if answer.status != 200 or "active" not in answer.json():
        raise StepFailed("introspect", answer)
    return bool(answer.json()["active"])


def revoke(send: Send, ends: Endpoints, client: Account, token: str) -> None:
    """Revoke a token of this client."""
    answer = _proven(send, "revoke", ends, "revoke", client, {"token": token}, anything)
    if answer.status != 200:
        raise StepFailed("revoke", answer)


def userinfo(send: Send, ends: Endpoints, token: str) -> dict[str, Any]:
    """The claims behind an access token."""
    bearer = {"Authorization": f"Bearer {token}"}
    answer = send(
        "userinfo", "GET", ends.userinfo, headers=bearer, good=lambda got: bool(got.json())
    )
    if answer.status != 200:
        raise StepFailed("userinfo", answer)
    return answer.json()


def push(send: Send, ends: Endpoints, client: Account, request: Mapping[str, str]) -> str:
    """Push an authorization request; returns its request_uri."""
    good, expect = holds("request_uri"), (200, 201)
    answer = _proven(send, "par", ends, "par", client, request, good, expect)
    if not (uri := answer.json().get("request_uri")):
        raise StepFailed("par", answer)
    return str(uri)


def authorization_request(client: Account) -> tuple[dict[str, str], str]:
    """(parameters of a new code request with PKCE, its verifier)."""
    verifier = secrets.token_urlsafe(48)
    digest = hashlib.sha256(verifier.encode()).digest()
    request = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": client.redirect_uri,
        "scope": "openid profile offline_access",
        "state": secrets.token_urlsafe(12),
        "nonce": secrets.token_urlsafe(12),
        "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
        "code_challenge_method": "S256",
    }
    return request, verifier


def exchange(
    send: Send, ends: Endpoints, client: Account, code: str, verifier: str
) -> dict[str, Any]:
    """Tokens for a code."""
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": client.redirect_uri,
        "code_verifier": verifier,
    }
    return _token(send, "token", ends, client, form)


def _token(
    send: Send, step: str, ends: Endpoints, client: Account, form: Mapping[str, str]
) -> dict[str, Any]:
    """A token request; each of them must end with an access token."""
    answer = _proven(send, step, ends, "token", client, form, _HAS_TOKEN)
    if answer.status != 200 or not _HAS_TOKEN(answer):
        raise StepFailed(step, answer)
    return answer.json()


_HAS_TOKEN = holds("access_token")


def _proven(
    send: Send, step: str, ends: Endpoints, endpoint: str, client: Account,
    form: Mapping[str, str], good: Callable[[Answer], bool], expect: tuple[int, ...] = (200,),
) -> Answer:  # fmt: skip
    """A request in which the client proves who it is, the way it has."""
    sent, headers = authenticated(client, form, ends.token)
    url = ends.of(endpoint, client)
    if client.auth == "tls_client_auth":
        return send(
            step, "POST", url, form=sent, headers=headers, expect=expect, good=good, shows=client
        )
    return send(step, "POST", url, form=sent, headers=headers, expect=expect, good=good)


class Browser:
    """Follows redirects and fills forms for one user, with cookies of its own."""

    def __init__(self, send: Send, user: str, password: str) -> None:
        self._send, self._fields = send, {"username": user, "password": password}
        self.cookies: dict[str, str] = {}
        self.forms_filled = 0

    def code(self, url: str, redirect_uri: str) -> str:
        """Go from an authorization URL to the code at the redirect URI."""
        answer = self.get("authorize", url)
        for _ in range(4 * FORM_PAGES):
            if answer.status in (302, 303, 307):
                target = urljoin(url, answer.headers.get("location", ""))
                if target.startswith(redirect_uri):
                    return self._code_of(target, answer)
                url = target
                answer = self.get(_step_of(url), url)
            elif answer.status == 200 and (form := first_form(answer.body)) is not None:
                url, answer = self.fill(url, form)
            else:
                raise StepFailed("authorize", answer)
        raise StepFailed("authorize", answer, "too many pages before the code")

    def get(self, step: str, url: str) -> Answer:
        """One page, cookies sent and kept."""
        return self._kept(
            self._send(
                step, "GET", url, headers=self._cookie(), expect=(200, 302, 303, 307),
                good=_no_error_told,
            )
        )  # fmt: skip

    def fill(self, url: str, form: "Form") -> tuple[str, Answer]:
        """Send the form of the page at `url`, once; (where it went, what came back)."""
        self.forms_filled += 1
        values = {
            name: self._fields.get(name) or self._fields.get(kind) or value
            for name, kind, value in form.inputs
        }
        if "username" not in values and form.asks_password:
            named = next((n for n, kind, v in form.inputs if kind in ("text", "email")), "username")
            values[named] = self._fields["username"]
        target = urljoin(url, form.action)
        answer = self._send(
            _step_of(target), "POST", target, form=values, headers=self._cookie(),
            expect=(302, 303), good=_no_error_told,
        )  # fmt: skip
        return target, self._kept(answer)

    def _cookie(self) -> dict[str, str]:
        together = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Cookie": together} if together else {}

    def _kept(self, answer: Answer) -> Answer:
        for line in filter(None, answer.headers.get("set-cookie", "").split("\n")):
            name, _, value = line.split(";", 1)[0].partition("=")
            self.cookies[name.strip()] = value.strip()
        return answer

    def _code_of(self, target: str, answer: Answer) -> str:
        found = parse_qs(urlsplit(target).query)
        if "code" not in found:
            raise StepFailed("authorize", answer, f"oauth_{found.get('error', ['no_code'])[0]}")
        return found["code"][0]


def _no_error_told(answer: Answer) -> bool:
    return not told_in_redirect(answer)


def authorize_url(ends: Endpoints, request: Mapping[str, str]) -> str:
    """The URL a browser opens."""
    return f"{ends.authorize}?{urlencode(request)}"


def _step_of(url: str) -> str:
    return urlsplit(url).path.rsplit("/", 1)[-1] or "page"


class Form(msgspec.Struct):
    """A form of a page."""

    action: str
    inputs: list[tuple[str, str, str]]  # name, type, value

    @property
    def asks_password(self) -> bool:
        """Whether it is a login form rather than one of consent."""
        return any(kind == "password" for _, kind, _ in self.inputs)


class _Forms(html.parser.HTMLParser):
    """The first form of a page; of several submit buttons the first is pressed."""

    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None
        self._submitted = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value or "" for key, value in attrs}
        if tag == "form" and self.form is None:
            self.form = Form(found.get("action", ""), [])
        elif tag in ("input", "button") and self.form is not None and found.get("name"):
            kind = found.get("type", "submit" if tag == "button" else "text")
            if kind == "submit":
                if self._submitted:
                    return
                self._submitted = True
            self.form.inputs.append((found["name"], kind, found.get("value", "")))


def first_form(body: bytes) -> Form | None:
    """The first form of a page, None without one."""
    parser = _Forms()
    parser.feed(body.decode("utf-8", "replace"))
    return parser.form
