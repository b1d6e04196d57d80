"""Facts of a Helm release, and nothing else of it."""

import base64
import gzip

import pytest
import yaml

from acpchaos.posture import helm
from acpchaos.posture.redaction import Sealer
from acpchaos.posture.sealing import sealed_object
from tests.posture.building_objects import encoded, release

DEFAULTS = {"secretConfig": {"create": True}, "certificate": {"create": True, "cert": ""}}


def facts(made: dict) -> dict:  # type: ignore[type-arg]
    kept = sealed_object("Secret", made, Sealer())
    assert list(kept["data"]) == ["derived"]
    return dict(yaml.safe_load(kept["data"]["derived"]))


def test_the_users_values_win_over_the_charts() -> None:
    given = {
        "secretConfig": {"create": False, "data": {"system": {"secret": "S3cret-9"}}},
        "certificate": {"cert": "-----BEGIN", "key": "K3y-9"},
        "certManager": {"enabled": "true"},
    }
    assert facts(release(given, defaults=DEFAULTS)) == {
        "chart": {"name": "acp", "version": "2.25.0"},
        "app_version": "2.25.0",
        "status": "deployed",
        "revision": 3,
        "last_deployed": "2025-01-31T10:00:00Z",
        "values": {
            "secretConfig": {"create": False},
            "certificate": {"create": True, "cert": True, "key": True},
            "certManager": {"enabled": True},
        },
    }


def test_values_of_a_dependency_stand_under_its_name() -> None:
    given = {"acp": {"secretConfig": {"create": False}}, "secretConfig": {"create": True}}
    found = facts(release(given, chart="kube-acp-stack"))
    assert found["chart"]["name"] == "kube-acp-stack"
    assert found["values"] == {"secretConfig": {"create": False}}


def test_what_nobody_set_is_left_out() -> None:
    assert facts(release({}))["values"] == {}


@pytest.mark.parametrize(
    "data",
    [
        b"!!", base64.b64encode(b"\x1f\x8b broken"), base64.b64encode(b"[1, 2]"),
        base64.b64encode(gzip.compress(b" " * (65 * 2**20))), b"",
    ],
    ids=["no base64", "no gzip", "no release", "too large", "empty"],
)  # fmt: skip
def test_a_release_that_cannot_be_read_says_so(data: bytes) -> None:
    made = release({})
    made["data"]["release"] = encoded(data)
    assert facts(made)["unread"].startswith("no Helm release")


def test_an_unpacked_release_is_read() -> None:
    assert yaml.safe_load(helm.derived(base64.b64encode(b'{"version": 2}')))["revision"] == 2
