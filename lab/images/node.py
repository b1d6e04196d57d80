"""The kind node image: a bookworm root with systemd, containerd, kubelet and kind's own scripts,
system images inside.

kind's files come from its module, so they always fit the kind that will start the node. Deviations
from upstream's node image are about machines without CAP_SYS_RESOURCE, where nothing may raise a
limit or lower an OOM score.
"""

import json
import shutil
from pathlib import Path

from lab import podman
from lab.gobuild import COMPONENTS_DIR, KUBERNETES_VERSION, component, output_dir
from lab.images.build import Workshop, image_key, image_of
from lab.images.system import ON_ALL_NODES, ON_CONTROL_PLANE, SYSTEM
from lab.oci import write_archive
from lab.paths import artefact_dir, content_key
from lab.process import read, run
from lab.rootfs import BOOKWORM, copy_root, make_base, release_mounts

_CNI_PLUGINS = ("bridge", "host-local", "loopback", "portmap")
_CONTAINERD = ("containerd", "containerd-shim-runc-v2", "ctr")
CNI_CONFIG: dict[str, object] = {
    "cniVersion": "0.3.1",
    "name": "lab",
    "plugins": [
        {
            "name": "kubernetes",
            "type": "bridge",
            "bridge": "kube-bridge",
            "isDefaultGateway": True,
            "hairpinMode": True,
            "ipam": {"type": "host-local"},
        },
        {"type": "portmap", "capabilities": {"portMappings": True}},
    ],
}
_IMPORT_UNIT = """[Unit]
After=containerd.service
Requires=containerd.service
[Service]
Type=oneshot
ExecCondition=/usr/bin/test ! -e /var/lib/kind-images-done
ExecStart=/usr/local/bin/ctr -n k8s.io images import --local /kind/images/all.tar
ExecStart=/bin/sh -c 'case $(hostname) in *control-plane*) \\
  ctr -n k8s.io images import --local /kind/images/control-plane.tar;; esac'
ExecStartPost=/usr/bin/touch /var/lib/kind-images-done
[Install]
WantedBy=multi-user.target
"""

# kind applies this file at start and refuses an empty one; who serves the class comes later
_STORAGE_CLASS = """apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: standard}
provisioner: acpchaos.io/local
volumeBindingMode: WaitForFirstConsumer
"""
_SETTLE = """set -e
find /lib/systemd/system/sysinit.target.wants/ -name systemd-tmpfiles-setup.service -delete
rm -f /lib/systemd/system/multi-user.target.wants/* /etc/systemd/system/*.wants/* \
  /lib/systemd/system/local-fs.target.wants/* /lib/systemd/system/sockets.target.wants/*udev* \
  /lib/systemd/system/sockets.target.wants/*initctl* /lib/systemd/system/basic.target.wants/*
echo ReadKMsg=no >>/etc/systemd/journald.conf
systemctl enable kubelet.service containerd.service undo-mount-hacks.service kind-images.service
systemctl mask systemd-binfmt.service
"""


def node_key(shop: Workshop) -> str:
    programs = [
        str(output_dir(component(c), shop.go_version)) for c in ("kubernetes", "node", "kind")
    ]
    images = [image_key(recipe, shop) for recipe in SYSTEM]
    return content_key([Path(__file__)], BOOKWORM.key, *programs, *images)


def node_reference(shop: Workshop) -> str:
    return f"localhost/acpchaos-node:{node_key(shop)[:16]}"


def have_node_image(shop: Workshop) -> bool:
    return podman.have_image(node_reference(shop))


def build_node_image(shop: Workshop) -> str:
    """Assemble the root and give it to podman under a name that carries the key."""
    reference = node_reference(shop)
    if have_node_image(shop):
        return reference
    root = artefact_dir("rootfs", "node", node_key(shop)).with_suffix(".draft")
    release_mounts(root)
    shutil.rmtree(root, ignore_errors=True)
    copy_root(make_base(BOOKWORM, shop.log("node")), root)
    _kind_files(root)
    _programs(root, shop)
    _configuration(root)
    for archive, recipes in (("all", ON_ALL_NODES), ("control-plane", ON_CONTROL_PLANE)):
        images = [image_of(recipe, shop) for recipe in recipes]
        write_archive(root / f"kind/images/{archive}.tar", images)
    run(["chroot", root, "sh", "-c", _SETTLE], log=shop.log("node"))
    _import(root, reference, shop.log("node"))
    shutil.rmtree(root)
    return reference


def _kind_files(root: Path) -> None:
    module = read(
        ["go", "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kind"], cwd=COMPONENTS_DIR / "kind"
    )
    if not module.strip():
        run(["go", "mod", "download", "sigs.k8s.io/kind"], cwd=COMPONENTS_DIR / "kind")
        return _kind_files(root)
    files = Path(module.strip()) / "images" / "base" / "files"
    run(["cp", "-r", "--no-preserve=mode", f"{files}/etc/.", root / "etc"])
    for source, target in (("kind/bin", "kind/bin"), ("usr/local/bin", "usr/local/bin")):
        folder = root / target
        folder.mkdir(parents=True, exist_ok=True)
        for path in (files / source).iterdir():
            shutil.copyfile(path, folder / path.name)
            (folder / path.name).chmod(0o755)
    return None


def _programs(root: Path, shop: Workshop) -> None:
    node = output_dir(component("node"), shop.go_version)
    kubernetes = output_dir(component("kubernetes"), shop.go_version) / "kubernetes"
    for folder in ("opt/cni/bin", "kind/manifests", "kind/images", "etc/kubernetes/manifests"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    for name in _CONTAINERD:
        shutil.copy(node / name, root / "usr/local/bin" / name)
    for name in _CNI_PLUGINS:
        shutil.copy(node / name, root / "opt/cni/bin" / name)
    shutil.copy(kubernetes, root / "usr/bin/kubelet")
    for name in ("kubeadm", "kubectl"):
        (root / "usr/bin" / name).symlink_to("kubelet")
    (root / "usr/local/sbin/runc").symlink_to("/usr/sbin/runc")


def _configuration(root: Path) -> None:
    containerd = root / "etc/containerd/config.toml"
    text = containerd.read_text()
    text = text.replace("restrict_oom_score_adj = false", "restrict_oom_score_adj = true")
    containerd.write_text(text.replace('pause:3.10"', 'pause:3.10.1"'))
    unit = root / "etc/systemd/system/containerd.service"
    raising = ("OOMScoreAdjust", "LimitN", "LimitC")
    lines = [line for line in unit.read_text().splitlines() if not line.startswith(raising)]
    unit.write_text("\n".join(lines) + "\n")
    (root / "etc/containerd/cri-base.json").write_text(_container_spec(root))
    (root / "etc/cni/net.d").mkdir(parents=True, exist_ok=True)
    (root / "etc/cni/net.d/10-kuberouter.conflist").write_text(json.dumps(CNI_CONFIG))
    (root / "etc/systemd/system/kind-images.service").write_text(_IMPORT_UNIT)
    (root / "kind/manifests/default-storage.yaml").write_text(_STORAGE_CLASS)
    (root / "kind/version").write_text(f"{KUBERNETES_VERSION}\n")


def _container_spec(root: Path) -> str:
    """containerd's default container with kind's mount hook, and without limits that could not be
    set.
    """
    spec = json.loads(read([root / "usr/local/bin/ctr", "oci", "spec"]))
    hook = {"path": "/kind/bin/mount-product-files.sh"}
    spec.setdefault("hooks", {}).setdefault("createContainer", []).append(hook)
    spec["process"].pop("rlimits", None)
    return json.dumps(spec)


def _import(root: Path, reference: str, log: Path) -> None:
    changes = (
        'ENTRYPOINT ["/usr/local/bin/entrypoint","/sbin/init"]',
        "ENV container=docker",
        "STOPSIGNAL SIGRTMIN+3",
    )
    options = " ".join(f"--change '{change}'" for change in changes)
    command = f"tar -C '{root}' -c . | podman import {options} - '{reference}'"
    run(["bash", "-o", "pipefail", "-c", command], log=log)
