"""Records added to ACP's own configuration for a while, and taken away again.

Room: faults. Over the management API as the client `system`, so caches of ACP notice. The undo
record holds paths and the reference by which the client's secret is found, never the secret; a
later process needs what the reference names. It must not know what a record is good for.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

import urllib3
from urllib3.exceptions import HTTPError

from acpchaos.errors import AcpchaosError, PreconditionUnmet
from acpchaos.target import oidc
from acpchaos.target.cluster import Cluster
from acpchaos.target.oidc import Account
from acpchaos.target.plain import Plain
from acpchaos.target.profile import Profile, resolve

Change = dict[str, Any]
CONFIGURATION = "/api/system/configuration"
SYSTEM = "/system/system"
TIMEOUT_S = 10.0
_TRIES = 12  # on new connections: each copy of ACP answers from a cache of its own
_LIMIT = 100


class AcpRefused(AcpchaosError):
    """ACP did not do what it was asked for."""

    def __init__(self, attempted: str, seen: str) -> None:
        super().__init__(attempted, seen, "see that ACP answers and client system is let in")


def add_records(
    profile: Profile, gone: Iterable[tuple[str, str, str, str]], *,
    again: Mapping[str, Any] | None = None, instead: str = "",
) -> Change:  # fmt: skip
    """Records will be added. `gone` tells each by (path of its list, key of the list, id, path by
    which it is deleted); `again` is a document to import on the way back, and `instead` a published
    secret that opens client `system` until then."""
    client = profile.credentials.system
    if client is None:
        seen = "the profile has no [credentials.system]"
        raise PreconditionUnmet("change ACP's configuration", seen, "add it")
    told = [list(each) for each in gone]
    service = profile.service
    return {
        "kind": "records", "name": ", ".join(each[2] for each in told) or client.id,
        "base_url": service.base_url, "ca_file": str(service.ca_file or ""),
        "client": client.id, "secret": client.secret, "instead": instead,
        "gone": told, "again": dict(again or {}),
    }  # fmt: skip


def write_records(cluster: Cluster, change: Change, document: Mapping[str, Any]) -> None:
    """Import a document: what it holds is added or replaced."""
    _Api(cluster, change).call("PATCH", CONFIGURATION, document, expect=(200, 204))


def remove_records(cluster: Cluster, run_id: str, change: Change) -> None:
    """The way back of `add_records`, newest first."""
    api = _Api(cluster, change)
    for *_, path in reversed(change["gone"]):
        api.call("DELETE", path, expect=(200, 204, 404))
    if not _imported(api, change):
        api.call("PATCH", CONFIGURATION, change["again"], expect=(200, 204))


def records_removed(cluster: Cluster, run_id: str, change: Change) -> bool:
    """Whether no list has the records any more, and the client's own secret works again."""
    api = _Api(cluster, change)
    if any(_listed(api, path, key, id_) for path, key, id_, _ in change["gone"]):
        return False
    return not change["again"] or (_imported(api, change) and _opens(cluster, change))


def _imported(api: "_Api", change: Change) -> bool:
    """Whether the clients are as `again` has them, in all that is shown of them. What clients are
    let in by tells less: copies of ACP answer from caches for a while."""
    for each in change["again"].get("clients") or []:
        path = path_of(each["tenant_id"], "servers", each["server_id"], "clients")
        shown = _listed(api, path, "clients", each["id"]) or {}
        if any(shown.get(key) != value for key, value in each.items() if key != "secret"):
            return False
    return True


def _listed(api: "_Api", path: str, key: str, id_: str) -> Mapping[str, Any] | None:
    """An entry of a list; None without, also where the workspace with its lists is gone."""
    status, body = api.call("GET", f"{path}?limit={_LIMIT}", expect=(200, 404))
    if status == 404:
        return None
    found = body.get(key) if isinstance(body, dict) else None
    if not isinstance(found, list | None):
        raise AcpRefused(f"GET {path}", f"no list {key!r} in the answer")
    mine = (each for each in found or [] if id_ in (each.get("id"), each.get("client_id")))
    return next(mine, None)


def _opens(cluster: Cluster, change: Change) -> bool:
    """Whether every copy of ACP lets the client in by its own secret."""
    secret = resolve(change["secret"], cluster.read_secret)
    return all(_token(change, secret) for _ in range(_TRIES))


def _token(change: Change, secret: str) -> str:
    """A token of the client; empty where this secret is refused."""
    send = Plain(change["ca_file"])
    try:
        ends = oidc.discover(send, change["base_url"] + SYSTEM)
        return oidc.client_credentials(send, ends, Account(change["client"], secret))
    except oidc.StepFailed as error:
        if error.answer.status in (400, 401):
            return ""
        seen = error.answer.error or f"HTTP {error.answer.status}"
        raise AcpRefused(f"get a token of client {change['client']}", seen) from None


class _Api:
    """Calls with a token of the client, by its own secret or the one that replaced it."""

    def __init__(self, cluster: Cluster, change: Change) -> None:
        self._base = change["base_url"]
        self._pool = urllib3.PoolManager(
            ca_certs=change["ca_file"] or None, cert_reqs="CERT_REQUIRED", retries=False,
            timeout=TIMEOUT_S,
        )  # fmt: skip
        own = resolve(change["secret"], cluster.read_secret)
        tried = [own, *([change["instead"]] if change["instead"] else [])]
        token = next((found for each in tried if (found := _token(change, each))), "")
        if not token:
            raise AcpRefused(f"get a token of client {change['client']}", "its secret is refused")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(
        self, method: str, path: str, body: object = None, *, expect: tuple[int, ...]
    ) -> tuple[int, Any]:
        """(status, body as JSON or None); AcpRefused for any other status."""
        data = None if body is None else json.dumps(body).encode()
        try:
            got = self._pool.request(method, self._base + path, body=data, headers=self._headers)
        except HTTPError as error:
            raise AcpRefused(f"{method} {path}", str(error)) from None
        if got.status not in expect:
            raise AcpRefused(f"{method} {path}", f"HTTP {got.status}: {got.data[:200]!r}")
        try:
            return got.status, json.loads(got.data or b"null")
        except ValueError:
            return got.status, None


def path_of(*parts: str) -> str:
    """A path of the admin API; ids are quoted."""
    return "/api/admin/" + "/".join(quote(each, safe="") for each in parts)
