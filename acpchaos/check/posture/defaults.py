"""HARD-09, HARD-10, HARD-13 and HARD-44: default objects and published secrets.

Room: check. Ids of what the demo and Swagger flags make are known from old installs only, so those
are found by pattern and by name.
"""

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from functools import partial

from acpchaos.check.posture.management import (
    TENANTS,
    delete,
    each_tenant,
    id_of,
    is_default,
    listed,
    servers_path,
    workspace_path,
)
from acpchaos.check.posture.parts import Part, joined
from acpchaos.check.posture.rule import Finding, Judgement, rule
from acpchaos.check.posture.view import View
from acpchaos.record.snapshot import Object

SOURCE = "vendor document, hardening, default workspaces"
# Names of the published system secrets; each must be refused by the token endpoint.
SYSTEM_SECRETS = (
    "built-in-secret", "chart-test-secret", "chart-test-value", "docs-secret-1", "docs-secret-2",
)  # fmt: skip
_WELL_KNOWN = "/default/default/.well-known/openid-configuration"
_LEFTOVER_IDS = ("*-demo", "*-swagger")
_LEFTOVER_NAMES = ("Demo Portal", "* Swagger", "Swagger")


@rule(
    "HARD-09",
    evidence="GET /api/admin/{tenant}/servers; GET /default/default/.well-known/"
    "openid-configuration",
    passes="no workspace has the id default, and its discovery document is 404",
    source=SOURCE,
    remedy="DELETE /api/admin/{tenant}/servers/default",
)
def default_workspace(view: View) -> Judgement:
    def tenant(tid: str) -> Judgement:
        return _absent(view, servers_path(tid), "servers", is_default)

    return joined([partial(each_tenant, view, tenant), partial(_discovery, view)])


def _absent(view: View, path: str, key: str, bad: Callable[[Object], bool]) -> Judgement:
    """A finding for each entry of a list that should not be there."""
    findings = [
        Finding(
            object=path, field=f"{key}[{at}]",
            saw=f"id {id_of(each)}, name {each.get('name') or each.get('client_name')}",
            want="absent", remedy=delete(view, _path_of(path, key, id_of(each))),
        )
        for at, each in enumerate(listed(view, path, key))
        if bad(each)
    ]  # fmt: skip
    return Judgement(findings=tuple(findings), read=(f"GET {path}",))


def _path_of(path: str, key: str, id_: str) -> str:
    """Clients are deleted below their tenant, everything else below its list."""
    return f"{path.partition('/servers')[0]}/clients/{id_}" if key == "clients" else f"{path}/{id_}"


def _discovery(view: View) -> Judgement:
    status = view.answer(_WELL_KNOWN).status
    finding = Finding(
        object=_WELL_KNOWN, field="status", saw=f"HTTP {status}", want="HTTP 404",
        remedy=delete(view, "/api/admin/default/servers/default"),
    )  # fmt: skip
    findings = () if status == 404 else (finding,)
    return Judgement(findings=findings, read=(f"GET {_WELL_KNOWN}",))


@rule(
    "HARD-10",
    evidence="GET /api/admin/{tenant}/servers and .../clients of every workspace",
    passes="no workspace developer, no client developer-developer",
    source=SOURCE,
    remedy="DELETE /api/admin/{tenant}/servers/developer",
)
def developer_portal(view: View) -> Judgement:
    def tenant(tid: str) -> Judgement:
        servers = partial(_absent, view, servers_path(tid), "servers", _portal)
        return joined([servers, *_client_parts(view, tid, _portal_client)])

    return each_tenant(view, tenant)


def _portal(server: Object) -> bool:
    named = server.get("type") == "developer" and server.get("name") == "Developer"
    return named or id_of(server) == "developer"


def _portal_client(client: Object) -> bool:
    return id_of(client) == "developer-developer"


def _client_parts(view: View, tid: str, bad: Callable[[Object], bool]) -> Iterator[Part]:
    """One part for the clients of each workspace of a tenant."""
    for server in listed(view, servers_path(tid), "servers"):
        path = f"{workspace_path(tid, server)}/clients"
        yield partial(_absent, view, path, "clients", bad)


@rule(
    "HARD-13",
    evidence="probes: a token at /system/system for client system with each published secret",
    passes="each is refused with 401",
    source="vendor document, hardening, system tenant secret; the values are published",
    remedy="system.secret: $(openssl rand -hex 32) in the secret configuration, then restart ACP",
    active=True,
)
def published_secrets(view: View) -> Judgement:
    return joined(partial(_refused, view, name) for name in _secret_probes(view))


def _secret_probes(view: View) -> list[str]:
    """Every published secret must have been tried; more may have been."""
    wanted = [f"secret {name}" for name in SYSTEM_SECRETS]
    return list(dict.fromkeys([*wanted, *view.probes("secret ")]))


def _refused(view: View, name: str) -> Judgement:
    probe = view.probe(name)
    finding = Finding(
        object="/system/system/oauth2/token", field="client system",
        saw=f"{probe.outcome} with the published {name[7:]} {probe.saw}".strip(),
        want="refused", remedy="system.secret: $(openssl rand -hex 32)",
    )  # fmt: skip
    return Judgement(
        findings=(finding,) if probe.outcome != "refused" else (), read=(f"probe {name}",)
    )


@rule(
    "HARD-44",
    evidence="GET /api/system/tenants, .../clients of every workspace; probes with published "
    "secrets",
    passes="no tenant default, no demo or Swagger client, no published secret accepted",
    source="facts on default installs: the flags leave objects that stay when the flags go",
    remedy="DELETE /api/admin/{tenant}/clients/{client}; DELETE /api/system/tenants/default",
    active=True,
)
def leftovers(view: View) -> Judgement:
    def tenant(tid: str) -> Judgement:
        return joined(_client_parts(view, tid, _leftover))

    return joined(
        [
            partial(_absent, view, TENANTS, "tenants", is_default),
            partial(each_tenant, view, tenant),
            partial(published_secrets, view),
        ]
    )


def _leftover(client: Object) -> bool:
    name = str(client.get("name") or client.get("client_name") or "")
    return any(fnmatchcase(id_of(client), each) for each in _LEFTOVER_IDS) or any(
        fnmatchcase(name, each) for each in _LEFTOVER_NAMES
    )
