"""Network probes over the fake API server: each outcome seen both ways, and every missing control
leaves `unknown`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.posture.probes import attempts, network, scratch
from acpchaos.posture.probes.scratch import LABEL, Scratch
from acpchaos.record.snapshot import Probe
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import Profile

from .building_target import FAAS, Network, profile_of, quiet


@pytest.fixture(autouse=True)
def _fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempts, "BETWEEN_S", 0.0)
    monkeypatch.setattr(network, "CONTROL_S", 0.3)
    monkeypatch.setattr(network, "DENY_S", 0.3)
    monkeypatch.setattr(scratch, "START_S", 0.6)
    monkeypatch.setattr(scratch, "LOOK_S", 0.05)


class Lab:
    """One run of the probes over a network that a test may break first."""

    def __init__(self, api: FakeApi, folder: Path, **lines: str) -> None:
        self.api, self.lines, self.folder = api, lines, folder

    def run(self, net: Network, **lines: str) -> dict[str, Probe]:
        given = {"image": "probe:1", "outside": "198.51.100.7:443"} | lines
        self.profile: Profile = profile_of(self.api, self.folder, **given)
        cluster = Cluster.from_profile(self.profile)
        made = Scratch(cluster, self.profile, "test")
        made.open()
        try:
            return network.run(cluster, self.profile, made, quiet)
        finally:
            self.pods = [i for k, i in self.api.store.objects.items() if k[0] == "pods"]
            made.close()


@pytest.fixture
def lab(api: FakeApi, tmp_path: Path) -> Iterator[Lab]:
    yield Lab(api, tmp_path)


def outcomes(probes: dict[str, Probe], prefix: str = "") -> dict[str, str]:
    return {name: probe.outcome for name, probe in probes.items() if name.startswith(prefix)}


def test_a_hardened_installation(lab: Lab, api: FakeApi) -> None:
    probes = lab.run(Network(api, faas=True))
    assert outcomes(probes) == {
        "cni control": "open", "cni deny": "blocked",
        "foreign acp:8443": "blocked", "foreign acp:9000": "blocked", "foreign acp:9443": "blocked",
        "foreign redis:6379": "blocked", "foreign redis:16379": "blocked",
        "foreign sql:5432": "blocked", "foreign sql:8008": "blocked",
        "foreign analytics:5432": "blocked",
        "acp egress redis": "open", "acp egress sql": "open", "acp egress analytics": "open",
        "acp egress unlisted": "blocked", "acp egress kube-api": "blocked",
        "acp egress metadata": "blocked",
        "faas egress outside": "open", "faas egress kube-api": "blocked",
        "faas egress acp": "blocked", "faas egress redis": "blocked",
        "faas egress node": "blocked", "faas egress metadata": "blocked",
    }  # fmt: skip


def test_a_network_that_ignores_policies_is_open_everywhere(lab: Lab, api: FakeApi) -> None:
    net = Network(api)
    net.enforces = False
    found = outcomes(lab.run(net))
    assert found.pop("acp egress metadata") == "blocked"  # nothing is there at all
    assert set(found.values()) == {"open"}


@pytest.mark.parametrize(
    ("hole", "probe"),
    [
        (("client", "acp"), "foreign acp:8443"),
        (("client", "acp-workers"), "foreign acp:9000"),
        (("client", "postgresql"), "foreign sql:8008"),
        (("acp", "client"), "acp egress unlisted"),
        (("acp", "outside"), "acp egress unlisted"),
        (("workers", "api"), "acp egress kube-api"),
        (("acp", "metadata"), "acp egress metadata"),
        (("faas", "node"), "faas egress node"),
        (("faas", "redis-cluster"), "faas egress redis"),
        (("faas", "acp"), "faas egress acp"),
    ],
)
def test_each_hole_opens_its_probe(
    lab: Lab, api: FakeApi, hole: tuple[str, str], probe: str
) -> None:
    net = Network(api, faas=True)
    net.holes.add(hole)
    found = lab.run(net)
    assert found[probe].outcome == "open", found[probe]
    whole = [name for name, each in found.items() if each.outcome == "open"]
    expected = {"cni control", "faas egress outside", "acp egress redis", "acp egress sql",
                "acp egress analytics"}  # fmt: skip
    same_way = {n for n in found if n.split(":")[0] == probe.split(":")[0]}
    assert set(whole) - expected <= same_way


def test_a_closed_port_that_answers_is_open_to_the_network(lab: Lab, api: FakeApi) -> None:
    net = Network(api)
    net.holes.add(("client", "acp"))  # 9443 is declared, but nobody listens
    probe = lab.run(net)["foreign acp:9443"]
    assert (probe.outcome, "refused" in probe.saw) == ("open", True)


def test_policies_that_answer_with_a_reset_make_a_reset_no_proof(lab: Lab, api: FakeApi) -> None:
    net = Network(api)
    net.denies_as = "refused"
    found = lab.run(net)
    assert found["cni deny"].outcome == "blocked"  # this port was seen to listen
    assert found["foreign acp:8443"].outcome == "unknown"
    assert found["acp egress redis"].outcome == "open"


@pytest.mark.parametrize("unheeded", ["client", "server"])
def test_a_policy_enforced_one_way_only_is_open(lab: Lab, api: FakeApi, unheeded: str) -> None:
    net = Network(api)
    net.unheeded.add(unheeded)
    probe = lab.run(net)["cni deny"]
    assert probe.outcome == "open" and "open" in probe.saw and "rejected" in probe.saw


def test_policies_that_drop(lab: Lab, api: FakeApi) -> None:
    net = Network(api)
    net.denies_as = "timeout"
    found = lab.run(net)
    assert found["cni deny"].outcome == found["foreign redis:6379"].outcome == "blocked"


def test_a_pair_that_never_met_proves_nothing(lab: Lab, api: FakeApi) -> None:
    net = Network(api)
    net.pair_works = False
    assert set(outcomes(lab.run(net)).values()) == {"unknown"}


def test_something_that_answers_in_between_proves_nothing(lab: Lab, api: FakeApi) -> None:
    net = Network(api)
    net.closed_as = "open"
    found = lab.run(net)
    assert set(outcomes(found, "foreign").values()) == {"unknown"}
    assert "in between" in found["foreign acp:8443"].saw


def test_a_stand_in_without_any_way_out_proves_nothing(lab: Lab, api: FakeApi) -> None:
    net = Network(api)
    for store in ("redis-cluster", "postgresql", "timescaledb"):
        net.closed_ways.add(("workers", store))
    found = lab.run(net)
    assert found["acp egress unlisted"].outcome == "unknown"
    assert found["foreign acp:8443"].outcome == "blocked"


def test_a_pod_that_cannot_be_asked_leaves_its_own_probes_only(lab: Lab, api: FakeApi) -> None:
    net = Network(api, faas=True)
    net.broken.add("acp")
    found = lab.run(net)
    assert set(outcomes(found, "acp egress").values()) == {"unknown"}
    assert "probes.image" not in found["faas egress acp"].saw
    assert found["faas egress acp"].outcome == "blocked"


def test_an_outside_that_nobody_reaches_is_no_control(lab: Lab, api: FakeApi) -> None:
    net = Network(api, faas=True)
    net.closed_ways |= {("client", "outside"), ("faas", "outside")}
    found = lab.run(net)
    assert found["faas egress outside"].outcome == "unknown"
    assert found["faas egress redis"].outcome == "unknown"  # the stand-in reached nothing


def test_functions_kept_from_the_outside(lab: Lab, api: FakeApi) -> None:
    net = Network(api, faas=True)
    net.closed_ways.add(("faas", "outside"))
    net.holes.add(("faas", "api"))
    assert lab.run(net)["faas egress outside"].outcome == "blocked"


def test_a_private_outside_that_nobody_chose_may_be_refused(lab: Lab, api: FakeApi) -> None:
    net = Network(api, faas=True)
    net.closed_ways.add(("faas", "outside"))
    net.holes.add(("faas", "api"))
    probe = lab.run(net, outside="")["faas egress outside"]
    assert (probe.outcome, "probes.outside" in probe.saw) == ("unknown", True)


@pytest.mark.parametrize("given", ["no-such-host.invalid:443", "192.0.2.1"])
def test_an_outside_that_is_none_is_told(lab: Lab, api: FakeApi, given: str) -> None:
    probe = lab.run(Network(api, faas=True), outside=given)["faas egress outside"]
    assert (probe.outcome, f"probes.outside, {given}, is no address" in probe.saw) == (
        "unknown", True,
    )  # fmt: skip


def test_without_functions_nothing_is_asked_for_them(lab: Lab, api: FakeApi) -> None:
    assert outcomes(lab.run(Network(api)), "faas") == {}


def test_the_image_is_that_of_the_analytics_store_where_it_runs(lab: Lab, api: FakeApi) -> None:
    lab.run(Network(api), image="")
    client = next(pod for pod in lab.pods if pod["metadata"]["name"] == "client")
    assert client["spec"]["containers"][0]["image"] == "timescaledb:1"
    terms = client["spec"]["affinity"]["nodeAffinity"]
    assert len(terms["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]) == 3


def test_stand_ins_have_the_labels_but_no_hash_and_are_never_ready(lab: Lab, api: FakeApi) -> None:
    lab.run(Network(api, faas=True))
    made = {
        pod["metadata"]["name"]: pod
        for pod in lab.pods
        if LABEL in pod["metadata"].get("labels", {})
    }
    acp = made["acpchaos-posture-acp-test"]
    assert acp["metadata"]["namespace"] == scene.NAMESPACE
    assert acp["metadata"]["labels"] == {**scene.labels("acp"), LABEL: "test"}
    assert acp["spec"]["readinessGates"] and "ports" not in acp["spec"]["containers"][0]
    assert made["acpchaos-posture-faas-test"]["metadata"]["namespace"] == FAAS
    assert "readinessGates" not in made["client"]["spec"]


def test_no_stand_in_where_a_service_publishes_pods_that_are_not_ready(
    lab: Lab, api: FakeApi
) -> None:
    spec = {"selector": scene.labels("acp"), "publishNotReadyAddresses": True, "ports": []}
    meta = {"name": "acp", "namespace": scene.NAMESPACE}
    api.store.put("services", {"metadata": meta, "spec": spec})
    found = lab.run(Network(api))
    assert set(outcomes(found, "acp egress").values()) == {"unknown"}
    assert "not ready" in found["acp egress redis"].saw
    assert not [p for p in lab.pods if p["metadata"]["name"].startswith("acpchaos-posture-acp")]


def test_no_stand_in_where_a_controller_would_adopt_it(lab: Lab, api: FakeApi) -> None:
    spec = {"selector": {"matchLabels": scene.labels("acp")}}
    meta = {"name": "bare", "namespace": scene.NAMESPACE}
    api.store.put("replicasets", {"metadata": meta, "spec": spec})
    assert "adopt" in lab.run(Network(api))["acp egress redis"].saw


def test_pods_that_cannot_be_made_say_so(lab: Lab, api: FakeApi) -> None:
    api.store.forbidden.append(r"POST /api/v1/namespaces/acpchaos-posture-test/pods")
    found = lab.run(Network(api))
    assert set(outcomes(found).values()) == {"unknown"}
    assert "forbidden" in found["cni control"].saw


def test_a_cluster_that_cannot_be_read_says_so(lab: Lab, api: FakeApi) -> None:
    net = Network(api)
    api.store.forbidden.append(r"GET /api/v1/nodes$")
    assert lab.run(net)["cni deny"].outcome == "unknown"
