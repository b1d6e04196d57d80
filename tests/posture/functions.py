"""A namespace of functions in a snapshot, with a sound policy."""

import copy

from acpchaos.record.snapshot import Object, Snapshot

from .asking import block, into, named, probed

INSIDE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "169.254.0.0/16"]


def functions(snapshot: Snapshot) -> list[Object]:
    """Add it, and what its probes say; returns the egress rules, to be changed in place."""
    labels = {"app.kubernetes.io/environment": "node"}
    pod = copy.deepcopy(named(snapshot, "Deployment", "acp")["spec"]["template"]["spec"])
    template = {"metadata": {"labels": labels}, "spec": pod}
    meta = {"name": "acp-faas-node-v5", "namespace": "acp-faas"}
    snapshot.objects["Deployment"].append(
        {"kind": "Deployment", "metadata": meta, "spec": {"template": template}}
    )
    dns = {"to": [into("kube-system")], "ports": [{"port": 53, "protocol": "UDP"}]}
    egress: list[Object] = [dns, {"to": [block("0.0.0.0/0", *INSIDE)]}]
    snapshot.objects["NetworkPolicy"].append(
        {
            "kind": "NetworkPolicy",
            "metadata": {"name": "acp-faas", "namespace": "acp-faas"},
            "spec": {"podSelector": {}, "policyTypes": ["Egress"], "egress": egress},
        }
    )
    probed(snapshot, "faas egress outside", "open")
    for what in ("kube-api", "acp", "redis", "node", "metadata"):
        probed(snapshot, f"faas egress {what}", "blocked")
    return egress
