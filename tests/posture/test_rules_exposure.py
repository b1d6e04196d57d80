"""HARD-03: Services, routes and pods that open another way in."""

from typing import Any

import pytest

from acpchaos.record.snapshot import Object, Probe, Snapshot

from .asking import ACP, asked, fails, passes, replaced, undecided, unread
from .building import CONTAINER, FAAS, MAIN, POD, container, installation, pod_spec
from .building_lab import hardened

ROW = "HARD-03"
PATH = "spec.rules[0].http.paths[1].backend.service"


def test_a_sound_installation_passes() -> None:
    passes(installation(), ROW)
    passes(hardened(), ROW)


def service(name: str, namespace: str = ACP, **spec: Any) -> Object:
    spec = {"ports": [{"name": "x", "port": 6379}], "selector": {"app": name}, **spec}
    meta = {"name": name, "namespace": namespace}
    return {"kind": "Service", "metadata": meta, "spec": spec}


@pytest.mark.parametrize("namespace", [ACP, FAAS])
@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_a_service_that_is_open_to_the_outside_fails(kind: str, namespace: str) -> None:
    snapshot = installation()
    snapshot.objects["Service"].append(service("redis", namespace, type=kind))
    found = fails(snapshot, ROW, f"Service {namespace}/redis", "spec.type", kind)
    assert "6379" in found.saw and found.remedy == "type: ClusterIP"


def test_acps_own_port_is_no_exception_beside_the_ingress() -> None:
    snapshot = installation()
    snapshot.objects["Service"][0]["spec"]["type"] = "LoadBalancer"
    fails(snapshot, ROW, f"Service {ACP}/acp", "spec.type", "8443")


def test_external_addresses_fail() -> None:
    snapshot = installation()
    snapshot.objects["Service"].append(service("redis", externalIPs=["192.0.2.1"]))
    fails(snapshot, ROW, f"Service {ACP}/redis", "spec.externalIPs", "192.0.2.1")


def test_the_ingress_controllers_service_is_meant_to_be_open() -> None:
    snapshot = installation()
    snapshot.objects["Service"].append(service("ingress", "ingress", type="LoadBalancer"))
    passes(snapshot, ROW)


def lead(snapshot: Snapshot, to: str, /, **port: Any) -> None:
    """One more path of the Ingress."""
    path = {"path": "/x", "backend": {"service": {"name": to, "port": port}}}
    snapshot.objects["Ingress"][0]["spec"]["rules"][0]["http"]["paths"].append(path)


@pytest.mark.parametrize("port", [{"name": "metrics"}, {"number": 9000}, {"number": 9443}])
def test_another_port_of_acp_behind_the_ingress_fails(port: Object) -> None:
    snapshot = installation()
    lead(snapshot, "acp", **port)
    fails(snapshot, ROW, f"Ingress {ACP}/acp", PATH, "another port of ACP's main pods")


@pytest.mark.parametrize("port", [{"name": "http"}, {"number": 8443}])
def test_the_port_may_be_named_or_numbered(port: Object) -> None:
    snapshot = installation()
    lead(snapshot, "acp", **port)
    passes(snapshot, ROW)


def test_another_service_behind_the_ingress_fails() -> None:
    snapshot = installation()
    snapshot.objects["Service"].append(service("redis"))
    lead(snapshot, "redis", number=6379)
    fails(snapshot, ROW, f"Ingress {ACP}/acp", PATH, "no Service of ACP's main pods")


def test_the_name_of_a_port_does_not_hide_where_it_leads() -> None:
    snapshot = installation()
    snapshot.objects["Service"][0]["spec"]["ports"][0]["targetPort"] = 9000
    field = "spec.rules[0].http.paths[0].backend.service"
    fails(snapshot, ROW, f"Ingress {ACP}/acp", field, "another port")


def test_workers_and_services_without_selector_are_not_acps_port() -> None:
    snapshot = installation()
    ports = [{"name": "http", "port": 8443, "targetPort": "http"}]
    for name, selector in (("acp-workers", {"app": "acp-workers"}), ("blind", None)):
        snapshot.objects["Service"].append(service(name, ports=ports, selector=selector))
        lead(snapshot, name, name="http")
    assert len(asked(snapshot, ROW)[1]) == 2


def test_a_default_backend_counts() -> None:
    snapshot = installation()
    backend = {"service": {"name": "acp", "port": {"name": "metrics"}}}
    snapshot.objects["Ingress"][0]["spec"]["defaultBackend"] = backend
    fails(snapshot, ROW, f"Ingress {ACP}/acp", "spec.defaultBackend.service")


def test_a_service_that_is_hidden_leaves_the_row_undecided() -> None:
    snapshot = installation()
    lead(snapshot, "gone", number=1)
    undecided(snapshot, ROW, f"leads to Service {ACP}/gone, which is hidden")


def proxy(snapshot: Snapshot, **spec: Any) -> None:
    meta = {"name": "acp", "namespace": ACP}
    snapshot.objects["HTTPProxy"].append({"kind": "HTTPProxy", "metadata": meta, "spec": spec})


def test_contours_routes_count() -> None:
    snapshot = installation()
    proxy(snapshot, routes=[{"services": [{"name": "acp", "port": 8443}]}])
    passes(snapshot, ROW)
    proxy(snapshot, routes=[{"services": [{"name": "acp", "port": 9000}]}])
    fails(snapshot, ROW, f"HTTPProxy {ACP}/acp", "spec.routes[0].services[0]")
    snapshot.objects["HTTPProxy"].clear()
    proxy(snapshot, tcpproxy={"services": [{"name": "acp", "port": 9000}]})
    fails(snapshot, ROW, f"HTTPProxy {ACP}/acp", "spec.tcpproxy.services[0]")


def test_contour_is_asked_only_where_it_is_known() -> None:
    snapshot = installation()
    del snapshot.objects["HTTPProxy"]
    passes(snapshot, ROW)
    unread(snapshot, "HTTPProxy")
    undecided(snapshot, ROW, "HTTPProxy objects could not be read")


@pytest.mark.parametrize("kind", ["Service", "Ingress", "Deployment", "StatefulSet"])
def test_without_the_objects_the_row_is_undecided(kind: str) -> None:
    snapshot = installation()
    unread(snapshot, kind)
    undecided(snapshot, ROW, f"{kind} objects could not be read: forbidden")


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Deployment", "acp"), ("Deployment", "acp-primary"), ("Job", "acp-migrate"),
     ("StatefulSet", "redis-cluster")],
)  # fmt: skip
def test_a_port_or_the_network_of_the_node_fails(kind: str, name: str) -> None:
    snapshot = installation()
    container(snapshot, name, kind)["ports"] = [{"containerPort": 1}, {"hostPort": 6379}]
    where = f"{kind} {ACP}/{name}"
    found = fails(snapshot, ROW, where, f"{CONTAINER}.ports[1].hostPort", "6379")
    assert "/spec/template/spec/containers/0/ports/1/hostPort" in found.remedy
    container(snapshot, name, kind)["ports"] = None
    pod_spec(snapshot, name, kind)["hostNetwork"] = True
    fails(snapshot, ROW, where, f"{POD}.hostNetwork")


def test_manifests_alone_find_faults_and_say_nothing_of_what_gets_through() -> None:
    snapshot = replaced(installation(), source="manifests", probes={})
    undecided(snapshot, ROW, "probe outside port 9443 was not run")
    pod_spec(snapshot)["hostNetwork"] = True
    fails(snapshot, ROW, MAIN, f"{POD}.hostNetwork")


# from outside


@pytest.mark.parametrize("port", [9443, 9000, 8080, 8008, 5432])
def test_a_port_that_answers_outside_fails_whatever_objects_say(port: int) -> None:
    name, saw = f"outside port {port}", "Service ingress 192.0.2.1:9000 open"
    snapshot = with_probes(installation(), **{name: Probe(outcome="open", saw=saw)})
    fails(snapshot, ROW, f"probe {name}", "outcome", saw)
    lost = with_probes(snapshot, **{"outside port 8008": Probe(outcome="unknown", saw="lost")})
    if port != 8008:  # one that proved nothing hides no other
        fails(lost, ROW, f"probe {name}", "outcome", saw)


@pytest.mark.parametrize("name", ["outside port 9443", "outside port 8008", "outside port 5432"])
def test_a_port_that_was_not_told_leaves_the_row_undecided(name: str) -> None:
    snapshot = with_probes(installation(), **{name: Probe(outcome="unknown", saw="no way there")})
    undecided(snapshot, ROW, f"probe {name} proved nothing: no way there")


def test_an_ingress_that_nobody_reaches_is_no_proof_of_closed_ports() -> None:
    way = {"controller acp:8443": Probe(outcome="blocked", saw="HTTP 503")}
    undecided(with_probes(installation(), **way), ROW, "so a blocked one proves nothing")


def with_probes(snapshot: Snapshot, **more: Probe) -> Snapshot:
    return replaced(snapshot, probes={**snapshot.probes, **more})
