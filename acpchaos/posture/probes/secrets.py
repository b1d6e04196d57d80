"""Secret probes: does a published system secret still open the system tenant?

Room: posture. The few literals that a live proof needs stand here and nowhere else; they are public
(facts: sample configurations, chart tests, documentation). One try each, five in all; a token that
is handed out is revoked at once.
"""

from collections.abc import Callable
from contextlib import suppress

from acpchaos.errors import AcpchaosError
from acpchaos.posture.probes.attempts import unknown
from acpchaos.record.sealed import published
from acpchaos.record.snapshot import Probe
from acpchaos.target import oidc
from acpchaos.target.oidc import Account, Answer, Send, StepFailed
from acpchaos.target.profile import Profile

CLIENT = "system"
LISTED = (
    "n8HF35qzZkmsukHJzzz9LnN8m9Mf97uq",
    "5c8f3f5b353ba0f55c8f3f5b353ba0f5",
    "0123456789abcdef0123456789abcdef",
    "mysecret",
    "YourSystemTenantSecret",
)


def run(profile: Profile, send: Send, secret_of: Callable[[str], str]) -> dict[str, Probe]:
    """A token request per listed secret; `secret_of` reads what a reference of the profile names.

    Where the profile knows the real secret it is sent in the same way: when it does not work
    either, a refusal proves nothing.
    """
    issuer = f"{profile.service.base_url}/system/system"
    names = {secret: f"secret {published(secret)}" for secret in LISTED}
    try:
        ends = oidc.discover(send, issuer)
    except StepFailed as error:
        return dict.fromkeys(names.values(), unknown(str(error)))
    probes = {name: _try(send, ends, secret) for secret, name in names.items()}
    if why := _control(send, ends, profile, secret_of):
        doubted = [name for name, probe in probes.items() if probe.outcome == "refused"]
        probes |= dict.fromkeys(doubted, unknown(why))
    return probes


def _control(
    send: Send, ends: oidc.Endpoints, profile: Profile, secret_of: Callable[[str], str]
) -> str:
    """Why refusals would prove nothing; empty when the real secret works, or is not known."""
    given = profile.credentials.system
    if given is None or given.id != CLIENT:
        return ""
    try:
        secret = secret_of(given.secret)
    except AcpchaosError:
        return ""
    if published(secret):
        return ""  # it is one of those that are tried
    answer = _ask(send, ends, secret)
    if answer.status == 200:
        _revoke(send, ends, secret, answer)
        return ""
    return f"the profile's own system secret does not work either: {oidc.error_class(answer)}"


def _try(send: Send, ends: oidc.Endpoints, secret: str) -> Probe:
    answer = _ask(send, ends, secret)
    if answer.status == 200 and answer.json().get("access_token"):
        _revoke(send, ends, secret, answer)
        return Probe(outcome="accepted", saw=f"HTTP 200, a token for client {CLIENT}")
    if answer.status == 401:
        return Probe(outcome="refused", saw="HTTP 401")
    return unknown(oidc.error_class(answer) or f"HTTP {answer.status} without a token")


def _ask(send: Send, ends: oidc.Endpoints, secret: str) -> Answer:
    header = oidc.basic(Account(CLIENT, secret))
    form = {"grant_type": "client_credentials"}
    return send("token", "POST", ends.token, form=form, headers=header, expect=(200, 401))


def _revoke(send: Send, ends: oidc.Endpoints, secret: str, answer: Answer) -> None:
    token = answer.json().get("access_token")
    if token and ends.revoke:
        with suppress(StepFailed):  # it ends by itself within the hour
            oidc.revoke(send, ends, Account(CLIENT, secret), str(token))
