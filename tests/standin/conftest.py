"""Fixtures: one PostgreSQL, one Redis Cluster and one seeded stand-in for the whole session."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import urllib3
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from .machines import Acp, Postgres, Redises

urllib3.disable_warnings()
DATA_KEY = {"id": "one", "key": "0" * 32}
SYSTEM_SECRET = "system-secret-of-this-test-run-only"
PASSWORD = "user-password-of-the-test"
SEED = {
    "tenants": [{"id": "acme", "name": "Acme"}],
    "servers": [
        {"tenant_id": "acme", "id": "admin", "type": "admin"},
        {"tenant_id": "acme", "id": "main"},
        {"tenant_id": "acme", "id": "opaque", "access_token_strategy": "opaque"},
    ],
    "idps": [{"tenant_id": "acme", "server_id": w, "id": "lab"} for w in ("main", "opaque")],
    "clients": [
        client
        for w in ("main", "opaque")
        for client in (
            {
                "tenant_id": "acme", "server_id": w, "id": "m2m", "secret": "m2m-secret",
                "grant_types": ["client_credentials"], "scopes": ["load", "more"],
            },
            {
                "tenant_id": "acme", "server_id": w, "id": "web", "secret": "web-secret",
                "redirect_uris": ["https://localhost/callback"],
                "post_logout_redirect_uris": ["https://localhost/"],
                "scopes": ["openid", "profile", "email"],
            },
            {
                "tenant_id": "acme", "server_id": w, "id": "judge", "secret": "judge-secret",
                "grant_types": ["client_credentials"],
                "scopes": ["introspect_tokens", "revoke_tokens"],
            },
        )
    ],
    "users": [
        {
            "tenant_id": "acme", "server_id": w, "idp_id": "lab", "id": f"user-{n}",
            "password": PASSWORD, "claims": {"name": f"User {n}"},
        }
        for w in ("main", "opaque")
        for n in range(3)
    ],
}  # fmt: skip


@dataclass
class Lab:
    """The session's machines and what a second server process needs to join them."""

    folder: Path
    postgres: Postgres
    redis: Redises
    certificate: Mapping[str, object]
    made: int = 0

    def layer(self, database: str, seeds: list[str] | None = None) -> dict[str, object]:
        """The configuration every server here shares."""
        own: dict[str, object] = {
            "server": dict(self.certificate),
            "sql": {"url": self.postgres.url(database)},
            "timescale": {"url": self.postgres.url(database)},
            "redis": {
                "addrs": seeds or [f"127.0.0.1:{port}" for port in self.redis.ports],
                "password": self.redis.password,
            },
            "system": {"secret": SYSTEM_SECRET},
            "secrets": [DATA_KEY],
            "cache": {"local_ttl_s": 1},
            "standin": {"drain_s": 0.3, "finish_s": 1, "sql_start_wait_s": 1},
        }
        return own

    def acp(
        self, database: str, *layers: Mapping[str, object],
        flags: tuple[str, ...] = (), seeds: list[str] | None = None,
    ) -> Acp:  # fmt: skip
        """A server, not started, on a database of its own choice."""
        self.made += 1
        folder = self.folder / f"acp{self.made}"
        return Acp(folder, [self.layer(database, seeds), *layers], flags)

    def seeded(self, database: str, *layers: Mapping[str, object]) -> Acp:
        """A server, not started, on a new database that holds SEED."""
        self.postgres.run("postgres", f"CREATE DATABASE {database}")
        acp = self.acp(database, *layers)
        path = self.folder / "seed.yaml"
        path.write_text(yaml.safe_dump(SEED))
        done = acp.command("import", "--mode", "update", "--format", "yaml", "--input", str(path))
        assert done.returncode == 0, done.stderr
        return acp


def self_signed(
    folder: Path, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None
) -> dict[str, object]:
    """server.certificate settings of a fresh certificate, for an EC key if none is given."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "tls.crt", folder / "tls.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return {"certificate": {"cert_path": str(pem), "key_path": str(private)}}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """PostgreSQL and a Redis Cluster."""
    folder = tmp_path_factory.mktemp("standin")
    for parent in (folder, *folder.parents):  # the postgres user must reach its own folder
        if parent.stat().st_mode & 0o777 == 0o700:  # as pytest makes them
            parent.chmod(0o755)
    (folder / "pg").mkdir()
    postgres, redises = Postgres(folder / "pg"), Redises(folder, "redis-password-of-the-test")
    try:
        postgres.start()
        redises.create()
        yield Lab(folder, postgres, redises, self_signed(folder))
    finally:
        redises.destroy()
        postgres.stop()


@pytest.fixture(scope="session")
def acp(lab: Lab) -> Iterator[Acp]:
    """The seeded server most tests talk to; workers included."""
    server = lab.seeded("acp")
    server.start()
    yield server
    assert server.stop() == 0
