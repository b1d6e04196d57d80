"""What the cluster is asked to be, which port it gets, and what podman is told about this
machine.
"""

import json
import socket
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import kindconfig, podman, profile, up
from lab.cluster import free_port
from lab.images.apps import STANDIN
from lab.paths import State
from lab.up import lack_of


def rendered(tmp_path: Path, size: str = "default") -> dict[str, Any]:
    document: dict[str, Any] = kindconfig.render(
        size=size, ingress_port=8443, control_plane_files=tmp_path
    )
    return yaml.safe_load(yaml.safe_dump(document))


def test_three_workers_in_three_zones_and_no_zone_for_the_control_plane(tmp_path: Path) -> None:
    nodes = rendered(tmp_path)["nodes"]
    zones = [node.get("labels", {}).get("topology.kubernetes.io/zone") for node in nodes]
    assert [node["role"] for node in nodes] == ["control-plane", "worker", "worker", "worker"]
    assert zones == [None, "zone-a", "zone-b", "zone-c"]


def test_full_size_has_three_control_planes_and_one_ingress(tmp_path: Path) -> None:
    nodes = rendered(tmp_path, "full")["nodes"]
    assert [node["role"] for node in nodes].count("control-plane") == 3
    assert sum("extraPortMappings" in node for node in nodes) == 1


@pytest.mark.parametrize(("size", "count"), [("default", 4), ("full", 7)])
def test_node_containers_of_a_size(tmp_path: Path, size: str, count: int) -> None:
    balancer = size == "full"
    assert kindconfig.node_count(size) == len(rendered(tmp_path, size)["nodes"]) + balancer == count


def test_ingress_is_published_on_loopback_only(tmp_path: Path) -> None:
    (mapping,) = rendered(tmp_path)["nodes"][0]["extraPortMappings"]
    assert mapping["listenAddress"] == "127.0.0.1"
    assert (mapping["containerPort"], mapping["hostPort"]) == (8443, 8443)


def test_the_api_server_audits_and_encrypts(tmp_path: Path) -> None:
    patches = [yaml.safe_load(text) for text in rendered(tmp_path)["kubeadmConfigPatches"]]
    server = next(p for p in patches if p["kind"] == "ClusterConfiguration")["apiServer"]
    names = {argument["name"] for argument in server["extraArgs"]}
    assert {"audit-log-path", "audit-policy-file", "encryption-provider-config"} <= names
    kindconfig.write_control_plane_files(tmp_path)
    encryption = yaml.safe_load((tmp_path / "encryption.yaml").read_text())
    assert "secretbox" in encryption["resources"][0]["providers"][0]
    assert (tmp_path / "encryption.yaml").stat().st_mode & 0o077 == 0


def test_who_holds_the_target_and_what_our_accounts_ask_is_audited(tmp_path: Path) -> None:
    kindconfig.write_control_plane_files(tmp_path)
    rules = yaml.safe_load((tmp_path / "audit-policy.yaml").read_text())["rules"]
    own, held, leases = rules[:3]  # the first rule that matches is the one that counts
    assert "system:serviceaccount:acpchaos:acpchaos-reaper" in own["users"]
    assert own["level"] == held["level"] == "Metadata" and "verbs" not in own
    assert held["namespaces"] == ["acp-system"] and "get" not in held["verbs"]
    assert leases["level"] == "None" and leases["resources"] == held["resources"]


def test_the_encryption_key_is_kept(tmp_path: Path) -> None:
    kindconfig.write_control_plane_files(tmp_path)
    first = (tmp_path / "encryption.yaml").read_text()
    kindconfig.write_control_plane_files(tmp_path)
    assert (tmp_path / "encryption.yaml").read_text() == first


def test_a_port_in_use_is_not_chosen() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert free_port(port) != port
    assert free_port(port) == port


@pytest.mark.parametrize(
    ("capabilities", "may"), [("000001ffffffffff", True), ("000001fffeffffff", False)]
)
def test_the_right_to_raise_limits_is_read_from_the_kernel(capabilities: str, may: bool) -> None:
    assert podman.may_raise_limits(f"Name:\tx\nCapEff:\t{capabilities}\n") is may


def test_podman_is_told_only_what_this_machine_needs() -> None:
    full = tomllib.loads(podman.render_config(systemd=True, limits=True))
    assert "default_ulimits" not in full["containers"]
    assert "cgroup_manager" not in full["engine"]
    poor = tomllib.loads(podman.render_config(systemd=False, limits=False))
    assert poor["containers"]["default_ulimits"]
    assert poor["engine"]["cgroup_manager"] == "cgroupfs"


def test_the_profile_names_secrets_by_file_and_never_holds_one(tmp_path: Path) -> None:
    state = State(tmp_path)
    identity = {"kube_system_uid": "u-1", "api_host": "127.0.0.1:6443"}
    text = profile.render(state, identity, "kind-acpchaos", "https://localhost:8443")
    document = tomllib.loads(text)
    assert document["cluster"]["kube_system_uid"] == "u-1"
    assert document["service"]["base_url"] == "https://localhost:8443"
    for client in ("m2m", "web", "introspect", "system"):
        assert document["credentials"][client]["secret"].startswith("file:/")
    found = document["nodes"]["environment"]["CONTAINERS_CONF"]
    assert found == str(podman.config_file())  # faults of nodes call the lab's engine as it does


def test_the_profile_names_the_reaper_where_an_image_is_there_for_it(tmp_path: Path) -> None:
    def section(reaper: Mapping[str, str]) -> object:
        text = profile.render(State(tmp_path), {}, "c", "https://localhost", reaper=reaper)
        return tomllib.loads(text).get("reaper")

    assert section(profile.NO_REAPER) is None
    assert section(up.REAPER) == up.REAPER
    assert up.REAPER["image"] in STANDIN.references
    assert up.REAPER["namespace"] in up.NAMESPACES


def workload(kind: str, ready: int, **status: int) -> dict[str, Any]:
    return {
        "kind": kind,
        "metadata": {"namespace": "acp-system", "name": "acp", "generation": 2},
        "spec": {"replicas": 3},
        "status": {"observedGeneration": 2, "readyReplicas": ready, **status},
    }


@pytest.mark.parametrize(
    ("item", "lack"),
    [
        (workload("Deployment", 3), ""),
        (workload("Deployment", 2), "Deployment acp-system/acp 2/3"),
        (workload("Deployment", 3, observedGeneration=1), "Deployment acp-system/acp not seen yet"),
        (workload("DaemonSet", 0, desiredNumberScheduled=4, numberReady=4), ""),
        (workload("Job", 0), "Job acp-system/acp not complete"),
        (workload("Job", 0, succeeded=1), ""),
    ],
)
def test_a_workload_is_ready_only_with_all_its_pods(item: dict[str, Any], lack: str) -> None:
    assert lack_of(item) == lack


def test_volumes_of_a_lab_are_found_without_its_nodes_and_others_are_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = {
        "one": {"acpchaos-worker3": "true"},
        "two": {"acpchaos-control-plane": "true"},
        "other-lab": {"acpchaos2-worker": "true"},
        "longer-name": {"acpchaos-worker-tools": "true"},
        "plain": {},
    }
    listing = json.dumps([{"Name": name, "Labels": each} for name, each in labels.items()])
    monkeypatch.setattr(podman, "read", lambda argv: listing)
    assert podman.volumes("acpchaos") == ["one", "two"]
    monkeypatch.setattr(podman, "read", lambda argv: "")
    assert podman.volumes("acpchaos") == []
