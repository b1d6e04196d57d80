"""Room lab/standin: access, refresh and ID tokens: issue, inspect, revoke.

Two strategies as in the product: `jwt` (self-contained, with a server record if the switch says
so) and `opaque` (a record only). It must not know HTTP.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from dataclasses import dataclass
from typing import Any

from .catalog import Catalog
from .model import Client, Server
from .problems import OAuthProblem, invalid_grant
from .settings import Settings
from .signing import Signer, encode, token_head
from .volatile import Document, Volatile


@dataclass(frozen=True)
class Grant:
    """What somebody was granted: all tokens that descend from it share its family."""

    subject: str
    scopes: tuple[str, ...]
    family: str = ""
    session: str = ""
    idp: str = ""
    auth_time: int = 0
    nonce: str = ""


def digest(token: str) -> str:
    """The id under which a bearer value is stored; the value itself never is."""
    return hashlib.sha256(token.encode()).hexdigest()


class Tokens:
    """Token operations of every workspace."""

    def __init__(self, settings: Settings, catalog: Catalog, volatile: Volatile) -> None:
        self._settings = settings
        self._catalog = catalog
        self._volatile = volatile
        self._with_record = settings.standin.jwt_introspection == "record"

    def issuer(self, server: Server) -> str:
        """The workspace's issuer URL."""
        return f"{self._settings.url}/{server.tenant_id}/{server.id}"

    async def issue(self, server: Server, client: Client, grant: Grant) -> dict[str, Any]:
        """A token endpoint response; a refresh token comes with offline grants of users."""
        signer = await self._signer(server)
        token = await self._access(server, client, grant, signer)
        answer: dict[str, Any] = {
            "access_token": token,
            "token_type": "bearer",
            "expires_in": server.access_token_ttl_s,
            "scope": " ".join(grant.scopes),
        }
        if grant.family:
            if "refresh_token" in client.grant_types:
                answer["refresh_token"] = await self._refresh(server, client, grant)
            if "openid" in grant.scopes:
                answer["id_token"] = self._id_token(server, client, grant, signer, token)
        return answer

    async def _signer(self, server: Server) -> Signer:
        signers = await self._catalog.signers(server.tenant_id, server.id)
        if not signers:
            raise OAuthProblem(500, "server_error", "The workspace has no signing key.")
        return signers[0]

    async def _access(self, server: Server, client: Client, grant: Grant, signer: Signer) -> str:
        now, ttl_s = int(time.time()), server.access_token_ttl_s
        claims: Document = {
            "iss": self.issuer(server),
            "sub": grant.subject,
            "aud": [client.id],
            "client_id": client.id,
            "tid": server.tenant_id,
            "aid": server.id,
            "scp": list(grant.scopes),
            "iat": now,
            "nbf": now,
            "exp": now + ttl_s,
            "jti": secrets.token_urlsafe(16),
        }
        if grant.family:
            claims |= {"fam": grant.family, "idp": grant.idp, "sid": grant.session}
        if server.access_token_strategy == "opaque":  # noqa: S105
            token = secrets.token_urlsafe(32)
            await self._volatile.put("at", digest(token), claims, ttl_s)
            return token
        if self._with_record:
            await self._volatile.put("at", claims["jti"], claims, ttl_s)
        return signer.sign(claims)

    async def _refresh(self, server: Server, client: Client, grant: Grant) -> str:
        token = secrets.token_urlsafe(32)
        ttl_s = server.refresh_token_ttl_s
        document = {
            "tid": server.tenant_id,
            "aid": server.id,
            "client_id": client.id,
            "sub": grant.subject,
            "scp": list(grant.scopes),
            "fam": grant.family,
            "sid": grant.session,
            "idp": grant.idp,
            "auth_time": grant.auth_time,
            "iat": int(time.time()),
            "exp": int(time.time()) + ttl_s,
        }
        await self._volatile.put_refresh(digest(token), document, ttl_s)
        return token

    def _id_token(
        self, server: Server, client: Client, grant: Grant, signer: Signer, access: str
    ) -> str:
        now = int(time.time())
        claims: Document = {
            "iss": self.issuer(server),
            "sub": grant.subject,
            "aud": client.id,
            "iat": now,
            "exp": now + server.id_token_ttl_s,
            "auth_time": grant.auth_time,
            "sid": grant.session,
            "at_hash": encode(hashlib.sha256(access.encode()).digest()[:16]),
        }
        if grant.nonce:
            claims["nonce"] = grant.nonce
        return signer.sign(claims, "JWT")

    async def inspect(self, server: Server, token: str) -> Document | None:
        """Claims of a live access token of this workspace, else None."""
        head = token_head(token)
        if head:
            claims = await self._verified(server, token, str(head.get("kid", "")))
            if claims and self._with_record:
                claims = await self._volatile.get("at", claims["jti"])
        else:
            claims = await self._volatile.get("at", digest(token))
        if claims is None or (claims["tid"], claims["aid"]) != (server.tenant_id, server.id):
            return None
        names = [subject_mark(server, claims["sub"])]
        names += [f"fam:{claims['fam']}"] if "fam" in claims else []
        names += [f"at:{claims['jti']}"] if head and not self._with_record else []
        # A subject is cut off up to a second; tokens of that same second fall with it.
        return None if await self._volatile.marked(names, claims["iat"]) else claims

    async def _verified(self, server: Server, token: str, kid: str) -> Document | None:
        for signer in await self._catalog.signers(server.tenant_id, server.id):
            if signer.kid == kid:
                claims = signer.verify(token)
                return claims if claims and claims.get("iss") == self.issuer(server) else None
        return None

    async def inspect_refresh(self, server: Server, token: str) -> Document | None:
        """A live refresh token's document, else None."""
        found = await self._volatile.get_refresh(digest(token))
        if found is None or (found["tid"], found["aid"]) != (server.tenant_id, server.id):
            return None
        names = [f"fam:{found['fam']}", subject_mark(server, found["sub"])]
        return None if await self._volatile.marked(names, found["iat"]) else found

    async def rotate(
        self, server: Server, client: Client, token: str, scope: str
    ) -> dict[str, Any]:
        """New tokens for a refresh token; a second use revokes the whole family."""
        found = await self.inspect_refresh(server, token)
        if found is None or found["client_id"] != client.id:
            raise invalid_grant("The refresh token is unknown, expired or revoked.")
        granted = tuple(found["scp"])
        wanted = tuple(scope.split()) or granted
        if not set(wanted) <= set(granted):
            raise OAuthProblem(400, "invalid_scope", "The scope exceeds what was granted.")
        if not await self._volatile.use_refresh(digest(token), server.refresh_token_ttl_s):
            await self.revoke_family(server, found["fam"])
            raise invalid_grant("The refresh token was used before; its family is revoked.")
        grant = Grant(
            subject=found["sub"],
            scopes=wanted,
            family=found["fam"],
            session=found["sid"],
            idp=found["idp"],
            auth_time=found["auth_time"],
        )
        return await self.issue(server, client, grant)

    async def revoke_access(self, server: Server, token: str, claims: Document) -> None:
        """Make one access token inactive."""
        if not token_head(token):
            await self._volatile.drop("at", digest(token))
        elif self._with_record:
            await self._volatile.drop("at", claims["jti"])
        else:
            await self._volatile.mark(f"at:{claims['jti']}", claims["exp"] - int(time.time()) + 60)

    async def revoke_family(self, server: Server, family: str) -> None:
        """Make inactive all tokens that descend from one authorization."""
        await self._volatile.mark(f"fam:{family}", server.refresh_token_ttl_s)

    async def revoke_subject(self, server: Server, subject: str) -> None:
        """Make inactive everything a subject holds in a workspace."""
        await self._volatile.mark(subject_mark(server, subject), server.refresh_token_ttl_s)


def subject_mark(server: Server, subject: str) -> str:
    """The revocation mark that cuts a subject off."""
    return f"sub:{server.tenant_id}:{server.id}:{subject}"
