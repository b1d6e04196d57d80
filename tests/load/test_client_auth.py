"""Each way a client proves itself is accepted by an issuer that checks it; a wrong one is not."""

import msgspec
import pytest
from joserfc.jwk import ECKey, RSAKey

from acpchaos.errors import UsageError
from acpchaos.load.ledger import Ledger
from acpchaos.load.prober import Prober
from acpchaos.load.swarm import Swarm
from acpchaos.record.events import Observation, Request
from acpchaos.record.journal import Journal, read_journal
from acpchaos.scenario import Load
from acpchaos.target import oidc
from acpchaos.target.client_auth import ASSERTION_S, SPARE_S, Account, Assertions
from acpchaos.target.plain import Plain
from acpchaos.target.profile import load_profile
from acpchaos.wait import eventually
from tests.load.conftest import write_profile
from tests.load.issuer import CLIENTS, Issuer
from tests.load.secured import Secured, identity

M2M, SECRET = "load-m2m", CLIENTS["load-m2m"]


def pem(key):
    return key.as_pem(private=True).decode()


def key_of(algorithm):
    return RSAKey.generate_key(2048) if algorithm == "PS256" else ECKey.generate_key("P-256")


def played(issuer, account, ca_file=""):
    """All four endpoints at which a client proves itself."""
    send = Plain(str(ca_file), timeout_s=2)
    ends = oidc.discover(send, issuer.base_url + "/acme/main")
    token = oidc.client_credentials(send, ends, account)
    active = oidc.introspect(send, ends, account, token)
    oidc.revoke(send, ends, account, token)
    oidc.push(send, ends, account, {"client_id": account.id})
    return active and not oidc.introspect(send, ends, account, token)


def refused(issuer, account, ca_file=""):
    with pytest.raises(oidc.StepFailed) as told:
        played(issuer, account, ca_file)
    return str(told.value)


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_a_secret_is_sent_the_way_the_client_is_registered(issuer, method):
    issuer.methods[M2M] = method
    assert played(issuer, Account(M2M, SECRET, auth=method))
    assert set(issuer.proofs) == {method}
    assert refused(issuer, Account(M2M, SECRET + "x", auth=method)) == "token: oauth_invalid_client"


@pytest.mark.parametrize("registered", ["client_secret_post", "private_key_jwt"])
def test_a_right_secret_in_the_wrong_way_is_refused(issuer, registered):
    issuer.methods[M2M] = registered
    assert "invalid_client" in refused(issuer, Account(M2M, SECRET))


@pytest.mark.parametrize("algorithm", ["ES256", "PS256"])
def test_an_assertion_of_the_right_key_is_accepted_and_of_another_is_not(issuer, algorithm):
    key, other = key_of(algorithm), key_of(algorithm)
    issuer.methods[M2M], issuer.keys[M2M] = "private_key_jwt", key
    good = Account(M2M, auth="private_key_jwt", key=pem(key), algorithm=algorithm, kid="k1")
    assert played(issuer, good)
    assert len(issuer.assertions_seen) == issuer.proofs["private_key_jwt"] == 5  # none used twice
    wrong = msgspec.structs.replace(good, key=pem(other))
    assert refused(issuer, wrong) == "token: oauth_invalid_client"


def test_an_assertion_is_refused_where_it_was_not_made_for(issuer):
    """The issuer's own check of the audience, so that the tests above mean something."""
    key = ECKey.generate_key("P-256")
    issuer.methods[M2M], issuer.keys[M2M] = "private_key_jwt", key
    account = Account(M2M, auth="private_key_jwt", key=pem(key))
    send = Plain("")
    ends = oidc.discover(send, issuer.base_url + "/acme/main")
    elsewhere = msgspec.structs.replace(ends, token=ends.token.replace("main", "opaque"))
    with pytest.raises(oidc.StepFailed, match="invalid_client"):
        oidc.revoke(send, elsewhere, account, "x")


def test_a_certificate_is_shown_and_another_is_refused(tmp_path):
    certificate, key = identity("load-m2m.test")
    stranger, its_key = identity("load-m2m.test")
    account = Account(M2M, auth="tls_client_auth", certificate=certificate, key=key)
    with Secured(tmp_path, "localhost", believes=certificate) as issuer:
        issuer.methods[M2M], issuer.subjects[M2M] = "tls_client_auth", "load-m2m.test"
        assert played(issuer, account, tmp_path / "ca.crt")
        assert set(issuer.proofs) == {"tls_client_auth"}
        issuer.subjects[M2M] = "another.test"
        assert "invalid_client" in refused(issuer, account, tmp_path / "ca.crt")
        issuer.subjects[M2M] = "load-m2m.test"
        wrong = msgspec.structs.replace(account, certificate=stranger, key=its_key)
        assert refused(issuer, wrong, tmp_path / "ca.crt") in ("token: tls", "token: reset")
        none = Account(M2M)
        assert "invalid_client" in refused(issuer, none, tmp_path / "ca.crt")


def test_certificates_go_where_the_issuer_wants_them():
    ends = oidc.Endpoints(
        "i", "https://a/token", "", "", "", "", "", mtls={"token": "https://mtls.a/token"}
    )
    assert ends.of("token", Account("a")) == "https://a/token"
    assert ends.of("token", Account("a", auth="tls_client_auth")) == "https://mtls.a/token"
    assert ends.of("revoke", Account("a", auth="tls_client_auth")) == ""


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


def test_assertions_are_made_ahead_used_once_and_never_old():
    key, clock = ECKey.generate_key("P-256"), Clock()
    stock = Assertions(Account("a", auth="private_key_jwt", key=pem(key)), "https://i/token", clock)
    assert stock.short_of(3) == 3
    for _ in range(3):
        stock.make_one()
    assert stock.short_of(3) == 0
    taken = [stock.take(), stock.take()]
    assert stock.late == 0 and len(set(taken)) == 2
    clock.now_s += ASSERTION_S - SPARE_S + 1
    assert stock.take() not in taken and stock.late == 1  # the third had grown old
    assert stock.short_of(3) == 3


def credentials(tmp_path, method, issuer):
    """The lines of [credentials.m2m] for a method, the issuer told of it."""
    issuer.methods[M2M] = method
    lines = [f'id = "{M2M}"', f'auth = "{method}"']
    if method == "private_key_jwt":
        key = ECKey.generate_key("P-256")
        issuer.keys[M2M] = key
        (tmp_path / "m2m.key.secret").write_text(pem(key))
        lines.append(f'key = "file:{tmp_path}/m2m.key.secret"')
    elif method == "tls_client_auth":
        lines.append(f'key = "file:{tmp_path}/m2m.key.secret"')
        lines.append(f'certificate = "file:{tmp_path}/m2m.crt.secret"')
        issuer.subjects[M2M] = "load-m2m.test"
    else:
        lines.append(f'secret = "file:{tmp_path}/m2m.secret"')
    return "\n".join(lines)


def entered(tmp_path, method):
    """An issuer that takes the method."""
    if method != "tls_client_auth":
        return Issuer()
    certificate, key = identity("load-m2m.test")
    (tmp_path / "m2m.key.secret").write_text(key)
    (tmp_path / "m2m.crt.secret").write_text(certificate)
    return Secured(tmp_path, "localhost", believes=certificate)


def profiled(issuer, tmp_path, method, sender):
    clients = {"m2m": credentials(tmp_path, method, issuer)}
    profile = write_profile(issuer, tmp_path, sender=sender, clients=clients)
    if method != "tls_client_auth":
        return profile
    service = profile.service.model_copy(update={"ca_file": tmp_path / "ca.crt"})
    return profile.model_copy(update={"service": service})


def events(folder, pattern):
    return [e for file in (folder / "events").glob(pattern) for e in read_journal(file).events]


@pytest.mark.parametrize("method", ["client_secret_post", "private_key_jwt", "tls_client_auth"])
def test_load_prober_and_ledger_prove_themselves(tmp_path, method, sender):
    mix = {"client_credentials": 2, "revoke": 1}
    (tmp_path / "events").mkdir()
    with entered(tmp_path, method) as issuer:
        profile = profiled(issuer, tmp_path, method, sender)
        swarm = Swarm(profile, Load(rate_per_s=15, mix=mix), tmp_path, seed=3)
        prober = Prober(profile, tmp_path)
        try:
            swarm.start()
            swarm.wait_flowing()
            prober.start()
            proven = issuer.proofs[method]
            eventually("more of each", lambda: issuer.proofs[method] > proven + 30, 20, 0.1)
        finally:
            swarm.stop()
            prober.stop()
        if sender == "lean":
            with Journal(tmp_path / "ledger.ndjson") as journal:
                Ledger(profile, journal, seed=1, each=1).mint()
    made = [e for e in events(tmp_path, "*.ndjson") if isinstance(e, Request)]
    assert {e.source for e in made} == {"load", "prober", "endpoint"}
    assert not [e for e in made if e.error]
    late = [
        e.value for e in events(tmp_path, "load-*") if isinstance(e, Observation)
        and e.name == "assertions_signed_late"
    ]  # fmt: skip
    flows = sum(e.source == "load" and e.step in ("token", "revoke") for e in made)
    assert max(late, default=0) < flows / 3  # the first ones only, before there were any ready


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        ('auth = "private_key_jwt"', "private_key_jwt needs key"),
        ('auth = "tls_client_auth"\nkey = "env:K"', "tls_client_auth needs certificate"),
        ('auth = "client_secret_post"', "client_secret_post needs secret"),
        ("", "client_secret_basic needs secret"),
        ('auth = "none"\nsecret = "env:S"', "auth"),
        ('auth = "private_key_jwt"\nkey = "-----BEGIN"', "by reference"),
    ],
)
def test_a_client_that_cannot_prove_itself_is_refused(tmp_path, lines, told):
    path = tmp_path / "t.toml"
    path.write_text(
        '[cluster]\ncontext = "none"\n[service]\nbase_url = "https://a.test"\n'
        f'[credentials.m2m]\nid = "a"\n{lines}\n'
    )
    with pytest.raises(UsageError, match=told) as error:
        load_profile(path)
    assert "credentials.m2m" in str(error.value)
