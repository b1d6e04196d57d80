"""Flows over a sender that answers from a table: forms, redirects, and every way to fail."""

import json
from collections.abc import Mapping
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acpchaos.load.settings import Settings, hand_over, take_over
from acpchaos.target import oidc
from acpchaos.target.oidc import Account, Answer, Browser, StepFailed, error_class

BACK = "https://app.test/callback"
LOGIN = b"""<form method="post" action="/in?x=1"><input type="hidden" name="csrf" value="t1">
<input name="mail" type="email"><input type="password" name="pw"><button name="go" value="yes">
</button><button name="go" value="no"></button></form>"""


class Site:
    """Answers by path and remembers what was sent."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self.answers, self.sent = answers, []

    def __call__(
        self, step, method, url, *, form=None, headers=None, expect=(200,), good=None
    ) -> Answer:
        self.sent.append((step, method, url, dict(form or {}), dict(headers or {})))
        return self.answers[url.removeprefix("https://id.test").split("?")[0]]


def to(where: str, cookie: str = "") -> Answer:
    return Answer(302, {"location": where, "set-cookie": cookie})


def test_browser_fills_a_form_with_other_names_and_keeps_cookies() -> None:
    site = Site({
        "/authorize": to("/login", "flow=f1; Path=/; Secure\nother=o1"),
        "/login": Answer(200, {}, LOGIN),
        "/in": to(f"{BACK}?code=c0de&state=s", "sso=s1"),
    })  # fmt: skip
    browser = Browser(site, "ann", "pass")
    assert browser.code("https://id.test/authorize?client_id=a", BACK) == "c0de"
    _, method, url, form, headers = site.sent[-1]
    assert (method, url) == ("POST", "https://id.test/in?x=1")
    assert form == {"csrf": "t1", "mail": "ann", "pw": "pass", "go": "yes", "username": "ann"} or (
        form == {"csrf": "t1", "mail": "ann", "pw": "pass", "go": "yes"}
    )
    assert headers["Cookie"] == "flow=f1; other=o1"
    assert browser.cookies["sso"] == "s1" and browser.forms_filled == 1


def test_an_endless_login_is_a_failed_step() -> None:
    site = Site({"/authorize": to("/login"), "/login": Answer(200, {}, LOGIN), "/in": to("/login")})
    with pytest.raises(StepFailed, match="too many pages"):
        Browser(site, "ann", "pass").code("https://id.test/authorize", BACK)


def test_an_error_at_the_redirect_uri_is_named() -> None:
    site = Site({"/authorize": to(f"{BACK}?error=access_denied")})
    with pytest.raises(StepFailed, match="oauth_access_denied"):
        Browser(site, "ann", "pass").code("https://id.test/authorize", BACK)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(200), ""),
        (Answer(0, error="timeout"), "timeout"),
        (Answer(502, {}, b"<html>"), "http_502"),
        (Answer(503, {}, b'{"error": "temporarily_unavailable"}'), "oauth_temporarily_unavailable"),
        (Answer(401, {}, b"[]"), "http_401"),
    ],
)
def test_error_classes(answer: Answer, expected: str) -> None:
    assert error_class(answer) == expected


def test_a_token_answer_without_token_fails_though_it_is_200() -> None:
    ends = oidc.Endpoints("https://id.test", "https://id.test/token", "", "", "", "", "")
    site = Site({"/token": Answer(200, {}, json.dumps({"ok": True}).encode())})
    with pytest.raises(StepFailed):
        oidc.client_credentials(site, ends, Account("a", "b"))


def test_settings_travel_in_a_private_file() -> None:
    settings = Settings(issuer="https://id.test", m2m=Account("a", "s3cret"), mix={"refresh": 1})
    path = hand_over(settings)
    try:
        assert path.stat().st_mode & 0o777 == 0o600
        assert take_over({"ACPCHAOS_LOAD_SETTINGS": str(path)}) == settings
    finally:
        path.unlink()


@given(st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), st.text(
    st.characters(exclude_categories=("Cs",)))))  # fmt: skip
def test_a_form_is_encoded_as_the_standard_library_does(form: dict[str, str]) -> None:
    assert oidc.encoded(form) == urlencode(form).encode()


def test_an_answer_that_is_no_json_object_is_empty() -> None:
    for body in (b"", b"[1]", b"{", b'"x"', b"\xff", b"[" * 100_000, b'{"a": NaN}'):
        assert Answer(200, {}, body).json() == {}
    assert Answer(200, {}, b'{"a": 1}').json() == {"a": 1}
