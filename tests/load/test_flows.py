"""The flows against an issuer: forms as found on the page, errors as one class."""

import pytest

from acpchaos.target import oidc
from acpchaos.target.oidc import Account, Answer, StepFailed, error_class
from acpchaos.target.plain import Plain
from tests.load.issuer import CALLBACK, CLIENTS, PASSWORD, Issuer

M2M = Account("load-m2m", CLIENTS["load-m2m"])
WEB = Account("load-web", CLIENTS["load-web"], CALLBACK)


def signed_in(issuer, *, password=PASSWORD, name="/acme/main"):
    send = Plain("")
    ends = oidc.discover(send, issuer.base_url + name)
    request, verifier = oidc.authorization_request(WEB)
    browser = oidc.Browser(send, "load-user-001", password)
    code = browser.code(oidc.authorize_url(ends, request), CALLBACK)
    return browser, oidc.exchange(send, ends, WEB, code, verifier)


@pytest.mark.parametrize("fields", [("username", "password"), ("identifier", "passcode")])
def test_forms_are_filled_whatever_their_fields_are_called(fields):
    with Issuer(login_fields=fields) as issuer:
        browser, tokens = signed_in(issuer)
        assert browser.forms_filled == 2
        assert {"asked", "seen", "sid"} == set(browser.cookies)
        assert {"access_token", "refresh_token"} <= set(tokens)
        users = [session["user"] for session in issuer.held["session"].values()]
        assert users == ["load-user-001"]


def test_a_wrong_password_ends_the_flow(issuer):
    with pytest.raises(StepFailed):
        signed_in(issuer, password="wrong")
    assert issuer.counts["consent"] == issuer.counts["token"] == 0


def test_a_used_refresh_token_is_refused_with_its_oauth_error(issuer):
    _, tokens = signed_in(issuer)
    send = Plain("")
    ends = oidc.discover(send, issuer.base_url + "/acme/main")
    rotated = oidc.refresh(send, ends, WEB, tokens["refresh_token"])
    assert rotated["refresh_token"] != tokens["refresh_token"]
    with pytest.raises(StepFailed) as failed:
        oidc.refresh(send, ends, WEB, tokens["refresh_token"])
    assert str(failed.value) == "refresh: oauth_invalid_grant"
    assert (failed.value.step, failed.value.answer.status) == ("refresh", 400)


def test_a_failed_step_names_no_token(issuer):
    _, tokens = signed_in(issuer)
    issuer.lose("refresh")
    ends = oidc.discover(Plain(""), issuer.base_url + "/acme/main")
    with pytest.raises(StepFailed) as failed:
        oidc.refresh(Plain(""), ends, WEB, tokens["refresh_token"])
    assert tokens["refresh_token"] not in str(failed.value)


def test_nobody_there_is_refused_and_silence_is_a_timeout(issuer):
    ends = oidc.discover(Plain(""), issuer.base_url + "/acme/main")
    issuer.freeze()
    with pytest.raises(StepFailed, match="token: timeout"):
        oidc.client_credentials(Plain("", timeout_s=0.3), ends, M2M)
    issuer.thaw()
    issuer.close()
    with pytest.raises(StepFailed, match="token: refused"):
        oidc.client_credentials(Plain(""), ends, M2M)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200), ""),
        (Answer(0, error="dns"), "dns"),
        (Answer(400, body=b'{"error": "invalid_grant"}'), "oauth_invalid_grant"),
        (Answer(502, body=b"<html>bad gateway</html>"), "http_502"),
        (Answer(500, body=b'{"error": {"code": 1}}'), "http_500"),
    ],
)
def test_error_class(answer, expected):
    assert error_class(answer) == expected


@pytest.mark.parametrize(
    "body", [b"", b"<html>maintenance</html>", b"[1]", b'{"access_token": ""}']
)
def test_a_status_alone_is_no_success(body):
    assert error_class(Answer(200, body=body), good=oidc.holds("access_token")) == "bad_body"
    assert error_class(Answer(503, body=body), good=oidc.holds("access_token")) == "http_503"


def test_an_error_told_in_the_redirect_is_one():
    told = Answer(302, {"location": f"{CALLBACK}?error=server_error&state=x"})
    good = Answer(302, {"location": f"{CALLBACK}?code=server_error&state=x"})
    assert error_class(told, (302,), lambda got: not oidc.told_in_redirect(got)) == (
        "oauth_server_error"
    )
    assert error_class(good, (302,), lambda got: not oidc.told_in_redirect(got)) == ""
