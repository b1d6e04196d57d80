"""Which steps each image source takes, and when a lab that died is one to go on with."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab import podman, published, up
from lab.cluster import Cluster
from lab.images.apps import APPS
from lab.images.build import Workshop
from lab.images.system import SYSTEM
from lab.paths import State
from lab.process import LabError


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    monkeypatch.setenv("ACPCHAOS_CACHE", str(tmp_path))
    return Cluster(State(tmp_path / "lab"), Workshop("go1.26", tmp_path / "logs"), "acpchaos")


def names(cluster: Cluster, **plan: Any) -> list[str]:
    return [step.name for step in up.steps(cluster, up.Plan(**plan))]


def test_sources_differ_only_before_the_cluster_stands(cluster: Cluster) -> None:
    built, pulled = names(cluster), names(cluster, images="published")
    assert built[built.index("kind cluster") + 1 :] == [
        each for each in pulled[pulled.index("kind cluster") + 1 :] if each != "images of the nodes"
    ]
    assert "pull images" in pulled and "pull images" not in built
    assert "compile kubernetes" not in pulled and "node image" not in pulled
    assert {f"image {recipe.name}" for recipe in (*published.BUILT, *APPS)} <= set(pulled)


def test_every_image_of_the_manifests_has_a_source() -> None:
    text = "".join(path.read_text() for path in up.MANIFESTS.rglob("*.yaml"))
    used = set(re.findall(r"\bimage: ([^\s,}]+)", text))
    ours = {ref for recipe in (*published.BUILT, *APPS) for ref in recipe.references}
    sources = ours | set(published.references())
    lab_images = {each for each in used if "/" in each and each.split("/")[0].count(".")}
    assert lab_images and lab_images <= sources, lab_images - sources
    assert {recipe.name for recipe in (*published.BUILT, *published.PULLED)} < {
        recipe.name for recipe in SYSTEM
    }


@pytest.mark.parametrize("started", [True, False])
def test_stopped_nodes_are_started_or_the_lab_is_dead(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, started: bool
) -> None:
    nodes = ["acpchaos-control-plane", *(f"acpchaos-worker{n}" for n in ("", "2", "3"))]
    running, calls = nodes[:2], []
    monkeypatch.setattr(
        podman, "nodes", lambda name, running_only=False: running if running_only else nodes
    )
    monkeypatch.setattr(Cluster, "answers", lambda self: True)

    def read(argv: list[str]) -> str:
        calls.append(argv)
        if not started:
            raise LabError("podman start", "address already in use", "")
        return ""

    monkeypatch.setattr(up, "read", read)
    assert not up._alive(cluster)  # nothing was ever finished here
    cluster.state.root.mkdir()
    cluster.state.state_file.write_text(json.dumps({"size": "default"}))
    assert up._alive(cluster) is started
    wanted = [["podman", "start", node] for node in sorted(nodes[2:])]
    assert sorted(calls) == (wanted if started else calls) and calls[0] in wanted


def test_a_lab_that_lost_a_node_is_dead(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    left = ["acpchaos-control-plane", "acpchaos-worker"]
    monkeypatch.setattr(podman, "nodes", lambda name, running_only=False: left)
    monkeypatch.setattr(Cluster, "answers", lambda self: True)
    cluster.state.root.mkdir()
    cluster.state.state_file.write_text(json.dumps({"size": "default"}))
    assert not up._alive(cluster)


def test_the_reaper_gets_the_rights_that_the_product_prints(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    fed: list[tuple[str, ...]] = []

    def read(argv: list[object], **_: object) -> str:
        asked.append([str(word) for word in argv])
        return "kind: Role"

    def kubectl(self: Cluster, *words: str, feed: str | None = None) -> str:
        fed.append((*words[:1], feed or ""))
        return ""

    monkeypatch.setattr(up, "read", read)
    monkeypatch.setattr(Cluster, "kubectl", kubectl)
    up._apply_reaper(cluster)
    (argv,) = asked
    assert "--reaper" in argv and "acpchaos/acpchaos-reaper" in argv
    files = [Path(word) for word in argv if word.endswith(".yaml")]
    assert len(files) == len(up.REAPED) and all(file.exists() for file in files)
    assert "ServiceAccount" in fed[0][1] and fed[1] == ("apply", "kind: Role")
    assert "account of the reaper" in names(cluster)
    assert "account of the reaper" not in names(cluster, bare=True)
