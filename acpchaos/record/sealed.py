"""Sealed values: what takes the place of a secret in a snapshot, and how a rule reads it back.

Room: record. A sealed value tells length, whether the value is published somewhere, and equality
inside one snapshot; never the value. The salt is thrown away after the snapshot is taken, so that
a short secret cannot be found by trying.

    sealed:<12 hex digits>:<length in characters>:<name of the published value, or ->
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

# SHA-256 of values that vendor material publishes (facts: defaults of old installs, sample
# configurations, chart tests, documentation pages). A value on this list is no secret.
PUBLISHED = {
    "9e77d5a8855399dce48b1a93d04d2808eab394f1e4595f5aa413ab63b2c771e2": "built-in-secret",
    "3799d46b0a3a6bced422df9545de285af1e218f781c40e6d9a36068b3e3d1db0": "chart-test-secret",
    "3eb1bd439947eb762998e566ccc2e099c791118b2f40579cc4f7da2b5061b7f9": "chart-test-value",
    "652c7dc687d98c9889304ed2e408c74b611e86a40caa51c4b43f1dd5913c5cd0": "docs-secret-1",
    "d4fd011bf3cead7ff0043bedef14810940873c3e882b77b3d536726304e46e63": "docs-secret-2",
    "0d95848fed13c421336c9004e97487bb38207a23b3b5d83ae86858b3aea7d4ee": "quickstart-key",
    "d5a08c7c5424bda1ef7d1f20ea5cc6787be5fe011ba55d20356938836c85dabc": "docs-key-1",
    "a5145fa88a7e050ad788d2bddac07e137612cacbb11341eba6efe65c35fc31a6": "docs-key-2",
    "da44f0fa74e4d20fe2fe58ab4a84dbbc546a0e7cc987c98454d831a7390b8db0": "docs-key",
    "df2191783c6f13274b7c54330a370d0480e82a8a54069b69de73cbfa69f8ea08": "stack-password-1",
    "807de4eaf1552ce8a776aee6eeb57b78529db09976cbacd47300b1bc5fb7ba4a": "stack-password-2",
    "8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918": "default-admin",
    "88fa0d759f845b47c044c2cd44e29082cf6fea665c30c146374ec7c8f3d699e3": "default-developer",
    "04f8996da763b7a969b1028ee3007569eaf3a635486ddab211d512c85b9df8fb": "default-user",
}
# SHA-256 of the public half (SPKI in DER) of private keys that vendor material publishes.
PUBLISHED_KEYS = {
    "2777a5fe3cae6979d96826c3d124aa01bc2af694a4c56b32e74b534054c6f72b": "mock-certificate-key",
}
SEALED = re.compile(r"sealed:([0-9a-f]{12}):(\d+):([\w.-]+)")


@dataclass(frozen=True)
class Sealed:
    """A sealed value read back. `published` names the known value it equals, else is empty."""

    digest: str
    length: int
    published: str


@dataclass(frozen=True)
class Seal:
    """Seals values with one salt, made anew for each snapshot and stored nowhere."""

    salt: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def close(self, value: str, name: str = "") -> str:
        """The sealed form of a value. `name` tells a published one that its text does not show,
        e.g. a private key, which is known by its public half."""
        data = value.encode(errors="surrogatepass")
        digest = hmac.new(self.salt, data, hashlib.sha256).hexdigest()[:12]
        return f"sealed:{digest}:{len(value)}:{name or published(value) or '-'}"


def published(value: str) -> str:
    """The name of the published value that this is, or an empty string."""
    data = value.strip().encode(errors="surrogatepass")
    return PUBLISHED.get(hashlib.sha256(data).hexdigest(), "")


def opened(text: object) -> Sealed | None:
    """A sealed value's facts; None for anything that is not sealed."""
    found = SEALED.fullmatch(text) if isinstance(text, str) else None
    if not found:
        return None
    digest, length, name = found.groups()
    return Sealed(digest=digest, length=int(length), published="" if name == "-" else name)
