"""Images from registries: for machines whose podman reaches one. Pulled is what upstream publishes:
the node image, with Kubernetes, containerd and kubectl in it, and the system images that keep their
upstream names. What has no upstream image (storage, ingress, stores, ACP's stand-in) is built as
ever, and every manifest is the same.

Where no registry can be reached, an image that podman holds already under its name is taken as it
is; no other way of this module was ever tried.
"""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from lab import podman
from lab.gobuild import KUBERNETES_VERSION, component, output_dir
from lab.images.node import CNI_CONFIG
from lab.images.system import SYSTEM
from lab.paths import artefact_dir, content_key
from lab.process import LabError, read, run
from lab.steps import Step

if TYPE_CHECKING:
    from lab.cluster import Cluster

NODE_IMAGE = f"docker.io/kindest/node:{KUBERNETES_VERSION}"
COMPILED = ("kind", "node", "storage", "contour", "versitygw")  # of "node" only the bridge plug-in
PULLED = tuple(recipe for recipe in SYSTEM if recipe.name in ("kube-router", "metrics-server"))
BUILT = tuple(recipe for recipe in SYSTEM if recipe.name in ("storage", "ingress"))
_PROBE_TIMEOUT_S = 20.0


def reachable() -> bool:
    """Whether podman is here and can see the node image in its registry."""
    if not shutil.which("podman"):
        return False
    try:
        read(["podman", "manifest", "inspect", NODE_IMAGE], timeout_s=_PROBE_TIMEOUT_S)
    except LabError:
        return False
    return True


def references() -> tuple[str, ...]:
    """Every image that is pulled."""
    return (NODE_IMAGE, *(recipe.references[0] for recipe in PULLED))


def pull_step(logs: Path) -> Step:
    """Pull what podman does not hold, and take kubectl out of the node image."""

    def pull() -> None:
        for reference in references():
            run(
                ["podman", "pull", "--policy", "missing", reference],
                log=logs / "pull.log",
                remedy="no image registry here? use --images built",
            )
        _take_kubectl()

    return Step(
        "pull images",
        60,
        pull,
        lambda: kubectl().exists() and all(podman.have_image(each) for each in references()),
    )


def kubectl() -> Path:
    """kubectl of the node image, on this machine."""
    return artefact_dir("published", "kubectl", content_key([], NODE_IMAGE)) / "kubectl"


def _take_kubectl() -> None:
    folder = kubectl().parent
    folder.mkdir(parents=True, exist_ok=True)
    copy = ["cp", "/usr/bin/kubectl", "/out/kubectl.draft"]  # cp follows links, should it be one
    run(["podman", "run", "--rm", "--network", "none", "--volume", f"{folder}:/out",
         "--entrypoint", copy[0], NODE_IMAGE, *copy[1:]])  # fmt: skip
    (folder / "kubectl.draft").rename(kubectl())


def prepare_nodes(cluster: "Cluster") -> None:
    """Give the nodes what the built node image holds and upstream's does not: the network's
    configuration, its plug-in, the system images. Upstream's own storage goes."""
    bridge = output_dir(component("node"), cluster.shop.go_version) / "bridge"
    for node in cluster.nodes():
        run(["podman", "cp", bridge, f"{node}:/opt/cni/bin/bridge"])
        target = "/etc/cni/net.d/10-kuberouter.conflist"
        read(["podman", "exec", "-i", node, "sh", "-c", f"cat > {target}"],
             feed=json.dumps(CNI_CONFIG))  # fmt: skip
    for recipe in BUILT:
        cluster.load(recipe, cluster.nodes())
    for recipe in PULLED:
        reference = recipe.references[0]
        archive = cluster.state.root / "pulled" / f"{recipe.name}.tar"
        archive.parent.mkdir(exist_ok=True)
        archive.unlink(missing_ok=True)
        run(["podman", "save", "--format", "oci-archive", "--output", archive, reference])
        cluster.load_archive(recipe.name, archive, content_key([archive]), cluster.nodes())
    # a StorageClass cannot change who serves it, so kind's goes before ours comes
    found = json.loads(cluster.kubectl("get", "storageclass", "-o", "json"))["items"]
    if any(each["provisioner"] == "rancher.io/local-path" for each in found):
        cluster.kubectl("delete", "storageclass", "standard")
        cluster.kubectl("delete", "namespace", "local-path-storage", "--ignore-not-found")
