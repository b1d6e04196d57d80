"""Policies of other makers that may open what Kubernetes' own close, or close what they leave open.

Room: check. Administrators' policies, Calico's and Antrea's are asked before NetworkPolicy, by
order and action, in languages of their own. They are not judged: where one may be about a pod, a
row on that pod is undecided, since neither "isolated" nor "open" can be said without it.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from acpchaos.check.posture import cilium
from acpchaos.check.posture.netpol import NAME_LABEL, Direction
from acpchaos.check.posture.objects import label, namespace_of, selects
from acpchaos.check.posture.rule import Unreadable
from acpchaos.check.posture.view import Pods, View
from acpchaos.record.snapshot import Object

ADMIN = (
    "AdminNetworkPolicy", "BaselineAdminNetworkPolicy",
    "ClusterNetworkPolicy.policy.networking.k8s.io",
)  # fmt: skip
CALICO = tuple(
    f"{kind}.{group}"
    for group in ("crd.projectcalico.org", "projectcalico.org")
    for kind in ("NetworkPolicy", "GlobalNetworkPolicy")
)
ANTREA = ("NetworkPolicy.crd.antrea.io", "ClusterNetworkPolicy.crd.antrea.io")
_BASELINE = "BaselineAdminNetworkPolicy"
_EQUAL = re.compile(r"([\w./-]+)\s*==\s*['\"]([^'\"]*)['\"]")  # of Calico's selectors
_CLOSING = {"deny", "drop", "reject", "pass", "log"}  # actions that open nothing


class Unjudged(NamedTuple):
    """A policy that may be about a pod: whether it may open a direction, or close it."""

    name: str
    opens: bool
    closes: bool


def deciding(view: View, pods: Pods, direction: Direction, *, isolated: bool) -> list[str]:
    """Policies without which nothing can be said of these pods. Where Kubernetes' own policies
    isolate them, only one that opens matters; Unreadable when a kind was not gathered."""
    found = [each for each in _about(view, pods, direction) if each.opens or not isolated]
    return [each.name for each in found if each.opens or each.closes]


def _about(view: View, pods: Pods, direction: Direction) -> Iterator[Unjudged]:
    for kind in ADMIN:
        for each in view.objects(kind):
            if _is_subject(view, each, pods):
                yield _told(kind, each, direction)
    for kind in (*CALICO, *ANTREA, *_unknown(view)):
        for each in view.objects(kind):
            near = namespace_of(each) in ("", pods.namespace)
            if near and _governs(each, direction) and not _leaves_out(each, pods):
                yield _told(kind, each, direction)._replace(closes=True)
    for kind in cilium.KINDS:
        for each in view.objects(kind):
            near = namespace_of(each) in ("", pods.namespace)
            if near and _unread_cilium(view, kind, each, pods):
                yield Unjudged(label(kind, each), opens=True, closes=True)


def _unknown(view: View) -> list[str]:
    """Kinds of still other makers, as manifests may hold them; staged ones are not in force."""
    known = {"NetworkPolicy", *ADMIN, *CALICO, *ANTREA, *cilium.KINDS}
    every = {kind: kind.partition(".")[0] for kind in view.snapshot.objects if kind not in known}
    return [k for k, n in every.items() if n.endswith("NetworkPolicy") and n[:6] != "Staged"]


def _told(kind: str, found: Object, direction: Direction) -> Unjudged:
    spec = found.get("spec") or {}
    rules = spec.get(direction) or []
    actions = {str(rule.get("action") or "allow").lower() for rule in rules}
    last = kind == _BASELINE or spec.get("tier") == "Baseline"  # asked last, it cannot open
    return Unjudged(label(kind, found), bool(actions - _CLOSING) and not last, bool(actions))


def _governs(found: Object, direction: Direction) -> bool:
    """Whether Calico's policy is about a direction: named in `types`, else told by its rules."""
    spec = found.get("spec") or {}
    if types := spec.get("types"):
        return direction.capitalize() in types
    return direction in spec or (direction == "ingress" and "egress" not in spec)


def _leaves_out(found: Object, pods: Pods) -> bool:
    """Whether Calico's policy is surely about other pods: a copy of a Kubernetes policy, which
    counts itself, or a selector that asks for another value of a label."""
    if str(found["metadata"]["name"]).startswith("knp.default."):
        return True
    text = str((found.get("spec") or {}).get("selector") or "")
    if re.search(r"[|!()]", text):
        return False
    terms = [_EQUAL.fullmatch(term.strip()) for term in text.split("&&")]
    asked = {each[1]: each[2] for each in terms if each and "projectcalico.org/" not in each[1]}
    return any(pods.labels.get(key) != value for key, value in asked.items())


def _is_subject(view: View, found: Object, pods: Pods) -> bool:
    """Whether an administrator's policy is about these pods; yes when it cannot be told."""
    subject = (found.get("spec") or {}).get("subject") or {}
    both = subject.get("pods") or {}
    spaces = both.get("namespaceSelector", subject.get("namespaces"))
    chosen = both.get("podSelector")
    if spaces is None:
        return True
    labels = namespace_labels(view, pods.namespace)
    if labels is None and cilium.asked(spaces) - {NAME_LABEL}:
        return True
    home = {NAME_LABEL: pods.namespace, **(labels or {})}
    return selects(spaces, home) and (chosen is None or selects(chosen, pods.labels))


def _unread_cilium(view: View, kind: str, found: Object, pods: Pods) -> bool:
    try:
        cilium.policies_of(kind, found, pods.namespace, namespace_labels(view, pods.namespace))
    except cilium.UNREAD:
        return cilium.selected(found, pods.labels)
    return False


def namespace_labels(view: View, name: str) -> dict[str, str] | None:
    """Labels of a namespace; None when it is not in the evidence."""
    try:
        found = view.find("Namespace", "", name)
    except Unreadable:
        return None
    return None if found is None else dict(found["metadata"].get("labels") or {})
