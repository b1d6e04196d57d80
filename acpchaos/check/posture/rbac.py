"""Who may do what in a namespace, evaluated from Roles and bindings as the API server does.

Room: check. Pure RBAC semantics, no opinion about who should be allowed. It knows neither the node
authorizer nor webhooks: those answer beside RBAC and leave no objects.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from acpchaos.check.posture.view import View, label, namespace_of, selects
from acpchaos.record.snapshot import Object

KINDS = ("Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding")
_ALL = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
_OF_EDITORS: list[Object] = [
    {"apiGroups": [""], "verbs": _ALL,
     "resources": ["secrets", "pods", "pods/exec", "pods/attach", "replicationcontrollers"]},
    {"apiGroups": ["apps", "batch"], "verbs": _ALL, "resources": ["*"]},
]  # fmt: skip
# Every cluster has these, so manifests bind them without holding them (Kubernetes, default roles);
# of editors as much as is asked about here.
DEFAULT_ROLES: dict[str, list[Object]] = {
    "cluster-admin": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    "admin": _OF_EDITORS, "edit": _OF_EDITORS,
}  # fmt: skip
# No name can match these requests, so a rule limited to names never grants them.
_NAMELESS = {"create", "deletecollection"}
_ACCOUNT = "system:serviceaccount:"


@dataclass(frozen=True)
class Ask:
    """One thing somebody may be able to do; a subresource is part of `resource`: pods/exec."""

    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}"


@dataclass(frozen=True)
class Grant:
    """One subject that may do some of what was asked, through one entry of one binding."""

    subject: str  # User:name, Group:name, ServiceAccount:namespace/name
    binding: str  # "RoleBinding namespace/name"
    field: str  # subjects[0]
    role: str  # "ClusterRole name"
    may: tuple[str, ...]


def grants(
    view: View,
    namespace: str,
    asks: list[Ask],
    named: Callable[[Ask, str], bool] = lambda _ask, _name: True,
) -> list[Grant]:
    """Everyone who may do any of `asks` in a namespace, as far as roles and bindings are there:
    `whole` tells whether all are. `named` decides whether a grant on one object name counts."""
    roles = view.once(_Roles)
    found = []
    for kind, binding in _bindings(view, namespace):
        ref = binding.get("roleRef") or {}
        rules = roles.rules(str(ref.get("kind")), namespace, str(ref.get("name")))
        may = tuple(str(ask) for ask in asks if any(allows(rule, ask, named) for rule in rules))
        if not may:
            continue
        for at, subject in enumerate(binding.get("subjects") or []):
            found.append(
                Grant(
                    subject=subject_of(subject, namespace),
                    binding=label(kind, binding),
                    field=f"subjects[{at}]",
                    role=f"{ref.get('kind')} {ref.get('name')}",
                    may=may,
                )
            )
    return found


def whole(view: View) -> None:
    """Unreadable when a kind of RBAC was not gathered whole, so that somebody may be missing."""
    for kind in KINDS:
        view.objects(kind)


@dataclass(frozen=True)
class Bound:
    """One entry of a binding that names a subject, in any namespace, with what it grants."""

    binding: str
    field: str
    role: str
    rules: tuple[Object, ...]


def bound(view: View, subjects: set[str]) -> list[Bound]:
    """Every binding that names one of these subjects, as far as bindings are there."""
    roles, found = view.once(_Roles), []
    for kind, binding in _bindings(view, None):
        home, ref = namespace_of(binding), binding.get("roleRef") or {}
        for at, subject in enumerate(binding.get("subjects") or []):
            if subject_of(subject, home) in subjects:
                rules = roles.rules(str(ref.get("kind")), home, str(ref.get("name")))
                role = f"{ref.get('kind')} {ref.get('name')}"
                place = f"subjects[{at}]"
                found.append(Bound(label(kind, binding), place, role, tuple(rules)))
    return found


def _bindings(view: View, namespace: str | None) -> Iterator[tuple[str, Object]]:
    for each in view.partly("ClusterRoleBinding"):
        yield "ClusterRoleBinding", each
    for each in view.partly("RoleBinding", namespace):
        yield "RoleBinding", each


class _Roles:
    """Roles by name, with what aggregation adds to them."""

    def __init__(self, view: View) -> None:
        self._cluster = {str(r["metadata"]["name"]): r for r in view.partly("ClusterRole")}
        lacks = view.snapshot.source == "manifests" or "ClusterRole" in view.snapshot.unread
        self._default = DEFAULT_ROLES if lacks else {}
        self._view = view
        self._known: dict[tuple[str, str, str], list[Object]] = {}

    def rules(self, kind: str, namespace: str, name: str) -> list[Object]:
        """Rules of a role; none for a role that does not exist, since it grants nothing."""
        key = (kind, namespace if kind == "Role" else "", name)
        if key not in self._known:
            if kind == "Role":
                mine = self._view.partly("Role", namespace)
                named = (each for each in mine if each["metadata"]["name"] == name)
                self._known[key] = list(next(named, {}).get("rules") or [])
            else:
                self._known[key] = self._aggregated(name, set())
        return self._known[key]

    def _aggregated(self, name: str, seen: set[str]) -> list[Object]:
        role = self._cluster.get(name)
        if role is None or name in seen:
            return self._default.get(name, [])
        seen.add(name)
        rules = list(role.get("rules") or [])
        selectors = (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
        for other, found in self._cluster.items():
            labels = found["metadata"].get("labels") or {}
            if any(selects(selector, labels) for selector in selectors):
                rules += self._aggregated(other, seen)
        return rules


def allows(rule: Object, ask: Ask, named: Callable[[Ask, str], bool]) -> bool:
    """Does one rule of a role grant what was asked?"""
    if not (
        _holds(rule.get("verbs"), ask.verb)
        and _holds(rule.get("apiGroups"), ask.group)
        and _resource(rule.get("resources"), ask.resource)
    ):
        return False
    names = rule.get("resourceNames") or []
    if not names:
        return True
    return ask.verb not in _NAMELESS and any(named(ask, str(name)) for name in names)


def _holds(listed: list[str] | None, wanted: str) -> bool:
    return "*" in (listed or []) or wanted in (listed or [])


def _resource(listed: list[str] | None, wanted: str) -> bool:
    _, slash, sub = wanted.partition("/")
    return _holds(listed, wanted) or bool(slash and f"*/{sub}" in (listed or []))


def subject_of(subject: Object, namespace: str) -> str:
    """A subject as policies write it; a service account's user name becomes the account."""
    kind, name = str(subject.get("kind")), str(subject.get("name"))
    if kind == "ServiceAccount":
        return f"ServiceAccount:{subject.get('namespace') or namespace}/{name}"
    if kind == "User" and name.startswith(_ACCOUNT):
        return f"ServiceAccount:{name.removeprefix(_ACCOUNT).replace(':', '/', 1)}"
    return f"{kind}:{name}"
