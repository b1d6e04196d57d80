"""Stores lost and found: the properties the suites attack, on real Redis and PostgreSQL.

The Redis tests take a cluster of their own, so that the other tests keep theirs.
"""

from __future__ import annotations

import signal
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from acpchaos.wait import eventually

from .conftest import SYSTEM_SECRET, Lab, self_signed
from .flows import browser, call, client, introspect, login, m2m, to_callback
from .machines import Acp, Redises


@pytest.fixture(scope="module")
def doomed(lab: Lab) -> Iterator[Redises]:
    """A Redis Cluster that may be broken."""
    folder = lab.folder / "doomed"
    folder.mkdir()
    redises = Redises(folder, lab.redis.password)
    try:
        redises.create()
        yield redises
    finally:
        redises.destroy()


@pytest.fixture(scope="module")
def server(lab: Lab, doomed: Redises) -> Iterator[Acp]:
    """A server on the doomed cluster."""
    layer = {"redis": {"addrs": [f"127.0.0.1:{port}" for port in doomed.ports]}}
    acp = lab.seeded("doomed", layer)
    acp.start()
    yield acp
    acp.stop()


def refused_fast(url: str) -> requests.Response:
    """A token request during the outage: 503 JSON within two seconds."""
    begin = time.monotonic()
    answer = m2m(url)
    assert time.monotonic() - begin < 2
    assert answer.status_code == 503, answer.text
    assert answer.json()["error"] == "temporarily_unavailable"
    return answer


def works(url: str) -> bool:
    """Whether a token can be had and is active."""
    answer = m2m(url)
    return answer.ok and introspect(url, answer.json()["access_token"]).json()["active"]


def test_frozen_redis_gives_fast_503_and_comes_back(server: Acp, doomed: Redises) -> None:
    url = f"{server.url}/acme/main"
    token = m2m(url).json()["access_token"]
    doomed.signal(signal.SIGSTOP)
    try:
        refused_fast(url)
        silent = introspect(url, token)
        assert silent.status_code == 503, "unreachable must never read as inactive"
        assert call("GET", server.url + "/alive").status_code == 200
        assert call("GET", url + "/.well-known/jwks.json").json()["keys"]
    finally:
        doomed.signal(signal.SIGCONT)
    eventually("tokens again", lambda: works(url), 20, 0.2)
    assert introspect(url, token).json()["active"] is True


def test_a_busy_cluster_keeps_its_connections(server: Acp, doomed: Redises) -> None:
    """A command that came too late is no loss: new connections would keep a busy cluster busy."""
    url = f"{server.url}/acme/main"
    eventually("tokens", lambda: works(url), 20, 0.2)
    before = server.metric("acp_redis_reconnect_total")
    doomed.signal(signal.SIGSTOP)
    try:
        refused_fast(url)  # the whole budget of a command, so the check that follows begins late
    finally:
        doomed.signal(signal.SIGCONT)
    eventually("tokens again", lambda: works(url), 20, 0.2)
    assert server.metric("acp_redis_reconnect_total") == before


def test_new_cluster_behind_the_same_name_is_found(lab: Lab, server: Acp, doomed: Redises) -> None:
    """Every node is killed and replaced on ports that no node had before.

    On loopback one address cannot move, so the seeds name a port range: the old ports and, as a
    service name would, the ports of the cluster to come.
    """
    del server
    folder = lab.folder / "replaced"
    folder.mkdir()
    before, after = doomed, Redises(folder, lab.redis.password)
    future = 26000 + lab.made
    layer = {"redis": {"addrs": [f"127.0.0.1:{p}" for p in (before.ports[0], future)]}}
    acp = lab.acp("doomed", layer)
    acp.start()
    url = f"{acp.url}/acme/main"
    try:
        old = login(url)[0]
        keys = call("GET", url + "/.well-known/jwks.json").json()
        before.destroy()
        refused_fast(url)
        after.create(first_port=future)
        assert not set(after.ports) & set(before.ports)
        eventually("tokens from the new cluster", lambda: works(url), 20, 0.2)
        assert introspect(url, old["access_token"]).json() == {"active": False}
        assert call("GET", url + "/.well-known/jwks.json").json() == keys
        form = {"grant_type": "refresh_token", "refresh_token": old["refresh_token"]}
        lost = call("POST", url + "/oauth2/token", auth=("web", "web-secret"), data=form)
        assert (lost.status_code, lost.json()["error"]) == (400, "invalid_grant")
        assert login(url)[0]["id_token"]
    finally:
        acp.stop()
        after.destroy()


def test_starts_without_redis_and_serves_keys(lab: Lab) -> None:
    acp = lab.seeded("alone", {"redis": {"addrs": ["127.0.0.1:1"]}})
    acp.start()
    try:
        url = f"{acp.url}/acme/main"
        assert call("GET", url + "/.well-known/jwks.json").json()["keys"]
        refused_fast(url)
    finally:
        assert acp.stop() == 0


def test_a_broken_certificate_ends_the_start_instead_of_hanging(lab: Lab) -> None:
    pair = {name: lab.folder / f"broken.{name}" for name in ("crt", "key")}
    for path in pair.values():
        path.write_text("-----BEGIN CERTIFICATE----------BEGIN CERTIFICATE-----\n")
    certificate = {"cert_path": str(pair["crt"]), "key_path": str(pair["key"])}
    done = lab.seeded("broken", {"server": {"certificate": certificate}}).command("server", "start")
    assert done.returncode == 1
    assert str(pair["crt"]) in done.stderr
    assert "matching pair" in done.stderr


def test_a_renewed_certificate_is_served_on_every_port_without_a_restart(lab: Lab) -> None:
    folder = lab.folder / "renewed"
    folder.mkdir()
    paths = dict(self_signed(folder)["certificate"])  # type: ignore[call-overload]
    acp = lab.seeded("renewed", {"server": {"certificate": paths}},
                  {"standin": {"reload_certificate_s": 0.2}})  # fmt: skip

    def served() -> set[str]:
        ports = (acp.port, acp.grpc_port)
        return {ssl.get_server_certificate(("127.0.0.1", port)).strip() for port in ports}

    acp.start()
    try:
        former = Path(paths["cert_path"]).read_text().strip()
        assert served() == {former}
        for key in (ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)):
            self_signed(folder, key)
            renewed = Path(paths["cert_path"]).read_text().strip()
            assert renewed != former
            eventually("every port to serve the renewed", lambda: served() == {renewed}, 20, 0.2)  # noqa: B023
        assert call("GET", acp.url + "/alive").status_code == 200
    finally:
        assert acp.stop() == 0


def test_bad_sql_refuses_to_start_and_says_why(lab: Lab) -> None:
    acp = lab.acp("acp", {"sql": {"url": "postgres://postgres@127.0.0.1:1/acp"}})
    done = acp.command("server", "start")
    assert done.returncode == 1
    assert "connect to SQL" in done.stderr
    assert "sql.url" in done.stderr


def test_missing_schema_refuses_when_migrations_are_off(lab: Lab) -> None:
    lab.postgres.run("postgres", "CREATE DATABASE bare")
    acp = lab.acp("bare")
    refused = acp.command("server", "start", SQL_MIGRATIONS_DISABLE="true")
    assert refused.returncode == 1
    assert "sql migrate" in refused.stderr
    assert acp.command("sql", "migrate").returncode == 0
    acp.start(SQL_MIGRATIONS_DISABLE="true")
    assert acp.stop() == 0


def test_wrong_data_key_locks_clients_out_but_not_the_system(lab: Lab, acp: Acp) -> None:
    del acp
    other = lab.acp("acp", {"secrets": [{"id": "other", "key": "1" * 32}]})
    other.start()
    try:
        answer = m2m(f"{other.url}/acme/main")
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert "cannot authenticate" in other.log_path.read_text()
        system = {"auth": ("system", SYSTEM_SECRET), "data": {"grant_type": "client_credentials"}}
        answer = call("POST", f"{other.url}/system/system/oauth2/token", **system)
        assert answer.status_code == 200
    finally:
        other.stop()


def test_rotated_data_keys_open_old_secrets(lab: Lab, acp: Acp) -> None:
    del acp
    keys = [{"id": "new", "key": "2" * 32}, {"id": "one", "key": "0" * 32}]
    other = lab.acp("acp", {"secrets": keys})
    other.start()
    try:
        assert m2m(f"{other.url}/acme/main").status_code == 200
    finally:
        other.stop()


def test_audit_events_reach_sql_also_after_the_stream_was_wiped(lab: Lab, acp: Acp) -> None:
    url = f"{acp.url}/acme/main"

    def stored() -> int:
        count = lab.postgres.run(
            "acp", "SELECT count(*) FROM audit_events WHERE action LIKE 'token.issued%'"
        )[0][0]
        assert isinstance(count, int)
        return count

    m2m(url)
    first = eventually("an audit event in SQL", lambda: stored() or None, 10, 0.1)
    wipe(lab)
    assert m2m(url).status_code == 200
    eventually("audit goes on after the wipe", lambda: stored() > first, 10, 0.1)


def wipe(lab: Lab) -> None:
    """FLUSHALL on every master."""
    for port in lab.redis.ports:
        node = lab.redis.node(port)
        if node.role()[0] == b"master":
            node.flushall()


@pytest.mark.parametrize("when", ["on-demand", "start"])
def test_search_finds_all_sessions_until_its_index_is_lost(lab: Lab, acp: Acp, when: str) -> None:
    del acp
    layer = {"redis": {"redis_search": True}, "standin": {"search_indexes": when}}

    def sessions(url: str, one: requests.Session) -> requests.Response:
        return one.get(f"{url}/sso/sessions", timeout=2)

    def logged_in(url: str, user: str) -> requests.Session:
        one = browser()
        asked, _ = client(url).create_authorization_url(
            url + "/oauth2/authorize", code_verifier="v" * 43
        )
        to_callback(one, asked, user)
        return one

    first = second = lab.acp("acp", layer)
    first.start()
    try:
        url = f"{first.url}/acme/main"
        wipe(lab)
        lost = sessions(url, logged_in(url, "user-1"))
        assert lost.status_code == (200 if when == "on-demand" else 503)
        second = lab.acp("acp", layer)
        second.start()  # at its start the index is defined, and reads what is there
        one, other, foreign = (logged_in(url, user) for user in ("user-1", "user-1", "user-2"))
        assert {each["sub"] for each in sessions(url, one).json()["sessions"]} == {"user-1"}
        assert len(sessions(url, one).json()["sessions"]) == 3
        assert len(sessions(url, foreign).json()["sessions"]) == 1
        other.get(f"{url}/oidc/logout", timeout=2)
        assert len(sessions(url, one).json()["sessions"]) == 2
        wipe(lab)
        assert sessions(url, one).status_code == 401  # log in again, never a 5xx
    finally:
        first.stop()
        second.stop()


@pytest.mark.parametrize("store", ["redis", "sql"])
def test_switches_decide_what_a_wipe_takes(lab: Lab, acp: Acp, store: str) -> None:
    """JWTs checked by signature; marks and refresh tokens in the store under test."""
    del acp
    chosen = {"jwt_introspection": "signature", "refresh_tokens": store, "revocations": store}
    other = lab.acp("acp", {"standin": chosen})
    other.start()
    try:
        url = f"{other.url}/acme/main"
        kept, revoked = (m2m(url).json()["access_token"] for _ in range(2))
        data = {"token": revoked}
        call("POST", url + "/oauth2/revoke", auth=("m2m", "m2m-secret"), data=data)
        assert introspect(url, revoked).json() == {"active": False}
        refresh = login(url)[0]["refresh_token"]
        wipe(lab)
        assert introspect(url, kept).json()["active"] is True
        # The danger the documentation is silent about: marks in Redis die with it.
        assert introspect(url, revoked).json()["active"] is (store == "redis")
        form = {"grant_type": "refresh_token", "refresh_token": refresh}
        again = call("POST", url + "/oauth2/token", auth=("web", "web-secret"), data=form)
        assert again.status_code == (400 if store == "redis" else 200)
    finally:
        other.stop()


def test_alive_may_depend_on_redis(lab: Lab) -> None:
    layer = {"redis": {"addrs": ["127.0.0.1:1"]}, "standin": {"alive_depends_on": ["redis"]}}
    acp = lab.seeded("needy", layer)
    acp.start(alive=503)
    assert acp.stop() == 0


def test_system_secret_comes_from_configuration(acp: Acp) -> None:
    data = {"grant_type": "client_credentials"}
    url = f"{acp.url}/system/system/oauth2/token"
    assert call("POST", url, auth=("system", SYSTEM_SECRET), data=data).status_code == 200
    assert call("POST", url, auth=("system", "mysecret"), data=data).status_code == 401


def test_process_list_shows_no_secret(acp: Acp) -> None:
    assert acp.process
    shown = Path(f"/proc/{acp.process.pid}/cmdline").read_bytes().decode()
    assert SYSTEM_SECRET not in shown
