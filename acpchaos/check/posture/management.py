"""ACP's management API as the rules read it: tenants, workspaces and their lists.

Room: check. A list that did not come is unreadable, never empty.
"""

from collections.abc import Callable
from functools import partial
from urllib.parse import quote

from acpchaos.check.posture.parts import joined
from acpchaos.check.posture.rule import Judgement, Unreadable
from acpchaos.check.posture.view import View
from acpchaos.record.snapshot import Object

TENANTS = "/api/system/tenants"


def listed(view: View, path: str, key: str) -> list[Object]:
    """The list that a management path answers with; null is an empty one, as Go writes it."""
    answer = view.answer(path)
    found = answer.body.get(key, ()) if isinstance(answer.body, dict) else ()
    if answer.status != 200 or not isinstance(found, list | None):
        raise Unreadable(f"GET {path} answered HTTP {answer.status} without a list {key!r}")
    return list(found or [])


def id_of(entry: Object) -> str:
    """The id of a tenant, workspace, client or provider; a client's may be called client_id."""
    names = ("client_id", "id", "authorization_server_id", "tenant_id")
    return next((str(entry[name]) for name in names if entry.get(name)), "")


def workspace_path(tid: str, server: Object) -> str:
    """Where what belongs to one workspace is found."""
    return f"{servers_path(tid)}/{quote(id_of(server), safe='')}"


def servers_path(tid: str) -> str:
    """Where the workspaces of a tenant are listed."""
    return f"/api/admin/{quote(tid, safe='')}/servers"


def each_tenant(view: View, ask: Callable[[str], Judgement]) -> Judgement:
    """The judgements of all tenants joined; Unreadable without any, since system is always one."""
    found = [id_of(each) for each in listed(view, TENANTS, "tenants")]
    if not found:
        raise Unreadable(f"GET {TENANTS} names no tenant, and there is always one: system")
    return joined(partial(ask, tid) for tid in found)


def delete(view: View, path: str) -> str:
    """A command that removes what stands at a path."""
    base = view.scope.base_url or "$ACP"
    return f'curl -X DELETE -H "Authorization: Bearer $TOKEN" {base}{path}'


def is_admin(server: Object) -> bool:
    """A workspace for administrators."""
    return server.get("type") == "admin" or id_of(server) == "admin"


def is_developer(server: Object) -> bool:
    """A workspace for developers."""
    return server.get("type") == "developer" or id_of(server) == "developer"


def is_default(entry: Object) -> bool:
    """The workspace or tenant with the id default."""
    return id_of(entry) == "default"
