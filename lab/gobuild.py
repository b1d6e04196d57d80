"""Go components: every cluster program compiled from its module, once per content.

Each folder of `components/` pins its modules (go.mod, go.sum) and is compiled into one artefact
folder, keyed by that folder, the toolchain and the flags. A second build of the same content is a
look at a folder. Knows nothing of images.
"""

import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lab.paths import LAB_DIR, artefact_dir, content_key, files_under
from lab.process import LabError, read, run

COMPONENTS_DIR = LAB_DIR / "components"
KUBERNETES_VERSION = "v1.36.3"


@dataclass(frozen=True)
class Component:
    """What a module folder yields as (output name, package path), and what a cold build costs
    after those before it in `COMPONENTS`. Components of one module share its compiled packages;
    `module` names the folder where it is not called as the component.
    """

    name: str
    outputs: tuple[tuple[str, str], ...]
    expected_s: int
    ldflags: str = "-s -w"
    tags: str = ""
    module: str = ""

    @property
    def folder(self) -> Path:
        return COMPONENTS_DIR / (self.module or self.name)


_CONTAINERD = "github.com/containerd/containerd/v2/cmd"
_CNI = "github.com/containernetworking/plugins/plugins"
_VERSION = "k8s.io/component-base/version"
_REMEDY = "the module proxy of `go env GOPROXY` must answer; then run it again"
# Compilers and linkers live for seconds: they need not collect their garbage until there is much of
# it. Neither word changes what is made.
_ENVIRONMENT = {
    "CGO_ENABLED": "0",
    "GOFLAGS": "-buildvcs=false",
    "GOGC": "off",
    "GOMEMLIMIT": "2GiB",
}

COMPONENTS: tuple[Component, ...] = (
    Component(
        "kubernetes",
        (("kubernetes", "."),),
        expected_s=440,
        ldflags=f"-s -w -X {_VERSION}.gitVersion={KUBERNETES_VERSION}"
        f" -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor=36",
    ),
    Component("storage", (("storage", "./storage"),), expected_s=10, module="kubernetes"),
    Component("coredns", (("coredns", "./coredns"),), expected_s=20, module="kubernetes"),
    Component(
        "metrics-server",
        (("metrics-server", "sigs.k8s.io/metrics-server/cmd/metrics-server"),),
        expected_s=15,
        module="kubernetes",
    ),
    Component(
        "node",
        (
            ("containerd", f"{_CONTAINERD}/containerd"),
            ("containerd-shim-runc-v2", f"{_CONTAINERD}/containerd-shim-runc-v2"),
            ("ctr", f"{_CONTAINERD}/ctr"),
            ("host-local", f"{_CNI}/ipam/host-local"),
            ("bridge", f"{_CNI}/main/bridge"),
            ("loopback", f"{_CNI}/main/loopback"),
            ("portmap", f"{_CNI}/meta/portmap"),
            ("etcdctl", "go.etcd.io/etcd/etcdctl/v3"),
            ("etcd", "go.etcd.io/etcd/server/v3"),
        ),
        expected_s=130,
    ),
    Component("pause", (("pause", "."),), expected_s=2),
    Component("kind", (("kind", "sigs.k8s.io/kind"),), expected_s=5),
    Component(
        "kube-router",
        (("kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"),),
        expected_s=150,
    ),
    Component(
        "contour", (("contour", "github.com/projectcontour/contour/cmd/contour"),), expected_s=175
    ),
    Component(
        "versitygw", (("versitygw", "github.com/versity/versitygw/cmd/versitygw"),), expected_s=80
    ),
)


def component(name: str) -> Component:
    return next(each for each in COMPONENTS if each.name == name)


def toolchain() -> str:
    """Version of the Go toolchain that the components will be compiled with."""
    if not shutil.which("go"):
        raise LabError(
            "find Go", "no `go` on PATH", "install Go 1.26 or later and put it on PATH, then again"
        )
    return read(["go", "env", "GOVERSION"], cwd=COMPONENTS_DIR / "pause").strip()


def key_of(part: Component, go_version: str) -> str:
    outputs = " ".join(f"{name}={package}" for name, package in part.outputs)
    return content_key(files_under(part.folder), go_version, part.ldflags, part.tags, outputs)


def output_dir(part: Component, go_version: str) -> Path:
    return artefact_dir("go", part.name, key_of(part, go_version))


def fetch_modules(parts: Sequence[Component], log: Path) -> None:
    """Fetch what these components are compiled from, all components at a time: Go asks for as few
    modules at once as the machine has processors, and they would idle. Raises LabError.
    """

    def fetch(part: Component) -> None:
        packages = [package for _, package in part.outputs]
        argv = ["go", "list", "-deps", "-tags", part.tags, "-f", '{{""}}', *packages]
        run(argv, cwd=part.folder, log=log, env=_ENVIRONMENT, remedy=_REMEDY)

    with ThreadPoolExecutor(max(1, len(parts))) as pool:
        list(pool.map(fetch, parts))


def build(part: Component, go_version: str, log: Path) -> Path:
    """Compile one component and return its folder; a finished one is returned at once.

    The folder gets its name only when all is in it, so that a stopped build never looks like a
    finished one.
    """
    target = output_dir(part, go_version)
    if target.is_dir():
        return target
    draft = target.with_name(target.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for name, package in part.outputs:
        argv: list[str | Path] = ["go", "build", "-trimpath", "-ldflags", part.ldflags]
        argv += ["-tags", part.tags] if part.tags else []
        run(
            [*argv, "-o", draft / name, package],
            cwd=part.folder,
            log=log,
            env=_ENVIRONMENT,
            remedy=_REMEDY,
        )
    draft.rename(target)
    return target
