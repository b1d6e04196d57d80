"""The issuer behind TLS, and certificates for it and its clients."""

import datetime as dt
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.load.issuer import Issuer, Server

PEM = serialization.Encoding.PEM


class Secured(Issuer):
    """An issuer with a certificate for `name` that is its own authority. It asks for certificates
    of clients, and takes them where `believes` (PEM) is the authority."""

    def __init__(self, folder, name, believes=""):
        served = certified(folder, name)
        if believes:
            served.load_verify_locations(cadata=believes)
            served.verify_mode = ssl.CERT_OPTIONAL
        super().__init__()
        self.served = served
        self.close()  # the port is kept
        self.open()
        self.base_url = f"https://localhost:{self._port}"

    def open(self):
        super().open() if not hasattr(self, "served") else self._open_secured()

    def _open_secured(self):
        self._server = Server(("127.0.0.1", self._port), self)
        self._server.socket = self.served.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()


def identity(common_name, name="client.test"):
    """(certificate, key) in PEM; the certificate is its own authority."""
    key, now = ec.generate_private_key(ec.SECP256R1()), dt.datetime.now(dt.UTC)
    named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])
    certificate = (
        x509.CertificateBuilder(named, named, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, plain)
    return certificate.public_bytes(PEM).decode(), private.decode()


def certified(folder, name):
    """A server's TLS context; its certificate lies in `folder` as ca.crt."""
    certificate, key = identity("issuer", name)
    (folder / "ca.crt").write_text(certificate)
    (folder / "tls.key").write_text(key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.crt", folder / "tls.key")
    return context
