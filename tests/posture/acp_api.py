"""ACP's token endpoint and management API over real HTTP, with switches for what may be odd."""

import json
import threading
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from acpchaos.target.profile import Profile, load_profile

SECRET = "the-system-clients-own-secret-9Qx"
TOKEN = "a.bearer.token-of-system"


class AcpApi:
    """A running API. `servers` are workspaces by tenant, `clients` those of workspace main."""

    def __init__(self) -> None:
        self.servers: dict[str, list[str]] = {"default": ["admin", "main"], "system": ["system"]}
        self.clients = [f"client-{number:03}" for number in range(3)]
        self.cap = 50  # of a page, whatever limit is asked
        self.refused: dict[str, int] = {}  # status by path
        self.after_page: dict[str, int] = {}  # status of all pages but the first, by path
        self.calls: list[str] = []
        api = self

        class Handler(_Handler):
            acp = api

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def profile(self, folder: Path, secret: str = SECRET, *, system: bool = True) -> Profile:
        """A profile whose client `system` has this secret."""
        (folder / "secret").write_text(secret)
        given = f'id = "system"\nsecret = "file:{folder / "secret"}"\n'
        path = folder / "acp.toml"
        path.write_text(
            f'[cluster]\ncontext = "none"\n[service]\nbase_url = "{self.base_url}"\n'
            '[service.issuers]\njwt = "/default/main"\nopaque = "/default/main"\n'
            + (f"[credentials.system]\n{given}" if system else "")
        )
        return load_profile(path)

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        first = not any(key.startswith("after_") for key in query)
        if path in self.refused or (not first and path in self.after_page):
            return self.refused.get(path) or self.after_page[path], {"error": "refused"}
        parts = path.strip("/").split("/")
        if path == "/api/system/tenants":
            return 200, {"tenants": [{"id": tid, "name": tid} for tid in self.servers]}
        if path.endswith("/environment"):
            return 200, {"dev_mode": False, "sample_token": "a-value-of-it"}
        match parts:
            case ["api", "admin", tid, "servers"] if tid in self.servers:
                return 200, self._page("servers", "id", self.servers[tid], query, tenant_id=tid)
            case ["api", "admin", _, "servers", _, "idps"]:
                return 200, {"idps": [{"id": "sandbox", "method": "static", "disabled": True}]}
            case ["api", "admin", _, "servers", wid, "clients"]:
                found = self.clients if wid == "main" else []
                more = {"authorization_server_id": wid, "client_secret": "s3cret-of-a-client"}
                return 200, self._page("clients", "client_id", found, query, **more)
        return 404, {"error": "not_found"}

    def _page(
        self, key: str, name: str, ids: list[str], query: dict[str, str], **more: str
    ) -> dict[str, Any]:
        after = query.get(f"after_{key[:-1]}_id", "")
        page = [each for each in sorted(ids) if each > after]
        limit = min(self.cap, int(query.get("limit", 20)))
        found = [{name: each, **more} for each in page[:limit]]
        return {key: found or None}  # Go writes an empty list so


class _Handler(BaseHTTPRequestHandler):
    acp: AcpApi
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Tests print nothing."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.acp.calls.append(f"GET {self.path}")
        base = self.acp.base_url
        if url.path == "/system/system/.well-known/openid-configuration":
            return self._send(200, {"issuer": base, "token_endpoint": f"{base}/token"})
        if url.path.startswith("/api/") and self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self._send(401, {"error": "unauthorized"})
        query = {key: values[-1] for key, values in parse_qs(url.query).items()}
        return self._send(*self.acp.answer(url.path, query))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.acp.calls.append(f"POST {self.path}")
        wanted = "Basic " + b64encode(f"system:{SECRET}".encode()).decode()
        if self.headers["Authorization"] != wanted:
            return self._send(401, {"error": "invalid_client"})
        return self._send(200, {"access_token": TOKEN})

    def _send(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
