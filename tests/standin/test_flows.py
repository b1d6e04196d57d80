"""The flows as a client library sees them: what ACP's documents promise, on real stores."""

from __future__ import annotations

import pytest
from authlib.common.security import generate_token
from authlib.integrations.base_client.errors import OAuthError
from joserfc import jwt
from joserfc.jwk import KeySet

from .flows import (
    REDIRECT,
    browser,
    call,
    client,
    code_of,
    follow,
    introspect,
    login,
    m2m,
    submit,
    to_callback,
)
from .machines import Acp


@pytest.fixture(params=["main", "opaque"])
def issuer(acp: Acp, request: pytest.FixtureRequest) -> str:
    """Both workspaces: JWT and opaque access tokens."""
    return f"{acp.url}/acme/{request.param}"


def test_discovery_names_endpoints_that_exist(issuer: str) -> None:
    document = call("GET", issuer + "/.well-known/openid-configuration").json()
    assert document["issuer"] == issuer
    for name, url in document.items():
        if name.endswith("_endpoint") or name == "jwks_uri":
            assert call("GET", url).status_code != 404, name


def test_jwt_verifies_with_published_keys(acp: Acp) -> None:
    issuer = f"{acp.url}/acme/main"
    keys = KeySet.import_key_set(call("GET", issuer + "/.well-known/jwks.json").json())
    answer = m2m(issuer).json()
    token = jwt.decode(answer["access_token"], keys, algorithms=["ES256"])
    assert token.header["alg"] == "ES256"
    assert token.claims["iss"] == issuer
    assert token.claims["sub"] == "m2m"
    assert token.claims["exp"] - token.claims["iat"] == answer["expires_in"] == 3600


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
def test_client_credentials(issuer: str, method: str) -> None:
    app = client(issuer, "m2m", method)
    token = app.fetch_token(issuer + "/oauth2/token", grant_type="client_credentials", scope="load")
    seen = introspect(issuer, token["access_token"]).json()
    assert seen["active"] is True
    assert (seen["client_id"], seen["scope"], seen["tenant_id"]) == ("m2m", "load", "acme")
    assert "refresh_token" not in token


def test_userinfo_of_a_client_names_its_workspace(issuer: str) -> None:
    token = m2m(issuer).json()["access_token"]
    answer = call("GET", issuer + "/userinfo", headers={"authorization": f"Bearer {token}"})
    assert answer.json()["aid"] == issuer.rsplit("/", 1)[1]
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


def test_code_flow_with_consent_and_userinfo(issuer: str) -> None:
    token, _, _ = login(issuer, "user-1", nonce="n-77")
    keys = KeySet.import_key_set(call("GET", issuer + "/.well-known/jwks.json").json())
    claims = jwt.decode(token["id_token"], keys, algorithms=["ES256"]).claims
    assert (claims["sub"], claims["aud"], claims["nonce"]) == ("user-1", "web", "n-77")
    bearer = {"authorization": f"Bearer {token['access_token']}"}
    assert call("GET", issuer + "/userinfo", headers=bearer).json()["name"] == "User 1"


def test_wrong_password_shows_the_form_again(issuer: str) -> None:
    session, app = browser(), client(issuer)
    url, _ = app.create_authorization_url(issuer + "/oauth2/authorize", code_verifier="v" * 48)
    page = follow(session, session.get(url, allow_redirects=False))
    again = submit(session, page, username="user-0", password="wrong")
    assert again.status_code == 401
    assert 'name="password"' in again.text


def test_form_of_another_browser_is_refused(issuer: str) -> None:
    session, app = browser(), client(issuer)
    url, _ = app.create_authorization_url(issuer + "/oauth2/authorize", code_verifier="v" * 48)
    page = follow(session, session.get(url, allow_redirects=False))
    assert submit(browser(), page, username="user-0", password="x").status_code == 400


def test_single_sign_on_skips_login_and_logout_ends_it(issuer: str) -> None:
    session, app = browser(), client(issuer)
    url, _ = app.create_authorization_url(issuer + "/oauth2/authorize", code_verifier="v" * 48)
    to_callback(session, url, "user-2")
    again = session.get(url, allow_redirects=False)
    assert again.headers["location"].startswith(REDIRECT)
    assert session.get(issuer + "/sso/sessions").json()["sessions"][0]["sub"] == "user-2"
    leave = {"client_id": "web", "post_logout_redirect_uri": "https://localhost/"}
    gone = session.get(issuer + "/oidc/logout", params=leave, allow_redirects=False)
    assert gone.headers["location"] == "https://localhost/"
    assert "/login?" in session.get(url, allow_redirects=False).headers["location"]
    assert session.get(issuer + "/sso/sessions").status_code == 401


def test_wrong_verifier_gets_no_token(issuer: str) -> None:
    app = client(issuer)
    url, _ = app.create_authorization_url(issuer + "/oauth2/authorize", code_verifier="v" * 48)
    callback = to_callback(browser(), url)
    with pytest.raises(OAuthError, match="invalid_grant"):
        app.fetch_token(
            issuer + "/oauth2/token", authorization_response=callback, code_verifier="w" * 48
        )


def test_missing_challenge_is_an_error_at_the_callback(issuer: str) -> None:
    asked = {"client_id": "web", "redirect_uri": REDIRECT, "response_type": "code", "state": "s1"}
    location = call("GET", issuer + "/oauth2/authorize", params=asked).headers["location"]
    assert location.startswith(REDIRECT)
    assert "error=invalid_request" in location
    assert "state=s1" in location


def test_code_replay_revokes_its_tokens(issuer: str) -> None:
    token, callback, verifier = login(issuer)
    form = {"grant_type": "authorization_code", "code": code_of(callback)}
    form |= {"redirect_uri": REDIRECT, "code_verifier": verifier}
    assert introspect(issuer, token["access_token"]).json()["active"] is True
    replay = call("POST", issuer + "/oauth2/token", auth=("web", "web-secret"), data=form)
    assert (replay.status_code, replay.json()["error"]) == (400, "invalid_grant")
    assert introspect(issuer, token["access_token"]).json() == {"active": False}
    assert introspect(issuer, token["refresh_token"]).json() == {"active": False}


def test_refresh_rotates_and_reuse_revokes_the_family(issuer: str) -> None:
    token, _, _ = login(issuer)
    app = client(issuer)
    second = app.refresh_token(issuer + "/oauth2/token", refresh_token=token["refresh_token"])
    assert second["refresh_token"] != token["refresh_token"]
    assert introspect(issuer, second["access_token"]).json()["sub"] == "user-0"
    with pytest.raises(OAuthError, match="invalid_grant"):
        app.refresh_token(issuer + "/oauth2/token", refresh_token=token["refresh_token"])
    with pytest.raises(OAuthError, match="invalid_grant"):
        app.refresh_token(issuer + "/oauth2/token", refresh_token=second["refresh_token"])


def test_revoked_access_token_is_inactive(issuer: str) -> None:
    token = m2m(issuer).json()["access_token"]
    own = {"auth": ("m2m", "m2m-secret"), "data": {"token": token}}
    assert call("POST", issuer + "/oauth2/revoke", **own).status_code == 200
    assert introspect(issuer, token).json() == {"active": False}
    bearer = {"authorization": f"Bearer {token}"}
    assert call("GET", issuer + "/userinfo", headers=bearer).status_code == 401


def test_foreign_tokens_need_a_scope(issuer: str) -> None:
    token = m2m(issuer).json()["access_token"]
    assert introspect(issuer, token, caller="web").json() == {"active": False}
    foreign = {"auth": ("web", "web-secret"), "data": {"token": token}}
    assert call("POST", issuer + "/oauth2/revoke", **foreign).status_code == 401
    assert introspect(issuer, token).json()["active"] is True


def test_pushed_request_works_once(issuer: str) -> None:
    verifier = generate_token(48)
    app = client(issuer)
    url, _ = app.create_authorization_url(issuer + "/oauth2/authorize", code_verifier=verifier)
    query = dict(pair.split("=") for pair in url.split("?")[1].split("&"))
    form = {"code_challenge": query["code_challenge"], "response_type": "code"}
    form |= {"redirect_uri": REDIRECT, "scope": "openid"}
    pushed = call("POST", issuer + "/par", auth=("web", "web-secret"), data=form)
    assert pushed.status_code == 201
    assert pushed.json()["expires_in"] == 60
    params = f"client_id=web&request_uri={pushed.json()['request_uri']}"
    callback = to_callback(browser(), f"{issuer}/oauth2/authorize?{params}")
    assert code_of(callback)
    assert call("GET", f"{issuer}/oauth2/authorize?{params}").status_code == 400


@pytest.mark.parametrize(
    ("auth", "form", "status", "error"),
    [
        (("m2m", "wrong"), {"grant_type": "client_credentials"}, 401, "invalid_client"),
        (("nobody", "x"), {"grant_type": "client_credentials"}, 401, "invalid_client"),
        (("m2m", "m2m-secret"), {"grant_type": "password"}, 400, "unsupported_grant_type"),
        (("web", "web-secret"), {"grant_type": "client_credentials"}, 400, "unauthorized_client"),
        (
            ("m2m", "m2m-secret"),
            {"grant_type": "client_credentials", "scope": "root"},
            400,
            "invalid_scope",
        ),
    ],
)
def test_errors_have_the_documented_form(
    issuer: str, auth: tuple[str, str], form: dict[str, str], status: int, error: str
) -> None:
    answer = call("POST", issuer + "/oauth2/token", auth=auth, data=form)
    body = answer.json()
    assert (answer.status_code, body["error"], body["status_code"]) == (status, error, status)
    assert set(body) == {"error", "error_description", "error_hint", "cause", "status_code"}


def test_unknown_workspace_is_404(acp: Acp) -> None:
    for path in ("/acme/none", "/none/main"):
        answer = call("GET", f"{acp.url}{path}/.well-known/openid-configuration")
        assert answer.status_code == 404


def test_tokens_of_one_workspace_mean_nothing_in_another(acp: Acp) -> None:
    token = m2m(f"{acp.url}/acme/main").json()["access_token"]
    assert introspect(f"{acp.url}/acme/opaque", token).json() == {"active": False}
