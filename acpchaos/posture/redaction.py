"""What in a text is a secret, and the same text with it sealed in place.

Room: posture. A name decides (password, client_secret, --secret-key), or a form that tells a secret
under any name: a password in a URL, a private key, a JWT, a value that some Secret holds. The text
around it stays, so that a rule sees where a secret stands. It must not know Kubernetes objects.
"""

import copy
import hashlib
import re
from functools import lru_cache
from urllib.parse import unquote

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from acpchaos.record.sealed import PUBLISHED_KEYS, Seal, opened

_NAMES = re.compile(
    r"(?:password|passwd|passphrase|secret|token|authorization|apikey|requirepass|masterauth"
    r"|(?:^|_)(?:pass|pwd|credentials?)"
    r"|(?:^|_)(?:secret|access|private|api|encryption|signing|data|master|shared|hmac)_key"
    r")(?:_value)?_?\d*$"
)
# names of Secrets, not secrets: what stands there is a Kubernetes name
_POINTERS = re.compile(r"(?:^|_)(?:existing|ca|tls|ssl|pull|image_pull)_secret$")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_HINT = re.compile(r"(?i)://|-----BEGIN|eyJ|pass|pwd|secret|token|key|auth|credential")
# a variable, a command that reads a file, or a template, in place of a value; a variable without
# brackets in capitals only, since a password may begin with a dollar
_REFERENCE = (
    r"(?:\$\((?:[\w.-]+|(?:cat|<|openssl rand)\s[^()'\"\n]*)\)|\$\{\w+(?::?-|:?\?[^{}\n]*)?\}"
    r"|\$[A-Z]+(?:_[A-Z0-9]+)+|\$[A-Z]{3,}|\{\{[^{}]*\}\})"
)
# no secret, whatever the name says: switches, empty words, references and nothing beside them
_PLAIN = re.compile(
    r"\s*(?:(?i:true|false|yes|no|on|off|null|none|~)|(?:(?i:bearer|basic)\s+)?"
    rf"{_REFERENCE}(?:[\s:/@.,_-]*{_REFERENCE})*)?\s*"
)
_PEM_KEY = re.compile(
    r"-----BEGIN ([A-Z0-9 ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL
)
_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://([^\s\"'<>`\\]+)")
_WHOLE_URL = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]*)://(\S.*)", re.DOTALL)
_QUERY = re.compile(r"([?&;])([\w.-]+)=([^&\s\"']+)")
_SQL = re.compile(r"(?i)(\b(?:password|identified by)\s+)'([^'\n]+)'")
_LINE = re.compile(
    r"(?m)^([ \t]*(?:#+[ \t]*|//[ \t]*|-[ \t]+|export[ \t]+)*([\w.-]+)(?:[ \t]*=|:)[ \t]*)"
    r"([^\s\"'{\[|>&*][^\n]*?)([ \t\r]*)$"
)
_REDIS = re.compile(r"(?im)^([ \t]*(?:requirepass|masterauth)[ \t]+)(\S+)")
_INLINE = re.compile(
    r"(([\"']?)([\w.-]+)\2(?:[ \t]*=|:)[ \t]*)"
    r"(\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|\$\{[^{}\n]*\}|\$\([^()\n]*\)|[^\s,;&\"'{}\[\]|]+)"
)
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")
_HOST = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)+(?::\d+)?|[a-z0-9]+:\d+")
_PATH_OR_DATE = re.compile(r"/\S*|\d{4}-\d\d-\d\d.*|\w+(?:/[\w.:-]+)+")
_CLOSED = re.compile(r"sealed:[0-9a-f]{12}:\d+:")
LEARNED_FROM = 8  # characters; shorter values stand in too many places by chance


@lru_cache(maxsize=8192)
def names_a_secret(name: str) -> bool:
    """Whether a key, flag or variable of this name holds a secret."""
    plain = re.sub(r"[^a-z0-9]+", "_", _CAMEL.sub("_", name).lower()).strip("_")
    return bool(_NAMES.search(plain)) and not _POINTERS.search(plain)


class Sealer:
    """Seals texts of one snapshot. Values of Secrets are learned first, and then found anywhere."""

    def __init__(self) -> None:
        self._seal = Seal()
        self._learned: list[str] = []  # the longest first: one may be part of another
        self._learns = False

    def learning(self) -> "Sealer":
        """The same, and what it closes is learned, unless it is a word that may stand anywhere."""
        twin = copy.copy(self)
        twin._learns = True
        return twin

    def close(self, value: str) -> str:
        """The sealed form; what is sealed already stays."""
        if opened(value):
            return value
        if self._learns and _telling(value) and value not in self._learned:
            self._learned.append(value)
            self._learned.sort(key=len, reverse=True)
        return self._seal.close(value, _published_key(value))

    def value(self, name: str, text: str) -> str:
        """The value that stands under a name: sealed whole, or what is secret in it."""
        if _PLAIN.fullmatch(text):
            return text
        return self.close(text) if names_a_secret(name) else self.text(text)

    def url(self, text: str) -> str | None:
        """A text that is one URL, with its credentials sealed; None when it is something else."""
        found = _WHOLE_URL.fullmatch(text.strip())
        return self._url(found) if found else None

    def text(self, text: str, *, lines: bool = False) -> str:
        """Any text with the secrets in it sealed. `lines`: an assignment goes to the line's end."""
        if _HINT.search(text):
            text = self._told(text, lines)
        for value in self._learned:
            if value in text:
                text = text.replace(value, self.close(value))
        return text

    def _told(self, text: str, lines: bool) -> str:
        text = _PEM_KEY.sub(lambda m: self.close(m[0]), text)
        whole = self.url(text) if "\n" not in text else None
        if whole is not None:
            return whole
        text = _URL.sub(self._url, text)
        text = _SQL.sub(lambda m: f"{m[1]}'{self.close(m[2])}'", text)
        if lines:
            text = _LINE.sub(self._line, _REDIS.sub(self._redis, text))
        text = _INLINE.sub(self._inline, text)
        return _JWT.sub(lambda m: self.close(m[0]), text)

    def _url(self, found: re.Match[str]) -> str:
        """Userinfo ends at the last @: a password may hold @, / and ? although it should not."""
        scheme, body = found[1], found[2]
        authority = re.split(r"[/?#]", body, maxsplit=1)[0]
        at = authority.rfind("@")
        if not scheme.lower().startswith("http") and ":" in body[: body.rfind("@") + 1]:
            at = body.rfind("@")
        if at >= 0:
            body = f"{self._userinfo(body[:at])}@{body[at + 1 :]}"
        return f"{scheme}://{_QUERY.sub(self._query, body)}"

    def _userinfo(self, text: str) -> str:
        user, colon, password = text.partition(":")
        if colon:
            return text if _done(password) else f"{user}:{self.close(unquote(password))}"
        return self.close(unquote(user)) if _telling(user) else user

    def _query(self, found: re.Match[str]) -> str:
        if not names_a_secret(found[2]) or _done(found[3]):
            return found[0]
        return f"{found[1]}{found[2]}={self.close(unquote(found[3]))}"

    def _redis(self, found: re.Match[str]) -> str:
        return found[0] if _done(found[2]) else found[1] + self.close(found[2])

    def _line(self, found: re.Match[str]) -> str:
        if not _assigns_a_secret(found[2], found[3]):
            return found[0]
        return found[1] + self.close(found[3]) + found[4]

    def _inline(self, found: re.Match[str]) -> str:
        text = found[4]
        quote = text[0] if text[0] in "\"'" else ""
        bare = text[1:-1] if quote else text
        if not _assigns_a_secret(found[3], bare):
            return found[0]
        return found[1] + quote + self.close(bare) + quote


def _assigns_a_secret(name: str, value: str) -> bool:
    """In a text without structure a `key` may be one of an encryption list: its value decides."""
    named = names_a_secret(name) or (name == "key" and _telling(value))
    return named and not _done(value)


def _done(text: str) -> bool:
    return bool(_CLOSED.match(text.lstrip("\"'")) or _PLAIN.fullmatch(text))


def _telling(value: str) -> bool:
    """Whether a value is too particular to be a name: two kinds of characters, no host, no path."""
    if not LEARNED_FROM <= len(value) <= 4096 or "\n" in value or opened(value):
        return False
    if _HOST.fullmatch(value) or _PATH_OR_DATE.fullmatch(value) or "://" in value:
        return False
    kinds = (r"[a-z]", r"[A-Z]", r"[0-9]", r"[^A-Za-z0-9\s._:/,-]")
    return sum(bool(re.search(kind, value)) for kind in kinds) >= 2


def _published_key(text: str) -> str:
    """Name of the published private key that this PEM text is; empty for any other text."""
    if "PRIVATE KEY-----" not in text:
        return ""
    try:
        key = load_pem_private_key(text.strip().encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return ""
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return PUBLISHED_KEYS.get(hashlib.sha256(spki).hexdigest(), "")
