"""What a load generator needs, handed to child processes in one private file.

Room: load. Secrets travel in a 0600 file outside the run folder, never in arguments or records.
By hand, `locust -f loadtests/token_flows.py --host ISSUER` reads the ACPCHAOS_LOAD_* variables.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from acpchaos.errors import UsageError
from acpchaos.target.oidc import Account
from acpchaos.target.profile import Client, Profile, resolve

PREFIX = "ACPCHAOS_LOAD_"
ACCOUNTS = ("m2m", "web", "introspect")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything of a generator. `control` is a file whose JSON {"rate_per_s": x} may change."""

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
    seed: int = 0
    events: str = ""
    control: str = ""


def from_profile(
    profile: Profile, mix: Mapping[str, int], rate_per_s: float, seed: int, run_dir: Path
) -> Settings:
    """Settings of one play, secrets resolved; UsageError when the mix needs who is not given."""
    given = profile.credentials
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
        rate_per_s=rate_per_s,
        seed=seed,
        events=str(run_dir / "events"),
        control=str(run_dir / "locust" / "control.json"),
    )


def account(client: Client | None) -> Account:
    """A profile's client with its secret."""
    if client is None:
        return Account()
    return Account(client.id, resolve(client.secret), client.redirect_uri)


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
        raise UsageError(
            "start the token flows by hand",
            "no issuer or no client",
            f"give --host ISSUER and export {PREFIX}M2M_ID and {PREFIX}M2M_SECRET "
            f"(also WEB_ID, WEB_SECRET, WEB_REDIRECT, INTROSPECT_ID, INTROSPECT_SECRET, "
            f"USER_PREFIX, USER_COUNT, USER_PASSWORD, MIX as JSON, RATE per worker, CA_FILE)",
        )
    return Settings(
        issuer=issuer.rstrip("/"),
        ca_file=value("CA_FILE"),
        m2m=Account(value("M2M_ID"), value("M2M_SECRET")),
        web=Account(value("WEB_ID"), value("WEB_SECRET"), value("WEB_REDIRECT")),
        introspect=Account(value("INTROSPECT_ID"), value("INTROSPECT_SECRET")),
        user_prefix=value("USER_PREFIX"),
        user_count=int(value("USER_COUNT", "1")),
        user_password=value("USER_PASSWORD"),
        mix=msgspec.json.decode(value("MIX", '{"client_credentials": 1}'), type=dict[str, int]),
        rate_per_s=float(value("RATE", "5")),
        events=value("EVENTS"),
    )
