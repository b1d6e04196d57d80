"""`lab status`: what is there, in one table. Reads the cluster and the state file, changes
nothing.
"""

import json

from rich.table import Table

from lab import podman
from lab.cluster import Cluster
from lab.process import LabError

_WORKLOADS = "deploy,statefulset"


def table(cluster: Cluster) -> Table:
    """One table of nodes, workloads and endpoints; says so when there is no lab."""
    made = Table(title=f"lab {cluster.name}")
    for title in ("what", "name", "state", "where or which"):
        made.add_column(title, overflow="fold")
    nodes = cluster.nodes()
    if not nodes:
        made.add_row("lab", cluster.name, "absent", "acpchaos lab up makes it")
        return made
    if not cluster.answers():
        running = podman.nodes(cluster.name, running_only=True)
        for node in nodes:
            made.add_row("node", node, "running" if node in running else "stopped", "")
        made.add_row("API server", "", "no answer", "acpchaos lab up repairs it")
        return made
    _add_nodes(made, cluster)
    _add_workloads(made, cluster)
    _add_endpoints(made, cluster)
    return made


def _add_nodes(made: Table, cluster: Cluster) -> None:
    for node in json.loads(cluster.kubectl("get", "nodes", "-o", "json"))["items"]:
        conditions = {c["type"]: c["status"] for c in node["status"]["conditions"]}
        ready = "Ready" if conditions.get("Ready") == "True" else "NotReady"
        cordoned = ", cordoned" if node["spec"].get("unschedulable") else ""
        zone = node["metadata"]["labels"].get("topology.kubernetes.io/zone", "no zone")
        version = node["status"]["nodeInfo"]["kubeletVersion"]
        made.add_row("node", node["metadata"]["name"], ready + cordoned, f"{zone}, {version}")


def _add_workloads(made: Table, cluster: Cluster) -> None:
    for item in json.loads(cluster.kubectl("get", _WORKLOADS, "-A", "-o", "json"))["items"]:
        ready = f"{item['status'].get('readyReplicas', 0)}/{item['spec']['replicas']} ready"
        images = {c["image"] for c in item["spec"]["template"]["spec"]["containers"]}
        name = f"{item['metadata']['namespace']}/{item['metadata']['name']}"
        made.add_row(item["kind"], name, ready, ", ".join(sorted(images)))


def _add_endpoints(made: Table, cluster: Cluster) -> None:
    identity = cluster.identity()
    made.add_row("API server", identity["api_host"], "answers", str(cluster.state.kubeconfig))
    try:
        state = json.loads(cluster.state.state_file.read_text())
    except FileNotFoundError as missing:
        raise LabError(
            "read the lab's state", "state.json is missing", "acpchaos lab up writes it again"
        ) from missing
    url = f"https://localhost:{state['ingress_port']}"
    made.add_row("ACP", url, f"CA {cluster.state.ca_file.name}", str(cluster.state.root))
