"""State of the cluster at a moment, replayed from the timeline's events.

Room: check. It must not judge.
"""

from collections.abc import Iterator

from acpchaos.record.events import Autoscaler, Node, Pod
from acpchaos.record.run import Run


def pods_at(run: Run, app: str, t_ns: int) -> dict[str, Pod]:
    """Last sight of each pod of a workload that exists at `t_ns`, by UID."""
    state: dict[str, Pod] = {}
    for pod in _pods(run, app):
        if pod.t_ns > t_ns:
            break
        state[pod.uid] = pod
    return {uid: pod for uid, pod in state.items() if not pod.gone}


def ready_at(run: Run, app: str, t_ns: int) -> dict[str, Pod]:
    """Pods of a workload that serve at `t_ns`: ready and not being deleted, by UID."""
    return {uid: pod for uid, pod in pods_at(run, app, t_ns).items() if serves(pod)}


def ready_counts(run: Run, app: str) -> Iterator[tuple[int, int]]:
    """(t_ns, ready pods) after each change of a pod of the workload."""
    serving: set[str] = set()
    for pod in _pods(run, app):
        (serving.add if serves(pod) else serving.discard)(pod.uid)
        yield pod.t_ns, len(serving)


def serves(pod: Pod) -> bool:
    """A pod that traffic may reach."""
    return pod.ready and not pod.deleting and not pod.gone


def nodes_at(run: Run, t_ns: int) -> dict[str, Node]:
    """Last sight of each node that exists at `t_ns`, by name."""
    state = {node.name: node for node in run.of(Node) if node.t_ns <= t_ns}
    return {name: node for name, node in state.items() if not node.gone}


def autoscaler_until(run: Run, name: str, t_ns: int) -> list[Autoscaler]:
    """Every sight of an autoscaler up to `t_ns`, in order."""
    return [each for each in run.of(Autoscaler) if each.name == name and each.t_ns <= t_ns]


def _pods(run: Run, app: str) -> list[Pod]:
    return [pod for pod in run.of(Pod) if pod.app == app]
