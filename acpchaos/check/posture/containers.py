"""HARD-30 to HARD-38: what a container may do on its node.

Room: check. The vendor document prints user and group 1000, its chart uses 65535: the rule is
"set and not root", never one number. A container's value wins over its pod's. Containers that
others put into running pods count with those of the workload.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from acpchaos.check.posture.objects import pointer
from acpchaos.check.posture.parts import Part, joined
from acpchaos.check.posture.rule import Finding, Judgement, NotHere, Unreadable, rule
from acpchaos.check.posture.view import Container, Pods, View, containers

SOURCE = "vendor document, hardening, security context; Kubernetes pod security standards"
_CAPABILITIES = "drop [ALL], add none"
LEVELS = ("privileged", "baseline", "restricted")  # in rising strictness
ENFORCE = "pod-security.kubernetes.io/enforce"
_CONFINED = ("RuntimeDefault", "Localhost")
# Kubernetes pod security standards: kinds of volumes of level restricted, sysctls of level baseline
_VOLUMES = {
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
    "projected", "secret",
}  # fmt: skip
_SYSCTLS = {
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range", "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}  # fmt: skip
_POD = "the pod's or container's securityContext"


def _acp(view: View) -> list[Pods]:
    return [*view.acp, *view.jobs, *view.faas]


def _every(view: View) -> list[Pods]:
    """Those with what was put into their pods."""
    return [*_acp(view), *view.once(_injected)]


def _injected(view: View) -> list[Pods]:
    return view.injected(_acp(view))


def _wrong(
    pods: Iterable[Pods], field: str, want: str, good: Callable[[Any], bool], *, pod_level: bool
) -> Judgement:
    """A finding for every container whose effective `field` is not good."""
    findings, read = [], []
    for owner in pods:
        read.append(str(owner))
        for container in containers(owner):
            value, place = _effective(container, field, pod_level=pod_level)
            if not good(value):
                findings.append(_finding(container, place, field, value, want))
    return Judgement(findings=tuple(findings), read=tuple(read))


def _effective(container: Container, field: str, *, pod_level: bool) -> tuple[Any, str]:
    own = (container.spec.get("securityContext") or {}).get(field)
    if own is not None or not pod_level:
        return own, f"{container.path}.securityContext.{field}"
    outer = (container.owner.spec.get("securityContext") or {}).get(field)
    if outer is not None:
        return outer, f"{container.owner.path}.securityContext.{field}"
    return None, f"{container.path}.securityContext.{field}"


def _finding(container: Container, place: str, field: str, value: Any, want: str) -> Finding:
    patch = f"securityContext: {{{field}: {_WANTED.get(field, '...')}}}"
    return Finding(
        object=f"{container.owner} container {container.name}", field=place,
        saw="not set" if value is None else repr(value), want=want, remedy=patch,
    )  # fmt: skip


_WANTED = {
    "fsGroup": "65535", "runAsGroup": "65535", "runAsUser": "65535", "runAsNonRoot": "true",
    "readOnlyRootFilesystem": "true", "allowPrivilegeEscalation": "false",
    "capabilities": "{drop: [ALL]}", "privileged": "false",
    "seccompProfile": "{type: RuntimeDefault}", "procMount": "Default",
}  # fmt: skip


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


@rule(
    "HARD-30",
    evidence="securityContext.fsGroup of the pods of ACP, its workers, jobs and functions",
    passes="set and greater than 0",
    source=SOURCE,
    remedy="chart value podSecurityContext.fsGroup: 65535",
)
def fs_group(view: View) -> Judgement:
    """fsGroup is a field of pods only."""
    findings, read = [], []
    for pods in _acp(view):
        read.append(str(pods))
        value = (pods.spec.get("securityContext") or {}).get("fsGroup")
        if not _positive(value):
            field = f"{pods.path}.securityContext.fsGroup"
            saw = "not set" if value is None else repr(value)
            patch = "securityContext: {fsGroup: 65535}"
            findings.append(
                Finding(object=str(pods), field=field, saw=saw, want="a group > 0", remedy=patch)
            )
    return Judgement(findings=tuple(findings), read=tuple(read))


@rule(
    "HARD-31",
    evidence=f"runAsGroup in {_POD}, every container, init ones too",
    passes="set and greater than 0",
    source=SOURCE,
    remedy="chart value securityContext.runAsGroup: 65535",
)
def run_as_group(view: View) -> Judgement:
    return _wrong(_every(view), "runAsGroup", "a group > 0", _positive, pod_level=True)


@rule(
    "HARD-32",
    evidence=f"runAsNonRoot in {_POD}, every container, init ones too",
    passes="true",
    source=SOURCE,
    remedy="chart value securityContext.runAsNonRoot: true",
)
def run_as_non_root(view: View) -> Judgement:
    return _wrong(_every(view), "runAsNonRoot", "true", lambda v: v is True, pod_level=True)


@rule(
    "HARD-33",
    evidence=f"runAsUser in {_POD}, every container, init ones too",
    passes="set and greater than 0",
    source=SOURCE,
    remedy="chart value securityContext.runAsUser: 65535",
)
def run_as_user(view: View) -> Judgement:
    return _wrong(_every(view), "runAsUser", "a user > 0", _positive, pod_level=True)


@rule(
    "HARD-34",
    evidence="readOnlyRootFilesystem of every container",
    passes="true",
    source=SOURCE,
    remedy="chart value securityContext.readOnlyRootFilesystem: true",
)
def read_only_root(view: View) -> Judgement:
    return _wrong(
        _every(view), "readOnlyRootFilesystem", "true", lambda v: v is True, pod_level=False
    )


@rule(
    "HARD-35",
    evidence="allowPrivilegeEscalation and privileged of every container",
    passes="allowPrivilegeEscalation false, privileged not true",
    source=SOURCE,
    remedy="chart value securityContext.allowPrivilegeEscalation: false",
)
def no_escalation(view: View) -> Judgement:
    return joined(_escalation(_every(view)))


def _escalation(pods: list[Pods]) -> list[Part]:
    escalates = "allowPrivilegeEscalation"
    return [
        partial(_wrong, pods, escalates, "false", lambda v: v is False, pod_level=False),
        partial(_wrong, pods, "privileged", "false", lambda v: v is not True, pod_level=False),
    ]


@rule(
    "HARD-36",
    evidence="capabilities of every container",
    passes="drop holds ALL and add is empty",
    source=SOURCE,
    remedy="chart value securityContext.capabilities: {drop: [ALL]}",
)
def no_capabilities(view: View) -> Judgement:
    return _wrong(_every(view), "capabilities", _CAPABILITIES, _dropped, pod_level=False)


def _dropped(value: Any) -> bool:
    found = value if isinstance(value, dict) else {}
    return "ALL" in (found.get("drop") or []) and not found.get("add")


@rule(
    "HARD-38",
    evidence="HARD-32 to HARD-36 for Redis, SQL and analytics pods in this cluster",
    passes="the same values hold there",
    source="an extension of the vendor document: a neighbour that escapes reaches ACP's node",
    remedy="the same securityContext in the charts of the stores",
)
def neighbours(view: View) -> Judgement:
    if not view.neighbours:
        raise NotHere("no store of the profile runs in this cluster")
    pods = [*view.neighbours, *view.injected(view.neighbours)]
    root = "readOnlyRootFilesystem"
    return joined(
        [
            partial(_wrong, pods, "runAsNonRoot", "true", lambda v: v is True, pod_level=True),
            partial(_wrong, pods, "runAsUser", "a user > 0", _positive, pod_level=True),
            partial(_wrong, pods, root, "true", lambda v: v is True, pod_level=False),
            *_escalation(pods),
            partial(_wrong, pods, "capabilities", _CAPABILITIES, _dropped, pod_level=False),
        ]
    )


@rule(
    "HARD-37",
    evidence=f"label {ENFORCE} of the namespaces of ACP and its functions; seccompProfile of every "
    "pod and container in them; kinds of volumes, hostPID, hostIPC, sysctls and procMount",
    passes="the level is posture.pod_security or stricter, each container is confined by "
    "RuntimeDefault or Localhost, and the pods keep to what that level admits: one that was there "
    "before the label goes on running, and is refused at its next start",
    source="vendor document, hardening, security context: further policies; Kubernetes pod "
    "security standards",
    remedy=f"kubectl label namespace NAMESPACE {ENFORCE}=restricted",
)
def pod_security(view: View) -> Judgement:
    namespaces = dict.fromkeys([view.scope.namespace, *(pods.namespace for pods in view.faas)])
    profiles = partial(
        _wrong, _every(view), "seccompProfile", "RuntimeDefault or Localhost", _confined,
        pod_level=True,
    )  # fmt: skip
    admitted = [partial(_admitted, pods, view.policy.pod_security) for pods in _every(view)]
    return joined([*(partial(_enforced, view, each) for each in namespaces), profiles, *admitted])


def _admitted(pods: Pods, level: str) -> Judgement:
    """What the level forbids a pod and no other row looks at."""
    findings = [
        _refused(pods, key, "true", "false") for key in ("hostPID", "hostIPC") if pods.spec.get(key)
    ]
    for at, volume in enumerate(pods.spec.get("volumes") or []):
        for kind in volume.keys() - {"name"}:
            if kind == "hostPath" or (level == "restricted" and kind not in _VOLUMES):
                findings.append(_refused(pods, f"volumes[{at}].{kind}", "a volume", "none of it"))
    sysctls = (pods.spec.get("securityContext") or {}).get("sysctls") or []
    for at, each in enumerate(sysctls):
        if each.get("name") not in _SYSCTLS:
            field = f"securityContext.sysctls[{at}].name"
            findings.append(_refused(pods, field, str(each.get("name")), "a harmless one"))
    mount = partial(_wrong, [pods], "procMount", "Default", _plain_proc, pod_level=False)
    return joined([partial(Judgement, findings=tuple(findings), read=(str(pods),)), mount])


def _refused(pods: Pods, field: str, saw: str, want: str) -> Finding:
    path = f"{pods.path}.{field}"
    remedy = f'[{{"op": "remove", "path": "{pointer(path)}"}}]'
    return Finding(object=str(pods), field=path, saw=saw, want=want, remedy=remedy)


def _plain_proc(value: Any) -> bool:
    return value in (None, "Default")


def _confined(value: Any) -> bool:
    return isinstance(value, dict) and value.get("type") in _CONFINED


def _enforced(view: View, name: str) -> Judgement:
    namespace = view.find("Namespace", "", name)
    if namespace is None:
        raise Unreadable(f"Namespace {name} is not in the evidence")
    where, least = f"Namespace {name}", view.policy.pod_security
    level = (namespace["metadata"].get("labels") or {}).get(ENFORCE, "")
    if level in LEVELS and LEVELS.index(level) >= LEVELS.index(least):
        return Judgement(read=(where,))
    finding = Finding(
        object=where, field=f"metadata.labels[{ENFORCE}]", saw=level or "not set", want=least,
        remedy=f"kubectl label namespace {name} --overwrite {ENFORCE}={least}",
    )  # fmt: skip
    return Judgement(findings=(finding,), read=(where,))
