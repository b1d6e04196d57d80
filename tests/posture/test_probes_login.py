"""Login probes against a small issuer: one try each, never at somebody else's form."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.posture.probes import login
from acpchaos.record.snapshot import Answer as Told
from acpchaos.target.oidc import Account, Answer
from acpchaos.target.profile import Profile, load_profile

BASE = "https://localhost:8443"
BACK = "https://app.test/back"
FORM = b'<form method=post action="%s"><input name=username><input type=password name=pw></form>'
CONSENT = b"<form method=post action=consent><button name=action value=accept></button></form>"
CLIENT = Account("portal", "", BACK)


class Issuer:
    """One login page per workspace; `passwords` are those that open it."""

    def __init__(self, *, passwords: Mapping[str, str] | None = None, **answers: Any) -> None:
        self.passwords, self.answers = dict(passwords or {}), answers
        self.known = answers.pop("known", None)
        self.tries: list[tuple[str, str, str]] = []  # workspace, user, password
        self.seen: list[str] = []

    def __call__(
        self, step, method, url, *, form=None, headers=None, expect=(200,), good=None
    ) -> Answer:
        self.seen.append(f"{method} {url}")
        parts = urlsplit(url)
        if parts.netloc != "localhost:8443":
            return self._elsewhere(method, form)
        workspace, _, rest = parts.path.strip("/").partition("/oauth2/")
        if parts.path.endswith("openid-configuration"):
            return self._discovery(parts.path.rsplit("/", 2)[0].strip("/"))
        if rest == "authorize":
            return self._authorize(workspace, parse_qs(parts.query))
        if method == "POST":
            return self._login(parts.path.strip("/").removesuffix("/login"), dict(form))
        if parts.path.endswith("/oidc/logout"):
            return Answer(302, {"location": "/"})
        if parts.path.endswith("/login"):
            return Answer(200, {}, FORM % self.answers.get("action", b"login"))
        return self.answers.get("after", Answer(200, {}, CONSENT))

    def _discovery(self, workspace: str) -> Answer:
        if self.known is not None and workspace not in self.known:
            return Answer(404)
        ends = {
            "token_endpoint": "t",
            "authorization_endpoint": f"{BASE}/{workspace}/oauth2/authorize",
        }
        return Answer(200, {}, json.dumps(ends).encode())

    def _authorize(self, workspace: str, query: dict[str, list[str]]) -> Answer:
        assert query["scope"] == ["openid"]
        self.back = query["redirect_uri"][0]
        return self.answers.get("authorize") or Answer(302, {"location": f"/{workspace}/login"})

    def _login(self, workspace: str, form: dict[str, str]) -> Answer:
        self.tries.append((workspace, form["username"], form["pw"]))
        if self.passwords.get(form["username"]) == form["pw"]:
            return self.answers.get("done") or Answer(303, {"location": f"{self.back}?code=c0de"})
        return self.answers.get("wrong") or Answer(401, {}, FORM % b"login")

    def _elsewhere(self, method: str, form: object) -> Answer:
        assert method == "GET" and form is None, "a password went to somebody else"
        return Answer(200, {}, FORM % b"/in")


@pytest.fixture
def profile(api: FakeApi, tmp_path: Path) -> Profile:
    return load_profile(scene.write_profile(api, tmp_path))


def attempt(issuer: Issuer, user: str = "admin") -> tuple[str, str]:
    probe = login.attempt(issuer, f"{BASE}/default/admin", [CLIENT], user)
    return probe.outcome, probe.saw


def test_a_wrong_password_is_refused_after_one_try() -> None:
    issuer = Issuer()
    assert attempt(issuer)[0] == "refused"
    assert issuer.tries == [("default/admin", "admin", "admin")]


def test_a_form_that_is_shown_again_with_status_200_is_not_filled_again() -> None:
    issuer = Issuer(wrong=Answer(200, {}, FORM % b"login"))
    assert attempt(issuer)[0] == "refused" and len(issuer.tries) == 1


def test_a_default_password_is_accepted_and_its_session_ended() -> None:
    issuer = Issuer(passwords={"admin": "admin"})
    assert attempt(issuer)[0] == "accepted"
    assert issuer.seen[-1] == f"GET {BASE}/default/admin/oidc/logout"


def test_a_page_of_consent_means_accepted_and_is_left_alone() -> None:
    done = Answer(303, {"location": "/default/admin/consent"})
    issuer = Issuer(passwords={"admin": "admin"}, done=done)
    assert attempt(issuer)[0] == "accepted"
    assert not [each for each in issuer.seen if each.startswith("POST") and "consent" in each]


@pytest.mark.parametrize(
    "answer", [Answer(429), Answer(503), Answer(0, error="timeout"), Answer(200, {}, b"hello")]
)
def test_any_other_answer_to_the_form_proves_nothing(answer: Answer) -> None:
    assert attempt(Issuer(wrong=answer))[0] == "unknown"


@pytest.mark.parametrize(
    ("authorize", "why"),
    [
        (Answer(400, {}, b"no such client"), "400"),
        (Answer(302, {"location": f"{BACK}?error=invalid_scope"}), "invalid_scope"),
        (Answer(302, {"location": "https://elsewhere.test/in"}), "elsewhere.test"),
        (Answer(200, {}, b"<script>app()</script>"), "without a login form"),
        (Answer(200, {}, CONSENT), "without a login form"),
    ],
)
def test_without_a_login_form_nothing_is_tried(authorize: Answer, why: str) -> None:
    issuer = Issuer(authorize=authorize)
    outcome, saw = attempt(issuer)
    assert outcome == "unknown" and why in saw and not issuer.tries


def test_a_login_that_goes_on_elsewhere_is_not_followed() -> None:
    done = Answer(303, {"location": "https://elsewhere.test/in"})
    issuer = Issuer(passwords={"admin": "admin"}, done=done)
    assert attempt(issuer)[0] == "unknown"
    assert not [each for each in issuer.seen if "elsewhere" in each]


def test_a_form_that_sends_passwords_elsewhere_is_not_filled() -> None:
    issuer = Issuer(action=b"https://elsewhere.test/take")
    assert attempt(issuer)[0] == "unknown" and not issuer.tries


def test_a_second_client_is_asked_for_the_form_not_for_a_second_try() -> None:
    issuer = Issuer()
    probe = login.attempt(issuer, f"{BASE}/default/admin", [CLIENT, CLIENT], "user")
    assert probe.outcome == "refused" and len(issuer.tries) == 1


def management(**clients: list[dict[str, Any]]) -> dict[str, Told]:
    servers = [{"id": name} for name in clients]
    answers = {"/api/admin/default/servers": Told(status=200, body={"servers": servers})}
    for name, listed in clients.items():
        path = f"/api/admin/default/servers/{name}/clients"
        answers[path] = Told(status=200, body={"clients": listed})
    return answers


PORTAL = {"id": "portal", "redirect_uris": [BACK], "grant_types": ["authorization_code"]}
MACHINE = {"id": "m2m", "redirect_uris": [BACK], "grant_types": ["client_credentials"]}


def test_listed_workspaces_are_tried_three_users_each_once(profile: Profile) -> None:
    issuer, said = Issuer(passwords={"user": "user"}), []
    answers = management(admin=[PORTAL], main=[MACHINE, PORTAL], empty=[MACHINE])
    probes = login.run(profile, answers, issuer, said.append)
    assert {name: probe.outcome for name, probe in probes.items()} == {
        "login default/admin admin": "refused", "login default/admin developer": "refused",
        "login default/admin user": "accepted", "login default/main admin": "refused",
        "login default/main developer": "refused", "login default/main user": "accepted",
    }  # fmt: skip
    assert len(issuer.tries) == len(set(issuer.tries)) == 6
    assert len(said) == 1 and "default/empty" in said[0]


def test_without_management_answers_the_default_portals_are_tried(profile: Profile) -> None:
    issuer = Issuer(known={"default/admin", "acme/opaque"}, passwords={"admin": "admin"})
    probes = login.run(profile, {}, issuer, lambda _: None)
    assert probes["login default/admin admin"].outcome == "accepted"
    assert probes["login acme/opaque admin"].outcome == "unknown"  # no client is known there
    assert not [name for name in probes if "default/developer" in name]


def test_management_answers_without_right_are_as_none(profile: Profile) -> None:
    answers = {"/api/admin/default/servers": Told(status=401)}
    issuer = Issuer(known={"default/default"})
    probes = login.run(profile, answers, issuer, lambda _: None)
    assert {probe.outcome for probe in probes.values()} == {"refused"}
