"""The container engine of the lab: configuration of its own, looked up nowhere else; nodes found by
kind's cluster label.

A user's /etc/containers is left alone: our processes get CONTAINERS_CONF. Knows containers,
networks and volumes, not Kubernetes.
"""

import json
import os
import re
from pathlib import Path

from lab.paths import cache_dir
from lab.process import LabError, read, run

LABEL = "io.x-k8s.kind.cluster"
NETWORK = "kind"
CAP_SYS_RESOURCE = 24


def config_file() -> Path:
    return cache_dir() / "podman" / "containers.conf"


def may_raise_limits(status: str) -> bool:
    """Whether a process with this /proc/self/status text holds CAP_SYS_RESOURCE."""
    effective = next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff"))
    return bool(int(effective, 16) >> CAP_SYS_RESOURCE & 1)


def render_config(*, systemd: bool, limits: bool) -> str:
    """containers.conf for this machine. runc: crun refuses a host with both cgroup versions
    mounted.
    """
    lines = ["[containers]", 'log_driver = "k8s-file"']
    if not limits:  # what podman asks for by default would need the right to raise limits
        lines.append('default_ulimits = ["nofile=19000:19000", "nproc=32000:32000"]')
    lines += ["[engine]", 'events_logger = "file"', 'runtime = "runc"']
    if not systemd:
        lines.append('cgroup_manager = "cgroupfs"')
    return "\n".join(lines) + "\n"


def configure() -> None:
    """Write the configuration and point this process, and all it starts, to it."""
    path = config_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    text = render_config(
        systemd=Path("/run/systemd/system").is_dir(),
        limits=may_raise_limits(Path("/proc/self/status").read_text()),
    )
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    use_config()


def use_config() -> None:
    if config_file().exists():
        os.environ["CONTAINERS_CONF"] = str(config_file())
    os.environ["KIND_EXPERIMENTAL_PROVIDER"] = "podman"


def nodes(cluster: str, *, running_only: bool = False) -> list[str]:
    """Names of the cluster's node containers, stopped ones too."""
    argv = ["podman", "ps", "--format", "{{.Names}}", "--filter", f"label={LABEL}={cluster}"]
    return sorted(read(argv if running_only else [*argv, "--all"]).split())


def volumes(cluster: str) -> list[str]:
    """The cluster's volumes, those of nodes that are gone too.

    kind labels each with the name of its node (`<node>=true`), not with the cluster's.
    """
    listing = json.loads(read(["podman", "volume", "ls", "--format", "json"]) or "[]")
    node = re.compile(re.escape(cluster) + r"-(control-plane|worker)\d*")
    return sorted(
        each["Name"]
        for each in listing or []
        if any(node.fullmatch(label) for label in each.get("Labels") or {})
    )


def remove_cluster(cluster: str, log: Path) -> int:
    """Remove all containers of a cluster, their volumes, and the network once nobody uses it.
    Returns how many nodes.
    """
    found = nodes(cluster)
    for node in found:
        run(["podman", "rm", "--force", "--time", "0", "--volumes", node], log=log)
    for name in volumes(cluster):
        _try(["podman", "volume", "rm", "--force", name])
    _remove_unused_network()
    return len(found)


def have_image(reference: str) -> bool:
    return bool(read(["podman", "images", "--quiet", "--filter", f"reference={reference}"]).strip())


def take_archive(archive: Path, reference: str) -> None:
    """Give an OCI archive to the engine under a name of ours (it makes one up from the tag)."""
    image = read(["podman", "pull", "--quiet", f"oci-archive:{archive}"]).strip()
    run(["podman", "tag", image, reference])


def _remove_unused_network() -> None:
    """kind keeps its network; we do not, unless another cluster lives on it."""
    others = read(["podman", "ps", "--all", "--quiet", "--filter", f"network={NETWORK}"]).strip()
    if not others:
        _try(["podman", "network", "rm", NETWORK])


def _try(argv: list[str]) -> None:
    try:
        read(argv)
    except LabError as gone:  # what is gone already need not be removed
        if "no such" not in gone.seen and "not found" not in gone.seen:
            raise
