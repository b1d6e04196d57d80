"""The token ledger: a population of every kind, minted before a fault and looked at again after.

Room: load. It records what was seen; what a fault may cost is the check room's table. Only ledger
ids are recorded, never a token. A store that is away must be told from a token that is gone:
`unavailable` is a retryable answer (no answer, 5xx, 429), `invalid` is the server's own no.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import msgspec
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from acpchaos.errors import PreconditionUnmet
from acpchaos.load.settings import account
from acpchaos.record.events import Clock, TokenProbe
from acpchaos.record.journal import Journal
from acpchaos.target import oidc
from acpchaos.target.oidc import StepFailed
from acpchaos.target.plain import Plain
from acpchaos.target.profile import Profile, resolve

EACH = 4  # of each kind: a third of the slots each, and one more
ALGORITHMS = ["ES256", "RS256", "PS256", "EdDSA", "ES384", "ES512"]
ONCE = ("code", "par")  # a look uses them up, so they are looked at only afterwards
Format = Literal["jwt", "opaque"]


class Held(msgspec.Struct, kw_only=True):
    """One token of the ledger; `extra` is a verifier or what else its look needs."""

    id: str
    item: str
    token: str
    format: Format = "jwt"
    extra: str = ""


class Ledger:
    """Mints and looks; every look is one TokenProbe in the journal."""

    def __init__(self, profile: Profile, journal: Journal, *, seed: int, each: int = EACH) -> None:
        self._profile, self._journal, self._each = profile, journal, each
        self._clock, self._seed = Clock(), seed
        self._send = Plain(str(profile.service.ca_file or ""))
        given = profile.credentials
        self._m2m, self._web = account(given.m2m), account(given.web)
        self._judge = account(given.introspect)
        self._password = resolve(given.users.password) if given.users else ""
        self._ends: dict[str, oidc.Endpoints] = {}
        self._keys: KeySet | None = None
        self._held: list[Held] = []

    def mint(self) -> None:
        """Make `each` of every kind the target's clients can have; PreconditionUnmet if refused."""
        try:
            for name in ("jwt", "opaque"):
                issuer = self._profile.service.issuer(name)
                self._ends[name] = oidc.discover(self._send, issuer)
            keys = self._send("jwks", "GET", self._ends["jwt"].jwks).json()
            self._keys = KeySet.import_key_set(keys)  # type: ignore[arg-type]
            for number in range(self._each):
                self._held += self._minted(number)
        except StepFailed as error:
            raise PreconditionUnmet(
                "mint the token ledger",
                str(error),
                "check the clients and users in the profile's [credentials]",
            ) from None

    def probe(self, when: str) -> None:
        """Look at every token once, on fresh connections; codes and pushed requests only after."""
        self._send.renew()
        for held in self._held:
            if when == "before" and held.item in ONCE:
                continue
            result, saw = self._look(held)
            self._journal.write(
                TokenProbe(
                    t_ns=self._clock.now_ns(), token=held.id, item=held.item, when=when,
                    result=result, saw=saw,
                )
            )  # fmt: skip

    def _minted(self, number: int) -> Iterable[Held]:
        send, ends = self._send, self._ends["jwt"]

        def held(item: str, token: str, format: Format = "jwt", extra: str = "") -> Held:
            return Held(id=f"{item}-{number}", item=item, token=token, format=format, extra=extra)

        access = oidc.client_credentials(send, ends, self._m2m)
        yield held("access_jwt", access)
        yield held("jwt_offline", access)
        opaque = oidc.client_credentials(send, self._ends["opaque"], self._m2m)
        yield held("access_opaque", opaque, "opaque")
        revoked = oidc.client_credentials(send, ends, self._m2m)
        oidc.revoke(send, ends, self._m2m, revoked)
        yield held("revoked_jwt", revoked)
        if self._web.id and self._password:
            yield from self._signed_in(number, held)

    def _signed_in(self, number: int, held: Callable[..., Held]) -> Iterable[Held]:
        """Kinds that need a user: refresh token, SSO session, unused code, pushed request."""
        send, ends, web = self._send, self._ends["jwt"], self._web
        browser = oidc.Browser(send, self._login(number), self._password)
        request, verifier = oidc.authorization_request(web)
        code = browser.code(oidc.authorize_url(ends, request), web.redirect_uri)
        tokens = oidc.exchange(send, ends, web, code, verifier)
        if refresh_token := tokens.get("refresh_token"):
            yield held("refresh", str(refresh_token))
        yield held("sso_session", msgspec.json.encode(browser.cookies).decode())
        request, verifier = oidc.authorization_request(web)
        yield held(
            "code", browser.code(oidc.authorize_url(ends, request), web.redirect_uri),
            extra=verifier,
        )  # fmt: skip
        if ends.par:
            request, _ = oidc.authorization_request(web)
            yield held("par", oidc.push(send, ends, web, request))

    def _login(self, number: int) -> str:
        """The user of a ledger number; another seed spreads over other users."""
        users = self._profile.credentials.users
        assert users is not None
        return f"{users.prefix}-{(self._seed + number) % users.count:03d}"

    def _look(self, held: Held) -> tuple[str, str]:
        try:
            valid = _LOOKS[held.item](self, held)
        except StepFailed as error:
            return _told(error)
        return ("valid" if valid else "invalid"), ""

    def _active(self, held: Held) -> bool:
        caller = self._judge if self._judge.id else self._m2m
        return oidc.introspect(self._send, self._ends[held.format], caller, held.token)

    def _signed(self, held: Held) -> bool:
        """Signature and life against the keys saved before the fault, asking nobody."""
        assert self._keys is not None
        try:
            claims = jwt.decode(held.token, self._keys, algorithms=ALGORITHMS).claims
        except (JoseError, ValueError):
            return False
        return float(claims.get("exp", 0)) > self._clock.now_ns() / 1e9

    def _refreshed(self, held: Held) -> bool:
        tokens = oidc.refresh(self._send, self._ends["jwt"], self._web, held.token)
        held.token = str(tokens.get("refresh_token", held.token))
        return True

    def _exchanged(self, held: Held) -> bool:
        oidc.exchange(self._send, self._ends["jwt"], self._web, held.token, held.extra)
        return True

    def _signed_on(self, held: Held) -> bool:
        """Whether the session still leads to a code without a form."""
        browser = self._browser(held)
        request, _ = oidc.authorization_request(self._web)
        browser.code(oidc.authorize_url(self._ends["jwt"], request), self._web.redirect_uri)
        return browser.forms_filled == 0

    def _pushed(self, held: Held) -> bool:
        """Whether the request_uri still begins a login."""
        pushed = {"client_id": self._web.id, "request_uri": held.token}
        url = oidc.authorize_url(self._ends["jwt"], pushed)
        answer = self._send("authorize", "GET", url, expect=(200, 302, 303))
        if answer.status in (200, 302, 303):
            return not oidc.told_in_redirect(answer)
        raise StepFailed("authorize", answer)

    def _browser(self, held: Held) -> oidc.Browser:
        number = int(held.id.rsplit("-", 1)[1])
        browser = oidc.Browser(self._send, self._login(number), self._password)
        browser.cookies = msgspec.json.decode(held.token, type=dict[str, str])
        return browser


def _told(error: StepFailed) -> tuple[str, str]:
    """A server's no is invalid; no answer or a retryable one is unavailable."""
    status = error.answer.status
    if status == 0 or status >= 500 or status == 429:
        return "unavailable", str(error)
    if status in (400, 401, 403):
        return "invalid", str(error)
    return "error", str(error)


_LOOKS: dict[str, Callable[[Ledger, Held], bool]] = {
    "access_jwt": Ledger._active,
    "access_opaque": Ledger._active,
    "revoked_jwt": Ledger._active,
    "jwt_offline": Ledger._signed,
    "refresh": Ledger._refreshed,
    "code": Ledger._exchanged,
    "sso_session": Ledger._signed_on,
    "par": Ledger._pushed,
}
