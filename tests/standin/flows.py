"""Room tests/standin: a browser and a client library against the stand-in.

Authlib speaks OAuth; the browser's part is read from the HTML forms, as a person would.
"""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import requests
from authlib.common.security import generate_token
from authlib.integrations.requests_client import OAuth2Session

from .conftest import PASSWORD

REDIRECT = "https://localhost/callback"


def browser() -> requests.Session:
    """A cookie-keeping session that accepts the test's certificate."""
    session = requests.Session()
    session.verify = False
    session.trust_env = False  # a CA bundle named by the environment would win over verify
    return session


def call(method: str, url: str, **more: Any) -> requests.Response:
    """One request without a session; every answer must come within two seconds."""
    return requests.request(method, url, verify=False, timeout=2, allow_redirects=False, **more)


def client(issuer: str, id_: str = "web", method: str = "client_secret_basic") -> OAuth2Session:
    """Authlib's client for one of the seeded applications."""
    session = OAuth2Session(
        id_, f"{id_}-secret", scope="openid profile", redirect_uri=REDIRECT,
        code_challenge_method="S256", token_endpoint_auth_method=method,
    )  # fmt: skip
    session.verify = False
    session.trust_env = False
    return session


def submit(session: requests.Session, page: requests.Response, **fields: str) -> requests.Response:
    """Send the form of a page with its hidden fields, without following redirects."""
    action = re.search(r'<form[^>]* action="([^"]+)"', page.text)
    assert action, page.text
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    data = {name: html.unescape(value) for name, value in hidden} | fields
    target = urljoin(page.url, html.unescape(action[1]))
    return session.post(target, data=data, allow_redirects=False, timeout=5)


def follow(session: requests.Session, answer: requests.Response) -> requests.Response:
    """The page a redirect leads to."""
    assert answer.status_code == 302, answer.text
    target = urljoin(answer.url, answer.headers["location"])
    return session.get(target, allow_redirects=False, timeout=5)


def to_callback(
    session: requests.Session, url: str, user: str = "user-0", password: str = PASSWORD
) -> str:
    """From an authorization URL through whatever forms come, to the callback URL."""
    answer = session.get(url, allow_redirects=False, timeout=5)
    for _ in range(6):
        location = answer.headers.get("location", "")
        if location.startswith(REDIRECT):
            return location
        page = follow(session, answer) if location else answer
        if 'name="password"' in page.text:
            answer = submit(session, page, username=user, password=password)
        elif 'name="action"' in page.text:
            answer = submit(session, page, action="accept")
        else:
            answer = page
    raise AssertionError(f"no callback: {answer.status_code} {answer.text}")


def login(issuer: str, user: str = "user-0", nonce: str = "n-1") -> tuple[Any, str, str]:
    """(token response, callback URL, code verifier) of a whole code flow."""
    app, verifier = client(issuer), generate_token(48)
    url, _ = app.create_authorization_url(
        issuer + "/oauth2/authorize", code_verifier=verifier, nonce=nonce
    )
    callback = to_callback(browser(), url, user)
    token = app.fetch_token(
        issuer + "/oauth2/token", authorization_response=callback, code_verifier=verifier
    )
    return token, callback, verifier


def code_of(callback: str) -> str:
    """The authorization code of a callback URL."""
    return parse_qs(urlsplit(callback).query)["code"][0]


def m2m(issuer: str) -> requests.Response:
    """A client_credentials request."""
    return call(
        "POST", issuer + "/oauth2/token", auth=("m2m", "m2m-secret"),
        data={"grant_type": "client_credentials"},
    )  # fmt: skip


def introspect(issuer: str, token: str, caller: str = "judge") -> requests.Response:
    """An introspection request by a client that may look at foreign tokens."""
    return call(
        "POST", issuer + "/oauth2/introspect", auth=(caller, f"{caller}-secret"),
        data={"token": token},
    )  # fmt: skip
