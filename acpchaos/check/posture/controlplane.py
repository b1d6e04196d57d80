"""What the control plane's own pods tell: flags of the API server, ranges of the cluster.

Room: check. Managed clusters hide these pods; then the profile or an attestation has to tell.
"""

from acpchaos.check.posture.netpol import Network, network
from acpchaos.check.posture.rule import Unreadable
from acpchaos.check.posture.view import Pods, View, pods_of


def apiservers(view: View) -> list[Pods]:
    """Static pods of the API server; empty where a provider hides them."""
    found = view.objects("Pod", "kube-system")
    return [
        pods_of("Pod", each, "apiserver")
        for each in found
        if (each["metadata"].get("labels") or {}).get("component") == "kube-apiserver"
    ]


def cluster_ranges(view: View) -> dict[Network, str]:
    """Ranges of pods, services and nodes, each with what it is.

    Unreadable when the API tells none of a sort and the profile lists no cluster_cidrs.
    """
    listed = {network(text): "posture.cluster_cidrs" for text in view.policy.cluster_cidrs}
    found: dict[Network, str] = {}
    for what, ask in (("pods", _pods), ("nodes", _nodes), ("services", _services)):
        try:
            ranges = ask(view)
        except Unreadable:
            ranges = []
        if not ranges and not listed:
            raise Unreadable(
                f"the range of {what} is not in the evidence: list it in [posture] cluster_cidrs"
            )
        found |= {network(text): f"{what} of the cluster" for text in ranges}
    return listed | found


def _pods(view: View) -> list[str]:
    specs = [each.get("spec") or {} for each in view.objects("Node")]
    return [r for s in specs for r in s.get("podCIDRs") or [s.get("podCIDR")] if r]


def _nodes(view: View) -> list[str]:
    return [
        str(address["address"])
        for each in view.objects("Node")
        for address in (each.get("status") or {}).get("addresses") or []
        if address.get("type") == "InternalIP"
    ]


def _services(view: View) -> list[str]:
    doors = [d for pods in apiservers(view) for d in view.flag(pods, "service-cluster-ip-range")]
    return [text for door in doors for text in str(door.value).split(",")]
