"""The lab's certificate authority: one CA per lab, server certificates signed by it, files kept in
the state folder.

Knows X.509 only. Certificates live 90 days: longer than any lab, short enough to pass a check on
long-lived certificates.
"""

import datetime
import ipaddress
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = datetime.timedelta(days=90)
RENEW_BEFORE = datetime.timedelta(days=7)
ALWAYS_SIGNED = ("localhost", "127.0.0.1")


@dataclass(frozen=True)
class Issued:
    """A certificate and its private key, both PEM."""

    certificate: str
    key: str


def load_or_make_ca(folder: Path) -> Issued:
    """The CA in `folder` (lab-ca.crt, lab-ca.key), made when missing or about to end."""
    return _kept(folder / "lab-ca", _make_ca)


def issue(authority: Issued, stem: Path, names: Sequence[str]) -> Issued:
    """A server certificate at `stem`.crt/.key for DNS names and addresses; kept while it still
    fits.
    """
    wanted = [*dict.fromkeys([*names, *ALWAYS_SIGNED])]
    return _kept(stem, lambda: _make_leaf(authority, wanted), authority, wanted)


def _kept(
    stem: Path,
    make: Callable[[], Issued],
    authority: Issued | None = None,
    names: Sequence[str] = (),
) -> Issued:
    crt, key = stem.with_name(stem.name + ".crt"), stem.with_name(stem.name + ".key")
    if crt.exists() and key.exists() and _still_fits(crt.read_bytes(), authority, names):
        return Issued(crt.read_text(), key.read_text())
    made = make()
    crt.parent.mkdir(parents=True, exist_ok=True)
    key.touch(mode=0o600)
    key.write_text(made.key)
    crt.write_text(made.certificate)
    return made


def _still_fits(pem: bytes, authority: Issued | None, names: Sequence[str]) -> bool:
    certificate = x509.load_pem_x509_certificate(pem)
    now = datetime.datetime.now(datetime.UTC)
    if certificate.not_valid_after_utc - RENEW_BEFORE < now:
        return False
    if authority is None:
        return True
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    try:
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # any reason not to be signed by this CA means: make a new one
        return False
    return set(_general_names(names)) == set(held)


def _general_names(names: Sequence[str]) -> list[x509.GeneralName]:
    made: list[x509.GeneralName] = []
    for name in names:
        try:
            made.append(x509.IPAddress(ipaddress.ip_address(name)))
        except ValueError:
            made.append(x509.DNSName(name))
    return made


def _builder(
    subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _make_ca() -> Issued:
    key = ec.generate_private_key(ec.SECP256R1())
    name = "acpchaos lab CA"
    certificate = (
        _builder(name, _name(name), key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate, key)


def _make_leaf(authority: Issued, names: Sequence[str]) -> Issued:
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    signer = serialization.load_pem_private_key(authority.key.encode(), None)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise TypeError("the lab CA has a key of another kind; delete the state folder")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(names[0], issuer.subject, key)
        .add_extension(x509.SubjectAlternativeName(_general_names(names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .sign(signer, hashes.SHA256())
    )
    return _pem(certificate, key)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Issued(certificate.public_bytes(serialization.Encoding.PEM).decode(), private.decode())
