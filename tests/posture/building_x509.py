"""Certificates for tests: a CA, sound ones, and one for each thing that can be wrong."""

import datetime as dt
from collections.abc import Sequence
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

_SHA256_RSA = bytes.fromhex("06092a864886f70d01010b")
_SHA1_RSA = bytes.fromhex("06092a864886f70d010105")
_MD5_RSA = bytes.fromhex("06092a864886f70d010104")
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
ENDING_DAYS = 5  # fewer than posture.certificate_days, and still valid for every client


class Issuer:
    """A CA of its own."""

    def __init__(self, name: str, now: dt.datetime) -> None:
        self.now, self.key = now, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = self._builder(self.name, self.key, 90).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        self.certificate = made.sign(self.key, hashes.SHA256())
        self.pem = _pem(self.certificate)

    @classmethod
    def of(cls, certificate: str, key: str, now: dt.datetime) -> Self:
        """A CA that is there already, from its PEM."""
        made = cls("replaced", now)
        signer = serialization.load_pem_private_key(key.encode(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        made.certificate, made.key = x509.load_pem_x509_certificate(certificate.encode()), signer
        made.name, made.pem = made.certificate.subject, certificate
        return made

    def issue(
        self,
        names: Sequence[str],
        *,
        days: float = 60,
        key: Key | None = None,
        subject: str = "acp",
        signer: Key | None = None,
    ) -> x509.Certificate:
        """A certificate for these names."""
        own = key or ec.generate_private_key(ec.SECP256R1())
        named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
        builder = self._builder(named, own, days)
        if names:
            alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        return builder.sign(signer or self.key, hashes.SHA256())

    def _builder(self, subject: x509.Name, key: Key, days: float) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.now - dt.timedelta(days=400))
            .not_valid_after(self.now + dt.timedelta(days=days))
        )


def chain(issuer: Issuer, names: Sequence[str], **given: object) -> tuple[str, ...]:
    """PEM of a leaf and its CA."""
    return _pem(issuer.issue(names, **given)), issuer.pem  # type: ignore[arg-type]


def with_key(issuer: Issuer, names: Sequence[str], days: float) -> tuple[str, str]:
    """PEM of a leaf with its CA, and of the leaf's key."""
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _pem(issuer.issue(names, days=days, key=key))
    plain = serialization.NoEncryption()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
    )
    return leaf + issuer.pem, private.decode()


def weakly_signed(issuer: Issuer, names: Sequence[str], algorithm: str) -> tuple[str, ...]:
    """A chain whose leaf says it is signed with SHA-1 or MD5. No library signs so any more: the
    name of the algorithm is changed afterwards, and the signature no longer holds."""
    rsa_key = rsa.generate_private_key(65537, 2048)
    whole = issuer.issue(names, signer=rsa_key).public_bytes(serialization.Encoding.DER)
    changed = whole.replace(_SHA256_RSA, {"sha1": _SHA1_RSA, "md5": _MD5_RSA}[algorithm])
    return _pem(x509.load_der_x509_certificate(changed)), issuer.pem


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
