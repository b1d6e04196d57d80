"""Images from registries: for machines with Docker or podman and a network. Thin on purpose: all
else is shared with `built`.

Not tested where no image registry can be reached; the steps only fetch what `built` would have
made, under the same names.
"""

import shutil
from typing import TYPE_CHECKING

from lab.gobuild import KUBERNETES_VERSION
from lab.process import LabError, read, run
from lab.steps import Step

if TYPE_CHECKING:
    from lab.cluster import Cluster

NODE_IMAGE = f"docker.io/kindest/node:{KUBERNETES_VERSION}"
_PROBE_TIMEOUT_S = 20.0


def reachable() -> bool:
    """Whether an engine is here and can see the node image in its registry."""
    if not shutil.which("podman"):
        return False
    try:
        read(["podman", "manifest", "inspect", NODE_IMAGE], timeout_s=_PROBE_TIMEOUT_S)
    except LabError:
        return False
    return True


def image_steps(cluster: "Cluster") -> list[Step]:
    def pull() -> None:
        run(
            ["podman", "pull", NODE_IMAGE],
            log=cluster.state.logs / "pull.log",
            remedy="no image registry here? use --images built",
        )

    return [Step("pull node image", 60, pull)]
