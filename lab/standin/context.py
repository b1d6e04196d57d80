"""Room lab/standin: the parts an endpoint needs, in one place, and who is calling it.

It must not know how the parts are started (process.py does).
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from .audit import AuditLog
from .catalog import Catalog
from .model import Client, Server
from .problems import OAuthProblem, invalid_client
from .redisstore import RedisStore
from .searching import SessionIndex
from .settings import Settings
from .sqlstore import SqlStore
from .tokens import Tokens
from .volatile import Volatile
from .web import Request

# Stands in SQL in place of a sealed secret: the value comes from the configuration at run time.
SECRET_FROM_CONFIGURATION = "config:system.secret"  # noqa: S105


@dataclass(frozen=True)
class Context:
    """Everything the endpoints share."""

    settings: Settings
    sql: SqlStore
    redis: RedisStore
    catalog: Catalog
    volatile: Volatile
    tokens: Tokens
    audit: AuditLog
    index: SessionIndex | None  # without redis.redis_search there is none

    async def workspace(self, request: Request) -> Server:
        """The workspace a request addresses; 404 when there is none."""
        tenant, server = request.params["tid"], request.params["aid"]
        if (found := await self.catalog.server(tenant, server)) is None:
            raise OAuthProblem(404, "not_found", "Unknown tenant or workspace.")
        return found

    async def authenticate(self, request: Request, form: dict[str, str], server: Server) -> Client:
        """The client that calls, by client_secret_basic, client_secret_post or none."""
        basic = request.basic()
        if basic and form.get("client_secret"):
            raise invalid_client("Use one client authentication method.")
        id_, secret = basic or (form.get("client_id", ""), form.get("client_secret", ""))
        client = await self.catalog.client(server.tenant_id, server.id, id_) if id_ else None
        if client is None:
            raise invalid_client()
        if client.token_endpoint_auth_method == "none":  # noqa: S105
            if secret:
                raise invalid_client()
            return client
        expected = await self._secret(client)
        if not expected or not hmac.compare_digest(expected.encode(), secret.encode()):
            self.audit.emit(server, "client.authentication_failed", client=client.id)
            raise invalid_client()
        return client

    async def _secret(self, client: Client) -> str | None:
        if client.secret == SECRET_FROM_CONFIGURATION:
            return self.settings.system_secret
        return await self.catalog.secret_of(client) if client.secret else None
