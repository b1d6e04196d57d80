"""Room lab/standin: the configuration objects, as stored in SQL and cached.

Field names follow ACP's API so that an export reads like the product's. It must not know stores.
"""

from __future__ import annotations

from typing import Any

import msgspec

WITH_PASSWORDS = ("static", "identity_pool")  # methods of IDPs whose users log in by password


class Tenant(msgspec.Struct, frozen=True, kw_only=True):
    """One tenant; ids appear as the first path segment."""

    id: str
    name: str = ""


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """An authorization server, which ACP also calls workspace; TTLs in seconds."""

    tenant_id: str
    id: str
    name: str = ""
    type: str = "regular"
    profile: str = "default"
    access_token_strategy: str = "jwt"  # noqa: S105
    access_token_ttl_s: int = 3600
    refresh_token_ttl_s: int = 720 * 3600
    authorization_code_ttl_s: int = 600
    id_token_ttl_s: int = 3600
    cookie_max_age_s: int = 3600
    scopes: tuple[str, ...] = ()


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """An application. `secret` is a JWE sealed with the `secrets` list, never plain text."""

    tenant_id: str
    server_id: str
    id: str
    name: str = ""
    secret: str = ""
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ("authorization_code", "refresh_token")
    scopes: tuple[str, ...] = ()
    token_endpoint_auth_method: str = "client_secret_basic"  # noqa: S105
    require_pkce: bool = True
    trusted: bool = False
    system: bool = False


class Idp(msgspec.Struct, frozen=True, kw_only=True):
    """An identity provider. Methods that can log anybody in: `static`, the Sandbox IDP made for
    trying things out, and `identity_pool`, where users are at home."""

    tenant_id: str
    server_id: str
    id: str
    name: str = ""
    method: str = "static"
    disabled: bool = False
    hidden: bool = False


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user of a static IDP; the password is kept as a low-cost scrypt hash."""

    tenant_id: str
    server_id: str
    idp_id: str
    id: str
    password: str = ""
    claims: dict[str, Any] = msgspec.field(default_factory=dict)


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """A workspace signing key: private JWK members, ES256 on P-256."""

    tenant_id: str
    server_id: str
    id: str
    jwk: dict[str, str] = msgspec.field(default_factory=dict)


Record = Tenant | Server | Client | Idp | User | Key

# Kind name in SQL and in import files -> type, in the order that satisfies references.
KINDS: dict[str, type[Record]] = {
    "tenants": Tenant,
    "servers": Server,
    "keys": Key,
    "idps": Idp,
    "clients": Client,
    "users": User,
}


def kind_of(record: Record) -> str:
    """The kind name under which a record is stored."""
    return next(name for name, kind in KINDS.items() if isinstance(record, kind))


def identity(record: Record) -> tuple[str, str, str]:
    """(tenant, workspace, id): unique within the kind; users carry their IDP in the id."""
    if isinstance(record, Tenant):
        return record.id, "", record.id
    if isinstance(record, Server):
        return record.tenant_id, record.id, record.id
    if isinstance(record, User):
        return record.tenant_id, record.server_id, f"{record.idp_id}/{record.id}"
    return record.tenant_id, record.server_id, record.id
