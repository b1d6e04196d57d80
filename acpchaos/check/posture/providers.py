"""HARD-04 to HARD-08: identity providers that know the users of a default install.

Room: check. Read from ACP's management API, and proven by trying the default logins.
"""

import re
from collections.abc import Callable
from functools import partial

from acpchaos.check.posture.management import (
    delete,
    each_tenant,
    is_admin,
    is_default,
    is_developer,
    listed,
    servers_path,
    workspace_path,
)
from acpchaos.check.posture.parts import Part, joined
from acpchaos.check.posture.rule import Finding, Judgement, rule
from acpchaos.check.posture.view import View
from acpchaos.record.snapshot import Object

SOURCE = "vendor document, hardening, default identity providers"
USERS = ("admin", "developer", "user")  # of a default install, each its own password


def _other(server: Object) -> bool:
    return not (is_admin(server) or is_developer(server) or is_default(server))


def _static(view: View, mine: Callable[[Object], bool]) -> Judgement:
    """A finding for each enabled static provider in the workspaces of all tenants that are
    `mine`."""

    def tenant(tid: str) -> Judgement:
        path = servers_path(tid)
        parts: list[Part] = [partial(Judgement, read=(f"GET {path}",))]
        for server in listed(view, path, "servers"):
            if mine(server):
                parts.append(partial(_providers, view, f"{workspace_path(tid, server)}/idps"))
        return joined(parts)

    return each_tenant(view, tenant)


def _providers(view: View, path: str) -> Judgement:
    findings = [
        Finding(
            object=path, field=f"idps[{at}].method",
            saw=f"static and not disabled (id {idp.get('id')}, name {idp.get('name')})",
            want="disabled, removed, or of another method",
            remedy=delete(view, f"{path}/{idp.get('id')}"),
        )
        for at, idp in enumerate(listed(view, path, "idps"))
        if idp.get("method") == "static" and idp.get("disabled") is not True
    ]  # fmt: skip
    return Judgement(findings=tuple(findings), read=(f"GET {path}",))


@rule(
    "HARD-04",
    evidence="GET /api/admin/{tenant}/servers/{workspace}/idps of every admin workspace",
    passes="no provider of method static that is not disabled",
    source=SOURCE,
    remedy="DELETE .../servers/admin/idps/default, after another provider lets admins in",
)
def admin_providers(view: View) -> Judgement:
    return _static(view, is_admin)


@rule(
    "HARD-05",
    evidence="GET .../idps of every developer workspace; none is needed",
    passes="no provider of method static that is not disabled",
    source=SOURCE,
    remedy="DELETE .../servers/developer/idps/default",
)
def developer_providers(view: View) -> Judgement:
    return _static(view, is_developer)


@rule(
    "HARD-06",
    evidence="GET .../idps of every workspace with the id default; none is needed",
    passes="no provider of method static that is not disabled",
    source=SOURCE,
    remedy="DELETE .../servers/default/idps/default",
)
def default_providers(view: View) -> Judgement:
    return _static(view, is_default)


@rule(
    "HARD-07",
    evidence="GET .../idps of all other workspaces of all tenants",
    passes="no provider of method static that is not disabled: it is made for trying things out",
    source="an extension of the vendor document to every workspace",
    remedy="DELETE .../servers/{workspace}/idps/{provider}; users belong into an identity pool",
)
def other_providers(view: View) -> Judgement:
    return _static(view, _other)


@rule(
    "HARD-08",
    evidence="probes: a login with each default user and password in each workspace that has a "
    "client to log in by",
    passes="all refused",
    source=SOURCE,
    remedy="remove the static providers of HARD-04 to HARD-07",
    active=True,
)
def default_passwords(view: View) -> Judgement:
    names = dict.fromkeys([*view.probes("login "), *_wanted(view)])
    return joined(partial(_refused, view, name) for name in names)


def _wanted(view: View) -> list[str]:
    """Probes that must have been run, as far as the management API tells where a login begins."""
    found = []
    for path, answer in view.snapshot.answers.items():
        place = re.fullmatch(r"/api/admin/([^/]+)/servers/([^/]+)/clients", path)
        if place and answer.status == 200 and any(map(_begins, listed(view, path, "clients"))):
            found += [f"login {place[1]}/{place[2]} {user}" for user in USERS]
    return found


def _begins(client: Object) -> bool:
    """Whether a client can send a user to the login page."""
    kinds = client.get("grant_types") or ["authorization_code"]
    return bool(client.get("redirect_uris")) and "authorization_code" in kinds


def _refused(view: View, name: str) -> Judgement:
    _, where, user = name.split(" ", 2)
    probe, read = view.probe(name), (f"probe {name}",)
    if probe.outcome == "refused":
        return Judgement(read=read)
    finding = Finding(
        object=f"/{where}", field=f"login of {user} with the default password", saw=str(probe),
        want="refused", remedy=delete(view, _idps_of(where)),
    )  # fmt: skip
    return Judgement(findings=(finding,), read=read)


def _idps_of(where: str) -> str:
    tid, _, wid = where.partition("/")
    return f"{servers_path(tid)}/{wid}/idps/default"
