"""HARD-29: TLS is on, from the client through the ingress to ACP's pod."""

from typing import Any

import pytest
import yaml

from acpchaos.record.snapshot import Served, Snapshot

from .asking import ACP, fails, named, passes, replaced, served, undecided, unread, unserved
from .building_lab import hardened, issuer
from .building_x509 import chain

POD = f"pod {ACP}/acp-5d4f-x:8443"
INGRESS = "ingress https://localhost:8443"
SWITCH = "data[extraconfig.yaml].server.dangerous_disable_tls"


def test_the_hardened_lab_passes() -> None:
    passes(hardened(), "HARD-29")


def configured(snapshot: Snapshot, text: Any) -> None:
    """More settings in the last file of the ConfigMap."""
    data = named(snapshot, "ConfigMap", "acp")["data"]
    data["extraconfig.yaml"] = yaml.safe_dump(text)


def pod_spec(snapshot: Snapshot) -> Any:
    return named(snapshot, "Deployment", "acp")["spec"]["template"]["spec"]


def test_tls_disabled_in_a_file_fails_for_every_workload_that_reads_it() -> None:
    snapshot = hardened()
    configured(snapshot, {"server": {"dangerous_disable_tls": True}})
    where = f"ConfigMap {ACP}/acp"
    fails(snapshot, "HARD-29", where, SWITCH, "True")
    configured(snapshot, {"server": {"dangerous_disable_tls": "yes"}})
    fails(snapshot, "HARD-29", where, SWITCH, "yes")
    configured(snapshot, {"server": {"dangerous_disable_tls": False}})
    passes(snapshot, "HARD-29")


def test_tls_disabled_by_the_environment_fails() -> None:
    snapshot = hardened()
    entry = {"name": "SERVER_DANGEROUS_DISABLE_TLS", "value": "true"}
    pod_spec(snapshot)["containers"][0]["env"].append(entry)
    field = "spec.template.spec.containers[0].env[3]"
    fails(snapshot, "HARD-29", f"Deployment {ACP}/acp", field, "True")


@pytest.mark.parametrize("flag", ["--server.dangerous_disable_tls", "--dangerous-disable-tls=1"])
def test_tls_disabled_by_a_flag_fails(flag: str) -> None:
    snapshot = hardened()
    pod_spec(snapshot)["containers"][0]["args"].append(flag)
    field = "spec.template.spec.containers[0].args[5]"
    fails(snapshot, "HARD-29", f"Deployment {ACP}/acp", field)


def test_another_port_fails() -> None:
    snapshot = hardened()
    configured(snapshot, {"server": {"port": 8080}})
    where = f"ConfigMap {ACP}/acp"
    fails(snapshot, "HARD-29", where, "data[extraconfig.yaml].server.port", "8080")
    snapshot = hardened()
    pod_spec(snapshot)["containers"][0]["ports"][0]["containerPort"] = 8080
    field = "spec.template.spec.containers[0].ports[0].containerPort"
    fails(snapshot, "HARD-29", f"Deployment {ACP}/acp", field, "8080")


BACKEND = "nginx.ingress.kubernetes.io/backend-protocol"


def test_a_plain_leg_from_the_ingress_to_acp_fails() -> None:
    snapshot = hardened()
    ingress, service = named(snapshot, "Ingress", "acp"), named(snapshot, "Service", "acp")
    del service["metadata"]["annotations"]["projectcontour.io/upstream-protocol.tls"]
    passes(snapshot, "HARD-29")
    ingress["metadata"]["annotations"][BACKEND] = "HTTP"
    where = (f"Ingress {ACP}/acp", f"metadata.annotations[{BACKEND}]")
    fails(snapshot, "HARD-29", *where, "HTTP")
    service["metadata"]["annotations"] = {"projectcontour.io/upstream-protocol.tls": "8443"}
    passes(snapshot, "HARD-29")


def test_an_ingress_without_tls_fails() -> None:
    snapshot = hardened()
    ingress = named(snapshot, "Ingress", "acp")
    ingress["spec"]["tls"] = []
    fails(snapshot, "HARD-29", f"Ingress {ACP}/acp", "spec.tls", "empty")
    ingress["spec"]["tls"] = [{"hosts": ["other.test"], "secretName": "acp-ingress-tls"}]
    fails(snapshot, "HARD-29", f"Ingress {ACP}/acp", "spec.tls", "no entry for localhost")


@pytest.mark.parametrize(
    ("entry", "saw"), [({}, "not set"), ({"secretName": "gone"}, "gone, which does not exist")]
)
def test_a_tls_entry_without_its_secret_makes_the_controller_serve_its_own(
    entry: Any, saw: str
) -> None:
    snapshot = hardened()
    named(snapshot, "Ingress", "acp")["spec"]["tls"] = [{"hosts": ["localhost"], **entry}]
    fails(snapshot, "HARD-29", f"Ingress {ACP}/acp", "spec.tls[0].secretName", saw)


def test_an_ingress_that_passes_tls_through_needs_neither() -> None:
    snapshot = hardened()
    ingress = named(snapshot, "Ingress", "acp")
    ingress["metadata"]["annotations"] = {"nginx.ingress.kubernetes.io/ssl-passthrough": "true"}
    ingress["spec"]["tls"] = []
    passes(snapshot, "HARD-29")


def test_an_ingress_of_something_else_is_left_alone() -> None:
    snapshot = hardened()
    ingress = named(snapshot, "Ingress", "acp")
    ingress["spec"]["tls"] = []
    path = ingress["spec"]["rules"][0]["http"]["paths"][0]
    path["backend"]["service"]["name"] = "shop"
    passes(snapshot, "HARD-29")


def proxied(snapshot: Snapshot, service: Any, virtualhost: Any) -> None:
    routes = [{"services": [{"name": "acp", "port": 8443, **service}]}]
    spec = {"routes": routes} | ({"virtualhost": virtualhost} if virtualhost else {})
    proxy = {"kind": "HTTPProxy", "metadata": {"name": "acp", "namespace": ACP}, "spec": spec}
    snapshot.objects["HTTPProxy"] = [proxy]
    annotations = named(snapshot, "Service", "acp")["metadata"]["annotations"]
    annotations.pop("projectcontour.io/upstream-protocol.tls", None)


def test_contours_own_routes_are_read_as_well() -> None:
    host = {"fqdn": "localhost", "tls": {"secretName": "acp-ingress-tls"}}
    snapshot = hardened()
    proxied(snapshot, {"protocol": "tls"}, host)
    passes(snapshot, "HARD-29")
    proxied(snapshot, {}, host)
    where = f"HTTPProxy {ACP}/acp"
    fails(snapshot, "HARD-29", where, "spec.routes[0].services[0].protocol", "not set")
    proxied(snapshot, {"protocol": "tls"}, {"fqdn": "localhost"})
    fails(snapshot, "HARD-29", where, "spec.virtualhost.tls", "no secretName")
    proxied(snapshot, {"protocol": "tls"}, None)  # included by a proxy that has the host
    passes(snapshot, "HARD-29")


def test_the_controllers_own_certificate_fails() -> None:
    snapshot = hardened()
    fake = chain(issuer(), ["localhost"], subject="Kubernetes Ingress Controller Fake Certificate")
    served(snapshot, INGRESS, fake)
    fails(snapshot, "HARD-29", INGRESS, "chain[0].subject", "Fake Certificate")


@pytest.mark.parametrize("prefix", ["pod ", "ingress "])
def test_no_handshake_is_inconclusive(prefix: str) -> None:
    snapshot = hardened()
    unserved(snapshot, prefix)
    undecided(snapshot, "HARD-29", "no certificate was seen")


def test_a_pod_that_answered_in_plain_text_was_not_seen_to_speak_tls() -> None:
    snapshot = hardened()
    unserved(snapshot, "pod ")
    snapshot.served.append(Served(where=POD, error="wrong version number"))
    undecided(snapshot, "HARD-29", "wrong version number")


def test_what_was_not_gathered_is_inconclusive() -> None:
    for kind in ("Ingress", "Service", "ConfigMap"):
        snapshot = hardened()
        unread(snapshot, kind)
        undecided(snapshot, "HARD-29", f"{kind} objects could not be read")


def test_manifests_fail_what_they_show_and_pass_nothing_without_a_handshake() -> None:
    snapshot = hardened()
    snapshot.served.clear()
    manifests = replaced(snapshot, source="manifests")
    undecided(manifests, "HARD-29", "no certificate was seen")
    configured(manifests, {"server": {"dangerous_disable_tls": True}})
    where = f"ConfigMap {ACP}/acp"
    fails(manifests, "HARD-29", where, SWITCH)
