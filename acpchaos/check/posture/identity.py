"""HARD-23: what ACP's own service accounts may do, and whether its pods hold their tokens.

Room: check. Only functions of Fission need the API server; everything else is a door for whoever
breaks into a pod.
"""

from functools import partial

from acpchaos.check.posture.access import unbind
from acpchaos.check.posture.objects import pointer
from acpchaos.check.posture.parts import joined
from acpchaos.check.posture.rbac import Bound, bound, whole
from acpchaos.check.posture.rule import Finding, Judgement, broken, rule
from acpchaos.check.posture.view import Pods, View
from acpchaos.check.posture.workload import containers, shown
from acpchaos.record.snapshot import Object

# Bindings of every cluster to every account (Kubernetes, default roles): they tell of versions and
# of one's own rights, and nothing else.
_OF_EVERYBODY = {
    f"ClusterRole system:{name}"
    for name in ("basic-user", "discovery", "public-info-viewer",
                 "service-account-issuer-discovery")
}  # fmt: skip


@rule(
    "HARD-23",
    evidence="service accounts of ACP, its workers, jobs and functions: bindings, those of all "
    "accounts too, and whether the token is mounted, by itself or by a volume",
    passes="no binding but to rules of fission.io, and no token in a pod that has no such rule",
    source="an extension of the vendor document; the chart mounts the token by default",
    remedy="automountServiceAccountToken: false in the pod specification",
)
def own_identity(view: View) -> Judgement:
    return joined(partial(_identity, view, p) for p in [*view.acp, *view.jobs, *view.faas])


def _identity(view: View, pods: Pods) -> Judgement:
    # the second is the older name of the first, and the API server fills in either
    named = pods.spec.get("serviceAccountName") or pods.spec.get("serviceAccount")
    account = str(named or "default")
    return joined(
        [
            partial(_token, view, pods, account),
            partial(_tokens_by_volume, view, pods, account),
            partial(_bound, view, pods, account),
        ]
    )


def _token(view: View, pods: Pods, account: str) -> Judgement:
    own = pods.spec.get("automountServiceAccountToken")
    read = (f"{pods} service account {account}",)
    if own is None and (found := view.find("ServiceAccount", pods.namespace, account)):
        own = found.get("automountServiceAccountToken")
    if own is False or _needs_token(view, pods, account):
        return Judgement(read=read)
    finding = Finding(
        object=str(pods), field=f"{pods.path}.automountServiceAccountToken",
        saw="true" if own else "not set, which means true", want="false",
        remedy="automountServiceAccountToken: false",
    )  # fmt: skip
    return Judgement(findings=(finding,), read=read)


def _needs_token(view: View, pods: Pods, account: str) -> bool:
    """Whether a rule on functions is bound to it; Unreadable when a binding may be missing."""
    if any(_fission(each) for each in _grants_of(view, pods, account)):
        return True
    if view.snapshot.source != "manifests":  # a release binds its own account
        whole(view)
    return False


def _tokens_by_volume(view: View, pods: Pods, account: str) -> Judgement:
    """Tokens for the API server that a volume mounts; one with an audience is for somebody else."""
    mounts = [m.get("name") for c in containers(pods) for m in c.spec.get("volumeMounts") or []]
    findings = []
    for at, volume in enumerate(pods.spec.get("volumes") or []):
        sources = (volume.get("projected") or {}).get("sources") or []
        token = [each["serviceAccountToken"] for each in sources if "serviceAccountToken" in each]
        open_ones = [each for each in token if not (each or {}).get("audience")]
        if volume.get("name") not in mounts or not (open_ones or _of_account(view, pods, volume)):
            continue
        if not _needs_token(view, pods, account):
            field = f"{pods.path}.volumes[{at}]"
            saw = f"volume {volume.get('name')} with a token for the API server"
            remedy = f'[{{"op": "remove", "path": "{pointer(field)}"}}], and its mounts'
            findings.append(broken(str(pods), field, saw, "none", remedy))
    return Judgement(findings=tuple(findings))


def _of_account(view: View, pods: Pods, volume: Object) -> bool:
    """Whether a volume shows a Secret that Kubernetes fills with a token that never ends."""
    for kind, name, _ in shown(volume):
        found = view.find("Secret", pods.namespace, name) if kind == "Secret" else None
        if found is not None and found.get("type") == "kubernetes.io/service-account-token":
            return True
    return False


def _bound(view: View, pods: Pods, account: str) -> Judgement:
    return joined(
        [partial(_bindings, view, pods, account), partial(_all_bound, view, pods, account)]
    )


def _all_bound(view: View, pods: Pods, account: str) -> Judgement:
    whole(view)
    return Judgement(read=(f"bindings of {pods.namespace}/{account}",))


def _bindings(view: View, pods: Pods, account: str) -> Judgement:
    findings = tuple(
        Finding(
            object=each.binding,
            field=each.field,
            saw=f"service account {pods.namespace}/{account}, bound to {each.role}",
            want="no binding, or rules of fission.io only",
            remedy=f"{unbind(each.binding)}; or bind an account that ACP does not run as",
        )
        for each in _grants_of(view, pods, account)
        if each.rules and not _fission(each) and each.role not in _OF_EVERYBODY
    )
    return Judgement(findings=findings)


def _grants_of(view: View, pods: Pods, account: str) -> list[Bound]:
    """Bindings of an account, those through the groups that it is in too."""
    groups = ("serviceaccounts", f"serviceaccounts:{pods.namespace}", "authenticated")
    mine = {f"ServiceAccount:{pods.namespace}/{account}", *(f"Group:system:{g}" for g in groups)}
    return bound(view, mine)


def _fission(given: Bound) -> bool:
    groups = {group for each in given.rules for group in each.get("apiGroups") or []}
    return groups == {"fission.io"}
