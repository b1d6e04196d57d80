"""A small honest OIDC issuer: what the load room's tests talk to instead of a cluster.

It keeps every promise of the flows until a switch makes it break one, and it counts what it is
asked, so that a recorder can be compared with what was really sent.
"""

import base64
import hashlib
import json
import secrets
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlencode, urlsplit

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

CLIENTS = {
    "load-m2m": "m2m-secret-5up3r",
    "load-web": "web-secret-5up3r",
    "load-introspect": "introspect-secret-5up3r",
}
ASSERTED = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
PASSWORD = "user-password-5up3r"
CALLBACK = "https://localhost/callback"
LIFE_S = 600
PAGES = (
    "token",
    "introspect",
    "revoke",
    "userinfo",
    "jwks",
    "par",
    "authorize",
    "login",
    "consent",
)


class Refused(Exception):
    """An OAuth error answer."""

    def __init__(self, status, error):
        self.status, self.error = status, error


class Issuer:
    """Workspaces /acme/main (JWT) and /acme/opaque. Use as a context manager."""

    def __init__(self, login_fields=("username", "password")):
        self.login_fields = login_fields
        self.key = ECKey.generate_key("P-256", {"kid": "key-1", "use": "sig"})
        self.counts, self.connections, self.issued = Counter(), 0, set()
        self.held = {kind: {} for kind in ("opaque", "refresh", "code", "session", "par", "asked")}
        self.revoked = set()
        # how clients prove themselves, where not by client_secret_basic: {id: method}; the public
        # key of private_key_jwt; the subject's common name of tls_client_auth
        self.methods, self.keys, self.subjects = {}, {}, {}
        self.assertions_seen, self.proofs = set(), Counter()
        self.unavailable = self.lying = False
        self.tells_of_refresh = True
        self._thawed = threading.Event()
        self._thawed.set()
        self._lock = threading.Lock()
        self._port, self._server = 0, None
        self.open()
        self.base_url = f"http://127.0.0.1:{self._port}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.thaw()
        self.close()

    def open(self):
        """Listen, on the same port as before if there was one."""
        self._server = Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        """Refuse new connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def freeze(self):
        """Take connections and requests but answer none until `thaw`."""
        self._thawed.clear()

    def thaw(self):
        self._thawed.set()

    def lose(self, kind):
        """Forget all of a kind, as a store does that comes back empty."""
        self.held[kind].clear()

    def resurrect(self):
        """Forget every revocation."""
        self.revoked.clear()

    def answer(self, method, path, headers, form):
        """(status, extra headers, body) of one request."""
        url = urlsplit(path)
        workspace, _, page = url.path.rpartition("/")
        query = dict(parse_qsl(url.query))
        counted = "refresh" if form.get("grant_type") == "refresh_token" else page
        with self._lock:
            self.counts[counted] += 1
        self._thawed.wait(20)
        if self.unavailable:
            return told(503, {"error": "temporarily_unavailable"})
        try:
            if page == "openid-configuration":
                return told(200, self._discovery(workspace.removesuffix("/.well-known")))
            if page not in PAGES:
                return told(404, {})
            cookies = dict(
                pair.split("=", 1) for pair in headers.get("Cookie", "").split("; ") if pair
            )
            with self._lock:
                return getattr(self, f"_{page}")(workspace, method, headers, query | form, cookies)
        except Refused as refused:
            return told(refused.status, {"error": refused.error})

    def _discovery(self, workspace):
        issuer = self.base_url + workspace
        names = {
            "token_endpoint": "token",
            "authorization_endpoint": "authorize",
            "introspection_endpoint": "introspect",
            "revocation_endpoint": "revoke",
            "userinfo_endpoint": "userinfo",
            "jwks_uri": "jwks",
            "pushed_authorization_request_endpoint": "par",
        }
        return {"issuer": issuer} | {key: f"{issuer}/{page}" for key, page in names.items()}

    def _jwks(self, *_):
        return told(200, {"keys": [self.key.as_dict(private=False)]})

    def _token(self, workspace, _method, headers, form, _cookies):
        client = self.known(workspace, headers, form)
        match form.get("grant_type"):
            case "client_credentials":
                return told(200, {"access_token": self._access(workspace, client)})
            case "authorization_code":
                asked = self.held["code"].pop(form.get("code"), None)
                digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
                challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
                if asked is None or asked["code_challenge"] != challenge:
                    raise Refused(400, "invalid_grant")
                return told(200, self._set(workspace, asked["user"]))
            case "refresh_token":
                user = self.held["refresh"].pop(form.get("refresh_token"), None)
                if user is None:
                    raise Refused(400, "invalid_grant")
                return told(200, self._set(workspace, user))
        raise Refused(400, "unsupported_grant_type")

    def known(self, workspace, headers, form):
        """The client, proven by the one method it is registered with and by no other."""
        basic = headers.get("Authorization", "").removeprefix("Basic ")
        given = {
            "client_secret_basic": basic,
            "client_secret_post": form.get("client_secret"),
            "private_key_jwt": form.get("client_assertion"),
        }
        shown = [method for method, proof in given.items() if proof]
        if basic:
            client, _, secret = base64.b64decode(basic).decode().partition(":")
        else:
            client, secret = form.get("client_id", ""), form.get("client_secret")
        method = self.methods.get(client, "client_secret_basic")
        if shown != ([] if method == "tls_client_auth" else [method]):
            raise Refused(401, "invalid_client")
        proven = {
            "client_secret_basic": lambda: CLIENTS.get(client) == secret,
            "client_secret_post": lambda: CLIENTS.get(client) == secret,
            "private_key_jwt": lambda: self._asserted(workspace, client, form),
            "tls_client_auth": lambda: headers["shown"] == self.subjects.get(client, object()),
        }[method]
        if not client or not proven():
            raise Refused(401, "invalid_client")
        self.proofs[method] += 1
        return client

    def _asserted(self, workspace, client, form):
        """RFC 7523 section 3, and each assertion once."""
        try:
            token = jwt.decode(
                form["client_assertion"], self.keys[client], algorithms=["ES256", "PS256"]
            )
        except (JoseError, ValueError, KeyError):
            return False
        claims, now = token.claims, time.time()
        once = claims["jti"] not in self.assertions_seen
        self.assertions_seen.add(claims["jti"])
        return (
            once
            and form.get("client_assertion_type") == ASSERTED
            and claims["iss"] == claims["sub"] == client
            and claims["aud"] == f"{self.base_url}{workspace}/token"
            and claims["iat"] - 5 <= now < claims["exp"] <= now + 600
        )

    def _set(self, workspace, user):
        token = self._new("refresh", user)
        return {"access_token": self._access(workspace, user), "refresh_token": token}

    def _access(self, workspace, subject):
        if workspace.endswith("/opaque"):
            return self._new("opaque", subject)
        claims = {"sub": subject, "exp": int(time.time()) + LIFE_S, "jti": secrets.token_hex(8)}
        token = jwt.encode({"alg": "ES256", "kid": self.key.kid}, claims, self.key)
        self.issued.add(token)
        return token

    def _new(self, kind, value):
        name = secrets.token_urlsafe(24)
        self.held[kind][name] = value
        self.issued.add(name)
        return name

    def _active(self, token):
        if token in self.revoked:
            return False
        try:
            return jwt.decode(token, self.key, algorithms=["ES256"]).claims["exp"] > time.time()
        except (JoseError, ValueError):
            known = self.held["opaque"] | (self.held["refresh"] if self.tells_of_refresh else {})
            return token in known

    def _introspect(self, workspace, _method, headers, form, _cookies):
        self.known(workspace, headers, form)
        return told(200, {"active": not self.lying and self._active(form.get("token", ""))})

    def _revoke(self, workspace, _method, headers, form, _cookies):
        self.known(workspace, headers, form)
        self.revoked.add(form["token"])
        return told(200, {})

    def _userinfo(self, _workspace, _method, headers, _form, _cookies):
        if not self._active(headers.get("Authorization", "").removeprefix("Bearer ")):
            raise Refused(401, "invalid_token")
        return told(200, {"sub": "someone"})

    def _par(self, workspace, _method, headers, form, _cookies):
        self.known(workspace, headers, form)
        return told(201, {"request_uri": self._new("par", form)})

    def _authorize(self, workspace, _method, _headers, form, cookies):
        if uri := form.get("request_uri"):
            form = self.held["par"].pop(uri, None) or {}
        if form.get("client_id") not in CLIENTS or form.get("redirect_uri") != CALLBACK:
            raise Refused(400, "invalid_request")
        asked = self._new("asked", form)
        session = self.held["session"].get(cookies.get("sid"))
        if session and session["consented"]:
            return self._with_code(asked, session)
        # two cookies in two lines, one with a comma in it, as real issuers send them
        later = "Expires=Wed, 01 Jan 2031 00:00:00 GMT; Path=/"
        return moved(f"{workspace}/login", f"asked={asked}; {later}", f"seen=yes; {later}")

    def _login(self, workspace, method, _headers, form, cookies):
        if cookies.get("asked") not in self.held["asked"] or cookies.get("seen") != "yes":
            raise Refused(400, "invalid_request")
        user, word = self.login_fields
        if method == "GET":
            return paged(
                f'<form action="login?step=1" method="post"><input name="{user}">'
                f'<input type="password" name="{word}">'
                '<input type="hidden" name="csrf" value="c1"><button>Go</button></form>'
            )
        if form.get("csrf") != "c1" or form.get(word) != PASSWORD or "-" not in form.get(user, ""):
            return paged("<p>Wrong name or password</p>")
        sid = self._new("session", {"user": form[user], "consented": False})
        return moved(f"{workspace}/consent", f"sid={sid}; HttpOnly")

    def _consent(self, _workspace, method, _headers, form, cookies):
        session = self.held["session"].get(cookies.get("sid"))
        if session is None:
            raise Refused(400, "invalid_request")
        if method == "GET":
            return paged(
                '<form method="post"><input type="hidden" name="csrf" value="c2">'
                '<button name="decision" value="accept">Yes</button>'
                '<button name="decision" value="deny">No</button></form>'
            )
        if form.get("csrf") != "c2" or form.get("decision") != "accept":
            return moved(f"{CALLBACK}?error=access_denied")
        session["consented"] = True
        return self._with_code(cookies["asked"], session)

    def _with_code(self, asked, session):
        request = self.held["asked"].pop(asked)
        code = self._new("code", request | {"user": session["user"]})
        return moved(f"{CALLBACK}?" + urlencode({"code": code, "state": request["state"]}))


class Server(ThreadingHTTPServer):
    """Counts connections; a stop waits for none of them."""

    daemon_threads, block_on_close, request_queue_size = True, False, 128

    def __init__(self, address, issuer):
        self.issuer = issuer
        super().__init__(address, Handler)

    def get_request(self):
        self.issuer.connections += 1
        return super().get_request()

    def handle_error(self, *_):
        """A client that left before its answer is no concern of the issuer."""


class Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with connections kept, as an ingress does."""

    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

    def do_GET(self):
        self._reply({})

    @property
    def shown(self):
        """The common name of the certificate that the client showed."""
        certificate = getattr(self.connection, "getpeercert", dict)() or {}
        subject = dict(pair for (pair,) in certificate.get("subject", ()))
        return subject.get("commonName")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._reply(dict(parse_qsl(body.decode())))

    def _reply(self, form):
        del self.headers["shown"]  # whoever says so does not show it
        self.headers["shown"] = self.shown
        status, headers, body = self.server.issuer.answer(
            self.command, self.path, self.headers, form
        )
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Silent."""


def told(status, content):
    return status, [("Content-Type", "application/json")], json.dumps(content).encode()


def moved(location, *cookies):
    return 302, [("Location", location), *(("Set-Cookie", line) for line in cookies)], b""


def paged(html):
    return 200, [("Content-Type", "text/html")], f"<html>{html}</html>".encode()
