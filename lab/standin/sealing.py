"""Room lab/standin: secrets at rest. Client secrets as JWE, passwords as scrypt hashes.

The first entry of the `secrets` list encrypts, every entry decrypts, so that keys rotate by
prepending. Without the right list a restored database holds configuration nobody can use: that
is the property the restore suite checks. It must not know where the sealed text is stored.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Sequence

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from .settings import DataKey

# Low on purpose: a login must cost under 5 ms at 250m CPU, and this is a test double.
SCRYPT_COST = 1024


class Unsealable(Exception):
    """No key of the `secrets` list opens this text."""


class Box:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: Sequence[DataKey]) -> None:
        self._keys = {entry.id: OctKey.import_key(entry.key.encode()) for entry in keys}
        self._first = keys[0].id

    def seal(self, plain: str) -> str:
        """JWE compact form, `dir` with A256GCM, key id in the header."""
        header = {"alg": "dir", "enc": "A256GCM", "kid": self._first}
        return str(jwe.encrypt_compact(header, plain.encode(), self._keys[self._first]))

    def open(self, sealed: str) -> str:
        """Plain text; raises Unsealable when the key is absent or another one under its id."""
        kid = _kid(sealed)
        tried = [self._keys[kid]] if kid in self._keys else list(self._keys.values())
        for key in tried:
            try:
                opened = jwe.decrypt_compact(sealed, key).plaintext
            except (JoseError, ValueError):
                continue
            return (opened or b"").decode()
        raise Unsealable(f"no key of the `secrets` list ({sorted(self._keys)}) opens key id {kid}")


def _kid(sealed: str) -> str:
    head = sealed.split(".", 1)[0]
    try:
        return str(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))).get("kid"))
    except ValueError:
        return ""


def hash_password(password: str) -> str:
    """scrypt$cost$salt$hash."""
    salt = os.urandom(12)
    digest = hashlib.scrypt(password.encode(), salt=salt, n=SCRYPT_COST, r=8, p=1, dklen=32)
    return f"scrypt${SCRYPT_COST}${salt.hex()}${digest.hex()}"


def password_fits(password: str, stored: str) -> bool:
    """Compares in constant time; a malformed record fits nothing."""
    scheme, _, rest = stored.partition("$")
    parts = rest.split("$")
    if scheme != "scrypt" or len(parts) != 3:
        return False
    salt, expected = bytes.fromhex(parts[1]), bytes.fromhex(parts[2])
    digest = hashlib.scrypt(password.encode(), salt=salt, n=int(parts[0]), r=8, p=1, dklen=32)
    return hmac.compare_digest(digest, expected)
