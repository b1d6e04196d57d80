"""Room lab/standin: token, introspection, revocation, userinfo, discovery and keys of a workspace.

The browser's part of the code flow is in authorize.py. It must not know how stores work.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

from .context import Context
from .model import Client, Server
from .problems import OAuthProblem, invalid_client, invalid_grant, invalid_request
from .tokens import Grant
from .volatile import Document
from .web import Request, Response, Router, empty, json_response

GRANTS = ("client_credentials", "authorization_code", "refresh_token")
USER_SCOPES = frozenset({"openid", "offline_access", "profile", "email"})


class OAuthEndpoints:
    """Handlers below /{tid}/{aid}."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self, router: Router) -> None:
        """Registers every path of this module."""
        base = "/{tid}/{aid}"
        router.add("POST", base + "/oauth2/token", self.token)
        router.add("POST", base + "/oauth2/introspect", self.introspect)
        router.add("POST", base + "/oauth2/revoke", self.revoke)
        router.add("GET POST", base + "/userinfo", self.userinfo)
        router.add("GET", base + "/.well-known/openid-configuration", self.discovery)
        router.add("GET", base + "/.well-known/jwks.json", self.jwks)
        router.add("GET", base + "/environment", self.environment)

    async def token(self, request: Request) -> Response:
        """POST /oauth2/token."""
        server = await self._context.workspace(request)
        form = request.form()
        client = await self._context.authenticate(request, form, server)
        grant_type = form.get("grant_type", "")
        if grant_type not in GRANTS:
            raise OAuthProblem(400, "unsupported_grant_type", f"Known grants: {', '.join(GRANTS)}.")
        if grant_type not in client.grant_types:
            raise OAuthProblem(400, "unauthorized_client", "The client may not use this grant.")
        if grant_type == "client_credentials":
            answer = await self._client_credentials(server, client, form)
        elif grant_type == "authorization_code":
            answer = await self._code(server, client, form)
        else:
            token = form.get("refresh_token") or ""
            answer = await self._context.tokens.rotate(server, client, token, form.get("scope", ""))
        self._context.audit.emit(server, f"token.issued.{grant_type}", client=client.id)
        return json_response(answer)

    async def _client_credentials(
        self, server: Server, client: Client, form: dict[str, str]
    ) -> dict[str, Any]:
        if client.token_endpoint_auth_method == "none":  # noqa: S105
            raise invalid_client("A public client cannot use client_credentials.")
        wanted = tuple(form.get("scope", "").split())
        allowed = tuple(s for s in client.scopes if s not in USER_SCOPES)
        if not set(wanted) <= set(allowed):
            raise OAuthProblem(400, "invalid_scope", "The client may not request this scope.")
        return await self._context.tokens.issue(server, client, Grant(client.id, wanted or allowed))

    async def _code(self, server: Server, client: Client, form: dict[str, str]) -> dict[str, Any]:
        volatile, code = self._context.volatile, form.get("code", "")
        found = await volatile.get("code", code) if code else None
        if (
            found is None
            or found["client_id"] != client.id
            or found["server"] != [server.tenant_id, server.id]
        ):
            raise invalid_grant("The authorization code is unknown or expired.")
        if found["redirect_uri"] != form.get("redirect_uri", ""):
            raise invalid_grant("redirect_uri differs from the authorization request's.")
        check_pkce(found, form.get("code_verifier", ""))
        if not await volatile.claim("code", code, server.authorization_code_ttl_s):
            await self._context.tokens.revoke_family(server, found["family"])
            raise invalid_grant("The authorization code was used before; its tokens are revoked.")
        grant = Grant(
            subject=found["sub"],
            scopes=tuple(found["scopes"]),
            family=found["family"],
            session=found["session"],
            idp=found["idp"],
            auth_time=found["auth_time"],
            nonce=found["nonce"],
        )
        return await self._context.tokens.issue(server, client, grant)

    async def _caller(self, request: Request, server: Server) -> tuple[str, tuple[str, ...]]:
        """(client id, scopes) of whoever introspects or revokes, by Bearer or client secret."""
        if bearer := request.bearer():
            claims = await self._context.tokens.inspect(server, bearer)
            if claims is None:
                raise OAuthProblem(401, "invalid_token", "The bearer token is not active.")
            return claims["client_id"], tuple(claims["scp"])
        client = await self._context.authenticate(request, request.form(), server)
        return client.id, client.scopes

    async def _presented(self, request: Request) -> tuple[Server, str, tuple[str, ...], str]:
        """(workspace, caller, caller's scopes, token): what introspection and revocation get."""
        server = await self._context.workspace(request)
        caller, scopes = await self._caller(request, server)
        token = request.form().get("token")
        if not token:
            raise invalid_request("token is missing")
        return server, caller, scopes, token

    async def introspect(self, request: Request) -> Response:
        """POST /oauth2/introspect."""
        server, caller, scopes, token = await self._presented(request)
        tokens = self._context.tokens
        kind, claims = "access_token", await tokens.inspect(server, token)
        if claims is None:
            kind, claims = "refresh_token", await tokens.inspect_refresh(server, token)
        if claims is None or (claims["client_id"] != caller and "introspect_tokens" not in scopes):
            return json_response({"active": False})
        return json_response(
            {
                "active": True,
                "iss": tokens.issuer(server),
                "sub": claims["sub"],
                "aud": claims.get("aud", [claims["client_id"]]),
                "client_id": claims["client_id"],
                "scope": " ".join(claims["scp"]),
                "iat": claims["iat"],
                "exp": claims["exp"],
                "tenant_id": server.tenant_id,
                "server_id": server.id,
                "token_type": kind,
            }
        )

    async def revoke(self, request: Request) -> Response:
        """POST /oauth2/revoke; 200 also for what is unknown, as RFC 7009 demands."""
        server, caller, scopes, token = await self._presented(request)
        tokens = self._context.tokens
        claims = await tokens.inspect(server, token)
        refresh = None if claims else await tokens.inspect_refresh(server, token)
        owner = (claims or refresh or {}).get("client_id", caller)
        if owner != caller and "revoke_tokens" not in scopes:
            raise OAuthProblem(401, "unauthorized_client", "The token belongs to another client.")
        if claims:
            await tokens.revoke_access(server, token, claims)
        elif refresh:
            await tokens.revoke_family(server, refresh["fam"])
        self._context.audit.emit(server, "token.revoked", client=owner)
        return empty(200)

    async def userinfo(self, request: Request) -> Response:
        """GET /userinfo; a client_credentials token gets its own description."""
        server = await self._context.workspace(request)
        bearer = request.bearer()
        claims = await self._context.tokens.inspect(server, bearer) if bearer else None
        if claims is None:
            raise OAuthProblem(401, "invalid_token", "The access token is not active.")
        answer: Document = {"sub": claims["sub"], "tid": claims["tid"], "aid": claims["aid"]}
        if "fam" in claims:
            if "openid" not in claims["scp"]:
                raise OAuthProblem(403, "insufficient_scope", "Scope openid is needed.")
            where = (server.tenant_id, server.id, claims["idp"], claims["sub"])
            user = await self._context.catalog.user(*where)
            answer = {**(user.claims if user else {}), **answer}
        return json_response(answer)

    async def discovery(self, request: Request) -> Response:
        """GET /.well-known/openid-configuration."""
        server = await self._context.workspace(request)
        issuer = self._context.tokens.issuer(server)
        return json_response(
            {
                "issuer": issuer,
                "authorization_endpoint": issuer + "/oauth2/authorize",
                "token_endpoint": issuer + "/oauth2/token",
                "introspection_endpoint": issuer + "/oauth2/introspect",
                "revocation_endpoint": issuer + "/oauth2/revoke",
                "userinfo_endpoint": issuer + "/userinfo",
                "pushed_authorization_request_endpoint": issuer + "/par",
                "end_session_endpoint": issuer + "/oidc/logout",
                "jwks_uri": issuer + "/.well-known/jwks.json",
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": list(GRANTS),
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "code_challenge_methods_supported": ["S256"],
                "token_endpoint_auth_methods_supported": [
                    "client_secret_basic", "client_secret_post", "none",
                ],
                "scopes_supported": sorted(USER_SCOPES | set(server.scopes)),
                "claims_supported": ["sub", "iss", "aud", "exp", "iat", "auth_time", "nonce"],
                "authorization_response_iss_parameter_supported": True,
            }
        )  # fmt: skip

    async def jwks(self, request: Request) -> Response:
        """GET /.well-known/jwks.json."""
        server = await self._context.workspace(request)
        signers = await self._context.catalog.signers(server.tenant_id, server.id)
        return json_response({"keys": [signer.public_jwk for signer in signers]})

    async def environment(self, request: Request) -> Response:
        """GET /environment: the public view."""
        await self._context.workspace(request)
        return json_response(environment_of(self._context))


def environment_of(context: Context) -> dict[str, Any]:
    """The booleans that tell how an installation was started."""
    return {
        **context.settings.features,
        "insecure_disable_csrf": context.settings.disable_csrf,
        "debug": False,
        "fake_data": False,
        "system_flags": [],
        "tenant_flags": [],
        "version": "2.25.0-standin",
        "commit": "standin",
    }


def check_pkce(code: Document, verifier: str) -> None:
    """invalid_grant unless the verifier matches the S256 challenge; none for both is fine."""
    challenge = code["code_challenge"]
    if not challenge:
        if verifier:
            raise invalid_grant("code_verifier was sent without a code_challenge before.")
        return
    hashed = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest())
    if not hmac.compare_digest(hashed.rstrip(b"="), challenge.encode()):
        raise invalid_grant("code_verifier does not match code_challenge.")
