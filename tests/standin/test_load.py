"""The load over both HTTP clients against the stand-in itself: its TLS, its forms, its errors."""

import datetime
import ipaddress
import signal
import time

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from golden import records

from acpchaos.check import fates, losses
from acpchaos.load.ledger import Ledger
from acpchaos.load.swarm import Swarm
from acpchaos.record.events import Request
from acpchaos.record.journal import Journal, read_journal
from acpchaos.scenario import Load
from acpchaos.target.profile import load_profile
from acpchaos.wait import eventually, pause_until

from .conftest import PASSWORD

WEB = {
    "tenant_id": "acme", "server_id": "main", "id": "load-web", "secret": "load-web-secret",
    "redirect_uris": ["https://localhost/callback"],
    "grant_types": ["authorization_code", "refresh_token"],
    "scopes": ["openid", "profile", "offline_access"],
}  # fmt: skip
FLOWS = ("client_credentials", "authorization_code", "refresh", "introspect", "revoke", "userinfo")
USERS = [
    {"tenant_id": "acme", "server_id": "main", "idp_id": "lab", "id": f"load-user-{n:03d}",
     "password": PASSWORD, "claims": {"name": "Load"}}
    for n in range(3)
]  # fmt: skip


def certified(folder):
    """Settings of a certificate for 127.0.0.1 that is its own authority, and its path."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    named = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "acp")])
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder(named, named, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    (folder / "acp.crt").write_bytes(certificate.public_bytes(pem))
    (folder / "acp.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    )
    paths = {"cert_path": str(folder / "acp.crt"), "key_path": str(folder / "acp.key")}
    return {"server": {"certificate": paths}}


def written(folder, acp, sender, auth):
    lines = [
        '[cluster]\ncontext = "none"',
        f'[service]\nbase_url = "{acp.url}"\nca_file = "{folder}/acp.crt"',
        f'[load]\nsender = "{sender}"',
        f'[credentials.users]\nprefix = "load-user"\ncount = 3\npassword = "file:{folder}/users"',
    ]
    (folder / "users").write_text(PASSWORD)
    for who, client in (("m2m", "m2m"), ("web", "load-web"), ("introspect", "judge")):
        (folder / who).write_text(f"{client}-secret")
        lines.append(
            f'[credentials.{who}]\nid = "{client}"\nsecret = "file:{folder}/{who}"\n'
            f'auth = "{auth}"\nredirect_uri = "https://localhost/callback"'
        )
    path = folder / "target.toml"
    path.write_text("\n".join(lines))
    return load_profile(path)


@pytest.fixture(scope="module")
def served(lab, tmp_path_factory):
    folder = tmp_path_factory.mktemp("served")
    acp = lab.seeded("load", certified(folder))
    path = folder / "users.yaml"
    path.write_text(yaml.safe_dump({"users": USERS, "clients": [WEB]}))
    done = acp.command("import", "--mode", "update", "--format", "yaml", "--input", str(path))
    assert done.returncode == 0, done.stderr
    acp.start()
    yield acp, folder
    assert acp.stop() == 0


@pytest.mark.parametrize(("sender", "auth"), [
    ("lean", "client_secret_basic"), ("fast", "client_secret_basic"),
    ("lean", "client_secret_post"),
])  # fmt: skip
def test_every_flow_works(served, tmp_path, sender, auth):
    acp, folder = served
    load = Load(rate_per_s=6, mix=dict.fromkeys(FLOWS, 1))
    swarm = Swarm(written(folder, acp, sender, auth), load, tmp_path, seed=1)
    swarm.start()
    try:
        swarm.wait_flowing()
        pause_until(time.monotonic() + 2)
    finally:
        swarm.stop()
    events = [e for f in (tmp_path / "events").glob("load-*") for e in read_journal(f).events]
    made = [e for e in events if isinstance(e, Request)]
    assert {e.flow for e in made} == {*FLOWS, "discovery"}
    assert {(e.step, e.error) for e in made if e.error} == set()


def test_a_frozen_store_costs_no_token_and_nobody_is_lied_to(served, lab, tmp_path):
    """The ledger through an outage of all of Redis: unavailable meanwhile, everything kept."""
    acp, folder = served
    path = tmp_path / "ledger.ndjson"
    with Journal(path) as journal:
        ledger = Ledger(
            written(folder, acp, "lean", "client_secret_basic"), journal, seed=1, each=2,
            looks_per_s=20,
        )  # fmt: skip

        def said(result):
            looks = [e for e in read_journal(path).events if e.when == "during"]
            return {e.item for e in looks if e.result == result}

        ledger.mint()
        ledger.probe("before")
        ledger.follow()
        try:
            eventually("looks", lambda: said("valid") | said("invalid") >= STORED, 30, 0.1)
            lab.redis.signal(signal.SIGSTOP)
            eventually("an outage", lambda: len(said("unavailable")) > 2, 30, 0.1)
        finally:
            lab.redis.signal(signal.SIGCONT)
            ledger.rest()
        eventually("the cluster", lab.redis.formed, 30, 0.1)
        whole = [ledger._looks.look] * 3
        opaque = next(held for held in ledger._held if held.item == "access_opaque")
        eventually(
            "answers", lambda: all(look(opaque).result == "valid" for look in whole), 60, 0.5
        )
        ledger.probe("after")
    run = records.run_of([*records.phases(), *read_journal(path).events])
    found = fates.followed(run, losses.RULES["pod_loss"])
    kept = {each.item for each in found.values() if each.fate is fates.Fate.KEPT}
    assert kept >= STORED - {"revoked_jwt"} | {"code", "jwt_offline"}, found
    assert not {t: each for t, each in found.items() if each.fate in fates.BROKEN}


STORED = {"access_jwt", "access_opaque", "refresh", "sso_session", "revoked_jwt"}
