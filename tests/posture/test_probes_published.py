"""Ports of ACP and its stores as they answer outside of the cluster."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.posture.probes import attempts, published
from acpchaos.posture.probes.attempts import Attempt, Place
from acpchaos.record.snapshot import Probe
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import Profile

from .building_target import Network, profile_of

NODES = {"10.9.0.97", "10.9.0.98", "10.9.0.99", "10.9.0.101"}
# ACP's without its own 8443, and what pods of the stores in the scene declare
PORTS = {9443, 9000, 8080, 8008, 5432, 6379, 16379}


class Lab:
    """The scene, and what answers outside: `words` by (host, port), all else is refused."""

    def __init__(self, api: FakeApi, profile: Profile) -> None:
        Network(api)
        self.api, self.profile = api, profile
        self.words: dict[tuple[str, int], str] = {}
        self.otherwise = "refused"
        self.tried: set[tuple[str, int]] = set()

    def from_here(self, tried: list[Place]) -> list[Attempt]:
        self.tried |= {(each.host, each.port) for each in tried}
        return [Attempt(p, self.words.get((p.host, p.port), self.otherwise)) for p in tried]

    def run(self, base_url: str = "https://127.0.0.1:1") -> dict[str, Probe]:
        where = self.profile.service.model_copy(update={"base_url": base_url})
        profile = self.profile.model_copy(update={"service": where})
        return published.run(Cluster.from_profile(profile), profile)

    def put(self, plural: str, status: object, **spec: object) -> None:
        meta = {"name": "way-in", "namespace": scene.NAMESPACE}
        found = {"metadata": meta, "spec": spec, "status": {"loadBalancer": status}}
        self.api.store.put(plural, found)


@pytest.fixture
def lab(api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab(api, profile_of(api, tmp_path))
    monkeypatch.setattr(attempts, "BETWEEN_S", 0.0)
    monkeypatch.setattr(published, "from_here", made.from_here)
    return made


def test_every_port_is_tried_at_every_node_and_none_is_published(lab: Lab) -> None:
    found = lab.run()
    assert {each.outcome for each in found.values()} == {"blocked"}
    assert set(found) == {f"outside port {port}" for port in PORTS}
    assert lab.tried == {(host, port) for host in NODES for port in (*PORTS, published.CLOSED)}


@pytest.mark.parametrize("port", sorted(PORTS))
def test_a_port_that_answers_at_one_node_is_open(lab: Lab, port: int) -> None:
    lab.words["10.9.0.98", port] = "open"
    found = lab.run()
    assert {name for name, each in found.items() if each.outcome == "open"} == {
        f"outside port {port}"
    }
    assert found[f"outside port {port}"].saw == f"worker-b 10.9.0.98:{port} open"


@pytest.mark.parametrize(
    "publish",
    [
        lambda lab: lab.put("services", {"ingress": [{"ip": "192.0.2.1"}]}),
        lambda lab: lab.put("ingresses", {"ingress": [{"hostname": "192.0.2.1"}]}),
        lambda lab: lab.put("services", {}, externalIPs=["192.0.2.1"]),
    ],
)
def test_a_load_balancer_counts(lab: Lab, publish: Callable[[Lab], None]) -> None:
    publish(lab)
    lab.words["192.0.2.1", 9000] = "open"
    found = lab.run()
    assert found["outside port 9000"].outcome == "open"
    assert "way-in 192.0.2.1:9000 open" in found["outside port 9000"].saw


def test_the_host_of_base_url_counts(lab: Lab) -> None:
    lab.words["192.0.2.1", 9443] = "open"
    assert lab.run("https://192.0.2.1:9443")["outside port 9443"].outcome == "open"


def test_silence_is_a_proof_only_beside_a_way_that_is_known_to_work(lab: Lab) -> None:
    lab.otherwise = "timeout"
    far = lab.run()["outside port 9000"]
    assert far.outcome == "unknown" and "reaches no address" in far.saw
    # the rule asks for the way through the ingress, which leads by this address
    assert lab.run("https://192.0.2.1")["outside port 9000"].outcome == "blocked"


def test_something_in_between_that_always_answers_makes_an_answer_no_proof(lab: Lab) -> None:
    lab.otherwise = "open"
    assert {each.outcome for each in lab.run().values()} == {"unknown"}


@pytest.mark.parametrize("word", ["EPERM", "unsteady"])
def test_an_odd_end_proves_nothing(lab: Lab, word: str) -> None:
    lab.words["10.9.0.97", 8080] = word
    found = lab.run()
    assert found["outside port 8080"].outcome == "unknown"
    assert found["outside port 9000"].outcome == "blocked"


def test_without_an_address_nothing_is_proven(lab: Lab) -> None:
    with lab.api.store.lock:
        for (plural, _, _), item in lab.api.store.objects.items():
            if plural == "nodes":
                item["status"]["addresses"] = []
    found = lab.run("https://no-such-host.invalid")
    assert "no address of the cluster but its own" in found["outside port 9000"].saw
    assert lab.tried == set()


def test_what_may_not_be_read_is_told(lab: Lab) -> None:
    lab.api.store.forbidden.append("GET /api/v1/nodes")
    assert {each.outcome for each in lab.run().values()} == {"unknown"}


def test_ports_of_this_machine_are_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and does not listen
        places = [Place("x", "127.0.0.1", each.getsockname()[1]) for each in (server, closed)]
        assert [each.word for each in published.from_here(places)] == ["open", "refused"]
