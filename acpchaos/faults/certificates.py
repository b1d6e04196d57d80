"""The certificate that ACP is served with replaced by one that has expired.

Room: faults. The new one is made here, for the same names and with a key of the same kind, and is
valid until a day ago; nobody needs the key of the authority for that. The Secret as it was lies
sealed in an annotation of the Secret itself (see `objects`), so that neither the undo record nor a
journal holds a key. Whoever serves it must take a changed Secret by itself, as ingress controllers
do; whether it does, the witness sees in a handshake.
"""

import base64
import datetime as dt
import time
from contextlib import suppress
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import blast, objects, witness_tls
from acpchaos.faults.fault import Act, Fault, Need, Sight, awaited
from acpchaos.faults.session import Session, current
from acpchaos.target.cluster import Object
from acpchaos.wait import eventually, pause_until

ISSUER = "cert-manager.io/certificate-name"  # a Secret with this annotation is made anew at once
CRT, KEY = "tls.crt", "tls.key"
AGO = dt.timedelta(days=1)
LIVED = dt.timedelta(days=30)
SEEN_S = 60.0


class CertificateExpired(Fault):
    """The certificate that clients see has expired; the right one comes back as it was."""

    name: ClassVar[str] = "certificate_expired"
    disrupts: ClassVar[str] = "ingress"

    def __init__(self, session: Session, recover_s: float) -> None:
        super().__init__(session)
        self.secret, self.recover_s = session.profile.rotated.certificate, recover_s
        self.url = session.profile.service.base_url
        self.was = ""
        self.found: Object = {}

    def available(self) -> str:
        if not self.url.startswith("https"):
            return "not applicable: ACP is not served over TLS here"
        if not self.secret:
            return "not applicable: [rotated] certificate names no Secret that ACP is served with"
        if reason := super().available():
            return reason
        found = self.cluster.find("Secret", self.secret, self.session.namespace)
        if found is None:
            return f"not applicable: there is no Secret {self.session.namespace}/{self.secret}"
        if ISSUER in (found["metadata"].get("annotations") or {}):
            return f"not applicable: cert-manager would make Secret {self.secret} anew at once"
        return ""

    def needs(self) -> tuple[Need, ...]:
        """This one Secret; nothing where none is named, which would be all of them."""
        own = Need("update", "Secret", self.session.namespace, name=self.secret)
        return (own,) if self.secret else ()

    def reads(self) -> tuple[Need, ...]:
        own = Need("get", "Secret", self.session.namespace, name=self.secret)
        return (own,) if self.secret else ()

    def setup(self) -> tuple[str, ...]:
        space = self.session.namespace
        found = self.cluster.get("Secret", self.secret, space)
        own = _certificate(found)
        sight = witness_tls.expired(self.url, "")
        self.was = str(sight.detail.get("serial", ""))
        if self.was != f"{own.serial_number:x}" or sight.outcome != "not installed":
            raise PreconditionUnmet(
                f"let the certificate in Secret {space}/{self.secret} expire",
                f"it is not what {self.url} is served with, or has expired: {sight.saw}",
                "name the right Secret in the profile's [rotated]",
            )  # fmt: skip
        radius = blast.Blast(0, 0, 0, 0, ("workload",), "every client that looks at dates is lost")
        blast.require_allowed(radius, self.session.profile.experiments.may_lose)
        self.found = {"metadata": found["metadata"]}  # the rest is not kept
        return (f"Secret {space}/{self.secret}",)

    def inject(self) -> None:
        space = self.session.namespace
        now = self.cluster.get("Secret", self.secret, space)
        same = now["metadata"]["uid"] == self.found["metadata"]["uid"]
        if not same or f"{_certificate(now).serial_number:x}" != self.was:
            raise PreconditionUnmet(
                f"change Secret {space}/{self.secret}", "it changed since set-up",
                "something else disturbs the target; play again when it is quiet",
            )  # fmt: skip
        change = objects.change_secret(now)
        self.record(change)
        made = expired(_certificate(now))
        encoded = {key: base64.b64encode(text).decode() for key, text in made.items()}
        objects.write_secret(self.cluster, change, {**(now.get("data") or {}), **encoded})

    def effective(self) -> dict[str, Any]:
        """The Secret holds it; how long its server takes, the witness waits for."""
        found = self.cluster.get("Secret", self.secret, self.session.namespace)
        return {"not_after": _certificate(found).not_valid_after_utc.isoformat()}

    def witness(self) -> Sight:
        return awaited(
            f"{self.url} with an expired certificate",
            lambda: witness_tls.expired(self.url, self.was),
            SEEN_S,
        )

    def recovered(self) -> dict[str, Any]:
        def back() -> str:
            sight = witness_tls.expired(self.url, "")
            same = sight.detail.get("serials") == [self.was]
            return sight.saw if same and sight.outcome == "not installed" else ""

        return {"saw": eventually(f"{self.url} as it was served", back, self.recover_s, 1.0)}


def _certificate(secret: Object) -> x509.Certificate:
    """The first one of a Secret; PreconditionUnmet when it holds none."""
    try:
        pem = base64.b64decode((secret.get("data") or {}).get(CRT, ""))
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError:
        raise PreconditionUnmet(
            f"read {CRT} of Secret {secret['metadata']['name']}", "it holds no certificate",
            "name a Secret of type kubernetes.io/tls in the profile's [rotated]",
        ) from None  # fmt: skip


def expired(like: x509.Certificate) -> dict[str, bytes]:
    """A certificate for the same names with a key of the same kind, over since a day; and its key.
    Signed by itself, under the issuer's name."""
    key = _key(like.public_key())
    end = dt.datetime.now(dt.UTC) - AGO
    builder = (
        x509.CertificateBuilder()
        .subject_name(like.subject)
        .issuer_name(like.issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - LIVED)
        .not_valid_after(end)
    )
    with suppress(x509.ExtensionNotFound):
        names = like.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        builder = builder.add_extension(names.value, critical=names.critical)
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    made = builder.sign(key, digest)
    pem = serialization.Encoding.PEM
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return {CRT: made.public_bytes(pem), KEY: plain}


def _key(like: object) -> CertificateIssuerPrivateKeyTypes:
    if isinstance(like, rsa.RSAPublicKey):
        return rsa.generate_private_key(65537, like.key_size)
    if isinstance(like, ec.EllipticCurvePublicKey):
        return ec.generate_private_key(like.curve)
    return ed25519.Ed25519PrivateKey.generate()


def expire(hold_s: float = 30.0, recover_s: float = 120.0) -> dict[str, Any]:
    """Experiment action: an expired certificate for `hold_s` seconds, then the right one again."""
    act = Act(CertificateExpired(current(), float(recover_s)))
    told = act.strike()
    pause_until(time.monotonic() + float(hold_s))
    return told | act.heal()
