"""ACP's management API as the rules read it: tenants, workspaces and their lists.

Room: check. A list that did not come is unreadable, never empty.
"""

from collections.abc import Callable
from functools import partial

from acpchaos.check.posture.parts import joined
from acpchaos.check.posture.rule import Judgement, Unreadable
from acpchaos.check.posture.view import View
from acpchaos.record.snapshot import Object

TENANTS = "/api/system/tenants"


def listed(view: View, path: str, key: str) -> list[Object]:
    """The list that a management path answers with."""
    answer = view.answer(path)
    body = answer.body
    if answer.status != 200 or not isinstance(body, dict) or not isinstance(body.get(key), list):
        raise Unreadable(f"GET {path} answered HTTP {answer.status} without a list {key!r}")
    return list(body[key])


def servers_path(tid: str) -> str:
    """Where the workspaces of a tenant are listed."""
    return f"/api/admin/{tid}/servers"


def each_tenant(view: View, ask: Callable[[str], Judgement]) -> Judgement:
    """The judgements of all tenants joined; Unreadable without any, since system is always one."""
    found = [str(each.get("id")) for each in listed(view, TENANTS, "tenants")]
    if not found:
        raise Unreadable(f"GET {TENANTS} names no tenant, and there is always one: system")
    return joined(partial(ask, tid) for tid in found)


def delete(view: View, path: str) -> str:
    """A command that removes what stands at a path."""
    base = view.scope.base_url or "$ACP"
    return f'curl -X DELETE -H "Authorization: Bearer $TOKEN" {base}{path}'


def is_admin(server: Object) -> bool:
    """A workspace for administrators."""
    return server.get("type") == "admin" or server.get("id") == "admin"


def is_developer(server: Object) -> bool:
    """A workspace for developers."""
    return server.get("type") == "developer" or server.get("id") == "developer"


def is_default(entry: Object) -> bool:
    """The workspace or tenant with the id default."""
    return entry.get("id") == "default"
