"""The kind cluster: create it, talk to it with kubectl, load images into its nodes.

Knows kind, kubectl and node containers. What runs on the cluster is the business of the steps.
"""

import json
import shutil
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab import kindconfig, podman, published
from lab.gobuild import component, output_dir
from lab.images import Recipe
from lab.images.build import Workshop, archive_of, image_key
from lab.paths import CLUSTER_NAME, State
from lab.process import LabError, read, run

PREFERRED_INGRESS_PORT = 8443
_LOADED = "/var/lib/acpchaos-images"


def free_port(preferred: int) -> int:
    """`preferred` when nobody listens there, else one the system offers."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise LabError("choose a host port", "no port of 127.0.0.1 can be bound", "free some ports")


@dataclass(frozen=True)
class Cluster:
    """One kind cluster and the programs that serve it."""

    state: State
    shop: Workshop
    name: str = CLUSTER_NAME

    @property
    def context(self) -> str:
        return f"kind-{self.name}"

    @property
    def kubectl_path(self) -> Path:
        """kubectl: the Kubernetes binary under another name."""
        link = self.state.root / "bin" / "kubectl"
        target = output_dir(component("kubernetes"), self.shop.go_version) / "kubernetes"
        if not target.exists():  # published images: it comes with the node image
            target = published.kubectl()
        if not link.is_symlink() or link.readlink() != target:
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(target)
        return link

    def kubectl(self, *words: str, feed: str | None = None, timeout_s: float = 300) -> str:
        argv = [self.kubectl_path, "--kubeconfig", self.state.kubeconfig, *words]
        return read(argv, feed=feed, timeout_s=timeout_s)

    def apply(self, documents: Sequence[object]) -> None:
        text = yaml.safe_dump_all(documents)
        self.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", feed=text)

    def answers(self) -> bool:
        try:
            self.kubectl("get", "--raw", "/readyz", "--request-timeout=3s", timeout_s=10)
        except LabError:
            return False
        return True

    def create(self, *, size: str, ingress_port: int, image: str) -> None:
        """`kind create cluster`; half a cluster of an earlier try is removed first."""
        log = self.state.logs / "kind.log"
        podman.remove_cluster(self.name, log)
        files = self.state.root / "control-plane"
        kindconfig.write_control_plane_files(files)
        document = kindconfig.render(
            size=size, ingress_port=ingress_port, control_plane_files=files
        )
        config = self.state.root / "kind.yaml"
        config.write_text(yaml.safe_dump(document))
        kind = output_dir(component("kind"), self.shop.go_version) / "kind"
        run(
            [
                *(kind, "create", "cluster", "--name", self.name, "--image", image, "--retain"),
                *("--config", config, "--kubeconfig", self.state.kubeconfig),
            ],
            log=log,
            remedy="read the log (a port in use, a full disk?); `acpchaos lab down`, then up again",
        )

    def nodes(self) -> list[str]:
        return podman.nodes(self.name)

    def workers(self) -> list[str]:
        return [node for node in self.nodes() if "-worker" in node]

    def control_planes(self) -> list[str]:
        return [node for node in self.nodes() if "-control-plane" in node]

    def load(self, recipe: Recipe, nodes: Sequence[str] = ()) -> list[str]:
        """Import a built image into the nodes (the workers) that lack it; returns those."""
        key, archive = image_key(recipe, self.shop), archive_of(recipe, self.shop)
        return self.load_archive(recipe.name, archive, key, nodes or self.workers())

    def load_archive(self, name: str, archive: Path, key: str, nodes: Sequence[str]) -> list[str]:
        """Import an archive with content `key` into the nodes that lack it; returns those."""
        mark = f"{_LOADED}/{name}-{key[:16]}"
        lacking = [node for node in nodes if not self._has(node, mark)]
        with ThreadPoolExecutor(max_workers=len(lacking) or 1) as pool:
            list(pool.map(lambda node: self._import(node, name, archive, mark), lacking))
        return lacking

    def _has(self, node: str, mark: str) -> bool:
        found = read(["podman", "exec", node, "sh", "-c", f"test -e {mark} && echo yes || echo no"])
        return found.strip() == "yes"

    def _import(self, node: str, name: str, archive: Path, mark: str) -> None:
        inside = f"mkdir -p {_LOADED} && ctr -n k8s.io images import --local - && touch {mark}"
        with archive.open("rb") as stream:
            run(
                ["podman", "exec", "-i", node, "sh", "-c", inside],
                log=self.state.logs / f"load-{name}-{node}.log",
                stdin=stream,
                remedy="the node must run (`acpchaos lab status`); then run the same command again",
            )

    def identity(self) -> dict[str, str]:
        """What pins this cluster: the UID of kube-system, and the address of the API server."""
        namespace = json.loads(self.kubectl("get", "namespace", "kube-system", "-o", "json"))
        config = yaml.safe_load(self.state.kubeconfig.read_text())
        return {
            "kube_system_uid": namespace["metadata"]["uid"],
            "api_host": config["clusters"][0]["cluster"]["server"].partition("://")[2],
        }

    def remove(self) -> int:
        """Take everything of this cluster from the machine; returns how many nodes there were."""
        count = podman.remove_cluster(self.name, self.state.logs / "down.log")
        for path in self.state.root.iterdir():
            if path.is_dir() and path != self.state.logs:  # logs are wanted after a failure
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()
        return count
