"""Secret probes: accepted, refused and unknown, one try each, and a real secret as control."""

import base64
import json
from pathlib import Path

import pytest
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.posture.probes import secrets
from acpchaos.record.sealed import published
from acpchaos.target.oidc import Answer
from acpchaos.target.profile import Profile, load_profile

REAL = "a-real-secret-of-this-installation-only"


class Issuer:
    """The system workspace with one secret."""

    def __init__(self, secret: str, status: int = 401) -> None:
        self.secret, self.status = secret, status
        self.tried: list[str] = []
        self.revoked: list[str] = []

    def __call__(
        self, step, method, url, *, form=None, headers=None, expect=(200,), good=None
    ) -> Answer:
        path = url.removeprefix("https://localhost:8443/system/system")
        if path == "/.well-known/openid-configuration":
            ends = {"token_endpoint": "/oauth2/token", "revocation_endpoint": "/oauth2/revoke"}
            base = "https://localhost:8443/system/system"
            return Answer(200, {}, json.dumps({k: base + v for k, v in ends.items()}).encode())
        client, _, secret = base64.b64decode(headers["Authorization"][6:]).decode().partition(":")
        assert client == "system"
        if path == "/oauth2/revoke":
            self.revoked.append(form["token"])
            return Answer(200)
        self.tried.append(secret)
        if secret == self.secret:
            return Answer(200, {}, b'{"access_token": "t0ken"}')
        return Answer(self.status, {}, b'{"error": "invalid_client"}')


@pytest.fixture
def profile(api: FakeApi, tmp_path: Path) -> Profile:
    path = scene.write_profile(api, tmp_path)
    path.write_text(
        path.read_text() + '[credentials.system]\nid = "system"\nsecret = "env:SYSTEM_SECRET"\n'
    )
    return load_profile(path)


def run(profile: Profile, issuer: Issuer, own: str = REAL) -> dict[str, str]:
    found = secrets.run(profile, issuer, lambda reference: own)
    return {name: probe.outcome for name, probe in found.items()}


def test_every_listed_secret_is_one_that_is_published_under_a_name() -> None:
    names = [published(secret) for secret in secrets.LISTED]
    assert sorted(names) == [
        "built-in-secret", "chart-test-secret", "chart-test-value", "docs-secret-1", "docs-secret-2"
    ]  # fmt: skip


def test_an_own_secret_refuses_all_with_one_try_each(profile: Profile) -> None:
    issuer = Issuer(REAL)
    assert set(run(profile, issuer).values()) == {"refused"}
    assert sorted(issuer.tried) == sorted([*secrets.LISTED, REAL])
    assert issuer.revoked == ["t0ken"]  # that of the control


@pytest.mark.parametrize("secret", secrets.LISTED)
def test_a_published_secret_is_accepted_and_its_token_revoked(
    profile: Profile, secret: str
) -> None:
    issuer = Issuer(secret)
    found = run(profile, issuer, own=secret)
    assert [n for n, o in found.items() if o == "accepted"] == [f"secret {published(secret)}"]
    assert issuer.tried.count(secret) == 1 and issuer.revoked == ["t0ken"]


def test_an_accepted_one_counts_even_when_the_control_does_not_work(profile: Profile) -> None:
    found = run(profile, Issuer(secrets.LISTED[0]), own="an-old-secret")
    assert found["secret built-in-secret"] == "accepted"
    assert found["secret docs-secret-1"] == "unknown"


@pytest.mark.parametrize("status", [0, 400, 429, 503])
def test_only_401_is_a_refusal(profile: Profile, status: int) -> None:
    assert set(run(profile, Issuer(REAL, status)).values()) == {"unknown"}


def test_without_an_answer_nothing_is_refused(profile: Profile) -> None:
    found = secrets.run(profile, lambda *_, **__: Answer(0, error="timeout"), lambda _: REAL)
    assert {probe.outcome for probe in found.values()} == {"unknown"} and len(found) == 5


def test_no_secret_is_told(profile: Profile) -> None:
    found = secrets.run(profile, Issuer(secrets.LISTED[0]), lambda _: REAL)
    told = " ".join(f"{name} {probe.saw}" for name, probe in found.items())
    assert not any(secret in told for secret in (*secrets.LISTED, REAL, "t0ken"))
