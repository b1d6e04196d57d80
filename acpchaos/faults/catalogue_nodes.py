"""The part of the catalogue that disturbs nodes and the control plane.

Room: faults. As catalogue.py, of which it is a part.
"""

from typing import Any

from acpchaos.faults import control_plane, nodes
from acpchaos.faults.entry import Entry
from acpchaos.faults.network_cut import NetworkCut, PolicyCut
from acpchaos.faults.node_drain import NodeDrain

LOST = "the node is not ready, its Lease stands still, and the engine, asked apart, "
LOSES = "workload (or quorum, or shard, by what runs there)"
TIMED = "recorded, here and in the cluster; "


def _power(scope: Any) -> Entry:
    return Entry(
        "nodes and zones", lambda s: nodes.NodeOff(s, scope, "", 0, 75.0, 0.0),
        "node-power-off.yaml", f"the container of {_of(scope)} is killed as a whole",
        f"{TIMED}a process on the engine's machine starts it at the deadline at the latest",
        f"{LOST}tells its very container exited", f"scope: {scope}", LOSES,
    )  # fmt: skip


def _machine(scope: Any) -> Entry:
    return Entry(
        "nodes and zones", lambda s: nodes.MachineOff(s, scope, "", 0, 75.0, 0.0),
        "node-power-off.yaml",
        f"the machine of {_of(scope)} is switched off by an extension of the Chaos Toolkit, where "
        'the profile says `power = "extension"`',
        f"{TIMED}a process on the runner's machine switches it on at the deadline at the latest; "
        "nothing in the cluster can",
        "the node is not ready and its Lease stands still, by the API server; never the "
        "extension's answer", f"scope: {scope}", LOSES,
    )  # fmt: skip


def _cut(scope: Any, direction: Any, way: str) -> Entry:
    return Entry(
        "nodes and zones", lambda s: NetworkCut(s, scope, direction, "", 0, 60.0, 0.0),
        "node-cut.yaml", f"{_of(scope)} drops in its kernel what {way} its network",
        f"{TIMED}a timer of the node drops the rules at the deadline at the latest",
        "datagrams between it and another node, counted by the kernel that receives them",
        f"{{scope: {scope}, direction: {direction}}}", LOSES,
    )  # fmt: skip


def _policy_cut(scope: Any) -> Entry:
    return Entry(
        "nodes and zones", lambda s: PolicyCut(s, scope, "both", "", 0, 60.0, 0.0),
        "node-cut.yaml",
        f"the pods of ACP and its stores on {_of(scope)} bear a label, all NetworkPolicies spare "
        'them and one lets them reach each other alone, where the profile says `cut = '
        '"network-policy"`; nodes, kubelets and pods with the network of their node are not cut',
        "recorded: selectors and labels as they were, the policy and two probe pods are removed",
        "every way through the cut that was open for two pods like ACP's is closed, while ways "
        "beside it are open", f"{{scope: {scope}, direction: both}}", LOSES,
    )  # fmt: skip


def _of(scope: str) -> str:
    return "one node" if scope == "node" else "each node of one zone"


def _part(component: Any, where: str, witness: str, loses: str) -> Entry:
    return Entry(
        "control plane", lambda s: control_plane.StaticPodStop(s, component, 0, 30.0, 0.0),
        "control-plane-stop.yaml", f"the file of its static pod is moved away on {where}",
        f"{TIMED}a timer of the node moves it back at the deadline at the latest",
        f"no such process on these nodes, and {witness}", f"component: {component}", loses,
    )  # fmt: skip


NODES: tuple[Entry, ...] = (
    Entry(
        "nodes and zones", lambda s: NodeDrain(s, "", 0, 0.0, 0.0, 0.0), "node-drain.yaml",
        "one node is cordoned, its pods are evicted within their budgets",
        "recorded: the node is freed, if the run cordoned it",
        "the node unschedulable and no pod left but those tied to a volume of it",
    ),
    Entry(
        "nodes and zones", lambda s: nodes.KubeletStop(s, "node", "", 0, 75.0, 0.0),
        "kubelet-stop.yaml", "the kubelet of one node is stopped, its containers run on",
        f"{TIMED}a timer of the node starts it at the deadline at the latest",
        "the node is not ready, its Lease stands still, no kubelet is among its processes and "
        "containers of before run on", "", LOSES,
    ),
    Entry(
        "nodes and zones", lambda s: nodes.NodeFreeze(s, "node", "", 0, 75.0, 0.0),
        "node-freeze.yaml", "every process of one node is stopped, its connections stay open",
        f"{TIMED}a process on the engine's machine continues it at the deadline at the latest",
        f"{LOST}tells its very container paused", "", LOSES,
    ),
    _power("node"),
    _power("zone"),
    _machine("node"),
    _machine("zone"),
    _cut("node", "both", "enters or leaves it by"),
    _cut("node", "inbound", "enters it by"),
    _cut("node", "outbound", "leaves it by"),
    _cut("zone", "both", "enters or leaves it by"),
    _policy_cut("node"),
    _policy_cut("zone"),
    _part("api-server", "all its nodes", "/readyz fails five times in a row", "workload"),
    _part("etcd-member", "one node", "the member tells no health", "quorum (of fewer than three)"),
    _part("controller-manager", "all its nodes", "its Lease stands still", "workload"),
    _part("scheduler", "all its nodes", "its Lease stands still", "workload"),
    Entry(
        "control plane", lambda s: control_plane.ControlPlaneNodeOff(s, 0, 75.0, 0.0),
        "control-plane-node-off.yaml",
        "the container of one of three or more nodes is killed as a whole",
        f"{TIMED}a process on the engine's machine starts it at the deadline at the latest",
        f"{LOST}tells its very container exited", "", "quorum (when others are down)",
    ),
)  # fmt: skip
