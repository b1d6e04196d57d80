"""Which places network probes try, found in the cluster: ports of pods, API server, nodes.

Room: posture. Pods are tried by their own address, not through Services: policies know pods only,
and a Service without endpoints answers like a policy that rejects. It only reads.
"""

from collections.abc import Iterable

import msgspec

from acpchaos.posture.probes.attempts import Place
from acpchaos.posture.probes.scratch import Image
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.profile import Profile, Workload

AT_MOST = 3  # pods of one workload, on different nodes where there are some: agents sit on nodes
NODES_AT_MOST = 4
ACP_PORTS = (8443, 9000, 9443)
# ports that a store may open by its chart; the first one that its pods have is the one ACP uses
STORE_PORTS = {
    "redis": (6379, 16379),
    "sql": (26257, 5432, 8080, 8008),
    "analytics": (5432, 8008, 8081),
}
METADATA = Place("metadata service", "169.254.169.254", 80)
KUBELET_PORT = 10250


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """Running pods by role (acp, workers, redis, sql, analytics, faas), and what else is tried."""

    pods: dict[str, list[Object]]
    services: list[Object]
    api: tuple[Place, ...]
    nodes: tuple[Place, ...]
    image: Image

    def stores(self) -> list[str]:
        """Stores that run in this cluster."""
        return [role for role in STORE_PORTS if self.pods[role]]


def look(cluster: Cluster, profile: Profile) -> Survey:
    """Read what there is to try."""
    acp = profile.namespaces.acp
    roles = ("acp", "workers", *STORE_PORTS)
    workloads: dict[str, Workload] = {role: getattr(profile.workloads, role) for role in roles}
    pods = {
        role: _running(cluster.list("Pod", acp, workload.selector))
        for role, workload in workloads.items()
    }
    pods["faas"] = _running(cluster.list("Pod", profile.namespaces.faas))
    return Survey(
        pods=pods, services=cluster.list("Service", acp), api=_api(cluster),
        nodes=_nodes(cluster), image=_image(profile, pods, workloads),
    )  # fmt: skip


def foreign(survey: Survey) -> dict[str, list[Place]]:
    """What a pod of another namespace tries: ports of ACP and of the stores."""
    tried: dict[str, list[Place]] = {}
    served = [*_spread(survey.pods["acp"]), *_spread(survey.pods["workers"])]
    for number in ACP_PORTS:
        tried[f"foreign acp:{number}"] = [
            _place(pod, port) for pod in served for port in _of_acp(pod, number)
        ]
    for store in survey.stores():
        pods = _spread(survey.pods[store])
        for port in _ports(survey, store):
            tried[f"foreign {store}:{port}"] = [_place(pod, port) for pod in pods]
    return tried


def acp_egress(survey: Survey, unlisted: Iterable[Place]) -> dict[str, list[Place]]:
    """What a pod of ACP tries: its stores, and three things it has no business with."""
    tried = {f"acp egress {store}": _main(survey, store) for store in survey.stores()}
    tried["acp egress unlisted"] = list(unlisted)
    tried["acp egress kube-api"] = list(survey.api)
    tried["acp egress metadata"] = [METADATA]
    return tried


def faas_egress(survey: Survey, outside: Iterable[Place]) -> dict[str, list[Place]]:
    """What a pod of functions tries: the outside, and everything inside."""
    return {
        "faas egress outside": list(outside),
        "faas egress kube-api": list(survey.api),
        "faas egress acp": [
            _place(pod, port)
            for pod in _spread(survey.pods["acp"])
            for port in _of_acp(pod, ACP_PORTS[0])
        ],
        "faas egress redis": _main(survey, "redis"),
        "faas egress node": list(survey.nodes),
        "faas egress metadata": [METADATA],
    }


def _main(survey: Survey, store: str) -> list[Place]:
    port = next(iter(_ports(survey, store)), STORE_PORTS[store][0])
    return [_place(pod, port) for pod in _spread(survey.pods[store])]


def _place(pod: Object, port: int) -> Place:
    return Place(pod["metadata"]["name"], pod["status"]["podIP"], port)


def _of_acp(pod: Object, number: int) -> list[int]:
    """The port itself, and for 8443 also the one that is served when TLS is off."""
    served = [port["containerPort"] for port in _declared(pod) if port.get("name") == "http"]
    return sorted({number, *(served if number == ACP_PORTS[0] else [])})


def _declared(pod: Object) -> list[Object]:
    return [port for each in pod["spec"]["containers"] for port in each.get("ports") or []]


def _ports(survey: Survey, store: str) -> list[int]:
    """Ports of STORE_PORTS that the store's pods declare or a Service sends to them."""
    found: set[int] = set()
    for pod in survey.pods[store]:
        found.update(port["containerPort"] for port in _declared(pod))
        labels = pod["metadata"].get("labels") or {}
        for service in survey.services:
            selector = service["spec"].get("selector") or {}
            if selector and selector.items() <= labels.items():
                for port in service["spec"].get("ports") or []:
                    target = port.get("targetPort", port.get("port"))
                    found |= {target} if isinstance(target, int) else set()
    return [port for port in STORE_PORTS[store] if port in found]


def _running(pods: Iterable[Object]) -> list[Object]:
    return [
        pod
        for pod in pods
        if (pod.get("status") or {}).get("phase") == "Running"
        and pod["status"].get("podIP")
        and not pod["spec"].get("hostNetwork")  # no policy applies to it
        and "deletionTimestamp" not in pod["metadata"]
    ]


def _spread(pods: list[Object]) -> list[Object]:
    """At most AT_MOST pods, first of each node."""
    seen: set[str] = set()
    first: list[Object] = []
    others: list[Object] = []
    for pod in pods:
        node = pod["spec"].get("nodeName", "")
        (others if node in seen else first).append(pod)
        seen.add(node)
    return [*first, *others][:AT_MOST]


def _api(cluster: Cluster) -> tuple[Place, ...]:
    """The API server by its Service and by its own addresses: a policy may know only one."""
    service = cluster.get("Service", "kubernetes", "default")["spec"]
    places = [Place("Service kubernetes", service["clusterIP"], service["ports"][0]["port"])]
    label = "kubernetes.io/service-name=kubernetes"
    for part in cluster.list("EndpointSlice", "default", label):
        for endpoint in part.get("endpoints") or []:
            for port in part.get("ports") or []:
                places.append(Place("API server", endpoint["addresses"][0], port["port"]))
    return tuple(places[: 1 + AT_MOST])


def _nodes(cluster: Cluster) -> tuple[Place, ...]:
    places = []
    for node in cluster.list("Node"):
        for address in (node.get("status") or {}).get("addresses") or []:
            if address["type"] == "InternalIP":
                places.append(Place(node["metadata"]["name"], address["address"], KUBELET_PORT))
                break
    return tuple(places[:NODES_AT_MOST])


def _image(
    profile: Profile, pods: dict[str, list[Object]], workloads: dict[str, Workload]
) -> Image:
    """The profile's, or that of a store: Patroni, which leads it, is written in Python.

    A store's image is on its nodes already, so only these are used.
    """
    if profile.probes.image:
        return Image(name=profile.probes.image)
    for store in ("analytics", "sql"):
        for container in pods[store][0]["spec"]["containers"] if pods[store] else []:
            if container["name"] == workloads[store].container:
                nodes = {pod["spec"].get("nodeName", "") for pod in pods[store]}
                tolerations = pods[store][0]["spec"].get("tolerations") or []
                return Image(
                    name=container["image"], nodes=tuple(sorted(nodes - {""})),
                    tolerations=tuple(tolerations),
                )  # fmt: skip
    return Image(name="")
