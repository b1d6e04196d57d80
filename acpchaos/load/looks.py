"""How each kind of token is looked at, so that the look tells valid, invalid and unavailable apart.

Room: load. It must not know when or how often. `unavailable` is a retryable answer (no answer, 5xx,
429), `invalid` is the server's own no. A refresh token is spent by being used, so until the last
look it is asked for by introspection, where the issuer tells of refresh tokens at all.
"""

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from acpchaos.record.events import Clock
from acpchaos.target import oidc
from acpchaos.target.client_auth import Account
from acpchaos.target.oidc import StepFailed
from acpchaos.target.plain import Plain

ALGORITHMS = ["ES256", "RS256", "PS256", "EdDSA", "ES384", "ES512"]
ONCE = ("code", "par")  # a look uses them up

Format = Literal["jwt", "opaque"]


class Held(msgspec.Struct, kw_only=True):
    """One token of the ledger; `user` is who signed in, `extra` what else its look needs."""

    id: str
    item: str
    token: str
    format: Format = "jwt"
    user: str = ""
    extra: str = ""


class Look(NamedTuple):
    """valid, invalid, unavailable or error; and how it was seen, or what came back instead."""

    result: str
    saw: str = ""


class Issuer(NamedTuple):
    """Whom to ask, as whom, and the keys that were served before the fault."""

    ends: Mapping[str, oidc.Endpoints]  # by format
    keys: KeySet
    judge: Account  # introspects
    web: Account
    password: str


class Looks:
    """Looks at tokens over connections of its own."""

    def __init__(self, issuer: Issuer, send: Plain) -> None:
        self._issuer, self._send, self._clock = issuer, send, Clock()
        self.tells_of_refresh = True  # whether this issuer introspects refresh tokens

    def renew(self) -> None:
        """The next look is on a new connection, which the Service leads to any replica."""
        self._send.renew()

    def look(self, held: Held) -> Look:
        """One look that leaves the token usable; codes and pushed requests are spent by it."""
        return self._looked(_BY_KIND[held.item], held)

    def last(self, held: Held) -> list[Look]:
        """The looks at the end, when a token may be spent."""
        if held.item != "refresh":
            return [self.look(held)]
        used = self._looked(Looks._refreshed, held)
        return [self.look(held), used] if self.tells_of_refresh else [used]

    def learn(self, refresh: Held) -> None:
        """Try on a fresh refresh token whether the issuer introspects such."""
        self.tells_of_refresh = self.look(refresh).result == "valid"

    def _looked(self, by: "Callable[[Looks, Held], bool]", held: Held) -> Look:
        try:
            valid = by(self, held)
        except StepFailed as error:
            return _told(error)
        how = "by use" if by is Looks._refreshed else ""
        return Look("valid" if valid else "invalid", how)

    def _active(self, held: Held) -> bool:
        return oidc.introspect(
            self._send, self._issuer.ends[held.format], self._issuer.judge, held.token
        )

    def _signed(self, held: Held) -> bool:
        """Signature and life against the keys saved before the fault, asking nobody."""
        try:
            claims = jwt.decode(held.token, self._issuer.keys, algorithms=ALGORITHMS).claims
        except (JoseError, ValueError):
            return False
        return float(claims.get("exp", 0)) > self._clock.now_ns() / 1e9

    def _refreshed(self, held: Held) -> bool:
        tokens = oidc.refresh(self._send, self._issuer.ends["jwt"], self._issuer.web, held.token)
        held.token = str(tokens.get("refresh_token", held.token))
        return True

    def _exchanged(self, held: Held) -> bool:
        ends = self._issuer.ends["jwt"]
        oidc.exchange(self._send, ends, self._issuer.web, held.token, held.extra)
        return True

    def _signed_on(self, held: Held) -> bool:
        """Whether the session still leads to a code without a form; no form is filled."""
        visitor = _Visitor(self._send, held.user, self._issuer.password)
        visitor.cookies = msgspec.json.decode(held.token, type=dict[str, str])
        web = self._issuer.web
        request, _ = oidc.authorization_request(web)
        try:
            visitor.code(oidc.authorize_url(self._issuer.ends["jwt"], request), web.redirect_uri)
        except _Asked:
            return False
        return True

    def _pushed(self, held: Held) -> bool:
        """Whether the request_uri still begins a login."""
        pushed = {"client_id": self._issuer.web.id, "request_uri": held.token}
        url = oidc.authorize_url(self._issuer.ends["jwt"], pushed)
        answer = self._send("authorize", "GET", url, expect=(200, 302, 303))
        if answer.status in (200, 302, 303):
            return not oidc.told_in_redirect(answer)
        raise StepFailed("authorize", answer)


class _Asked(Exception):
    """The issuer wants a form filled: it does not know the session."""


class _Visitor(oidc.Browser):
    """A browser whose user does not sign in, so that a look makes no session."""

    def fill(self, url: str, form: oidc.Form) -> tuple[str, oidc.Answer]:
        raise _Asked(url)


def _told(error: StepFailed) -> Look:
    """A server's no is invalid; no answer or a retryable one is unavailable."""
    status = error.answer.status
    if status == 0 or status >= 500 or status == 429:
        return Look("unavailable", str(error))
    return Look("invalid" if status in (400, 401, 403) else "error", str(error))


_BY_KIND: dict[str, Callable[[Looks, Held], bool]] = {
    "access_jwt": Looks._active,
    "access_opaque": Looks._active,
    "revoked_jwt": Looks._active,
    "refresh": Looks._active,
    "jwt_offline": Looks._signed,
    "code": Looks._exchanged,
    "sso_session": Looks._signed_on,
    "par": Looks._pushed,
}
