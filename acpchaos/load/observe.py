"""What must be the same before and after a fault: configuration and signing keys.

Room: load. Facts only; comparing them is the check room's. Values are digests or public key ids.
"""

import hashlib
from typing import Any

from acpchaos.load.settings import account
from acpchaos.record.events import Clock, Observation
from acpchaos.record.journal import Journal
from acpchaos.target import oidc
from acpchaos.target.plain import Plain
from acpchaos.target.profile import Profile

ISSUERS = ("jwt", "opaque")


def observe(profile: Profile, journal: Journal, when: str) -> None:
    """Write Observations jwks_kids and, where a system client is given, configuration_sha256.

    A fact that cannot be read is not written; its absence is inconclusive, never equal.
    """
    clock, send = Clock(), Plain(str(profile.service.ca_file or ""))
    facts: dict[str, Any] = {}
    kids = {name: _kids(send, profile.service.issuer(name)) for name in ISSUERS}  # type: ignore[arg-type]
    if any(kids.values()):
        facts["jwks_kids"] = kids
    if (digest := _configuration(send, profile)) is not None:
        facts["configuration_sha256"] = digest
    for name, value in facts.items():
        journal.write(Observation(t_ns=clock.now_ns(), when=when, name=name, value=value))


def _kids(send: Plain, issuer: str) -> list[str]:
    try:
        ends = oidc.discover(send, issuer)
    except oidc.StepFailed:
        return []
    keys = send("jwks", "GET", ends.jwks).json().get("keys") or []
    return sorted(str(key.get("kid", "")) for key in keys)


def _configuration(send: Plain, profile: Profile) -> str | None:
    """SHA-256 of the whole configuration export, read by the built-in system client."""
    system = account(profile.credentials.system)
    if not system.id:
        return None
    base = profile.service.base_url
    try:
        ends = oidc.discover(send, f"{base}/system/system")
        token = oidc.client_credentials(send, ends, system)
    except oidc.StepFailed:
        return None
    bearer = {"Authorization": f"Bearer {token}"}
    answer = send("configuration", "GET", f"{base}/api/system/configuration", headers=bearer)
    return hashlib.sha256(answer.body).hexdigest() if answer.status == 200 else None
