"""HARD-03: from outside, ACP's own port is reached through the ingress, and nothing else.

Room: check. Pure semantics of Service, Ingress and HTTPProxy; probes tell what gets through.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from acpchaos.check.posture.objects import dig, label, pointer, selects
from acpchaos.check.posture.parts import joined
from acpchaos.check.posture.probing import blocked, control_open
from acpchaos.check.posture.rule import Judgement, Unreadable, broken, rule
from acpchaos.check.posture.view import View
from acpchaos.check.posture.workload import Pods, containers
from acpchaos.record.snapshot import PUBLISHED, PUBLISHED_PORTS, Object

HTTP = (8443, "http")  # of ACP's pods: number and name
_OUTSIDE = ("NodePort", "LoadBalancer")
# ways in beside Ingress and HTTPProxy, whose rules are not read
ROUTES = (
    "HTTPRoute", "GRPCRoute", "TLSRoute", "TCPRoute", "IngressRoute", "IngressRouteTCP",
    "VirtualService", "Route",
)  # fmt: skip


class Backend(NamedTuple):
    """Where an Ingress or HTTPProxy leads."""

    field: str
    service: str
    port: Any


@rule(
    "HARD-03",
    evidence="type and externalIPs of Services, backends of Ingress and HTTPProxy, routes of other "
    "makers, hostPort and hostNetwork of pods, in the namespaces of ACP and its functions; probes "
    "of ACP's and the stores' other ports at each outer address",
    passes="no Service is open to the outside, every backend is the http port of ACP's main pods, "
    "no pod uses its node's network; from outside the ingress answers and no such port does",
    source="vendor document, hardening: switch off what is not needed",
    remedy="chart values service.type: ClusterIP, and one Ingress to port http",
    active=True,
)
def one_way_in(view: View) -> Judgement:
    namespaces = dict.fromkeys([view.scope.namespace, view.scope.faas_namespace])
    workloads = [*view.acp, *view.jobs, *view.faas, *view.neighbours]
    return joined(
        [
            *(partial(_services, view, each) for each in namespaces),
            *(partial(_routes, view, "Ingress", each) for each in namespaces),
            *(partial(_routes, view, "HTTPProxy", each) for each in namespaces),
            *(partial(_of_the_node, each) for each in workloads),
            *(partial(other_routes, view, each) for each in namespaces),
            partial(control_open, view, "controller acp:8443"),
            partial(_ports, view),
        ]
    )


def _ports(view: View) -> Judgement:
    names = [f"{PUBLISHED}{port}" for port in PUBLISHED_PORTS]
    names += [name for name in view.snapshot.probes if name.startswith(PUBLISHED)]
    want = "closed at every outer address"
    remedy = "find what leads there: a load balancer, a TCP route of the ingress, a node's port"
    return blocked(view, dict.fromkeys(names), want, remedy)


def other_routes(view: View, namespace: str) -> Judgement:
    """No finding; Unreadable when a namespace has a way in that is not understood, or may."""
    known = ("Ingress", "Service", *ROUTES)
    more = [kind for kind in view.snapshot.objects if kind.partition(".")[0] in known]
    for kind in dict.fromkeys([*ROUTES, *(each for each in more if each not in known[:2])]):
        for each in view.objects(kind, namespace):
            raise Unreadable(f"{label(kind, each)} is a way in that is not understood")
    return Judgement()


def _services(view: View, namespace: str) -> Judgement:
    findings, read = [], [f"Services of {namespace}"]
    for service in view.objects("Service", namespace):
        where, spec = label("Service", service), service.get("spec") or {}
        if spec.get("type") in _OUTSIDE:
            ports = ", ".join(str(each.get("port")) for each in spec.get("ports") or [])
            saw = f"{spec['type']}, which opens {ports or 'its ports'} past the ingress"
            findings.append(broken(where, "spec.type", saw, "ClusterIP", "type: ClusterIP"))
        if spec.get("externalIPs"):
            saw, want = ", ".join(map(str, spec["externalIPs"])), "none"
            remedy = '[{"op": "remove", "path": "/spec/externalIPs"}]'
            findings.append(broken(where, "spec.externalIPs", saw, want, remedy))
    return Judgement(findings=tuple(findings), read=tuple(read))


def _routes(view: View, kind: str, namespace: str) -> Judgement:
    """Backends of all routes; HTTPProxy only where the cluster knows it."""
    known = {*view.snapshot.objects, *view.snapshot.unread}
    if kind == "HTTPProxy" and kind not in known:
        return Judgement()
    tell = _of_ingress if kind == "Ingress" else _of_proxy
    return joined(
        partial(_route, view, label(kind, each), namespace, backend)
        for each in view.objects(kind, namespace)
        for backend in tell(each.get("spec") or {})
    )


def _of_ingress(spec: Object) -> Iterator[Backend]:
    if default := dig(spec, "defaultBackend.service"):
        yield _backend("spec.defaultBackend.service", default)
    for at, each in enumerate(spec.get("rules") or []):
        for n, path in enumerate(dig(each, "http.paths") or []):
            service = dig(path, "backend.service") or {}
            yield _backend(f"spec.rules[{at}].http.paths[{n}].backend.service", service)


def _backend(field: str, service: Object) -> Backend:
    port = service.get("port") or {}
    return Backend(field, str(service.get("name", "")), port.get("name") or port.get("number"))


def _of_proxy(spec: Object) -> Iterator[Backend]:
    places = [(f"spec.routes[{at}]", each) for at, each in enumerate(spec.get("routes") or [])]
    if spec.get("tcpproxy"):
        places.append(("spec.tcpproxy", spec["tcpproxy"]))
    for field, each in places:
        for n, service in enumerate(each.get("services") or []):
            yield Backend(f"{field}.services[{n}]", str(service.get("name")), service.get("port"))


def _route(view: View, where: str, namespace: str, backend: Backend) -> Judgement:
    service = view.find("Service", namespace, backend.service)
    if service is None:
        raise Unreadable(f"{where} leads to Service {namespace}/{backend.service}, which is hidden")
    port = _port(service, backend.port)
    main = [pods for pods in view.acp if pods.role == "acp"]
    chosen = dig(service, "spec.selector")
    ours = chosen and any(selects({"matchLabels": chosen}, pods.labels) for pods in main)
    if ours and port.get("targetPort", port.get("port")) in HTTP:
        return Judgement(read=(where, label("Service", service)))
    what = f"Service {backend.service}, port {backend.port}"
    shown = f"{what}, which is {'another port' if ours else 'no Service'} of ACP's main pods"
    remedy = f'[{{"op": "remove", "path": "{pointer(backend.field.partition(".http")[0])}"}}]'
    want = f"the port http of Service {view.scope.workloads['acp'].name}"
    found = broken(where, backend.field, shown, want, remedy)
    return Judgement(findings=(found,), read=(where,))


def _port(service: Object, wanted: Any) -> Object:
    """The entry of a Service's ports with this name or number."""
    every: list[Object] = dig(service, "spec.ports") or []
    return next((p for p in every if wanted in (p.get("name"), p.get("port"))), {})


def _of_the_node(pods: Pods) -> Judgement:
    findings = []
    if pods.spec.get("hostNetwork") is True:
        field = f"{pods.path}.hostNetwork"
        findings.append(broken(str(pods), field, "true", "false", "hostNetwork: false"))
    for container in containers(pods):
        for at, port in enumerate(container.spec.get("ports") or []):
            if port.get("hostPort"):
                field = f"{container.path}.ports[{at}].hostPort"
                remedy = f'[{{"op": "remove", "path": "{pointer(field)}"}}]'
                findings.append(broken(str(pods), field, str(port["hostPort"]), "absent", remedy))
    return Judgement(findings=tuple(findings), read=(str(pods),))
