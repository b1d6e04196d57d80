"""Attestations: what a person says of a row that no machine can read, dated and signed.

Room: check. Pure: who may attest and how old a word may be stands in the snapshot's policy. The
signature is a detached JWS (RFC 7515, appendix F) over the JSON of all other fields with sorted
keys and no spaces, so that any JOSE library can verify it. A TOML file, reviewed like code:

    [[attestation]]
    row = "HARD-01"
    target = "staging"              # name of the target profile: no word counts elsewhere
    date = 2026-11-24
    owner = "identity-sre"          # a name of [posture.attesters], which has its public key
    text = "Hardening reviewed after the update to 2.25.0, ticket SEC-123."
    signature = "eyJhbGciOiJFZDI1NTE5In0..MEUCIQ..."
"""

import datetime as dt
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey

from acpchaos.check.posture.rule import Finding, NoAttestation, Unattested
from acpchaos.errors import UsageError

ALGORITHMS = ("Ed25519", "ES256")
_KEYS: dict[str, type[OKPKey] | type[ECKey]] = {"Ed25519": OKPKey, "ES256": ECKey}
_DETACHED = re.compile(r"[\w-]+\.\.[\w-]+")  # another payload in the middle would be a second word
_ARMOR = re.compile(r"-----[^-]+-----|\s")


class Attestation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `owner` says of `row` on a day."""

    row: str
    date: dt.date
    owner: str
    text: str
    target: str = ""
    signature: str = ""

    def __post_init__(self) -> None:
        if not (self.row.strip() and self.owner.strip() and self.text.strip()):
            raise ValueError("row, owner and text must each say something")


class Attested:
    """Questions to the attestations given for one installation on one day."""

    def __init__(
        self, given: Iterable[Attestation], attesters: Mapping[str, str], *,
        target: str, today: dt.date, most_days: int,
    ) -> None:  # fmt: skip
        self._given, self._attesters = list(given), dict(attesters)
        self._target, self._today, self._most_days = target, today, most_days

    def of(self, row: str) -> Attestation:
        """The newest valid attestation of a row. NoAttestation when the row has none at all,
        Unattested with what is wrong with the newest when none is valid."""
        mine = sorted((a for a in self._given if a.row == row), key=lambda each: each.date)
        if not mine:
            raise NoAttestation(self._finding(row, "missing"))
        for each in reversed(mine):
            if not self._objection(each):
                return each
        raise Unattested(self._finding(row, self._objection(mine[-1])))

    def _objection(self, each: Attestation) -> str:
        """Why an attestation does not count; empty when it does."""
        if each.owner not in self._attesters:
            return f"signed by {each.owner}, who is no attester of this target"
        if not verified(each, self._attesters[each.owner]):
            return f"not signed by {each.owner}: the signature does not verify"
        if each.target != self._target:
            return f"made for target {each.target or 'none'}, not for {self._target}"
        age_days = (self._today - each.date).days
        if age_days < 0:
            return f"dated {each.date}, after this snapshot was taken"
        return f"{age_days} days old, of {each.date}" if age_days > self._most_days else ""

    def _finding(self, row: str, saw: str) -> Finding:
        return Finding(
            object=f"attestation {row}", saw=saw,
            want=f"signed by an attester of this target within {self._most_days} days",
            remedy=f'acpchaos attest {row} --target {self._target} --owner NAME --key FILE '
            f'--text "what was looked at"',
        )  # fmt: skip


def load_attestations(path: Path) -> list[Attestation]:
    """All attestations of a file; UsageError names what is wrong in it."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert(table.get("attestation", []), list[Attestation])
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise UsageError(
            f"read attestations from {path}", str(error),
            "each [[attestation]] needs row, target, date, owner, text and signature; make one "
            "with: acpchaos attest",
        ) from error  # fmt: skip


def append(attestation: Attestation, path: Path) -> Path:
    """Add an entry to a file, which is made when it is not there yet; returns the path."""
    fields = msgspec.to_builtins(attestation)
    lines = ["[[attestation]]"]
    for key, value in fields.items():
        bare = key == "date"  # a TOML date stands without quotes
        lines.append(f"{key} = {value if bare else json.dumps(value, ensure_ascii=False)}")
    before = path.read_text(encoding="utf-8").rstrip("\n") + "\n\n" if path.exists() else ""
    path.write_text(before + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def payload(attestation: Attestation) -> bytes:
    """What is signed: every field but the signature, as JSON with sorted keys and no spaces."""
    fields = msgspec.to_builtins(attestation)
    del fields["signature"]
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def signed(attestation: Attestation, private_pem: bytes) -> Attestation:
    """The attestation with a signature by an Ed25519 or P-256 key; UsageError for another key."""
    for algorithm in ALGORITHMS:
        try:
            key = _KEYS[algorithm].import_key(private_pem)
            whole = jws.serialize_compact(
                {"alg": algorithm}, payload(attestation), key, algorithms=[algorithm]
            )
        except (JoseError, ValueError, TypeError):
            continue
        return msgspec.structs.replace(attestation, signature=jws.detach_content(whole))
    raise UsageError(
        f"sign the attestation of {attestation.row}", "the key is no private Ed25519 or P-256 key",
        "make one with: openssl genpkey -algorithm ed25519 -out attest.pem",
    )  # fmt: skip


def public_half(private_pem: bytes) -> str:
    """The public key of a private one, as profiles give it: one line of base64."""
    try:
        key = load_pem_private_key(private_pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(
            "read the signing key", str(error), "give an Ed25519 or P-256 key in PEM, unencrypted"
        ) from None
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return _ARMOR.sub("", pem.decode())


def verified(attestation: Attestation, public_key: str) -> bool:
    """Does the signature verify by this public key (PEM, with or without its armour lines)?"""
    if not _DETACHED.fullmatch(attestation.signature):
        return False
    pem = armoured(public_key).encode()
    for algorithm in ALGORITHMS:
        try:
            key = _KEYS[algorithm].import_key(pem)
            jws.deserialize_compact(
                attestation.signature, key, algorithms=[algorithm], payload=payload(attestation)
            )
        except (JoseError, ValueError, TypeError):
            continue
        return True
    return False


def armoured(public_key: str) -> str:
    """A public key as PEM; profiles give its one line of base64 alone."""
    body = _ARMOR.sub("", public_key)
    return f"-----BEGIN PUBLIC KEY-----\n{body}\n-----END PUBLIC KEY-----\n"
