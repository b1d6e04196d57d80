"""How a client proves who it is: with its secret, with a signed assertion, or with a certificate.

Room: target. It must not know who sends or records. Signing takes longer than many an answer, so
assertions can be made ahead of need: a load that signs while it measures, measures itself.
"""

import functools
import os
import secrets
import ssl
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec
from joserfc import jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey

type Auth = Literal[
    "client_secret_basic", "client_secret_post", "private_key_jwt", "tls_client_auth"
]
type Algorithm = Literal["ES256", "ES384", "ES512", "PS256", "RS256", "EdDSA"]
ASSERTION_S = 300.0  # life of an assertion; RFC 7523 wants it bounded, issuers often within 5 min
SPARE_S = 60.0  # one with less left is not used: clocks differ, and a stalled server reads it late
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Account(msgspec.Struct, frozen=True):
    """An OAuth client; an empty id means there is none. `key` and `certificate` are PEM: the key
    signs assertions (private_key_jwt) or belongs to the certificate (tls_client_auth)."""

    id: str = ""
    secret: str = ""
    redirect_uri: str = ""
    auth: Auth = "client_secret_basic"
    key: str = ""
    certificate: str = ""
    algorithm: Algorithm = "ES256"
    kid: str = ""


def basic(client: Account) -> dict[str, str]:
    """client_secret_basic as a header."""
    return {"Authorization": _basic(client.id, client.secret)}


@functools.lru_cache(maxsize=64)
def _basic(name: str, secret: str) -> str:
    return "Basic " + b64encode(f"{name}:{secret}".encode()).decode()


def authenticated(
    client: Account, form: Mapping[str, str], audience: str
) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """(form, headers) of a request in which `client` proves itself. `audience` is the token
    endpoint, which RFC 7523 section 3 and OpenID Connect section 9 name for assertions."""
    match client.auth:
        case "client_secret_basic":
            return form, basic(client)
        case "client_secret_post":
            return {**form, "client_id": client.id, "client_secret": client.secret}, {}
        case "private_key_jwt":
            signed = assertions(client, audience).take()
            proof = {"client_assertion_type": ASSERTION_TYPE, "client_assertion": signed}
            return {**form, "client_id": client.id, **proof}, {}
        case "tls_client_auth":  # RFC 8705: the connection proves it, the form says who it is
            return {**form, "client_id": client.id}, {}


class Assertions:
    """Assertions of one client for one audience, each used once.

    `late` counts those that had to be signed when they were needed.
    """

    def __init__(
        self, client: Account, audience: str, now: Callable[[], float] = time.time
    ) -> None:
        self._client, self._audience, self._now = client, audience, now
        self._key = _signing(client)
        self._ready: deque[tuple[float, str]] = deque()  # (end of life, assertion), oldest first
        self.late = 0

    def short_of(self, count: int) -> int:
        """How many are missing until `count` are ready; what has grown old is dropped."""
        while self._ready and self._ready[0][0] - self._now() < SPARE_S:
            self._ready.popleft()
        return max(0, count - len(self._ready))

    def make_one(self) -> None:
        """Sign one ahead of need."""
        self._ready.append(self._signed())

    def take(self) -> str:
        """One that nobody was given before."""
        self.short_of(0)
        if self._ready:
            return self._ready.popleft()[1]
        self.late += 1
        return self._signed()[1]

    def _signed(self) -> tuple[float, str]:
        now_s, client = self._now(), self._client
        claims = {
            "iss": client.id,
            "sub": client.id,
            "aud": self._audience,
            "jti": secrets.token_urlsafe(16),
            "iat": int(now_s),
            "exp": int(now_s + ASSERTION_S),
        }
        head = {"alg": client.algorithm} | ({"kid": client.kid} if client.kid else {})
        ends_s = now_s + ASSERTION_S
        return ends_s, jwt.encode(head, claims, self._key, algorithms=[client.algorithm])


@functools.cache
def assertions(client: Account, audience: str) -> Assertions:
    """The one stock of a client and an audience in this process."""
    return Assertions(client, audience)


def _signing(client: Account) -> ECKey | RSAKey | OKPKey:
    kind: type[ECKey] | type[RSAKey] | type[OKPKey] = ECKey
    if client.algorithm == "EdDSA":
        kind = OKPKey
    elif client.algorithm in ("PS256", "RS256"):
        kind = RSAKey
    return kind.import_key(client.key)


def trusting(ca_file: str, client: Account | None = None) -> ssl.SSLContext:
    """Verifies chain and name against `ca_file`, the system's authorities where it is empty, and
    shows the certificate of a tls_client_auth `client`. ssl.SSLError where it is none."""
    context = ssl.create_default_context(cafile=ca_file or None)
    if client is not None and client.auth == "tls_client_auth":
        with _Unnamed(client.certificate) as certificate, _Unnamed(client.key) as key:
            context.load_cert_chain(certificate, key)
    return context


class _Unnamed:
    """Text as a file that only this process can open, for a library that reads only files."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __enter__(self) -> Path:
        self._number = os.memfd_create("pem", os.MFD_CLOEXEC)
        os.write(self._number, self._text.encode())
        return Path(f"/proc/self/fd/{self._number}")

    def __exit__(self, *_: object) -> None:
        os.close(self._number)
