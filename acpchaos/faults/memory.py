"""A container of ACP killed by the kernel for want of memory, its pod left alone.

Room: faults. Nothing inside a distroless container could use up its memory, and another limit in
the template would make other pods. So a short-lived pod on the same node puts the limit of the
running container's control group to what it uses, and the kernel does the rest; the next container
has its own control group with the limit of the template. The pod needs root and the node's control
groups, no capability and no process of the node.
"""

from pathlib import Path
from typing import Any, ClassVar, Literal

from acpchaos.faults import process, witness_process
from acpchaos.faults.fault import Act, Need, Sight, awaited
from acpchaos.faults.session import Session, current
from acpchaos.target.cluster import Object

SCRIPT = Path(__file__).with_name("squeeze_memory.sh")
GROUPS = "/sys/fs/cgroup"
MEMORY = "64Mi"  # of the pod that squeezes, and guaranteed, so that the kernel spares it


class OutOfMemory(process.ProcessSignal):
    """OOM kill: the container starts again in the same pod."""

    name: ClassVar[str] = "memory_oom"
    disrupts: ClassVar[str] = "acp"

    def __init__(
        self, session: Session, workload: Literal["acp", "workers"], count: int, seed: int,
        recover_s: float,
    ) -> None:  # fmt: skip
        super().__init__(session, "KILL", workload, count, seed, 0, recover_s)

    def available(self) -> str:
        if reason := super(process.ProcessSignal, self).available():
            return reason
        if not self.session.profile.signals.node_pods:
            return (
                "not applicable: only who reaches the control groups of a node can lower a running "
                "container's memory: node pods ([signals] node_pods = true) are needed"
            )
        return "" if self._image() else "not applicable: no [signals] image for a pod on the node"

    def needs(self) -> tuple[Need, ...]:
        space = self.session.profile.signals.namespace
        return (Need("create", "Pod", space), Need("delete", "Pod", space))

    def _from_inside(self) -> bool:
        return False

    def manifest(self, pod: Object) -> Object:
        """The pod that squeezes: root without a capability, and the node's control groups."""
        body = super().manifest(pod)
        spec, [container] = body["spec"], body["spec"]["containers"]
        body["metadata"]["name"] = f"acpchaos-squeeze-{pod['metadata']['uid'][:13]}"
        del spec["hostPID"]
        enough = {"cpu": "100m", "memory": MEMORY}
        container |= {
            # in a command, Kubernetes takes $$ for $ and $(NAME) for a variable of its own
            "command": ["sh", "-c", SCRIPT.read_text(encoding="utf-8").replace("$", "$$")],
            "env": [{"name": "CONTAINER", "value": self._id(pod)}],
            "resources": {"requests": enough, "limits": dict(enough)},
        }
        container["securityContext"]["capabilities"] = {"drop": ["ALL"]}
        container["volumeMounts"] = [{"name": "groups", "mountPath": "/cgroups"}]
        spec["volumes"] = [{"name": "groups", "hostPath": {"path": GROUPS, "type": "Directory"}}]
        return body

    def effective(self) -> dict[str, Any]:
        super().effective()
        return {"by": "the memory limit of the container's control group"}

    def witness(self) -> Sight:
        container = self.workload.container
        before = {
            pod["metadata"]["uid"]: witness_process.identity(pod, container) for pod in self.victims
        }

        def look() -> Sight:
            return witness_process.out_of_memory(
                self.cluster, self.session.namespace, container, before
            )

        return awaited("an end for want of memory", look, process.NEW_S)


def squeeze(
    workload: Literal["acp", "workers"] = "acp", count: int = 1, seed: int = 0,
    recover_s: float = 120.0,
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: the kernel kills some containers for want of memory, until all are ready
    again."""
    act = Act(OutOfMemory(current(), workload, int(count), int(seed), float(recover_s)))
    return act.strike() | act.heal()
