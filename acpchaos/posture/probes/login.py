"""Login probes: do the passwords of a default install still open a workspace?

Room: posture. One try per user and workspace, three per workspace in all, so that no account is
locked. A try goes through authorization request and login form, and stops before consent, so no
grant is given; a session that was opened is ended. The form is filled only on the host of the
authorization endpoint: a password is never shown to somebody else's identity provider. It must not
know how the management API is asked.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

from acpchaos.posture.probes.attempts import unknown
from acpchaos.record.snapshot import Answer, Probe
from acpchaos.target import oidc
from acpchaos.target.oidc import Account, Browser, Form, Send, StepFailed, first_form
from acpchaos.target.profile import Profile

USERS = ("admin", "developer", "user")  # each with its own name as password
# portal clients of default workspaces and where their page is, for a reader without management API
PORTALS = {"admin": "admin", "default": "default", "developer": "developer-developer"}
REDIRECTS = (302, 303, 307)
HOPS = 6
Workspace = tuple[str, str]  # tenant, workspace


def run(
    profile: Profile, answers: Mapping[str, Answer], send: Send, say: Callable[[str], None]
) -> dict[str, Probe]:
    """Every user of a default install at every workspace whose login can be begun.

    `answers` are those of the management API by path; without them the default workspaces and those
    of the profile are looked for.
    """
    found = workspaces(profile, answers, send)
    probes: dict[str, Probe] = {}
    with ThreadPoolExecutor(4, "login") as pool:
        for tried in pool.map(lambda each: _workspace(profile, answers, send, each), found):
            probes |= tried
    without = [each for each in found if not any(_name(each, user) in probes for user in USERS)]
    if without:
        names = ", ".join("/".join(each) for each in without)
        say(f"no client begins a login at {names}, so no password was tried there")
    return probes


def workspaces(profile: Profile, answers: Mapping[str, Answer], send: Send) -> list[Workspace]:
    """Workspaces that exist: as listed, else those of a default install and of the profile."""
    listed = {
        (match[1], str(server.get("id") or server.get("authorization_server_id")))
        for path, answer in answers.items()
        if (match := re.fullmatch(r"/api/admin/([^/]+)/servers", path))
        for server in _items(answer, "servers")
    }
    if listed:
        return sorted(listed)
    given = {_of_issuer(path) for path in profile.service.issuers.values()}
    tenants = {"default", *(tenant for tenant, _ in given)}
    likely = given | {(tenant, name) for tenant in tenants for name in PORTALS}
    return sorted(each for each in likely if _exists(profile, send, each))


def clients(
    profile: Profile, answers: Mapping[str, Answer], workspace: Workspace
) -> list[Account] | None:
    """Clients that may begin a login; None when the list is complete and holds no such client."""
    tenant, name = workspace
    listed = answers.get(f"/api/admin/{tenant}/servers/{name}/clients")
    if listed is not None and listed.status == 200:
        fit = [
            Account(_id(each), "", each["redirect_uris"][0])
            for each in _items(listed, "clients")
            if each.get("redirect_uris")
            and "authorization_code" in (each.get("grant_types") or ["authorization_code"])
        ]
        return fit or None
    tried = []
    if name in PORTALS:
        url = f"{profile.service.base_url}/app/{tenant}/{name}"
        tried.append(Account(PORTALS[name], "", url))
    web = profile.credentials.web
    if web and workspace in {_of_issuer(path) for path in profile.service.issuers.values()}:
        tried.append(Account(web.id, "", web.redirect_uri))
    return tried


def _workspace(
    profile: Profile, answers: Mapping[str, Answer], send: Send, workspace: Workspace
) -> dict[str, Probe]:
    fit = clients(profile, answers, workspace)
    if fit is None:
        return {}
    issuer = f"{profile.service.base_url}/{workspace[0]}/{workspace[1]}"
    return {_name(workspace, user): attempt(send, issuer, fit, user) for user in USERS}


def attempt(send: Send, issuer: str, fit: Iterable[Account], user: str) -> Probe:
    """One try of a user whose password is its name, by the first client that shows a login form."""
    why = "the workspace has no client that is known"
    for client in fit:
        try:
            ends = oidc.discover(send, issuer)
            browser = Browser(send, user, user)
            url, form = _login_form(browser, ends, client)
        except StepFailed as error:
            why = f"client {client.id}: {error}"
            continue
        target, answer = browser.fill(url, form)
        probe = _outcome(browser, client, target, answer)
        if probe.outcome == "accepted":
            browser.get("logout", f"{issuer}/oidc/logout")
        return probe
    return unknown(f"no login form was reached: {why}")


def _login_form(browser: Browser, ends: oidc.Endpoints, client: Account) -> tuple[str, Form]:
    """(URL, form) of the first page that asks for a password; StepFailed without one."""
    request, _ = oidc.authorization_request(client)
    url = oidc.authorize_url(ends, request | {"scope": "openid"})
    host = urlsplit(url).netloc
    answer = browser.get("authorize", url)
    for _ in range(HOPS):
        if answer.status not in REDIRECTS:
            break
        url = urljoin(url, answer.headers.get("location", ""))
        if told := oidc.told_in_redirect(answer):
            raise StepFailed("authorize", answer, told)
        if urlsplit(url).netloc != host:
            raise StepFailed("authorize", answer, f"the login is at {urlsplit(url).netloc}")
        answer = browser.get("login", url)
    form = first_form(answer.body) if answer.status == 200 else None
    if form is None or not form.asks_password:
        raise StepFailed("login", answer, f"HTTP {answer.status} without a login form")
    if urlsplit(urljoin(url, form.action)).netloc != host:
        raise StepFailed("login", answer, "the form sends passwords to another host")
    return url, form


def _outcome(browser: Browser, client: Account, url: str, answer: oidc.Answer) -> Probe:
    """What the answer to the filled form says; consent that is asked for means: accepted."""
    host = urlsplit(url).netloc
    for _ in range(HOPS):
        if answer.status not in REDIRECTS:
            break
        url = urljoin(url, answer.headers.get("location", ""))
        if url.startswith(client.redirect_uri):
            if "code" in parse_qs(urlsplit(url).query):
                return Probe(outcome="accepted", saw=f"client {client.id} got a code")
            return unknown(oidc.told_in_redirect(answer) or "it came back without a code")
        if urlsplit(url).netloc != host:
            return unknown(f"the login went on at {urlsplit(url).netloc}")
        answer = browser.get("login", url)
    form = first_form(answer.body)
    told = f"HTTP {answer.status} at {urlsplit(url).path}"
    if answer.status in (200, 400, 401, 403, 422) and form is not None and form.asks_password:
        return Probe(outcome="refused", saw=f"{told}, the form again")
    if answer.status in (401, 403):
        return Probe(outcome="refused", saw=told)
    if answer.status == 200 and form is not None:
        return Probe(outcome="accepted", saw=f"{told}, a page after the login")
    return unknown(answer.error or told)


def _exists(profile: Profile, send: Send, workspace: Workspace) -> bool:
    issuer = f"{profile.service.base_url}/{workspace[0]}/{workspace[1]}"
    try:
        oidc.discover(send, issuer)
    except StepFailed as error:
        return error.answer.status not in (404, 410)  # one that does not answer is tried, and told
    return True


def _of_issuer(path: str) -> Workspace:
    tenant, _, name = path.strip("/").partition("/")
    return tenant, name


def _items(answer: Answer, key: str) -> list[dict[str, Any]]:
    body = answer.body if answer.status == 200 else None
    found = body.get(key) if isinstance(body, dict) else body
    return [each for each in found or [] if isinstance(each, dict)]


def _id(client: Mapping[str, Any]) -> str:
    return str(client.get("client_id") or client.get("id") or "")


def _name(workspace: Workspace, user: str) -> str:
    return f"login {workspace[0]}/{workspace[1]} {user}"
