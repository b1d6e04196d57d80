"""Room lab/standin: the management APIs that the suites read, and configuration export.

Callers bring a client_credentials token: from the tenant's `admin` workspace for its own tenant,
from system/system for everything. Which scopes the product asks for is unknown; none here.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from .context import Context
from .model import Client, Idp, Key, Record, Server, Tenant, User, identity
from .oauth import environment_of
from .problems import ManagementProblem
from .signing import decode, token_head
from .web import Request, Response, Router, empty, json_response

DEFAULT_LIMIT = 20
NOT_FOUND = ManagementProblem(404, "NOT_FOUND", "not found")


def shown(record: Record) -> dict[str, Any]:
    """A record as the API shows it: whole, except that secrets appear as digests only."""
    view: dict[str, Any] = msgspec.to_builtins(record)
    if isinstance(record, Server):
        view["authorization_server_id"] = record.id
    if isinstance(record, Client):
        view["secret"] = _digest(record.secret)
    if isinstance(record, User):
        view["password"] = _digest(record.password)
    if isinstance(record, Key):
        view["jwk"] = {name: value for name, value in record.jwk.items() if name != "d"}
        view["private"] = _digest(record.jwk.get("d", ""))
    return view


def _digest(value: str) -> str:
    return "sha256:" + hashlib.sha256(value.encode()).hexdigest() if value else ""


class ManagementEndpoints:
    """Handlers below /api."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self, router: Router) -> None:
        """Registers every path of this module."""
        system, admin = "/api/system", "/api/admin/{tid}"
        router.add("GET", system + "/tenants", self.tenants)
        router.add("GET DELETE", system + "/tenants/{tid}", self.tenant)
        router.add("GET", system + "/configuration", self.configuration)
        router.add("PUT PATCH", system + "/configuration", self.import_configuration)
        router.add("GET", "/api/hub/{tid}/promote/config", self.promote)
        router.add("GET", "/api/hub/{tid}/workspaces/{wid}/promote/config", self.promote)
        router.add("GET", "/api/admin/tenants/{tid}/features", self.features)
        router.add("GET", admin + "/environment", self.environment)
        router.add("GET", admin + "/servers", self.servers)
        router.add("GET DELETE", admin + "/servers/{wid}", self.server)
        router.add("GET", admin + "/servers/{wid}/idps", self.listing("idps", Idp))
        router.add("PUT", admin + "/servers/{wid}/idps/static/{iid}", self.put_idp)
        router.add("DELETE", admin + "/servers/{wid}/idps/{iid}", self.delete_idp)
        router.add("GET", admin + "/servers/{wid}/clients", self.listing("clients", Client))
        router.add("GET", admin + "/servers/{wid}/keys", self.listing("keys", Key))
        router.add("DELETE", admin + "/servers/{wid}/tokens", self.delete_tokens)
        router.add("DELETE", admin + "/clients/{cid}", self.delete_client)

    async def _authorize(self, request: Request, tenant: str = "") -> None:
        """Lets a system token through always, a tenant's admin token for its own tenant."""
        token = request.bearer()
        tried = [("system", "system")] + ([(tenant, "admin")] if tenant else [])
        for where in tried if token and token_head(token) else []:
            if _claimed(token) != where:
                continue
            server = await self._context.catalog.server(*where)
            if server and await self._context.tokens.inspect(server, token):
                return
        raise ManagementProblem(401, "UNAUTHORIZED", "the token is not valid for this API")

    async def tenants(self, request: Request) -> Response:
        """GET /api/system/tenants."""
        await self._authorize(request)
        found = await self._context.sql.list("tenants")
        return json_response({"tenants": [shown(record) for record in found]})

    async def tenant(self, request: Request) -> Response:
        """GET|DELETE /api/system/tenants/{tid}."""
        await self._authorize(request)
        tid = request.params["tid"]
        found = await self._context.sql.list("tenants", tid)
        if not found:
            raise NOT_FOUND
        if request.method == "GET":
            return json_response(shown(found[0]))
        if tid == "system":
            raise ManagementProblem(409, "CONFLICT", "the system tenant cannot be removed")
        await self._drop(tid)
        return empty(204)

    async def _drop(self, tid: str, wid: str = "") -> None:
        """Removes a tenant or workspace, from the caches too."""
        kinds = ("servers", "clients", "idps", "users", "keys")
        doomed = [(k, r) for k in kinds for r in await self._context.sql.list(k, tid, wid)]
        await self._context.sql.delete_within(tid, wid)
        for kind, record in doomed:
            await self._context.catalog.forget(kind, *identity(record))

    async def _export(self, tenant: str = "", server: str = "") -> dict[str, Any]:
        from .model import KINDS

        document: dict[str, Any] = {}
        for kind in KINDS:
            if kind == "tenants" and server:
                continue
            found = await self._context.sql.list(kind, tenant, server)
            document[kind] = [shown(record) for record in found]
        return document

    async def configuration(self, request: Request) -> Response:
        """GET /api/system/configuration: everything, in an order that hashes can compare."""
        await self._authorize(request)
        return _canonical(await self._export())

    async def promote(self, request: Request) -> Response:
        """GET /api/hub/...: the same for one tenant or workspace."""
        tid = request.params["tid"]
        await self._authorize(request, tid)
        return _canonical(await self._export(tid, request.params.get("wid", "")))

    async def import_configuration(self, request: Request) -> Response:
        """PUT|PATCH /api/system/configuration: records are added or replaced."""
        from .importing import records_of, store

        await self._authorize(request)
        try:
            records = records_of(msgspec.json.decode(request.body))
        except (msgspec.MsgspecError, ValueError, KeyError) as problem:
            raise ManagementProblem(422, "UNPROCESSABLE", str(problem)) from problem
        await store(self._context.sql, self._context.settings, records, "update")
        for record in records:
            await self._context.catalog.changed(record)
        return empty(204)

    async def features(self, request: Request) -> Response:
        """GET /api/admin/tenants/{tid}/features."""
        await self._authorize(request)
        return json_response({"features": dict(self._context.settings.features)})

    async def environment(self, request: Request) -> Response:
        """GET /environment, the administrator's view."""
        await self._authorize(request, request.params["tid"])
        return json_response(environment_of(self._context))

    async def servers(self, request: Request) -> Response:
        """GET /servers with limit, server_types, search_phrase and after_server_id."""
        tid = request.params["tid"]
        await self._authorize(request, tid)
        query = request.query()
        found: list[Server] = await self._context.sql.list("servers", tid)
        if types := query.get("server_types"):
            found = [s for s in found if s.type in types.split(",")]
        if phrase := query.get("search_phrase", "").lower():
            found = [s for s in found if phrase in s.name.lower() or phrase in s.id.lower()]
        found = [s for s in found if s.id > query.get("after_server_id", "")]
        limit = int(query["limit"]) if query.get("limit", "").isdigit() else DEFAULT_LIMIT
        return json_response({"servers": [shown(s) for s in found[:limit]]})

    async def _server(self, request: Request) -> Server:
        tid = request.params["tid"]
        await self._authorize(request, tid)
        found: list[Server] = await self._context.sql.list("servers", tid, request.params["wid"])
        if not found:
            raise NOT_FOUND
        return found[0]

    async def server(self, request: Request) -> Response:
        """GET|DELETE /servers/{wid}."""
        server = await self._server(request)
        if request.method == "GET":
            return json_response(shown(server))
        if server.type == "system" and server.tenant_id == "system":
            raise ManagementProblem(409, "CONFLICT", "the system workspace cannot be removed")
        await self._drop(server.tenant_id, server.id)
        return empty(204)

    def listing(self, kind: str, _type: type[Record]) -> Any:
        """A handler that lists one kind of a workspace's records."""

        async def handler(request: Request) -> Response:
            server = await self._server(request)
            found = await self._context.sql.list(kind, server.tenant_id, server.id)
            return json_response({kind: [shown(record) for record in found]})

        return handler

    async def put_idp(self, request: Request) -> Response:
        """PUT /servers/{wid}/idps/static/{iid}: name, disabled, hidden."""
        server = await self._server(request)
        iid = request.params["iid"]
        try:
            wanted = msgspec.json.decode(request.body, type=dict[str, Any])
            keep = {k: v for k, v in wanted.items() if k in ("name", "disabled", "hidden")}
            base = {"tenant_id": server.tenant_id, "server_id": server.id, "id": iid}
            record = msgspec.convert({**keep, **base}, Idp)
        except msgspec.MsgspecError as problem:
            raise ManagementProblem(422, "UNPROCESSABLE", str(problem)) from problem
        await self._context.sql.put(record)
        await self._context.catalog.changed(record)
        return json_response(shown(record))

    async def delete_idp(self, request: Request) -> Response:
        """DELETE /servers/{wid}/idps/{iid}."""
        server = await self._server(request)
        return await self._delete("idps", server.tenant_id, server.id, request.params["iid"])

    async def delete_client(self, request: Request) -> Response:
        """DELETE /clients/{cid}; client ids are unique in a tenant."""
        tid, cid = request.params["tid"], request.params["cid"]
        await self._authorize(request, tid)
        clients: list[Client] = await self._context.sql.list("clients", tid)
        homes = [client.server_id for client in clients if client.id == cid]
        if not homes:
            raise NOT_FOUND
        return await self._delete("clients", tid, homes[0], cid)

    async def _delete(self, kind: str, tid: str, wid: str, id_: str) -> Response:
        if not await self._context.sql.delete(kind, tid, wid, id_):
            raise NOT_FOUND
        await self._context.catalog.forget(kind, tid, wid, id_)
        return empty(204)

    async def delete_tokens(self, request: Request) -> Response:
        """DELETE /servers/{wid}/tokens?subject=...: cuts the subject off."""
        server = await self._server(request)
        subject = request.query().get("subject", "")
        if not subject:
            raise ManagementProblem(400, "BAD_REQUEST", "subject is missing")
        await self._context.tokens.revoke_subject(server, subject)
        return empty(204)


def _claimed(token: str) -> tuple[str, str]:
    """(tenant, workspace) that a JWT claims to come from; its signature is checked later."""
    try:
        claims = msgspec.json.decode(decode(token.split(".")[1]))
        return str(claims["tid"]), str(claims["aid"])
    except (ValueError, KeyError, TypeError, msgspec.MsgspecError):
        return "", ""


def _canonical(document: dict[str, Any]) -> Response:
    response = json_response({})
    response.body = msgspec.json.encode(document, order="sorted")
    return response


__all__ = ["ManagementEndpoints", "Tenant", "shown"]
