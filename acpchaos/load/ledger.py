"""The token ledger: a population of every kind, looked at before, through and after a fault.

Room: load. It records what was seen; what a fault may cost is the check room's table. Only ledger
ids are recorded, never a token. Through the fault it looks at one token after the other from a
thread of the play's own process, at a rate so small that the load, a process of its own, does not
feel it. Each look and each round of minting is on new connections, which a Service leads to any of
its replicas; which slots of a store the tokens fall into is chance, and the check tells how likely
it is that one place holds none.
"""

import itertools
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import msgspec
from joserfc.jwk import KeySet

from acpchaos.errors import PreconditionUnmet
from acpchaos.load.looks import ONCE, Format, Held, Issuer, Look, Looks
from acpchaos.load.settings import account
from acpchaos.record.events import Clock, Gap, TokenProbe
from acpchaos.record.journal import Journal
from acpchaos.target import oidc
from acpchaos.target.oidc import StepFailed
from acpchaos.target.plain import Plain
from acpchaos.target.profile import Profile, resolve
from acpchaos.wait import pause_until

EACH = 12  # of each kind: a given one of three shards holds none of them in 8 of 1,000 cases
CODES = 3  # for each session, since one is spent at each turn
CODES_AFTER = 4  # kept for the look at the end
PUSHED = 2  # requests that wait for their look; they live 60 s, so another is pushed for each spent
LOOKS_PER_S = 4.0
LOOK_S = 1.0  # a look that takes longer is unavailable, as for the prober
TURN = 16  # looks between two at a code and at a pushed request


class Ledger:
    """Mints and looks; every look is one TokenProbe in the journal."""

    def __init__(
        self, profile: Profile, journal: Journal, *, seed: int, each: int = EACH,
        looks_per_s: float = LOOKS_PER_S,
    ) -> None:  # fmt: skip
        self._profile, self._journal, self._each = profile, journal, each
        self._clock, self._seed, self._gap_s = Clock(), seed, 1 / looks_per_s
        self._ca_file = str(profile.service.ca_file or "")
        self._send = Plain(self._ca_file)
        given = profile.credentials
        self._m2m, self._web = account(given.m2m), account(given.web)
        self._password = resolve(given.users.password) if given.users else ""
        self._held: list[Held] = []
        self._numbers = itertools.count(each)
        self._ended, self._following = threading.Event(), threading.Thread()

    def mint(self) -> None:
        """Make `each` of every kind the target's clients can have; PreconditionUnmet if refused."""
        try:
            self._issuer = self._met()
            self._looks = Looks(self._issuer, self._send)
            for number in range(self._each):
                self._send.renew()
                self._held += self._minted(number)
        except StepFailed as error:
            raise PreconditionUnmet(
                "mint the token ledger",
                str(error),
                "check the clients and users in the profile's [credentials]",
            ) from None
        if fresh := [held for held in self._held if held.item == "refresh"]:
            self._looks.learn(fresh[0])

    def probe(self, when: str) -> None:
        """Look at every token once; "after" spends what is left, "before" spends nothing."""
        for held in list(self._held):
            if when == "before" and held.item in ONCE:
                continue
            self._looks.renew()
            for look in self._seen(held, when):
                self._tell(held, when, look)

    def follow(self) -> None:
        """Look on schedule from now on, until `rest`."""
        self._ended.clear()
        send = Plain(self._ca_file, LOOK_S)
        looks = Looks(self._issuer, send)
        looks.tells_of_refresh = self._looks.tells_of_refresh
        self._following = threading.Thread(target=self._follow, args=(looks, send), daemon=True)
        self._following.start()

    def rest(self) -> None:
        """End the schedule; safe to repeat, and without one."""
        self._ended.set()
        if self._following.ident is not None:
            self._following.join()

    def _follow(self, looks: Looks, send: Plain) -> None:
        """One look at each due moment; a late one makes none up. What ends it is told as a gap."""
        due_s = time.monotonic()
        try:
            for held in self._turns(send):
                due_s = max(due_s + self._gap_s, time.monotonic())
                pause_until(due_s)
                if self._ended.is_set():
                    return
                looks.renew()
                self._tell(held, "during", looks.look(held))
        except Exception as error:
            from_ns = self._clock.now_ns()
            self._ended.wait()
            why = f"its looks ended: {type(error).__name__}: {error}"
            gap = Gap(t_ns=self._clock.now_ns(), recorder="ledger", from_ns=from_ns, why=why)
            self._journal.write(gap)

    def _turns(self, send: Plain) -> Iterator[Held]:
        """Endless: all that stays usable, shuffled anew for each round, so that no kind and no
        place is looked at together; every TURN looks one code and one pushed request."""
        dice = random.Random(self._seed)
        keep = [held for held in self._held if self._stays(held)]
        number = 0
        while keep:
            dice.shuffle(keep)
            for held in keep:
                yield held
                number += 1
                if number % TURN == 0:
                    yield from self._spent(send)

    def _stays(self, held: Held) -> bool:
        return held.item not in ONCE and (held.item != "refresh" or self._looks.tells_of_refresh)

    def _spent(self, send: Plain) -> Iterator[Held]:
        """A code, while more are left than the end needs; the oldest pushed request, replaced."""
        codes = [held for held in self._held if held.item == "code"]
        for held in codes[: 1 if len(codes) > CODES_AFTER else 0]:
            self._held.remove(held)
            yield held
        pushed = [held for held in self._held if held.item == "par"]
        for held in pushed[:1]:
            self._held.remove(held)
            yield held
        if self._issuer.ends["jwt"].par and self._web.id and len(pushed) <= PUSHED:
            try:
                self._held.append(self._push(send, next(self._numbers)))
            except StepFailed:
                return  # what was not made cannot be lost; the next turn tries again

    def _seen(self, held: Held, when: str) -> list[Look]:
        if when == "after":
            return self._looks.last(held)
        if held.item == "refresh" and not self._looks.tells_of_refresh:
            return self._looks.last(held)
        return [self._looks.look(held)]

    def _tell(self, held: Held, when: str, look: Look) -> None:
        self._journal.write(
            TokenProbe(
                t_ns=self._clock.now_ns(), token=held.id, item=held.item, when=when,
                result=look.result, saw=look.saw,
            )
        )  # fmt: skip

    def _met(self) -> Issuer:
        ends = {
            name: oidc.discover(self._send, self._profile.service.issuer(name))
            for name in ("jwt", "opaque")
        }
        keys = self._send("jwks", "GET", ends["jwt"].jwks).json()
        judge = account(self._profile.credentials.introspect)
        return Issuer(
            ends, KeySet.import_key_set(keys),  # type: ignore[arg-type]
            judge if judge.id else self._m2m, self._web, self._password,
        )  # fmt: skip

    def _minted(self, number: int) -> Iterable[Held]:
        send, ends = self._send, self._issuer.ends["jwt"]

        def held(item: str, token: str, format: Format = "jwt", **more: str) -> Held:
            return Held(id=f"{item}-{number}", item=item, token=token, format=format, **more)

        access = oidc.client_credentials(send, ends, self._m2m)
        yield held("access_jwt", access)
        yield held("jwt_offline", access)
        opaque = oidc.client_credentials(send, self._issuer.ends["opaque"], self._m2m)
        yield held("access_opaque", opaque, "opaque")
        revoked = oidc.client_credentials(send, ends, self._m2m)
        oidc.revoke(send, ends, self._m2m, revoked)
        yield held("revoked_jwt", revoked)
        if self._web.id and self._password:
            yield from self._signed_in(number, held)

    def _signed_in(self, number: int, held: Callable[..., Held]) -> Iterable[Held]:
        """Kinds that need a user: refresh token, SSO session, unused code, pushed request."""
        send, ends, web = self._send, self._issuer.ends["jwt"], self._web
        login = self._login(number)
        browser = oidc.Browser(send, login, self._password)
        request, verifier = oidc.authorization_request(web)
        code = browser.code(oidc.authorize_url(ends, request), web.redirect_uri)
        tokens = oidc.exchange(send, ends, web, code, verifier)
        if refresh_token := tokens.get("refresh_token"):
            yield held("refresh", str(refresh_token))
        yield held("sso_session", msgspec.json.encode(browser.cookies).decode(), user=login)
        for turn in range(CODES):
            request, verifier = oidc.authorization_request(web)
            code = browser.code(oidc.authorize_url(ends, request), web.redirect_uri)
            name = f"code-{number + turn * self._each}"
            yield Held(id=name, item="code", token=code, extra=verifier)
        if ends.par and number < PUSHED:
            yield self._push(send, number)

    def _push(self, send: Plain, number: int) -> Held:
        request, _ = oidc.authorization_request(self._web)
        uri = oidc.push(send, self._issuer.ends["jwt"], self._web, request)
        return Held(id=f"par-{number}", item="par", token=uri)

    def _login(self, number: int) -> str:
        """The user of a ledger number; another seed spreads over other users."""
        users = self._profile.credentials.users
        assert users is not None
        return f"{users.prefix}-{(self._seed + number) % users.count:03d}"
