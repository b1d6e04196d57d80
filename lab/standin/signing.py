"""Room lab/standin: ES256 signatures with the workspace's key.

Written on `cryptography` directly since a general JOSE library costs several times the CPU per
token; what comes out is checked with a JOSE library in the tests. It must not know stores.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

_SHA256 = ec.ECDSA(hashes.SHA256())


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Base64url, padding optional; ValueError when malformed."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def new_jwk() -> tuple[str, dict[str, str]]:
    """(kid, private JWK members) of a fresh P-256 key; the kid is the RFC 7638 thumbprint."""
    private = ec.generate_private_key(ec.SECP256R1())
    point = private.public_key().public_numbers()
    public = {
        "crv": "P-256",
        "kty": "EC",
        "x": encode(point.x.to_bytes(32)),
        "y": encode(point.y.to_bytes(32)),
    }
    canonical = json.dumps(public, separators=(",", ":"), sort_keys=True).encode()
    kid = encode(hashlib.sha256(canonical).digest())
    return kid, {**public, "d": encode(private.private_numbers().private_value.to_bytes(32))}


class Signer:
    """One signing key."""

    def __init__(self, kid: str, jwk: dict[str, str]) -> None:
        self.kid = kid
        public = ec.EllipticCurvePublicNumbers(
            int.from_bytes(decode(jwk["x"])), int.from_bytes(decode(jwk["y"])), ec.SECP256R1()
        )
        secret = int.from_bytes(decode(jwk["d"]))
        self._private = ec.EllipticCurvePrivateNumbers(secret, public).private_key()
        self._public = public.public_key()
        self.public_jwk = {
            "kty": "EC", "crv": "P-256", "x": jwk["x"], "y": jwk["y"],
            "kid": kid, "use": "sig", "alg": "ES256",
        }  # fmt: skip
        self._heads = {
            typ: encode(msgspec.json.encode({"alg": "ES256", "kid": kid, "typ": typ}))
            for typ in ("at+jwt", "JWT")
        }

    def sign(self, claims: dict[str, Any], typ: str = "at+jwt") -> str:
        """A compact JWT."""
        signed = f"{self._heads[typ]}.{encode(msgspec.json.encode(claims))}"
        r, s = decode_dss_signature(self._private.sign(signed.encode(), _SHA256))
        return f"{signed}.{encode(r.to_bytes(32) + s.to_bytes(32))}"

    def verify(self, token: str) -> dict[str, Any] | None:
        """The claims when this key signed the token and it has not expired, else None."""
        signed, _, signature = token.rpartition(".")
        try:
            raw = decode(signature)
            if len(raw) != 64:
                return None
            pair = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
            self._public.verify(pair, signed.encode(), _SHA256)
            claims: dict[str, Any] = msgspec.json.decode(decode(signed.split(".")[1]))
        except (InvalidSignature, ValueError, IndexError, msgspec.DecodeError):
            return None
        return claims if claims.get("exp", 0) > time.time() else None


def token_head(token: str) -> dict[str, Any]:
    """The unverified header of a JWT, empty when this is none."""
    if token.count(".") != 2:
        return {}
    try:
        head = msgspec.json.decode(decode(token.split(".", 1)[0]))
    except (ValueError, msgspec.DecodeError):
        return {}
    return head if isinstance(head, dict) else {}
