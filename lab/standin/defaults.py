"""Room lab/standin: what a default install contains, behind the same flags as the product.

Ids and names follow published configuration dumps of default installs (facts of 2020 and 2021).
The well-known passwords and secrets are here on purpose: suites must be able to find them.
"""

from __future__ import annotations

from .context import SECRET_FROM_CONFIGURATION
from .model import Client, Idp, Record, Server, Tenant, User
from .settings import Settings

PORTALS = {
    "admin": ("admin", "Admin Portal"),
    "default": ("default", "User Portal"),
    "developer": ("developer-developer", "Developer Portal"),
}
USERS = {"admin": "admin", "developer": "developer", "default": "user"}


def system_objects() -> list[Record]:
    """Tenant, workspace and client `system`: there always, not removable."""
    return [
        Tenant(id="system", name="System"),
        Server(tenant_id="system", id="system", name="System", type="system"),
        Client(
            tenant_id="system", server_id="system", id="system", name="System",
            secret=SECRET_FROM_CONFIGURATION, grant_types=("client_credentials",),
            scopes=("manage_configuration", "manage_tenants", "view_environment"), system=True,
        ),
    ]  # fmt: skip


def admin_workspace(tenant: str) -> Server:
    """The workspace whose clients may call the tenant's admin API."""
    return Server(tenant_id=tenant, id="admin", name="Admin", type="admin")


def default_objects(settings: Settings) -> list[Record]:
    """What --create-default-tenant, --create-default-workspaces, --demo and --swagger add."""
    flags, features = settings.flags, settings.features
    made: list[Record] = []
    if flags.create_default_tenant:
        made += [Tenant(id="default", name="Default"), admin_workspace("default")]
        made += [Server(tenant_id="default", id="system", name="System", type="system")]
    if flags.create_default_workspaces:
        made += [Tenant(id="default", name="Default")]
        for id_, kind in (("admin", "admin"), ("default", "regular"), ("developer", "developer")):
            made += _workspace(settings, id_, kind)
    if flags.create_default_workspaces and features["demo_app"]:
        made.append(_demo(settings))
    if features["swagger_ui"]:
        if flags.create_default_tenant or flags.create_default_workspaces:
            made.append(_swagger(settings, "default", "admin", "admin", "Admin Swagger"))
        made.append(_swagger(settings, "system", "system", "system", "System Swagger"))
    return made


def _workspace(settings: Settings, id_: str, kind: str) -> list[Record]:
    tid = "default"
    client, name = PORTALS[id_]
    user = USERS[id_]
    base = f"{settings.url}/app/default/{id_}"
    return [
        Server(tenant_id="default", id=id_, name=id_.capitalize(), type=kind),
        Idp(tenant_id=tid, server_id=id_, id="default", name="Default"),
        User(
            tenant_id=tid,
            server_id=id_,
            idp_id="default",
            id=user,
            password=user,
            claims={"name": user},
        ),
        Client(
            tenant_id=tid,
            server_id=id_,
            id=client,
            name=name,
            redirect_uris=(base,),
            scopes=("openid", "profile"),
            token_endpoint_auth_method="none",  # noqa: S106
            trusted=True,
            system=True,
        ),
    ]  # fmt: skip


def _demo(settings: Settings) -> Client:
    return Client(
        tenant_id="default", server_id="default", id="default-demo", name="Demo Portal",
        secret=settings.system_secret, scopes=("openid", "profile", "email"), require_pkce=False,
        redirect_uris=(f"{settings.url}/default/default/demo",),
    )  # fmt: skip


def _swagger(settings: Settings, tenant: str, server: str, scope: str, name: str) -> Client:
    return Client(
        tenant_id=tenant, server_id=server, id=f"{scope}-swagger", name=name,
        secret=settings.system_secret, grant_types=("client_credentials",),
        scopes=("manage_configuration",),
    )  # fmt: skip
