"""An expired certificate: same names and kind of key, seen in handshakes; then the right one."""

import base64
import datetime as dt
import json
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from safety.rbac import missing, unused, used

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import certificates, witness_tls
from acpchaos.faults.certificates import CertificateExpired, expired
from acpchaos.faults.fault import Act
from acpchaos.faults.rights import of_fault, of_play, of_undo
from acpchaos.faults.session import Session
from acpchaos.target.cluster import Object
from faults.cases import allowing_all
from faults.spoiling import NEVER, hasten, struck
from faults.told import witnesses

SECRET = ("secrets", NAMESPACE, "acp-ingress-tls")
UPDATE = r"PUT /api/v1/namespaces/[^/]+/secrets/"


def certificate(key: Any, days: int = 30) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost")])
    digest = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=60))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(names, critical=False)
        .sign(key, digest)
    )


def secret(days: int = 30) -> Object:
    key = ec.generate_private_key(ec.SECP256R1())
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    data = {
        "tls.crt": certificate(key, days).public_bytes(pem),
        "tls.key": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain),
        "ca.crt": b"authority",
    }
    return {
        "metadata": {"name": SECRET[2], "namespace": NAMESPACE}, "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(text).decode() for name, text in data.items()},
    }  # fmt: skip


class Ingress:
    """Serves what the Secret holds, on a port of its own; `frozen` holds to what it has read."""

    def __init__(self, api: FakeApi, folder: Path) -> None:
        self.api, self.folder, self.frozen = api, folder, False
        self.first: Object | None = None  # what every other handshake shows, where that is given
        self.count = 0
        api.store.put("secrets", secret())
        self.held: Object = api.store.get(SECRET)
        self.listener = create_server(("127.0.0.1", 0))
        self.url = f"https://localhost:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                plain, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            if not self.frozen:
                with self.api.store.lock:
                    self.held = self.api.store.get(SECRET)
            shown = self.first if self.first and self.count % 2 else self.held
            try:
                self._context(shown).wrap_socket(plain, server_side=True).close()
            except OSError:
                plain.close()

    def _context(self, shown: Object) -> ssl.SSLContext:
        path = self.folder / f"{self.count}.pem"
        texts = [base64.b64decode(shown["data"][name]) for name in ("tls.crt", "tls.key")]
        path.write_bytes(b"".join(texts))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    hasten(monkeypatch, certificates, most_s=8.0 if "unspoiled" in request.node.name else 0.4)


@pytest.fixture
def ingress(api: FakeApi, tmp_path: Path) -> Iterator[Ingress]:
    server = Ingress(api, tmp_path)
    yield server
    server.listener.close()


def build(session: Session, ingress: Ingress, name: str = "acp-ingress-tls") -> CertificateExpired:
    own = allowing_all(session)
    rotated = own.profile.rotated.model_copy(update={"certificate": name})
    service = own.profile.service.model_copy(update={"base_url": ingress.url})
    profile = own.profile.model_copy(update={"rotated": rotated, "service": service})
    again = Session(profile, own.cluster, own.run_id, own.journal, own.clock, own.undo)
    return CertificateExpired(again, 8.0)


def test_unspoiled_is_installed_and_healed_within_its_rights(
    api: FakeApi, session: Session, ingress: Ingress
) -> None:
    before = json.loads(json.dumps(api.store.get(SECRET)["data"]))
    fault = build(session, ingress)
    api.store.asked.clear()
    act = Act(fault)
    assert act.strike()["witness"] == "installed", witnesses(session)
    meanwhile = api.store.get(SECRET)
    assert meanwhile["data"]["tls.key"] != before["tls.key"]
    assert meanwhile["data"]["ca.crt"] == before["ca.crt"]
    act.heal()
    after = api.store.get(SECRET)
    assert after["data"] == before and not after["metadata"].get("annotations")
    called, granted = used(api), of_fault(fault)
    profile = fault.session.profile
    assert missing(granted | of_play(profile) | of_undo(profile), called) == []
    assert unused(granted, called) == []


@pytest.mark.parametrize("sabotage", ["swallowed", "forbidden", "frozen", "half", "renewed"])
def test_sabotaged_is_never_installed(
    api: FakeApi, session: Session, ingress: Ingress, sabotage: str
) -> None:
    fault = build(session, ingress)
    before = api.store.get(SECRET)

    def spoil() -> None:
        if sabotage == "swallowed":
            api.store.swallowed = [UPDATE]
        elif sabotage == "forbidden":
            api.store.forbidden = [UPDATE]
        elif sabotage == "frozen":  # who serves it does not take changes
            ingress.frozen = True
        elif sabotage == "half":
            ingress.first = before
        else:  # somebody renews it between set-up and injection
            api.store.put("secrets", secret())

    def heal() -> None:
        api.store.swallowed = api.store.forbidden = []
        ingress.frozen, ingress.first = False, None

    outcomes = struck(fault, spoil, heal)
    assert outcomes and all(outcome in NEVER for outcome in outcomes), witnesses(session)
    assert (outcomes == ["partial"]) == (sabotage == "half"), witnesses(session)
    assert session.undo.outstanding() == {}


def test_secret_that_is_not_what_is_served_is_refused(
    api: FakeApi, session: Session, ingress: Ingress
) -> None:
    ingress.frozen = True
    api.store.put("secrets", secret())
    with pytest.raises(PreconditionUnmet, match="not what https"):
        Act(build(session, ingress)).strike()
    assert "annotations" not in api.store.get(SECRET)["metadata"]


def test_certificate_that_has_expired_by_itself_is_refused(
    api: FakeApi, session: Session, ingress: Ingress
) -> None:
    api.store.put("secrets", secret(days=-1))
    with pytest.raises(PreconditionUnmet, match="or has expired"):
        Act(build(session, ingress)).strike()


def test_what_keeps_it_from_applying_is_told(
    api: FakeApi, session: Session, ingress: Ingress
) -> None:
    assert "[rotated] certificate" in build(session, ingress, "").available()
    assert "no Secret acp-system/other" in build(session, ingress, "other").available()
    words = {"annotations": {certificates.ISSUER: "acp"}}
    api.store.get(SECRET)["metadata"] |= words
    assert "cert-manager" in build(session, ingress).available()


def test_no_key_is_written_down(api: FakeApi, session: Session, ingress: Ingress) -> None:
    keys = [api.store.get(SECRET)["data"]["tls.key"]]
    Act(build(session, ingress)).strike()
    keys.append(api.store.get(SECRET)["data"]["tls.key"])
    keys += [base64.b64decode(key).decode().splitlines()[1] for key in keys]
    record = json.dumps(api.store.get(("configmaps", NAMESPACE, "acpchaos-undo-run-1")))
    told = session.journal.path.read_text() + record
    assert not [key for key in keys if key in told]


@pytest.mark.parametrize(
    "key",
    [
        rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
    ],
)  # fmt: skip
def test_new_one_is_of_the_same_kind_for_the_same_names(key: Any) -> None:
    like = certificate(key)
    made = x509.load_pem_x509_certificate(expired(like)["tls.crt"])
    assert made.not_valid_after_utc < dt.datetime.now(dt.UTC)
    assert (made.subject, made.issuer) == (like.subject, like.issuer)
    san = x509.SubjectAlternativeName
    names = [each.extensions.get_extension_for_class(san).value for each in (made, like)]
    assert names[0] == names[1]
    assert type(made.public_key()) is type(like.public_key())
    assert getattr(made.public_key(), "key_size", 0) == getattr(like.public_key(), "key_size", 0)


def test_no_handshake_is_no_proof() -> None:
    assert witness_tls.expired("https://localhost:1", "").outcome == "indeterminate"
