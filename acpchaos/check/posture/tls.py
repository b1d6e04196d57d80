"""HARD-29: TLS is on, from the client through the ingress to ACP's pod.

Room: check. The switch that turns it off has three doors, and the ingress has two legs.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from acpchaos.check.posture.certificates import pods_seen, services_of
from acpchaos.check.posture.exposure import other_routes
from acpchaos.check.posture.parts import Part, joined
from acpchaos.check.posture.rule import Finding, Judgement, rule
from acpchaos.check.posture.view import Pods, View, containers, dig, label
from acpchaos.check.posture.x509 import of_controller, parsed
from acpchaos.record.snapshot import Object, Served

_SWITCH = "server.dangerous_disable_tls"
_FLAGS = (_SWITCH, "server.dangerous-disable-tls", "dangerous-disable-tls")
_NGINX = "nginx.ingress.kubernetes.io"
_UPSTREAM_TLS = "projectcontour.io/upstream-protocol.tls"


@rule(
    "HARD-29",
    evidence="server.dangerous_disable_tls by flag, file and environment, server.port; Ingress and "
    "HTTPProxy objects; handshakes",
    passes="TLS is not disabled, ACP listens on 8443, the backend protocol is HTTPS, every host "
    "has a certificate of its own",
    source="vendor document, hardening, certificates and TLS",
    remedy="chart values tlsDisabled: false and ingress.tls with a secretName",
)
def tls_on(view: View) -> Judgement:
    parts: list[Part] = [partial(_listens, view, pods) for pods in view.acp]
    parts += [partial(_ingresses, view), partial(_proxies, view)]
    parts.append(partial(other_routes, view, view.scope.namespace))
    return joined([*parts, partial(pods_seen, view), partial(_outside, view)])


def _listens(view: View, pods: Pods) -> Judgement:
    """What ACP was told: not to disable TLS, and its port."""
    findings = []
    switched = [door for name in _FLAGS for door in view.flag(pods, name)]
    for door in [*view.setting(pods, _SWITCH), *switched]:
        if str(door.value).lower() not in ("false", ""):
            findings.append(_finding(door.object, door.field, door.value, "false or absent"))
    for door in [*view.setting(pods, "server.port"), *view.flag(pods, "server.port", valued=True)]:
        if str(door.value) != "8443":
            findings.append(_finding(door.object, door.field, door.value, "8443"))
    for container in containers(pods):
        for at, port in enumerate(container.spec.get("ports") or []):
            if port.get("name") == "http" and port.get("containerPort") != 8443:
                place = f"{container.path}.ports[{at}].containerPort"
                findings.append(_finding(str(pods), place, port.get("containerPort"), "8443"))
    return Judgement(findings=tuple(findings), read=(str(pods),))


def _finding(where: str, field: str, saw: Any, want: str, remedy: str = "") -> Finding:
    """`remedy` is, unless given, the field with the wanted value."""
    pasted = remedy or f"{field.rpartition('.')[2]}: {want.partition(' ')[0]}"
    return Finding(object=where, field=field, saw=str(saw), want=want, remedy=pasted)


def _ingresses(view: View) -> Judgement:
    services = {str(each["metadata"]["name"]): each for each in services_of(view)}
    namespace = view.scope.namespace
    return joined(
        partial(_ingress, view, ingress, services)
        for ingress in view.objects("Ingress", namespace)
        if services.keys() & set(_backends(ingress))
    )


def _backends(ingress: Object) -> Iterator[str]:
    spec = ingress.get("spec") or {}
    yield str(dig(spec, "defaultBackend.service.name"))
    for each in spec.get("rules") or []:
        for path in dig(each, "http.paths") or []:
            yield str(dig(path, "backend.service.name"))


def _ingress(view: View, ingress: Object, services: dict[str, Object]) -> Judgement:
    where, spec = label("Ingress", ingress), ingress.get("spec") or {}
    notes = ingress["metadata"].get("annotations") or {}
    findings = []
    if str(notes.get(f"{_NGINX}/ssl-passthrough")).lower() == "true":
        return Judgement(read=(where,))  # the handshake is with ACP itself
    behind = [services[name] for name in _backends(ingress) if name in services]
    protocol = str(notes.get(f"{_NGINX}/backend-protocol") or "HTTP").upper()
    if protocol not in ("HTTPS", "GRPCS") and not all(_upstream_tls(each) for each in behind):
        field = f"metadata.annotations[{_NGINX}/backend-protocol]"
        findings.append(
            _finding(where, field, protocol, "HTTPS", f"{_NGINX}/backend-protocol: HTTPS")
        )
    entries = spec.get("tls") or []
    covered = {host for entry in entries for host in entry.get("hosts") or []}
    for host in sorted({str(each.get("host") or "") for each in spec.get("rules") or []}):
        if not entries or (covered and host and host not in covered):
            findings.append(_no_tls(where, host, entries))
    findings += _missing_secrets(view, where, entries)
    return Judgement(findings=tuple(findings), read=(where,))


def _upstream_tls(service: Object) -> bool:
    notes = service["metadata"].get("annotations") or {}
    return bool(notes.get(_UPSTREAM_TLS))


def _no_tls(where: str, host: str, entries: list[Object]) -> Finding:
    saw = f"no entry for {host or 'any host'}" if entries else "empty"
    hosts = f"hosts: [{host}], " if host else ""
    remedy = f"tls: [{{{hosts}secretName: acp-ingress-tls}}]"
    return _finding(where, "spec.tls", saw, "an entry with a secretName", remedy)


def _missing_secrets(view: View, where: str, entries: list[Object]) -> list[Finding]:
    """Entries without a Secret, or with one that is not there: the controller then serves its
    own stand-in."""
    findings = []
    for at, entry in enumerate(entries):
        name = entry.get("secretName")
        field = f"spec.tls[{at}].secretName"
        remedy = "secretName: NAME of a Secret of type kubernetes.io/tls"
        if not name:
            findings.append(_finding(where, field, "not set", "a Secret", remedy))
        elif (
            view.snapshot.source == "live"
            and view.find("Secret", view.scope.namespace, name) is None
        ):
            saw = f"{name}, which does not exist"
            findings.append(_finding(where, field, saw, "a Secret that exists", remedy))
    return findings


def _proxies(view: View) -> Judgement:
    """Contour's own kind of route, where it is used."""
    if "HTTPProxy" not in view.snapshot.objects and "HTTPProxy" not in view.snapshot.unread:
        return Judgement()
    services = {str(each["metadata"]["name"]): each for each in services_of(view)}
    found = view.objects("HTTPProxy", view.scope.namespace)
    return joined(partial(_proxy, each, services) for each in found)


def _proxy(proxy: Object, services: dict[str, Object]) -> Judgement:
    where, findings, ours = label("HTTPProxy", proxy), [], False
    tls = dig(proxy, "spec.virtualhost.tls") or {}
    for at, route in enumerate(dig(proxy, "spec.routes") or []):
        for n, service in enumerate(route.get("services") or []):
            if service.get("name") not in services:
                continue
            ours = True
            secured = service.get("protocol") in ("tls", "h2")
            if not secured and not _upstream_tls(services[service["name"]]):
                field = f"spec.routes[{at}].services[{n}].protocol"
                saw = service.get("protocol") or "not set"
                findings.append(_finding(where, field, saw, "tls"))
    hosted = dig(proxy, "spec.virtualhost") is not None
    if ours and hosted and not (tls.get("secretName") or tls.get("passthrough")):
        remedy = "tls: {secretName: acp-ingress-tls}"
        findings.append(
            _finding(where, "spec.virtualhost.tls", "no secretName", "a Secret", remedy)
        )
    return Judgement(findings=tuple(findings), read=(where,) if ours else ())


def _outside(view: View) -> Judgement:
    """What clients see is not the stand-in of the ingress controller."""
    base = view.scope.base_url
    if base and urlsplit(base).scheme != "https":
        found = _finding("target profile", "service.base_url", base, "https://...")
        return Judgement(findings=(found,), read=("target profile",))
    return joined(partial(_real, each) for each in view.served("ingress"))


def _real(served: Served) -> Judgement:
    leaf = parsed(served.chain, served.where)[0]
    if name := of_controller(leaf):
        remedy = "tls: [{hosts: [HOST], secretName: NAME}] in the Ingress"
        found = _finding(served.where, "chain[0].subject", name, "a certificate of ACP", remedy)
        return Judgement(findings=(found,), read=(served.where,))
    return Judgement(read=(served.where,))
