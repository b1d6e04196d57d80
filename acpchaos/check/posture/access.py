"""HARD-19 to HARD-22: secrets at rest, and who may read or write them.

Room: check. Whoever can run a pod in ACP's namespace can mount its Secrets, so making pods counts
as reading them.
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import partial

from acpchaos.check.posture.controlplane import apiservers
from acpchaos.check.posture.parts import joined
from acpchaos.check.posture.rbac import Ask, Grant, grants, whole
from acpchaos.check.posture.rule import Finding, Judgement, Unreadable, rule
from acpchaos.check.posture.view import Pods, View
from acpchaos.record.snapshot import Probe

SOURCE = "vendor document, hardening, secrets: limit access by RBAC"
_ENCRYPTION = "encryption-provider-config"

# Subjects of every cluster that must be able to do these things, each with the reason.
BUILT_IN = {
    "Group:system:masters": "passes every check before any role is looked at",
    "Group:kubeadm:cluster-admins": "cluster administrators by kubeadm's own name",
    "User:system:kube-controller-manager": "makes and removes tokens of service accounts",
    "ServiceAccount:kube-system/generic-garbage-collector": "deletes what a lost owner leaves",
    "ServiceAccount:kube-system/namespace-controller": "empties a namespace that is deleted",
    "ServiceAccount:kube-system/resourcequota-controller": "counts objects of every kind",
    "ServiceAccount:kube-system/legacy-service-account-token-cleaner": "removes unused tokens",
    "ServiceAccount:kube-system/persistent-volume-binder": "runs pods that recycle volumes",
    "ServiceAccount:kube-system/expand-controller": "read storage secrets in older versions",
    "ServiceAccount:kube-system/deployment-controller": "makes the pods of Deployments",
    "ServiceAccount:kube-system/replicaset-controller": "makes the pods of ReplicaSets",
    "ServiceAccount:kube-system/replication-controller": "makes the pods of its kind",
    "ServiceAccount:kube-system/statefulset-controller": "makes the pods of StatefulSets",
    "ServiceAccount:kube-system/daemon-set-controller": "makes the pods of DaemonSets",
    "ServiceAccount:kube-system/job-controller": "makes the pods of Jobs",
    "ServiceAccount:kube-system/cronjob-controller": "makes the Jobs of CronJobs",
}
# Never right, even when a policy lists them: everybody, nobody, or every pod without an account.
FORBIDDEN = (
    "Group:system:authenticated", "Group:system:unauthenticated", "User:system:anonymous",
    "Group:system:serviceaccounts", "Group:system:serviceaccounts:*", "ServiceAccount:*/default",
)  # fmt: skip

_READ = [Ask(verb, "", "secrets") for verb in ("get", "list", "watch")]
_WRITE = [
    Ask(verb, "", "secrets") for verb in ("create", "update", "patch", "delete", "deletecollection")
]
_CHANGES = ("create", "update", "patch")
_RUN = [
    *(Ask(verb, "", "pods") for verb in _CHANGES),
    *(Ask(verb, "", "replicationcontrollers") for verb in _CHANGES),
    *(Ask(v, "apps", f"{k}s") for k in ("deployment", "replicaset") for v in _CHANGES),
    *(Ask(v, "apps", f"{k}s") for k in ("statefulset", "daemonset") for v in _CHANGES),
    *(Ask(v, "batch", f"{k}s") for k in ("job", "cronjob") for v in _CHANGES),
    # kubectl opens both by GET since it speaks WebSocket
    *(Ask(v, "", f"pods/{sub}") for sub in ("exec", "attach") for v in ("create", "get")),
    *(Ask(v, "", "pods/ephemeralcontainers") for v in ("update", "patch")),
]


@rule(
    "HARD-19",
    evidence="flag --encryption-provider-config of the API server; probe: the raw value of a "
    "Secret in etcd; where a provider hides both, an attestation",
    passes="the flag is set and the raw value is encrypted, or a recent attestation says so",
    source="vendor document, hardening, secrets: encryption at rest",
    remedy="kube-apiserver --encryption-provider-config with a provider other than identity "
    "first, then write every Secret again",
)
def at_rest(view: View) -> Judgement:
    try:
        servers, hidden = apiservers(view), ""
    except Unreadable as reason:
        servers, hidden = [], str(reason)
    flags = Judgement(
        findings=tuple(_unflagged(each) for each in servers if not view.flag(each, _ENCRYPTION)),
        read=tuple(str(each) for each in servers),
    )
    if flags.findings:
        return flags
    return joined([lambda: flags, partial(_stored, view, bool(servers), hidden)])


def _stored(view: View, flagged: bool, hidden: str) -> Judgement:
    """What lies in etcd, by a probe or by an attestation. A flag does not tell the provider, which
    may be identity; where the provider of the cluster hides everything, only a person can tell."""
    probe = view.snapshot.probes.get("at-rest")
    if probe is not None and probe.outcome != "unknown":
        findings = () if probe.outcome == "encrypted" else (_plain(probe),)
        return Judgement(findings=findings, read=("probe at-rest",))
    try:
        attested = view.attestation("HARD-19")
    except Unreadable as lack:
        if not (flagged or hidden):
            raise
        seen = hidden or "the flag is set, which does not tell the provider"
        tried = f"probe at-rest: {probe.saw}" if probe else "probe at-rest was not run"
        raise Unreadable(f"{seen}; {tried}; {lack}") from None
    return Judgement(read=(f"attestation of {attested.date} by {attested.owner}",))


def _unflagged(server: Pods) -> Finding:
    return Finding(
        object=str(server), field="spec.containers[0].command", saw=f"no --{_ENCRYPTION}",
        want=f"--{_ENCRYPTION}=FILE", remedy=f"add --{_ENCRYPTION}=FILE to its static pod",
    )  # fmt: skip


def _plain(probe: Probe) -> Finding:
    return Finding(
        object="probe at-rest", field="outcome", saw=str(probe), want="encrypted",
        remedy="list a provider before identity, then: kubectl get secrets -A -o json "
        "| kubectl replace -f -",
    )  # fmt: skip


@rule(
    "HARD-20",
    evidence="Roles, ClusterRoles and their bindings that grant get, list or watch of Secrets in "
    "ACP's namespace",
    passes="subjects are those of the control plane or listed in posture.secret_readers; never "
    "everybody, never a default service account",
    source=SOURCE,
    remedy="remove the binding, or list the subject in [posture] secret_readers with its reason",
)
def readers(view: View) -> Judgement:
    return _within(view, _READ, view.policy.secret_readers, "secret_readers")


@rule(
    "HARD-21",
    evidence="the same for create, update, patch and delete of Secrets",
    passes="subjects are those of the control plane or listed in posture.secret_writers",
    source=SOURCE,
    remedy="remove the binding, or list the subject in [posture] secret_writers with its reason",
)
def writers(view: View) -> Judgement:
    return _within(view, _WRITE, view.policy.secret_writers, "secret_writers")


@rule(
    "HARD-22",
    evidence="the same for making or changing pods and workloads, exec, attach and ephemeral "
    "containers",
    passes="subjects are those of the control plane or listed in posture.pod_creators",
    source="vendor document, hardening, secrets: a pod of the namespace can mount its Secrets",
    remedy="remove the binding, or list the subject in [posture] pod_creators with its reason",
)
def pod_creators(view: View) -> Judgement:
    return _within(view, _RUN, view.policy.pod_creators, "pod_creators")


def _within(view: View, asks: list[Ask], allowed: tuple[str, ...], key: str) -> Judgement:
    """A finding for each subject that may and should not, also where not all bindings are there."""
    return joined([partial(_granted, view, asks, allowed, key), partial(_all_there, view)])


def _granted(view: View, asks: list[Ask], allowed: tuple[str, ...], key: str) -> Judgement:
    found = grants(view, view.scope.namespace, asks, partial(_counts, view))
    findings = [_finding(g, key) for g in found if not _accepted(g.subject, allowed)]
    return Judgement(findings=tuple(findings))


def _all_there(view: View) -> Judgement:
    whole(view)
    if view.snapshot.source == "manifests":
        raise Unreadable("manifests do not hold the roles and bindings that the cluster has")
    own = (f"Roles of {view.scope.namespace}", f"RoleBindings of {view.scope.namespace}")
    return Judgement(read=(*own, "ClusterRoles", "ClusterRoleBindings"))


def _counts(view: View, ask: Ask, name: str) -> bool:
    """A grant on one name matters when that object is here; on a pod, when it is ACP's own."""
    namespace = view.scope.namespace
    if ask.resource == "secrets":
        hidden = view.snapshot.source == "manifests"  # which need not hold what they name
        return hidden or view.find("Secret", namespace, name) is not None
    if not ask.resource.startswith("pods"):
        return True
    stores = [each.name for each in view.neighbours]
    return not any(_ordinal(name, store) for store in stores)


def _ordinal(name: str, stateful_set: str) -> bool:
    """Is it a pod of this StatefulSet? Its names are fixed, so a grant on them stays on them."""
    return name.startswith(f"{stateful_set}-") and name.removeprefix(f"{stateful_set}-").isdigit()


def _accepted(subject: str, allowed: Iterable[str]) -> bool:
    if any(fnmatchcase(subject, pattern) for pattern in FORBIDDEN):
        return False
    return subject in BUILT_IN or any(fnmatchcase(subject, pattern) for pattern in allowed)


def _finding(grant: Grant, key: str) -> Finding:
    never = any(fnmatchcase(grant.subject, pattern) for pattern in FORBIDDEN)
    listed = "" if never else f'; or, with its reason, [posture] {key} = ["{grant.subject}"]'
    shown = ", ".join(grant.may[:4]) + (" and more" if len(grant.may) > 4 else "")
    return Finding(
        object=grant.binding,
        field=grant.field,
        saw=f"{grant.subject}, who may {shown} through {grant.role}",
        want="nobody of that kind" if never else f"a subject of posture.{key}",
        remedy=f"{unbind(grant.binding)}{listed}",
    )


def unbind(binding: str) -> str:
    """The command that removes "Kind namespace/name"."""
    kind, _, place = binding.partition(" ")
    namespace, _, name = place.rpartition("/")
    where = f"-n {namespace} " if namespace else ""
    return f"kubectl {where}delete {kind.lower()} {name}"
