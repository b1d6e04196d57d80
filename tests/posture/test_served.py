"""Chains are seen at the ingress and at each pod, verified or not, on every Python."""

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.posture import served as looking
from acpchaos.posture.served import Place, Tcp, look, served
from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.target.forward import Forward
from acpchaos.target.profile import Profile, load_profile
from tests.posture.building_x509 import Issuer
from tests.posture.tls_server import NOW, TlsServer

NAMESPACE = scene.NAMESPACE


@pytest.fixture
def issuer() -> Issuer:
    return Issuer("a CA", NOW)


@pytest.fixture
def ca_file(issuer: Issuer, tmp_path: Path) -> str:
    (tmp_path / "ca.pem").write_text(issuer.pem)
    return str(tmp_path / "ca.pem")


def place(server: TlsServer, name: str = "acp.acp-system.svc") -> Place:
    return Place("here", name, lambda: Tcp(*server.address))


def test_a_chain_that_verifies(issuer: Issuer, ca_file: str, tmp_path: Path) -> None:
    with TlsServer(tmp_path, issuer) as server:
        found = look(place(server), ca_file)
    assert found.chain == server.chain and found.chain[0] == server.leaf
    assert (found.verified, found.error, found.protocol) == ("", "", "TLSv1.3")
    assert server.asked == ["acp.acp-system.svc"] and server.requests == []


def test_a_wrong_name_is_left_to_the_rules(issuer: Issuer, ca_file: str, tmp_path: Path) -> None:
    with TlsServer(tmp_path, issuer, names=["other.test"]) as server:
        assert look(place(server), ca_file).verified == ""


@pytest.mark.parametrize(
    ("days", "trusted", "why"),
    [(60, False, "self-signed certificate in"), (-1, True, "certificate has expired")],
)
def test_a_chain_that_does_not_verify_is_seen_all_the_same(
    issuer: Issuer, ca_file: str, tmp_path: Path, days: float, trusted: bool, why: str
) -> None:
    with TlsServer(tmp_path, issuer, days=days) as server:
        found = look(place(server), ca_file if trusted else "")
    assert found.chain == server.chain and not found.error
    assert why in found.verified


def test_who_hangs_up_or_is_away_is_told(issuer: Issuer, ca_file: str, tmp_path: Path) -> None:
    with TlsServer(tmp_path, issuer, silent=True) as server:
        found = look(place(server), ca_file)
        assert not found.chain and found.error
    away = look(place(server), ca_file)
    assert not away.chain and "refused" in away.error


def test_plain_http_is_no_certificate(ca_file: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.listen()

        def dial() -> Tcp:
            stream = Tcp(*listener.getsockname())
            plain, _ = listener.accept()
            plain.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return stream

        found = look(Place("here", "a.test", dial), ca_file)
    assert not found.chain and "WRONG_VERSION" in found.error.upper().replace(" ", "_")


class _Old:
    """What Python 3.12 has: nothing public, the chain or only the leaf below."""

    def __init__(self, tls: ssl.SSLObject, *, below: bool) -> None:
        self._tls = tls
        if below:
            self._sslobj = tls._sslobj  # type: ignore[attr-defined]

    def getpeercert(self, binary_form: bool) -> Any:
        return self._tls.getpeercert(binary_form=binary_form)


@pytest.mark.parametrize(("below", "length"), [(True, 2), (False, 1)])
def test_older_pythons_tell_what_they_have(
    issuer: Issuer, ca_file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    below: bool, length: int,
) -> None:  # fmt: skip
    newest = looking._chain
    monkeypatch.setattr(looking, "_chain", lambda tls: newest(_Old(tls, below=below)))
    with TlsServer(tmp_path, issuer) as server:
        assert look(place(server), ca_file).chain == server.chain[:length]


# through the API server


@pytest.fixture
def cluster(api: FakeApi, tmp_path: Path) -> Cluster:
    return Cluster.from_profile(load_profile(scene.write_profile(api, tmp_path)))


def profile_of(api: FakeApi, folder: Path, base_url: str, ca_file: str) -> Profile:
    path = scene.write_profile(api, folder)
    text = path.read_text().replace("https://localhost:8443", base_url)
    path.write_text(text.replace("[service]", f'[service]\nca_file = "{ca_file}"'))
    return load_profile(path)


def pods(api: FakeApi, name: str) -> list[str]:
    """Names of a workload's pods, all running."""
    with api.store.lock:
        api.store.reconcile()
        found = api.store.items("pods", NAMESPACE, f"app.kubernetes.io/name={name}", "")
        for pod in found:
            pod["status"] = {"phase": "Running"}
        return [pod["metadata"]["name"] for pod in found]


def test_ingress_and_every_pod_are_seen(
    api: FakeApi, issuer: Issuer, ca_file: str, tmp_path: Path
) -> None:
    with TlsServer(tmp_path, issuer) as server:
        profile = profile_of(api, tmp_path, f"https://localhost:{server.address[1]}", ca_file)
        cluster = Cluster.from_profile(profile)
        main, workers = pods(api, "acp"), pods(api, "acp-workers")
        api.listening = {(pod, 8443): server.address for pod in [*main[1:], *workers]}
        api.store.get(("pods", NAMESPACE, workers[0]))["status"] = {"phase": "Pending"}
        found, unread = served(cluster, profile)
    seen = {each.where: each for each in found}
    assert not unread and len(seen) == 7
    assert seen[f"ingress {profile.service.base_url}"].chain == server.chain
    for pod in [*main[1:], *workers[1:]]:
        one = seen[f"pod {NAMESPACE}/{pod}:8443"]
        assert (one.chain, one.verified, one.error) == (server.chain, "", "")
    assert "connection refused by the pod" in seen[f"pod {NAMESPACE}/{main[0]}:8443"].error
    assert "Pending" in seen[f"pod {NAMESPACE}/{workers[0]}:8443"].error
    assert set(server.asked) == {
        "localhost", "acp.acp-system.svc", "acp-workers.acp-system.svc",
    }  # fmt: skip


def test_pods_that_may_not_be_listed_are_told(api: FakeApi, ca_file: str, tmp_path: Path) -> None:
    api.store.forbidden = [r"GET .*/pods$"]
    profile = profile_of(api, tmp_path, "http://localhost:1", ca_file)
    found, unread = served(Cluster.from_profile(profile), profile)
    assert [each.error for each in found] == ["base_url of the profile is not https"]
    assert "403" in unread["served pod"]


def test_a_forward_that_is_forbidden_is_told(
    api: FakeApi, cluster: Cluster, ca_file: str, tmp_path: Path
) -> None:
    pod = pods(api, "acp")[0]
    api.store.forbidden = [r"portforward$"]
    with pytest.raises(ApiRefused) as caught:
        Forward(cluster, NAMESPACE, pod, 8443, timeout_s=2)
    assert caught.value.status == 403


def test_a_forward_carries_bytes_both_ways(api: FakeApi, cluster: Cluster) -> None:
    pod = pods(api, "acp")[0]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        api.listening = {(pod, 8443): listener.getsockname()}
        with Forward(cluster, NAMESPACE, pod, 8443, timeout_s=5) as forward:
            plain, _ = listener.accept()
            forward.send(b"x" * 70_000)
            got = b""
            while len(got) < 70_000:
                got += plain.recv(65536)
            assert got == b"x" * 70_000
            plain.sendall(b"answer")
            assert forward.receive() == b"answer"
            plain.close()
            assert forward.receive() == b""
