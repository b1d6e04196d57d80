"""HARD-25 to HARD-28: the certificate that ACP serves is its own, sound, and the one in its Secret.

Room: check. Certificates come from handshakes with each pod and from the Secret that is mounted.
"""

import datetime as dt
import re
from functools import partial
from typing import NamedTuple
from urllib.parse import urlsplit

from cryptography import x509

from acpchaos.check.posture.parts import Part, joined
from acpchaos.check.posture.rule import Finding, Judgement, Unreadable, broken, rule
from acpchaos.check.posture.view import Pods, View, dig, label, selects
from acpchaos.check.posture.x509 import (
    chains_to,
    covers,
    fingerprint,
    left_days,
    names,
    parsed,
    published,
    weak_key,
    weak_signature,
)
from acpchaos.record.sealed import opened
from acpchaos.record.snapshot import Object, Served

SOURCE = "vendor document, hardening, certificates"
MOCK_KEY = "mock-certificate-key"
_PATH = "server.certificate.cert_path"
_DEFAULT_PATH = "/tls/tls.crt"
_OWN = "chart values certificate.cert and certificate.key, or certManager.enabled: true"


# where certificates are


class Place(NamedTuple):
    """A Secret that holds a certificate."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"Secret {self.namespace}/{self.name}"


def _place(view: View, pods: Pods) -> Place:
    """The Secret that is mounted where the configuration of these pods looks. Flagger gives its
    copies of a workload copies of its Secrets, so each has its own."""
    doors = [*view.setting(pods, _PATH), *view.flag(pods, "server.cert.path", valued=True)]
    path = str(doors[-1].value) if doors else _DEFAULT_PATH
    source = view.mounted(pods, path)
    if source and source[0] == "Secret":
        return Place(pods.namespace, source[1])
    return Place(pods.namespace, f"{view.scope.workloads['acp'].name}-tls")  # the chart's name


def _by_workload(view: View) -> dict[str, Place]:
    return {str(pods): _place(view, pods) for pods in view.acp}


def _places(view: View) -> list[Place]:
    return list(dict.fromkeys(view.once(_by_workload).values()))


def _data(secret: Object, key: str) -> str:
    return str((secret.get("data") or {}).get(key) or "")


def _of_secret(view: View, place: Place) -> tuple[Object, list[x509.Certificate]]:
    secret = view.find("Secret", *place)
    if secret is None:
        raise Unreadable(f"{place} is not in the evidence")
    return secret, parsed([_data(secret, "tls.crt")], f"{place}[tls.crt]")


def _chain(served: Served) -> list[x509.Certificate]:
    return parsed(served.chain, served.where)


def _issuing(view: View, place: Place) -> list[Object]:
    """cert-manager Certificates that write the Secret; none where cert-manager is not used."""
    if "Certificate" not in view.snapshot.objects and "Certificate" not in view.snapshot.unread:
        return []
    found = view.objects("Certificate", place.namespace)
    return [each for each in found if dig(each, "spec.secretName") == place.name]


@rule(
    "HARD-25",
    evidence="handshakes with each pod and through the ingress; the Secret with the certificate",
    passes="no certificate or key is one that vendor material publishes",
    source="vendor document, hardening, certificates; fingerprints taken from the chart",
    remedy=_OWN,
)
def not_published(view: View) -> Judgement:
    served = [each for each in view.snapshot.served if each.chain]
    parts = [partial(_published_secrets, view), partial(pods_seen, view)]
    parts.append(partial(ingress_seen, view))
    return joined([*parts, *(partial(_published_served, each) for each in served)])


def pods_seen(view: View) -> Judgement:
    """What was read when every running pod of ACP completed a handshake; Unreadable else."""
    seen = view.served("pod")
    if unseen := view.once(_running).keys() - {_pod_of(served) for served in seen}:
        every = {_pod_of(served): served.error for served in view.snapshot.served}
        told = ", ".join(f"{name} {every.get(name, '')}".strip() for name in sorted(unseen))
        raise Unreadable(f"no handshake was seen with {told}")
    return Judgement(read=tuple(served.where for served in seen))


def ingress_seen(view: View) -> Judgement:
    """What was read when the address that clients use completed a handshake; Unreadable else."""
    if not view.scope.base_url:
        return Judgement()
    return Judgement(read=tuple(served.where for served in view.served("ingress")))


def _published_served(served: Served) -> Judgement:
    return _published(served.where, "chain", _chain(served))


def _published_secrets(view: View) -> Judgement:
    return joined(partial(_published_secret, view, place) for place in _places(view))


def _published_secret(view: View, place: Place) -> Judgement:
    secret, chain = _of_secret(view, place)
    where = str(place)
    key = opened(_data(secret, "tls.key"))
    leaked = Finding(
        object=where, field="data[tls.key]", saw="the chart's published key",
        want="a key that nobody else has", remedy=_OWN,
    )  # fmt: skip
    findings = (leaked,) if key and key.published == MOCK_KEY else ()
    mine = Judgement(findings=findings, read=(where,))
    return joined([lambda: mine, partial(_published, where, "data[tls.crt]", chain)])


def _published(where: str, field: str, chain: list[x509.Certificate]) -> Judgement:
    findings = tuple(
        Finding(
            object=where, field=f"{field}[{at}]", saw=f"{whose} certificate, key published",
            want="a certificate of one's own", remedy=_OWN,
        )
        for at, each in enumerate(chain)
        if (whose := published(each))
    )  # fmt: skip
    return Judgement(findings=findings, read=(where,))


@rule(
    "HARD-26",
    evidence="cert-manager Certificates that write the Secret; else the Secret's chain",
    passes="the Certificate is Ready, or the chain is one's own; it leads to the Secret's ca.crt "
    "or, without one, verified in a handshake",
    source=SOURCE,
    remedy=_OWN,
)
def own_certificate(view: View) -> Judgement:
    return joined(partial(_own, view, place) for place in _places(view))


def _own(view: View, place: Place) -> Judgement:
    if issuing := _issuing(view, place):
        return joined(partial(_ready, each) for each in issuing)
    secret, chain = _of_secret(view, place)
    where = str(place)
    if whose := published(chain[0]):
        return _only(where, "data[tls.crt]", f"{whose} certificate", "one's own", _OWN)
    if pem := _data(secret, "ca.crt"):
        fault = chains_to(chain, parsed([pem], f"{where}[ca.crt]"))
    else:
        fault = next((served.verified for served in view.served("pod") if served.verified), "")
    if fault:
        return _only(where, "data[tls.crt]", f"a broken chain: {fault}", "a chain to its CA", _OWN)
    return Judgement(read=(where,))


def _only(where: str, field: str, saw: str, want: str, remedy: str) -> Judgement:
    finding = Finding(object=where, field=field, saw=saw, want=want, remedy=remedy)
    return Judgement(findings=(finding,), read=(where,))


def _ready(certificate: Object) -> Judgement:
    where = label("Certificate", certificate)
    conditions: list[Object] = dig(certificate, "status.conditions") or []
    ready: Object = next((c for c in conditions if c.get("type") == "Ready"), {})
    if ready.get("status") == "True":
        return Judgement(read=(where,))
    if not conditions:
        raise Unreadable(f"{where} has no status yet")
    saw = f"{ready.get('status', 'missing')}: {ready.get('message', 'no message')}"
    remedy = f"kubectl describe certificate {certificate['metadata']['name']}"
    return _only(where, "status.conditions[Ready]", saw, "True", remedy)


@rule(
    "HARD-27",
    evidence="certificates of handshakes with each pod and through the ingress",
    passes="it has begun, posture.certificate_days (14) or more are left, the subjectAltName holds "
    "a name of the "
    "Service or the host, RSA 2048 and more or a curve, no SHA-1 or MD5",
    source=SOURCE,
    remedy="have the certificate issued again with these properties",
)
def sound(view: View) -> Judgement:
    served = [each for each in view.snapshot.served if each.chain]
    parts: list[Part] = [partial(pods_seen, view), partial(ingress_seen, view)]
    return joined([*parts, *(partial(_sound, view, each) for each in served)])


def _sound(view: View, served: Served) -> Judgement:
    now = dt.datetime.fromisoformat(view.snapshot.taken_at)
    days = view.policy.certificate_days
    findings = []

    def found(at: int, what: str, saw: str, want: str) -> None:
        remedy = f"issue it again: {what} {want}"
        place = f"chain[{at}].{what}"
        findings.append(
            Finding(object=served.where, field=place, saw=saw, want=want, remedy=remedy)
        )

    chain = _chain(served)
    for at, each in enumerate(chain):
        left = left_days(each, now)
        if left < days:
            saw = f"{each.not_valid_after_utc:%Y-%m-%d}, {left:.0f} days left"
            found(at, "notAfter", saw, f"{days} days left")
        if each.not_valid_before_utc > now:
            found(at, "notBefore", f"{each.not_valid_before_utc:%Y-%m-%d}", "a day in the past")
        if weak := weak_key(each):
            found(at, "publicKey", weak, "RSA of 2048 bits or more, or a curve")
        if weak := weak_signature(each):
            found(at, "signatureAlgorithm", weak, "SHA-256 or better")
    wanted = _hosts(view, served)
    held = names(chain[0])
    if not any(covers(pattern, name) for pattern in held for name in wanted):
        saw = ", ".join(held) or "empty"
        found(0, "subjectAltName", saw, " or ".join(sorted(wanted, key=len)[-2:]))
    return Judgement(findings=tuple(findings), read=(served.where,))


def _hosts(view: View, served: Served) -> set[str]:
    """Names of which a certificate must hold one: the URL's host, or those of ACP's Services."""
    if served.where.startswith("ingress "):
        return {urlsplit(served.where.partition(" ")[2]).hostname or ""}
    namespace = view.scope.namespace
    services = [str(each["metadata"]["name"]) for each in services_of(view)]
    ends = (f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local")
    return {name + end for name in services for end in ("", *ends)}


def services_of(view: View) -> list[Object]:
    """Services that select pods of ACP or its workers; Unreadable without any."""
    found = [
        service
        for service in view.objects("Service", view.scope.namespace)
        for wanted in [dig(service, "spec.selector")]
        if wanted and any(selects({"matchLabels": wanted}, pods.labels) for pods in view.acp)
    ]
    if not found:
        raise Unreadable("no Service of the evidence selects ACP's pods")
    return found


@rule(
    "HARD-28",
    evidence="handshakes with each running pod of ACP, the Secret, cert-manager Certificates",
    passes="every pod serves what the Secret holds; renewBefore is shorter than duration",
    source=SOURCE,
    remedy="kubectl rollout restart deployment acp, after a renewal that ACP did not pick up",
)
def renewal(view: View) -> Judgement:
    parts = [partial(_same, view), partial(pods_seen, view), partial(_renewed_in_time, view)]
    return joined(parts)


def _same(view: View) -> Judgement:
    main = next(pods for pods in view.acp if pods.role == "acp")
    running, findings, read = view.once(_running), [], list[str]()
    for served in view.served("pod"):
        place = view.once(_by_workload)[str(running.get(_pod_of(served), main))]
        wanted, leaf = _of_secret(view, place)[1][0], _chain(served)[0]
        read += [str(place), served.where]
        if fingerprint(leaf) != fingerprint(wanted):
            saw = f"serial {leaf.serial_number:x}, valid until {leaf.not_valid_after_utc:%Y-%m-%d}"
            want = f"serial {wanted.serial_number:x} as in {place}"
            remedy = f"kubectl -n {view.scope.namespace} rollout restart deployment"
            findings.append(broken(served.where, "chain[0]", saw, want, remedy))
    return Judgement(findings=tuple(findings), read=tuple(dict.fromkeys(read)))


def _pod_of(served: Served) -> str:
    """The pod's name in `pod namespace/name:port`."""
    return served.where.rpartition("/")[2].partition(":")[0]


def _running(view: View) -> dict[str, Pods]:
    """Running pods of ACP and its workers with their workload, where pods were gathered at all."""
    if view.snapshot.source == "manifests":
        return {}
    return {
        str(pod["metadata"]["name"]): pods
        for pod in view.objects("Pod", view.scope.namespace)
        if dig(pod, "status.phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
        for pods in view.acp
        if _selects(pods.object, pod)
    }


def _selects(workload: Object, pod: Object) -> bool:
    return selects(dig(workload, "spec.selector") or {}, pod["metadata"].get("labels") or {})


def _renewed_in_time(view: View) -> Judgement:
    return joined(partial(_window, e) for place in _places(view) for e in _issuing(view, place))


def _window(certificate: Object) -> Judgement:
    where = label("Certificate", certificate)
    duration = _hours(dig(certificate, "spec.duration") or "2160h")  # cert-manager's default
    before = dig(certificate, "spec.renewBefore")
    if before is None or _hours(before) < duration:  # its default is a third of the duration
        return Judgement(read=(where,))
    saw, want = f"{before}", f"shorter than the duration, {duration:g}h"
    return _only(where, "spec.renewBefore", saw, want, f"renewBefore: {duration / 3:.0f}h")


def _hours(text: str) -> float:
    """A Go duration such as 2160h or 360h0m0s, in hours."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(h|m|s)", str(text))
    if "".join(number + unit for number, unit in parts) != str(text) or not parts:
        raise Unreadable(f"{text!r} is no duration")
    return sum(float(number) / {"h": 1, "m": 60, "s": 3600}[unit] for number, unit in parts)
