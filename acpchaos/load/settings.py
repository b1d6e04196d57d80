"""What a load generator needs, handed to child processes in one private file.

Room: load. Secrets travel in a 0600 file outside the run folder, never in arguments or records.
By hand, `locust -f loadtests/token_flows.py --host ISSUER` reads the ACPCHAOS_LOAD_* variables.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import msgspec

from acpchaos.errors import UsageError
from acpchaos.scenario import Gaps, Load, Stage
from acpchaos.target.oidc import Account
from acpchaos.target.profile import Client, Profile, resolve

type Sender = Literal["lean", "fast"]
PREFIX = "ACPCHAOS_LOAD_"
ACCOUNTS = ("m2m", "web", "introspect")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of a generator. `control` is a file whose JSON {"rate_per_s": x} may change;
    `sender` is the HTTP client: the lean one, or Locust's FastHttpUser."""

    issuer: str
    ca_file: str = ""
    m2m: Account = Account()
    web: Account = Account()
    introspect: Account = Account()
    user_prefix: str = ""
    user_count: int = 1
    user_password: str = ""
    mix: dict[str, int] = {}
    rate_per_s: float = 5.0
    gaps: Gaps = "constant"
    stages: tuple[Stage, ...] = ()
    sender: Sender = "lean"
    seed: int = 0
    events: str = ""
    control: str = ""


def from_profile(profile: Profile, load: Load, seed: int, run_dir: Path) -> Settings:
    """Settings of one play, secrets resolved; UsageError when the mix needs who is not given."""
    given, mix = profile.credentials, load.mix
    _require(profile, mix)
    users = given.users
    return Settings(
        issuer=profile.service.issuer("jwt"),
        ca_file=str(profile.service.ca_file or ""),
        m2m=account(given.m2m),
        web=account(given.web),
        introspect=account(given.introspect),
        user_prefix=users.prefix if users else "",
        user_count=users.count if users else 1,
        user_password=resolve(users.password) if users else "",
        mix=dict(mix),
        rate_per_s=load.rate_per_s,
        gaps=load.gaps or profile.load.gaps,
        stages=load.stages or profile.load.stages,
        sender=profile.load.sender,
        seed=seed,
        events=str(run_dir / "events"),
        control=str(run_dir / "locust" / "control.json"),
    )


def account(client: Client | None) -> Account:
    """A profile's client with its secrets."""
    return client.account() if client is not None else Account()


def _require(profile: Profile, mix: Mapping[str, int]) -> None:
    needs = {
        "client_credentials": ("m2m",),
        "userinfo": ("m2m",),
        "revoke": ("m2m",),
        "introspect": ("m2m", "introspect"),
        "authorization_code": ("web", "users"),
        "refresh": ("web", "users"),
    }
    for flow, weight in mix.items():
        if flow not in needs:
            raise UsageError(
                f"plan load flow {flow!r}", "no such flow", f"use one of {', '.join(needs)}"
            )
        missing = [who for who in needs[flow] if getattr(profile.credentials, who) is None]
        if weight > 0 and missing:
            raise UsageError(
                f"plan load flow {flow!r}",
                f"the profile has no [credentials.{missing[0]}]",
                "add it, or give the flow weight 0 in [load.mix]",
            )


def hand_over(settings: Settings) -> Path:
    """Write the settings to a new private file; the caller removes it."""
    number, name = tempfile.mkstemp(prefix="acpchaos-load-", suffix=".json")
    with os.fdopen(number, "wb") as file:
        file.write(msgspec.json.encode(settings))
    return Path(name)


def take_over(environ: Mapping[str, str], host: str = "") -> Settings:
    """Settings of this process: the handed file, else ACPCHAOS_LOAD_* variables and `host`."""
    if path := environ.get(PREFIX + "SETTINGS"):
        return msgspec.json.decode(Path(path).read_bytes(), type=Settings)

    def value(name: str, default: str = "") -> str:
        return environ.get(PREFIX + name, default)

    issuer = value("ISSUER", host)
    if not issuer or not value("M2M_ID"):
        raise UsageError("start the token flows by hand", "no issuer or no client", BY_HAND)
    return Settings(
        issuer=issuer.rstrip("/"),
        ca_file=value("CA_FILE"),
        m2m=_by_hand("M2M", environ),
        web=_by_hand("WEB", environ),
        introspect=_by_hand("INTROSPECT", environ),
        user_prefix=value("USER_PREFIX"),
        user_count=int(value("USER_COUNT", "1")),
        user_password=value("USER_PASSWORD"),
        mix=msgspec.json.decode(value("MIX", '{"client_credentials": 1}'), type=dict[str, int]),
        rate_per_s=float(value("RATE", "5")),
        gaps=msgspec.convert(value("GAPS", "constant"), Gaps),
        stages=msgspec.json.decode(value("STAGES", "[]"), type=tuple[Stage, ...]),
        sender=sender(environ),
        events=value("EVENTS"),
    )


BY_HAND = (
    f"give --host ISSUER and export {PREFIX}M2M_ID and {PREFIX}M2M_SECRET (also WEB_ID, "
    "WEB_SECRET, WEB_REDIRECT, INTROSPECT_ID, INTROSPECT_SECRET, USER_PREFIX, USER_COUNT, "
    "USER_PASSWORD, MIX as JSON, RATE per worker, GAPS constant or poisson, STAGES as JSON, "
    "SENDER lean or fast, CA_FILE; for clients without a secret M2M_AUTH and the files "
    "M2M_KEY_FILE and M2M_CERTIFICATE_FILE, likewise WEB_ and INTROSPECT_)"
)


def sender(environ: Mapping[str, str]) -> Sender:
    """The HTTP client that is asked for; ValueError when there is no such."""
    if path := environ.get(PREFIX + "SETTINGS"):
        return msgspec.json.decode(Path(path).read_bytes(), type=Settings).sender
    return msgspec.convert(environ.get(PREFIX + "SENDER", "lean"), Sender)  # type: ignore[no-any-return]


def _by_hand(who: str, environ: Mapping[str, str]) -> Account:
    """The client called `who` from its ACPCHAOS_LOAD_<WHO>_* variables."""

    def value(name: str) -> str:
        return environ.get(f"{PREFIX}{who}_{name}", "")

    def content(name: str) -> str:
        return Path(value(name)).read_text(encoding="utf-8") if value(name) else ""

    given = {
        "id": value("ID"),
        "secret": value("SECRET"),
        "redirect_uri": value("REDIRECT"),
        "key": content("KEY_FILE"),
        "certificate": content("CERTIFICATE_FILE"),
        "kid": value("KID"),
        "auth": value("AUTH") or "client_secret_basic",
        "algorithm": value("ALGORITHM") or "ES256",
    }
    return msgspec.convert(given, Account)
