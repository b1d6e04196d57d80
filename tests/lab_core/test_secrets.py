"""Secrets and certificates: made once, kept, never alike, and accepted by those who must trust
them.
"""

import datetime
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from lab import certificates, secrets
from lab.machine import cpu_times, memory_used_mib
from lab.paths import State


@pytest.fixture
def made(tmp_path: Path) -> dict[str, dict[str, Any]]:
    objects: list[Any] = secrets.objects(State(tmp_path), "https://localhost:9999")
    return {item["metadata"]["name"]: item for item in objects}


def test_values_are_kept_and_differ(tmp_path: Path) -> None:
    first = secrets.generate(State(tmp_path))
    assert secrets.generate(State(tmp_path)) == first
    assert len(set(first.values())) == len(first)
    assert len(first["data-key"]) == 32
    assert all(p.stat().st_mode & 0o077 == 0 for p in (tmp_path / "secrets").iterdir())


def test_an_empty_value_of_a_stopped_run_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "redis-password").touch()
    assert len(secrets.generate(State(tmp_path))["redis-password"]) == 32


def test_acp_gets_its_url_and_its_stores(made: dict[str, dict[str, Any]]) -> None:
    config = yaml.safe_load(made["acp-secret"]["stringData"]["config.yaml"])
    assert config["server"]["url"] == "https://localhost:9999"
    assert "sslmode=verify-full" in config["sql"]["url"]
    assert config["redis"]["password"] == made["redis-cluster"]["stringData"]["redis-password"]


def test_the_two_regions_share_neither_credentials_nor_cipher(
    made: dict[str, dict[str, Any]],
) -> None:
    east, west = made["s3-east"]["stringData"], made["s3-west"]["stringData"]
    assert set(east.values()).isdisjoint(west.values())
    backup = made["pgbackrest"]["stringData"]
    assert backup["PGBACKREST_REPO1_CIPHER_PASS"] != backup["PGBACKREST_REPO2_CIPHER_PASS"]
    assert backup["PGBACKREST_REPO1_S3_KEY"] == east["ROOT_ACCESS_KEY"]
    assert backup["PGBACKREST_REPO2_S3_KEY"] == west["ROOT_ACCESS_KEY"]


def test_every_server_certificate_is_signed_for_its_names(
    made: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    authority = x509.load_pem_x509_certificate((tmp_path / "lab-ca.crt").read_bytes())
    for name, (namespace, services) in secrets.SERVERS.items():
        data = made[name]["stringData"]
        leaf = x509.load_pem_x509_certificate(data["tls.crt"].encode())
        leaf.verify_directly_issued_by(authority)
        held = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        names = held.get_values_for_type(x509.DNSName)
        assert "localhost" in names
        for service in services:
            assert f"{service}.{namespace}.svc.cluster.local" in names
        (tmp_path / "pair.pem").write_text(data["tls.crt"] + data["tls.key"])
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "pair.pem")


def test_a_certificate_is_renewed_when_its_names_or_its_ca_change(tmp_path: Path) -> None:
    authority = certificates.load_or_make_ca(tmp_path / "one")
    stem = tmp_path / "leaf"
    first = certificates.issue(authority, stem, ["a"])
    assert certificates.issue(authority, stem, ["a"]) == first
    assert certificates.issue(authority, stem, ["a", "b"]) != first
    second = certificates.issue(authority, stem, ["a"])
    other = certificates.load_or_make_ca(tmp_path / "two")
    assert certificates.issue(other, stem, ["a"]) != second


def test_a_certificate_about_to_end_is_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = certificates.load_or_make_ca(tmp_path)
    monkeypatch.setattr(certificates, "LIFETIME", datetime.timedelta(days=3))
    first = certificates.issue(authority, tmp_path / "leaf", ["a"])
    monkeypatch.undo()
    assert certificates.issue(authority, tmp_path / "leaf", ["a"]) != first


def test_figures_come_from_the_kernels_counters() -> None:
    before = cpu_times("cpu  100 0 100 800 0 0 0 0 0 0\n")
    after = cpu_times("cpu  130 0 120 1000 50 0 0 0 0 0\n")
    assert after.busy_percent_since(before) == pytest.approx(100 * 50 / 300)
    assert memory_used_mib("MemTotal: 4096000 kB\nMemAvailable: 2048000 kB\n") == 2000
