"""Facts about X.509 certificates: names, ages, keys, signatures, which ones are published.

Room: check. It knows certificates, not where they were found.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import NameOID

from acpchaos.check.posture.rule import Unreadable
from acpchaos.record import sealed

# SHA-256 of published certificates, and of public keys whose private half is published with them.
PUBLISHED = {
    "3a9101cddf3e3f45ac833002b4630fc936acbb5c785c5281501daf06eb40e643": "the chart's mock",
    "12504879a7ac38b2d74fcfc033ba3ae85fcd457d0d8d0a2a6eda671e243fac9d": "the CA of the mock",
    "71fd51e1bcf2a8a06cc50ed9ef5191c869a4fd29df9d8547bde0b168617701bf": "the quickstart's",
}
PUBLISHED_KEYS = {
    **dict.fromkeys(sealed.PUBLISHED_KEYS, "the chart's mock"),
    "9797064b64a984ac530222cd5915b78cf9f040ceda4daf50c530acbc14ea6c17": "the quickstart's",
}
_WEAK_HASHES = {"md5", "sha1"}
_CONTROLLER_NAMES = ("Kubernetes Ingress Controller Fake Certificate", "TRAEFIK DEFAULT CERT")


def parsed(pems: Iterable[str], where: str) -> list[x509.Certificate]:
    """Certificates of a chain, leaf first; Unreadable when there is none or it is no PEM."""
    try:
        found = [c for pem in pems for c in _loaded(pem)]
    except ValueError as error:
        raise Unreadable(f"{where} holds no readable certificate: {error}") from None
    if not found:
        raise Unreadable(f"{where} holds no certificate")
    return found


@lru_cache(maxsize=4096)  # several rows look at each, and pods of one workload serve the same
def _loaded(pem: str) -> tuple[x509.Certificate, ...]:
    return tuple(x509.load_pem_x509_certificates(pem.encode()))


def fingerprint(certificate: x509.Certificate) -> str:
    """SHA-256 of the whole certificate, in hex."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def published(certificate: x509.Certificate) -> str:
    """Whose published certificate or key this is; empty for any other."""
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    found = PUBLISHED.get(fingerprint(certificate))
    return found or PUBLISHED_KEYS.get(hashlib.sha256(key).hexdigest(), "")


def of_controller(certificate: x509.Certificate) -> str:
    """The name of an ingress controller's own stand-in certificate; empty for any other."""
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    names = [str(each.value) for each in found]
    return next((name for name in names if name in _CONTROLLER_NAMES), "")


def names(certificate: x509.Certificate) -> tuple[str, ...]:
    """DNS names and addresses of the subjectAltName; the common name counts for nothing."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ()
    addresses = [str(each) for each in found.get_values_for_type(x509.IPAddress)]
    return (*found.get_values_for_type(x509.DNSName), *addresses)


def covers(pattern: str, name: str) -> bool:
    """Does a name of a certificate stand for a host? A star is one label, the first."""
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if not pattern.startswith("*."):
        return pattern == name
    return "." in name and name.partition(".")[2] == pattern[2:]


def left_days(certificate: x509.Certificate, now: dt.datetime) -> float:
    """Days until it ends; negative when it has."""
    return (certificate.not_valid_after_utc - now) / dt.timedelta(days=1)


def weak_key(certificate: x509.Certificate) -> str:
    """What is wrong with the key; empty for RSA of 2048 bits and more and for curves."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < 2048:
        return f"RSA of {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePublicKey) and key.key_size < 224:
        return f"curve {key.curve.name}"
    return "DSA" if isinstance(key, dsa.DSAPublicKey) else ""


def weak_signature(certificate: x509.Certificate) -> str:
    """The hash of a signature that can be forged; empty otherwise, and for a root, whose
    signature nobody relies on."""
    if certificate.issuer == certificate.subject:
        return ""
    algorithm = certificate.signature_hash_algorithm
    return algorithm.name if algorithm and algorithm.name in _WEAK_HASHES else ""


def chains_to(chain: list[x509.Certificate], authorities: list[x509.Certificate]) -> str:
    """Why a chain does not lead to one of the authorities; empty when it does."""
    pool = [*chain[1:], *authorities]
    current = chain[0]
    roots = {fingerprint(each) for each in authorities}
    for _ in range(len(pool) + 1):
        if fingerprint(current) in roots or any(_signs(root, current) for root in authorities):
            return ""
        signer = next((each for each in pool if each != current and _signs(each, current)), None)
        if signer is None:
            return f"no certificate of {current.issuer.rfc4514_string() or 'its issuer'}"
        current = signer
    return "its issuers go round in a circle"


def _signs(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
