"""HARD-25 to HARD-28: certificates in Secrets and in handshakes."""

import copy
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from acpchaos.record.snapshot import Served, Snapshot

from .asking import (
    ACP,
    fails,
    named,
    passes,
    replaced,
    served,
    undecided,
    unread,
    unserved,
    with_policy,
)
from .building_lab import PROJECT, acp_chain, hardened, issuer
from .building_x509 import Issuer, chain, weakly_signed

ROWS = ("HARD-25", "HARD-26", "HARD-27", "HARD-28")
POD = f"pod {ACP}/acp-5d4f-x:8443"
INGRESS = "ingress https://localhost:8443"
SECRET = f"Secret {ACP}/acp-tls"
MOCK = ((PROJECT / "tests" / "posture" / "data" / "mock-certificate.pem").read_text(),)
NAMES = ["acp.acp-system.svc", "localhost"]


def in_secret(snapshot: Snapshot, **data: Any) -> None:
    named(snapshot, "Secret", "acp-tls")["data"].update(
        {key.replace("_", "."): value for key, value in data.items()}
    )


@pytest.mark.parametrize("row", ROWS)
def test_the_hardened_lab_passes(row: str) -> None:
    passes(hardened(), row)


# HARD-25


@pytest.mark.parametrize("where", [POD, INGRESS])
def test_the_published_mock_certificate_fails_where_it_is_served(where: str) -> None:
    snapshot = hardened()
    served(snapshot, where, MOCK)
    found = fails(snapshot, "HARD-25", where, "chain[0]", "the chart's mock")
    assert "certificate.cert" in found.remedy


def test_the_mock_certificate_fails_in_the_secret() -> None:
    snapshot = hardened()
    in_secret(snapshot, tls_crt=MOCK[0])
    fails(snapshot, "HARD-25", SECRET, "data[tls.crt][0]", "the chart's mock")


def test_its_key_fails_even_under_another_certificate() -> None:
    snapshot = hardened()
    in_secret(snapshot, tls_key="sealed:0123456789ab:1704:mock-certificate-key")
    fails(snapshot, "HARD-25", SECRET, "data[tls.key]", "published key")


def test_a_published_certificate_further_up_the_chain_fails() -> None:
    snapshot = hardened()
    served(snapshot, POD, (acp_chain()[0], *MOCK))
    fails(snapshot, "HARD-25", POD, "chain[1]")


def test_no_handshake_with_a_pod_is_inconclusive_but_hides_no_finding() -> None:
    snapshot = hardened()
    unserved(snapshot, "pod ")
    snapshot.unread["served pod acp-system"] = "no port-forward"
    undecided(snapshot, "HARD-25", "no port-forward")
    in_secret(snapshot, tls_crt=MOCK[0])
    fails(snapshot, "HARD-25", SECRET, "data[tls.crt][0]")


def test_the_secret_unread_is_inconclusive() -> None:
    snapshot = hardened()
    unread(snapshot, "Secret")
    for row in ("HARD-25", "HARD-26", "HARD-28"):
        undecided(snapshot, row, "Secret objects could not be read: forbidden")


def test_a_chain_that_is_no_certificate_is_inconclusive() -> None:
    snapshot = hardened()
    in_secret(snapshot, tls_crt="sealed:0123456789ab:1704:-")
    for row in ("HARD-25", "HARD-26", "HARD-28"):
        undecided(snapshot, row, "no readable certificate")


def test_the_secret_is_the_one_that_is_mounted_where_the_configuration_looks() -> None:
    snapshot = hardened()
    elsewhere = copy.deepcopy(named(snapshot, "Secret", "acp-tls"))
    elsewhere["metadata"]["name"] = "own-tls"
    elsewhere["data"]["tls.crt"] = MOCK[0]
    snapshot.objects["Secret"].append(elsewhere)
    spec = named(snapshot, "Deployment", "acp")["spec"]["template"]["spec"]
    tls = next(volume for volume in spec["volumes"] if volume["name"] == "tls")
    tls["projected"]["sources"][0]["secret"]["name"] = "own-tls"
    fails(snapshot, "HARD-25", f"Secret {ACP}/own-tls", "data[tls.crt][0]")


# HARD-26


def cert_manager(snapshot: Snapshot, status: str = "True", **spec: Any) -> None:
    ready = [{"type": "Ready", "status": status, "message": "issuing"}] if status else []
    snapshot.objects["Certificate"].append(
        {
            "kind": "Certificate",
            "metadata": {"name": "acp", "namespace": ACP},
            "spec": {"secretName": "acp-tls", **spec},
            "status": {"conditions": ready},
        }
    )


def test_the_charts_certificate_is_not_ones_own() -> None:
    snapshot = hardened()
    in_secret(snapshot, tls_crt=MOCK[0])
    fails(snapshot, "HARD-26", SECRET, "data[tls.crt]", "the chart's mock")


def test_a_chain_that_does_not_lead_to_its_ca_fails() -> None:
    snapshot = hardened()
    stranger = Issuer("lab CA", issuer().now)  # the same name, another key
    in_secret(snapshot, tls_crt=chain(stranger, NAMES)[0])
    fails(snapshot, "HARD-26", SECRET, "data[tls.crt]", "broken chain")


def test_a_chain_over_an_intermediate_passes() -> None:
    snapshot = hardened()
    middle = Issuer("middle", issuer().now)
    middle.certificate = issuer().issue([], key=middle.key, subject="middle")
    leaf = chain(middle, NAMES)[0]
    from cryptography.hazmat.primitives.serialization import Encoding

    in_secret(snapshot, tls_crt=leaf + middle.certificate.public_bytes(Encoding.PEM).decode())
    passes(snapshot, "HARD-26")
    in_secret(snapshot, tls_crt=leaf)
    fails(snapshot, "HARD-26", SECRET, "data[tls.crt]", "no certificate of CN=middle")


def test_without_a_ca_in_the_secret_the_handshake_tells() -> None:
    snapshot = hardened()
    del named(snapshot, "Secret", "acp-tls")["data"]["ca.crt"]
    passes(snapshot, "HARD-26")
    served(snapshot, POD, acp_chain(), verified="self-signed certificate")
    fails(snapshot, "HARD-26", SECRET, "data[tls.crt]", "self-signed")
    unserved(snapshot, "pod ")
    undecided(snapshot, "HARD-26", "no certificate was seen")


def test_a_certificate_of_cert_manager_must_be_ready() -> None:
    snapshot = hardened()
    cert_manager(snapshot)
    passes(snapshot, "HARD-26")
    snapshot = hardened()
    cert_manager(snapshot, "False")
    where = (f"Certificate {ACP}/acp", "status.conditions[Ready]")
    fails(snapshot, "HARD-26", *where, "False: issuing")
    snapshot = hardened()
    cert_manager(snapshot, "")
    undecided(snapshot, "HARD-26", "no status yet")


def test_a_cluster_without_cert_manager_is_judged_by_its_secret() -> None:
    snapshot = hardened()
    del snapshot.objects["Certificate"]
    passes(snapshot, "HARD-26")
    passes(snapshot, "HARD-28")
    unread(snapshot, "Certificate")
    undecided(snapshot, "HARD-26", "Certificate objects could not be read: forbidden")


# HARD-27


@pytest.mark.parametrize(
    ("given", "field", "saw"),
    [
        ({"days": 13.5}, "notAfter", "14 days left"),
        ({"days": -3}, "notAfter", "-3 days left"),
        ({"key": rsa.generate_private_key(65537, 1024)}, "publicKey", "RSA of 1024 bits"),
        ({"key": ec.generate_private_key(ec.SECP192R1())}, "publicKey", "secp192r1"),
    ],
)
@pytest.mark.parametrize("where", [POD, INGRESS])
def test_an_unsound_certificate_fails(where: str, given: Any, field: str, saw: str) -> None:
    snapshot = hardened()
    served(snapshot, where, chain(issuer(), NAMES, **given))
    fails(snapshot, "HARD-27", where, f"chain[0].{field}", saw)


@pytest.mark.parametrize("algorithm", ["sha1", "md5"])
def test_a_weak_signature_fails(algorithm: str) -> None:
    snapshot = hardened()
    served(snapshot, POD, weakly_signed(issuer(), NAMES, algorithm))
    fails(snapshot, "HARD-27", POD, "chain[0].signatureAlgorithm", algorithm)


def test_an_rsa_key_of_2048_bits_and_a_wildcard_pass() -> None:
    snapshot = hardened()
    key = rsa.generate_private_key(65537, 2048)
    served(snapshot, POD, chain(issuer(), ["*.acp-system.svc"], key=key))
    passes(snapshot, "HARD-27")


@pytest.mark.parametrize("names", [["acp.example.test"], ["*.svc"], []])
def test_a_certificate_for_other_names_fails(names: Any) -> None:
    snapshot = hardened()
    served(snapshot, POD, chain(issuer(), names))
    fails(snapshot, "HARD-27", POD, "chain[0].subjectAltName", ", ".join(names) or "empty")


def test_the_ingress_needs_the_host_of_its_url() -> None:
    snapshot = hardened()
    served(snapshot, INGRESS, chain(issuer(), ["acp.acp-system.svc"]))
    found = fails(snapshot, "HARD-27", INGRESS, "chain[0].subjectAltName")
    assert found.want == "localhost"


def test_an_issuing_certificate_that_ends_fails_too() -> None:
    snapshot = hardened()
    served(snapshot, POD, (acp_chain()[0], chain(issuer(), [], days=2)[0]))
    fails(snapshot, "HARD-27", POD, "chain[1].notAfter", "2 days left")


def test_the_days_are_those_of_the_policy_counted_from_the_snapshot() -> None:
    snapshot = hardened()
    served(snapshot, POD, chain(issuer(), NAMES, days=20))
    passes(snapshot, "HARD-27")
    fails(with_policy(snapshot, certificate_days=30), "HARD-27", POD, "chain[0].notAfter")
    later = replaced(snapshot, taken_at="2026-12-02T12:00:00+00:00")
    fails(later, "HARD-27", POD, "chain[0].notAfter", "12 days left")


def test_soundness_needs_a_handshake_with_a_pod() -> None:
    snapshot = hardened()
    unserved(snapshot, "pod ")
    undecided(snapshot, "HARD-27", "no certificate was seen at pod")


# HARD-28


def test_a_pod_that_serves_another_certificate_fails() -> None:
    snapshot = hardened()
    served(snapshot, POD, chain(issuer(), NAMES))
    found = fails(snapshot, "HARD-28", POD, "chain[0]", "serial")
    assert "rollout restart" in found.remedy


@pytest.mark.parametrize("row", ["HARD-25", "HARD-27", "HARD-28", "HARD-29"])
def test_every_running_pod_must_have_been_seen(row: str) -> None:
    snapshot = hardened()
    pod = copy.deepcopy(named(snapshot, "Pod", "acp-5d4f-x"))
    pod["metadata"]["name"] = "acp-5d4f-y"
    snapshot.objects["Pod"].append(pod)
    snapshot.served.append(Served(where=f"pod {ACP}/acp-5d4f-y:8443", error="timed out"))
    undecided(snapshot, row, "no handshake was seen with acp-5d4f-y timed out")
    pod["status"]["phase"] = "Pending"
    passes(snapshot, row)
    pod["status"]["phase"] = "Running"
    pod["metadata"]["deletionTimestamp"] = "2026-11-24T11:59:00Z"
    passes(snapshot, row)


@pytest.mark.parametrize(
    ("spec", "saw"),
    [
        ({"duration": "24h", "renewBefore": "48h0m0s"}, "48h0m0s"),
        ({"renewBefore": "2160h"}, "2160h"),
    ],
)
def test_renewal_that_begins_before_the_certificate_does_fails(spec: Any, saw: str) -> None:
    snapshot = hardened()
    cert_manager(snapshot, **spec)
    fails(snapshot, "HARD-28", f"Certificate {ACP}/acp", "spec.renewBefore", saw)


@pytest.mark.parametrize("spec", [{}, {"duration": "1h30m", "renewBefore": "45m"}])
def test_renewal_in_time_passes(spec: Any) -> None:
    snapshot = hardened()
    cert_manager(snapshot, **spec)
    passes(snapshot, "HARD-28")


def test_a_duration_that_is_none_is_inconclusive() -> None:
    snapshot = hardened()
    cert_manager(snapshot, duration="90d", renewBefore="1h")
    undecided(snapshot, "HARD-28", "'90d' is no duration")


def test_manifests_pass_nothing_that_needs_a_handshake() -> None:
    snapshot = hardened()
    snapshot.served.clear()
    manifests = replaced(snapshot, source="manifests")
    for row in ("HARD-25", "HARD-27", "HARD-28"):
        undecided(manifests, row, "no certificate was seen")
    passes(manifests, "HARD-26")
