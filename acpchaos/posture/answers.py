"""What ACP's management API says about tenants, workspaces, identity providers and clients.

Room: posture. GETs only, as the client `system` of the profile; its token is kept nowhere. A list
is recorded whole or as unanswered, never in part. An answer that needs another client's rights is
recorded as refused: that is evidence, too, and a rule calls it unreadable. It must not know rules.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from acpchaos.errors import AcpchaosError
from acpchaos.posture.documents import sealed_tree, sealed_value
from acpchaos.posture.redaction import Sealer
from acpchaos.record.snapshot import Answer
from acpchaos.target import oidc
from acpchaos.target.plain import Plain
from acpchaos.target.profile import Profile

TENANTS = "/api/system/tenants"
DISCOVERY = "/default/default/.well-known/openid-configuration"
LIMIT = 100
DEFAULT_LIMIT = 20  # of ACP; a page with fewer is the last, also where a server caps the limit
MOST_PAGES = 200
AT_ONCE = 4

# what an item's id is called: a client also tells its workspace, a workspace its tenant
IDS = {
    "tenants": ("id", "tenant_id"),
    "servers": ("id", "authorization_server_id"),
    "clients": ("client_id", "id"),
}

ReadSecret = Callable[[str, str, str], str]


class Asked(NamedTuple):
    """Answers by path, and why some were not asked for."""

    answers: dict[str, Answer]
    unread: dict[str, str]


class _Api:
    """GETs below the base URL, with or without the token."""

    def __init__(self, send: oidc.Send, base_url: str, token: str) -> None:
        self._send, self._base = send, base_url
        self._bearer = {"Authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, query: str = "") -> Answer:
        """One answer, its body as JSON or the beginning of its text."""
        url = f"{self._base}{path}{'?' + query if query else ''}"
        got = self._send("posture", "GET", url, headers=self._bearer)
        if got.status == 429 or not got.status:
            return Answer(status=0, error=got.error or "HTTP 429, too many requests")
        try:
            return Answer(status=got.status, body=msgspec.json.decode(got.body or b"null"))
        except msgspec.DecodeError:
            error = "the answer is no JSON" if got.status == 200 else ""
            return Answer(status=got.status, body=got.body[:300].decode("utf-8", "replace"),
                          error=error)  # fmt: skip

    def whole(self, path: str, key: str, after: str) -> Answer:
        """A list with all its pages, under its key; a page that fails stands for the whole."""
        items: dict[str, Any] = {}
        query = {"limit": str(LIMIT)}
        for _ in range(MOST_PAGES):
            answer = self.get(path, urlencode(query))
            page = _items(answer, key)
            if answer.status != 200 or page is None:
                return answer if not items else _broken(answer, len(items))
            fresh = {_id(key, each): each for each in page if _id(key, each) not in items}
            items |= fresh
            if not fresh or len(page) < DEFAULT_LIMIT:
                return Answer(status=200, body={key: list(items.values())})
            query[after] = _id(key, page[-1])
        return Answer(status=0, error=f"more than {MOST_PAGES} pages")


def ask(profile: Profile, sealer: Sealer, read_secret: ReadSecret | None = None) -> Asked:
    """All answers, secrets in them sealed."""
    send = Plain(str(profile.service.ca_file or ""))
    asked = Asked({}, {})
    public = _Api(send, profile.service.base_url, "")
    for path in [DISCOVERY, *(f"{each}/environment" for each in profile.service.issuers.values())]:
        asked.answers[path] = public.get(path)
    try:
        token = _token(send, profile, read_secret)
    except (AcpchaosError, oidc.StepFailed) as error:
        asked.unread[f"answer {TENANTS}"] = f"no token of the client system: {_reason(error)}"
    else:
        _ask_all(_Api(send, profile.service.base_url, token), asked)
    change = partial(sealed_value, sealer)
    for path, answer in asked.answers.items():
        sealed = sealed_tree(answer.body, change)
        asked.answers[path] = msgspec.structs.replace(answer, body=sealed)
    return asked


def _token(send: oidc.Send, profile: Profile, read_secret: ReadSecret | None) -> str:
    client = profile.credentials.system
    if client is None:
        raise _NoClient("the profile has no [credentials.system]")
    account = client.account(read_secret)
    ends = oidc.discover(send, f"{profile.service.base_url}/system/system")
    return oidc.client_credentials(send, ends, account)


class _NoClient(AcpchaosError):
    def __init__(self, seen: str) -> None:
        super().__init__(seen, "nothing to ask with", "add it: id and a reference to its secret")


def _reason(error: AcpchaosError | oidc.StepFailed) -> str:
    if isinstance(error, oidc.StepFailed):
        return f"{error}, {error.answer.error or f'HTTP {error.answer.status}'}"
    return str(error).partition("\n")[0]


def _ask_all(api: _Api, asked: Asked) -> None:
    """Tenants, then what each has, then what each of their workspaces has, side by side."""
    tenants = asked.answers[TENANTS] = api.get(TENANTS)
    bases = [f"/api/admin/{quote(tid, safe='')}" for tid in _ids(tenants, "tenants")]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        environments = [f"{base}/environment" for base in bases]
        servers = [f"{base}/servers" for base in bases]
        told = pool.map(api.get, environments)
        listed = list(pool.map(partial(api.whole, key="servers", after="after_server_id"), servers))
        workspaces = [
            f"{path}/{quote(wid, safe='')}"
            for path, answer in zip(servers, listed, strict=True)
            for wid in _ids(answer, "servers")
        ]
        idps, clients = ([f"{each}/{kind}" for each in workspaces] for kind in ("idps", "clients"))
        providers = pool.map(api.get, idps)
        found = pool.map(partial(api.whole, key="clients", after="after_client_id"), clients)
        for paths, answers in (
            (environments, told), (servers, listed), (idps, providers), (clients, found),
        ):  # fmt: skip
            asked.answers.update(zip(paths, answers, strict=True))


def _items(answer: Answer, key: str) -> list[Any] | None:
    """The list in an answer; null is an empty one, as Go's encoder writes it."""
    if answer.status != 200 or not isinstance(answer.body, dict) or key not in answer.body:
        return None
    found = answer.body[key]
    return found if isinstance(found, list) else ([] if found is None else None)


def _ids(answer: Answer, key: str) -> list[str]:
    return [found for each in _items(answer, key) or [] if (found := _id(key, each))]


def _id(key: str, item: Any) -> str:
    found = item if isinstance(item, dict) else {}
    return next((str(found[name]) for name in IDS[key] if found.get(name)), "")


def _broken(answer: Answer, seen: int) -> Answer:
    why = answer.error or f"HTTP {answer.status}"
    return Answer(status=0, error=f"{why} on a page after the first {seen} items")
