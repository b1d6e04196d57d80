"""Room lab/standin: authorization requests, login and consent forms, SSO sessions, logout.

Each step's state lies in Redis under an unguessable id and is bound to a cookie of the browser
that began, so a form sent from elsewhere is refused. A lost state means: begin again, never 5xx.
"""

from __future__ import annotations

import html
import secrets
import time
from urllib.parse import urlencode, urlsplit

from .context import Context
from .model import WITH_PASSWORDS, Client, Server
from .problems import OAuthProblem, invalid_request
from .sealing import password_fits
from .volatile import Document
from .web import Request, Response, Router, empty, html_response, json_response, redirect, single

STATE_TTL_S = 600
PAR_TTL_S = 60
URN = "urn:ietf:params:oauth:request_uri:"
BEGIN_AGAIN = "This step is unknown or over; begin the authorization again."
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title></head>
<body><main><h1>{title}</h1><p>{note}</p>
<form method="post" action="{action}"><input type="hidden" name="state_id" value="{state_id}">
{fields}</form></main></body></html>"""
LOGIN_FIELDS = """<label>User <input name="username" autocomplete="username"></label>
<label>Password <input name="password" type="password" autocomplete="current-password"></label>
<button type="submit">Log in</button>"""
CONSENT_FIELDS = """<button type="submit" name="action" value="accept">Accept</button>
<button type="submit" name="action" value="reject">Reject</button>"""


def page(
    title: str, note: str, action: str, state_id: str, fields: str, status: int = 200
) -> Response:
    """One form; every value is escaped."""
    shown = {"title": title, "note": note, "action": action, "state_id": state_id}
    safe = {name: html.escape(value, quote=True) for name, value in shown.items()}
    return html_response(PAGE.format(**safe, fields=fields), status)


class AuthorizeEndpoints:
    """The browser's part of the code flow."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def routes(self, router: Router) -> None:
        """Registers every path of this module."""
        base = "/{tid}/{aid}"
        router.add("GET POST", base + "/oauth2/authorize", self.authorize)
        router.add("POST", base + "/par", self.push)
        router.add("GET", base + "/login", self.login_form)
        router.add("POST", base + "/login", self.login)
        router.add("GET", base + "/consent", self.consent_form)
        router.add("POST", base + "/consent", self.consent)
        router.add("GET POST", base + "/oidc/logout", self.logout)
        router.add("GET", base + "/sso/sessions", self.sessions)
        router.add("DELETE", base + "/sso/sessions/{sid}", self.end_session)

    def _path(self, server: Server, rest: str = "") -> str:
        return f"{urlsplit(self._context.settings.url).path}/{server.tenant_id}/{server.id}{rest}"

    async def push(self, request: Request) -> Response:
        """POST /par: keeps a checked authorization request for 60 seconds."""
        server = await self._context.workspace(request)
        form = request.form()
        client = await self._context.authenticate(request, form, server)
        wanted = {k: v for k, v in form.items() if k != "client_secret"} | {"client_id": client.id}
        check_request(client, wanted)
        id_ = secrets.token_urlsafe(24)
        await self._context.volatile.put("par", id_, wanted, PAR_TTL_S)
        return json_response({"request_uri": URN + id_, "expires_in": PAR_TTL_S}, 201)

    async def authorize(self, request: Request) -> Response:
        """GET /oauth2/authorize: to the login page, the consent page, or straight back."""
        server = await self._context.workspace(request)
        wanted = request.query() if request.method == "GET" else request.form()
        if uri := wanted.get("request_uri"):
            pushed = await self._context.volatile.take("par", uri.removeprefix(URN))
            if pushed is None or pushed["client_id"] != wanted.get("client_id"):
                raise OAuthProblem(400, "invalid_request_uri", "request_uri is unknown or expired.")
            wanted = pushed
        client = await self._context.catalog.client(
            server.tenant_id, server.id, wanted.get("client_id", "")
        )
        if client is None or wanted.get("redirect_uri", "") not in client.redirect_uris:
            raise invalid_request("client_id is unknown or redirect_uri is not registered")
        try:
            check_request(client, wanted)
        except OAuthProblem as problem:
            return self._back(
                server, wanted, error=problem.error, error_description=problem.description
            )
        sid, session = await self._session(request, server)
        if session and wanted.get("prompt") != "login":
            return await self._after_login(server, client, wanted, sid, session, "")
        if wanted.get("prompt") == "none":
            return self._back(server, wanted, error="login_required")
        flow = secrets.token_urlsafe(16)
        state_id = await self._remember("login", {"wanted": wanted, "flow": flow})
        answer = redirect(self._path(server, f"/login?state_id={state_id}"))
        return answer.cookie("acp_flow", flow, self._path(server), STATE_TTL_S)

    async def _remember(self, entity: str, document: Document) -> str:
        state_id = secrets.token_urlsafe(24)
        await self._context.volatile.put(entity, state_id, document, STATE_TTL_S)
        return state_id

    async def _recall(self, request: Request, entity: str, state_id: str) -> Document:
        """The step's state, only for the browser that began it."""
        found = await self._context.volatile.get(entity, state_id) if state_id else None
        flow = request.cookies().get("acp_flow", "")
        if found is None or not secrets.compare_digest(found["flow"].encode(), flow.encode()):
            raise invalid_request(BEGIN_AGAIN)
        return found

    async def login_form(self, request: Request) -> Response:
        """GET /login."""
        server = await self._context.workspace(request)
        state_id = request.query().get("state_id", "")
        await self._recall(request, "login", state_id)
        return page(
            "Log in", server.name or server.id, self._path(server, "/login"), state_id, LOGIN_FIELDS
        )

    async def login(self, request: Request) -> Response:
        """POST /login: opens an SSO session and goes on to consent."""
        server = await self._context.workspace(request)
        form = request.form()
        state_id = form.get("state_id", "")
        state = await self._recall(request, "login", state_id)
        user = form.get("username", "")
        idp = await self._idp_of(server, user, form.get("password", ""))
        if idp is None:
            self._context.audit.emit(server, "login.failed", subject=user[:100])
            again = self._path(server, "/login")
            return page("Log in", "User or password is wrong.", again, state_id, LOGIN_FIELDS, 401)
        await self._context.volatile.drop("login", state_id)
        session = {"sub": user, "idp": idp, "auth_time": int(time.time()), "iat": int(time.time())}
        session |= {"server": [server.tenant_id, server.id]}
        sid = secrets.token_urlsafe(24)
        await self._context.volatile.put("sso", sid, session, server.cookie_max_age_s)
        if self._context.index:
            await self._context.index.add(_user(session), sid, server.cookie_max_age_s)
        client = await self._client(server, state["wanted"])
        answer = await self._after_login(
            server, client, state["wanted"], sid, session, state["flow"]
        )
        self._context.audit.emit(server, "login.succeeded", client=client.id, subject=user)
        return answer.cookie("acp_sso", sid, self._path(server), server.cookie_max_age_s)

    async def _idp_of(self, server: Server, user: str, password: str) -> str | None:
        """The enabled IDP that knows this user by this password."""
        for idp in await self._context.catalog.idps(server.tenant_id, server.id):
            if idp.disabled or idp.method not in WITH_PASSWORDS:
                continue
            found = await self._context.catalog.user(server.tenant_id, server.id, idp.id, user)
            if found and password_fits(password, found.password):
                return idp.id
        return None

    async def _client(self, server: Server, wanted: Document) -> Client:
        client = await self._context.catalog.client(
            server.tenant_id, server.id, wanted["client_id"]
        )
        if client is None:
            raise invalid_request(BEGIN_AGAIN)
        return client

    async def _after_login(
        self,
        server: Server,
        client: Client,
        wanted: Document,
        sid: str,
        session: Document,
        flow: str,
    ) -> Response:
        grant_id = f"{server.tenant_id}:{server.id}:{session['sub']}:{client.id}"
        given = await self._context.volatile.get("grant", grant_id) or {"scopes": []}
        if client.trusted or set(wanted.get("scope", "").split()) <= set(given["scopes"]):
            return await self._with_code(server, wanted, sid, session)
        if wanted.get("prompt") == "none":
            return self._back(server, wanted, error="consent_required")
        fresh = flow or secrets.token_urlsafe(16)
        state = {"wanted": wanted, "flow": fresh, "sid": sid}
        state_id = await self._remember("consent", state)
        answer = redirect(self._path(server, f"/consent?state_id={state_id}"))
        return answer if flow else answer.cookie("acp_flow", fresh, self._path(server), STATE_TTL_S)

    async def consent_form(self, request: Request) -> Response:
        """GET /consent."""
        server = await self._context.workspace(request)
        state_id = request.query().get("state_id", "")
        wanted = (await self._recall(request, "consent", state_id))["wanted"]
        note = f"{wanted['client_id']} asks for: {wanted.get('scope', '')}"
        return page("Consent", note, self._path(server, "/consent"), state_id, CONSENT_FIELDS)

    async def consent(self, request: Request) -> Response:
        """POST /consent: back to the client with a code, or with access_denied."""
        server = await self._context.workspace(request)
        form = request.form()
        state_id = form.get("state_id", "")
        state = await self._recall(request, "consent", state_id)
        session = await self._context.volatile.get("sso", state["sid"])
        if session is None:
            raise invalid_request(BEGIN_AGAIN)
        await self._context.volatile.drop("consent", state_id)
        wanted = state["wanted"]
        if form.get("action") != "accept":
            return self._back(server, wanted, error="access_denied")
        grant_id = f"{server.tenant_id}:{server.id}:{session['sub']}:{wanted['client_id']}"
        given = {"scopes": wanted.get("scope", "").split()}
        await self._context.volatile.put("grant", grant_id, given, server.refresh_token_ttl_s)
        return await self._with_code(server, wanted, state["sid"], session)

    async def _with_code(
        self, server: Server, wanted: Document, sid: str, session: Document
    ) -> Response:
        code = secrets.token_urlsafe(32)
        document = {
            "server": [server.tenant_id, server.id],
            "client_id": wanted["client_id"],
            "redirect_uri": wanted["redirect_uri"],
            "code_challenge": wanted.get("code_challenge", ""),
            "nonce": wanted.get("nonce", ""),
            "scopes": wanted.get("scope", "").split(),
            "sub": session["sub"],
            "idp": session["idp"],
            "auth_time": session["auth_time"],
            "session": sid[:8],  # enough to tell sessions apart; the cookie's value stays secret
            "family": secrets.token_urlsafe(12),
        }
        await self._context.volatile.put("code", code, document, server.authorization_code_ttl_s)
        return self._back(server, wanted, code=code)

    def _back(self, server: Server, wanted: Document, **extra: str) -> Response:
        if state := wanted.get("state"):
            extra["state"] = state
        extra["iss"] = self._context.tokens.issuer(server)
        target = wanted["redirect_uri"]
        return redirect(f"{target}{'&' if '?' in target else '?'}{urlencode(extra)}")

    async def _session(self, request: Request, server: Server) -> tuple[str, Document | None]:
        sid = request.cookies().get("acp_sso", "")
        session = await self._context.volatile.get("sso", sid) if sid else None
        here = session is not None and session["server"] == [server.tenant_id, server.id]
        return sid, session if here else None

    async def logout(self, request: Request) -> Response:
        """GET|POST /oidc/logout: ends the SSO session."""
        server = await self._context.workspace(request)
        fields = single(request.query_string) | (request.form() if request.body else {})
        sid, session = await self._session(request, server)
        if session:
            await self._end(sid, session)
            self._context.audit.emit(server, "logout", subject=session["sub"])
        target, client_id = fields.get("post_logout_redirect_uri", ""), fields.get("client_id", "")
        client = (
            await self._context.catalog.client(server.tenant_id, server.id, client_id)
            if client_id
            else None
        )
        if target and (client is None or target not in client.post_logout_redirect_uris):
            raise invalid_request("post_logout_redirect_uri is not registered for client_id")
        state = f"?{urlencode({'state': fields['state']})}" if "state" in fields else ""
        answer = redirect(target + state) if target else json_response({"logged_out": True})
        return answer.cookie("acp_sso", "", self._path(server), 0)

    async def sessions(self, request: Request) -> Response:
        """GET /sso/sessions: all of this browser's user; without an index the browser's own, the
        only one its cookie can name."""
        server = await self._context.workspace(request)
        sid, session = await self._session(request, server)
        if session is None:
            raise OAuthProblem(401, "unauthorized", "There is no SSO session.")
        ids = [sid]
        if self._context.index:
            ids = await self._context.index.of(_user(session))
        found = [(each, await self._context.volatile.get("sso", each)) for each in ids]
        shown = [
            {"id": each[:8], "sub": one["sub"], "auth_time": one["auth_time"]}
            for each, one in found
            if one is not None
        ]
        return json_response({"sessions": shown})

    async def end_session(self, request: Request) -> Response:
        """DELETE /sso/sessions/{id}."""
        server = await self._context.workspace(request)
        sid, session = await self._session(request, server)
        if session is None or sid[:8] != request.params["sid"]:
            raise OAuthProblem(404, "not_found", "There is no such SSO session.")
        await self._end(sid, session)
        return empty(204)

    async def _end(self, sid: str, session: Document) -> None:
        await self._context.volatile.drop("sso", sid)
        if self._context.index:
            await self._context.index.drop(_user(session), sid)


def _user(session: Document) -> str:
    return ":".join((*session["server"], session["sub"]))


def check_request(client: Client, wanted: dict[str, str]) -> None:
    """An authorization request that this client may make, or OAuthProblem."""
    if wanted.get("redirect_uri", "") not in client.redirect_uris:
        raise invalid_request("redirect_uri is not registered")
    if wanted.get("response_type") != "code" or "authorization_code" not in client.grant_types:
        raise OAuthProblem(400, "unsupported_response_type", "Only response_type=code is known.")
    if not set(wanted.get("scope", "").split()) <= set(client.scopes):
        raise OAuthProblem(400, "invalid_scope", "The client may not request this scope.")
    challenge, method = wanted.get("code_challenge"), wanted.get("code_challenge_method", "S256")
    if (client.require_pkce and not challenge) or method != "S256":
        raise invalid_request("PKCE with code_challenge_method S256 is required")
