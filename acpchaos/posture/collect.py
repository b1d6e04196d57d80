"""Every Kubernetes object that a row asks for, listed with reading rights only.

Room: posture. Namespaced kinds are read where the installation is, so that a reviewer needs no
right in others' namespaces; RBAC is read whole, since a cluster role reaches everywhere. Pages are
sealed as they come, so that a large cluster never stands in memory raw. It must not know rules.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import msgspec

from acpchaos.posture.redaction import Sealer
from acpchaos.posture.sealing import sealed_objects
from acpchaos.posture.wanted import CUSTOM, KINDS, Where
from acpchaos.record.snapshot import Object
from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.target.kinds import Kind, find_kind, path_of
from acpchaos.target.profile import Profile

AT_ONCE = 8
PAGE = 500  # the page of kubectl; 500 pods are 5 MB raw
LARGE_PAGE = 50  # a Secret or ConfigMap may have 1 MB
LIST_TIMEOUT_S = 30.0


class Collected(NamedTuple):
    """Sealed objects by kind, and why kinds are missing."""

    objects: dict[str, list[Object]]
    unread: dict[str, str]


class _Task(NamedTuple):
    name: str
    kinds: tuple[Kind, ...]  # in the versions of its group, the preferred one first
    where: Where
    optional: bool = False  # a kind that the cluster may not have


def collect(cluster: Cluster, profile: Profile, sealer: Sealer) -> Collected:
    """All kinds. A kind is there whole or not at all: a part of it could be taken for the whole."""
    found = Collected({}, {})
    _keep(found, "Secret", partial(_whole, cluster, profile, sealer, _task("Secret", "own")))
    tasks = [_task(name, where) for name, where in KINDS.items()] + _custom(cluster, found)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        calls = {task.name: pool.submit(_whole, cluster, profile, sealer, task) for task in tasks}
        for name, call in calls.items():
            _keep(found, name, call.result)
    _add_ingress_secrets(cluster, profile, sealer, found)
    return found


def _task(name: str, where: Where) -> _Task:
    return _Task(name, (find_kind(name),), where)


def _custom(cluster: Cluster, found: Collected) -> list[_Task]:
    """Kinds of other makers, in the versions that this cluster has; none where it has none."""
    try:
        groups = msgspec.json.decode(cluster.call("GET", "/apis"))["groups"]
    except ApiRefused as error:
        found.unread.update(dict.fromkeys(CUSTOM, f"API groups: {_reason(error)}"))
        return []
    versions = {each["name"]: _versions(each) for each in groups}
    tasks = []
    for name, (group, plural, where) in CUSTOM.items():
        if group in versions:
            kinds = tuple(Kind(f"apis/{version}", plural) for version in versions[group])
            tasks.append(_Task(name, kinds, where, True))
        else:
            found.objects[name] = []
    return tasks


def _versions(group: Object) -> list[str]:
    """All versions of a group: not every kind is in the preferred one."""
    every = [each["groupVersion"] for each in group.get("versions") or []]
    return list(dict.fromkeys([group["preferredVersion"]["groupVersion"], *every]))


def _keep(found: Collected, name: str, read: Any) -> None:
    try:
        found.objects[name] = read()
    except ApiRefused as error:
        found.unread[name] = _reason(error)


def _reason(error: ApiRefused) -> str:
    return f"HTTP {error.status}: {error.message}" if error.status else f"no answer: {error.seen}"


def _whole(cluster: Cluster, profile: Profile, sealer: Sealer, task: _Task) -> list[Object]:
    """All objects of a kind where it is wanted, sealed; none when no version has the kind."""
    spaces = _namespaces(profile, task.where)
    for kind in task.kinds:
        try:
            return [o for s in spaces for o in _one_place(cluster, sealer, task.name, kind, s)]
        except ApiRefused as error:
            if error.status != 404 or not task.optional:
                raise
    return []


def _namespaces(profile: Profile, where: Where) -> list[str]:
    names = profile.namespaces
    own = [names.acp, names.faas]
    near = [*own, names.ingress, "kube-system"]
    return list(dict.fromkeys({"cluster": [""], "own": own, "near": near}[where]))


def _one_place(
    cluster: Cluster, sealer: Sealer, name: str, kind: Kind, namespace: str
) -> list[Object]:
    for last in (False, True):
        kept: list[Object] = []
        try:
            for page in pages(cluster, path_of(kind, namespace), _page_size(name)):
                kept += sealed_objects(name, page, sealer)
            return kept
        except ApiRefused as error:
            if error.status != 410 or last:  # 410: the list changed too much between two pages
                raise
    return []


def _page_size(kind: str) -> int:
    return LARGE_PAGE if kind in ("Secret", "ConfigMap") else PAGE


def pages(cluster: Cluster, path: str, limit: int) -> Iterator[list[Object]]:
    """The pages of a list, raw."""
    token = ""
    while True:
        query = {"limit": str(limit)} | ({"continue": token} if token else {})
        answer = cluster.call("GET", path, query=query, timeout_s=LIST_TIMEOUT_S)
        page = msgspec.json.decode(answer)
        yield page.get("items") or []
        token = (page.get("metadata") or {}).get("continue") or ""
        if not token:
            return


def _add_ingress_secrets(
    cluster: Cluster, profile: Profile, sealer: Sealer, found: Collected
) -> None:
    """Secrets that ACP's HTTPProxies name in another namespace, one by one: what ingress serves."""
    have = set(_namespaces(profile, "own"))
    proxies = found.objects.get("HTTPProxy") or []
    mine = [each for each in proxies if each["metadata"].get("namespace") in have]
    for proxy in mine:
        host = (proxy.get("spec") or {}).get("virtualhost") or {}
        namespace, slash, name = str((host.get("tls") or {}).get("secretName", "")).partition("/")
        if slash and namespace not in have and "Secret" in found.objects:
            try:
                raw = cluster.get("Secret", name, namespace)
                found.objects["Secret"] += sealed_objects("Secret", [raw], sealer)
            except ApiRefused as error:
                found.unread[f"Secret {namespace}/{name}"] = _reason(error)
