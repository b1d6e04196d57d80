"""Faults of nodes and of the control plane, as tests build them on the fake engine."""

from collections.abc import Callable

from acpchaos.faults import control_plane, network_cut, nodes
from acpchaos.faults.nodes import Beneath
from acpchaos.faults.session import Session

Build = Callable[[Session], Beneath]
REST = ("worker-b", 1, 30.0, 8.0)
NODE_FAULTS: dict[str, Build] = {
    "kubelet_stop": lambda s: nodes.KubeletStop(s, "node", *REST),
    "node_freeze": lambda s: nodes.NodeFreeze(s, "node", *REST),
    "node_power_off": lambda s: nodes.NodeOff(s, "node", *REST),
    "node_cut": lambda s: network_cut.NetworkCut(s, "node", "both", *REST),
    "node_cut_inbound": lambda s: network_cut.NetworkCut(s, "node", "inbound", *REST),
    "node_cut_outbound": lambda s: network_cut.NetworkCut(s, "node", "outbound", *REST),
    "zone_power_off": lambda s: nodes.NodeOff(s, "zone", "zone-b", 1, 30.0, 8.0),
    "zone_cut": lambda s: network_cut.NetworkCut(s, "zone", "both", "zone-b", 1, 30.0, 8.0),
}
PARTS: dict[str, Build] = {
    f"{each.replace('-', '_')}_stop": (
        lambda s, each=each: control_plane.StaticPodStop(s, each, 1, 30.0, 8.0)  # type: ignore[misc]
    )
    for each in control_plane.PROGRAMS
}
FAULTS = NODE_FAULTS | PARTS
