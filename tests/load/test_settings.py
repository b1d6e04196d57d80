"""Who the load acts as: missing ones are named, secrets are handed over in private."""

import stat

import pytest

from acpchaos.errors import UsageError
from acpchaos.load import settings
from acpchaos.scenario import Load
from tests.load.issuer import CLIENTS, PASSWORD


@pytest.mark.parametrize(
    ("flow", "missing"),
    [
        ("client_credentials", "m2m"),
        ("userinfo", "m2m"),
        ("revoke", "m2m"),
        ("introspect", "introspect"),
        ("authorization_code", "web"),
        ("refresh", "users"),
    ],
)
def test_a_flow_without_its_credentials_names_the_key(
    issuer, make_profile, tmp_path, flow, missing
):
    profile = make_profile(issuer, without=(missing,))
    with pytest.raises(UsageError) as told:
        settings.from_profile(profile, Load(mix={flow: 1}), 0, tmp_path)
    assert f"[credentials.{missing}]" in str(told.value) and flow in str(told.value)
    settings.from_profile(profile, Load(mix={flow: 0}), 0, tmp_path)


def test_an_unknown_flow_is_refused(issuer, make_profile, tmp_path):
    with pytest.raises(UsageError, match="passwordless"):
        settings.from_profile(make_profile(issuer), Load(mix={"passwordless": 1}), 0, tmp_path)


def test_handed_over_in_a_private_file_outside_the_run(issuer, make_profile, tmp_path):
    given = settings.from_profile(make_profile(issuer), Load(mix={"refresh": 1}), 3, tmp_path)
    assert (given.web.secret, given.user_password) == (CLIENTS["load-web"], PASSWORD)
    path = settings.hand_over(given)
    try:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert tmp_path not in path.parents
        assert settings.take_over({settings.PREFIX + "SETTINGS": str(path)}) == given
    finally:
        path.unlink()


def test_by_hand_variables_are_enough_and_their_absence_is_told():
    with pytest.raises(UsageError, match="ACPCHAOS_LOAD_M2M_ID"):
        settings.take_over({}, "https://issuer.test/acme/main")
    given = settings.take_over(
        {"ACPCHAOS_LOAD_M2M_ID": "a", "ACPCHAOS_LOAD_M2M_SECRET": "b"}, "https://i.test/x/"
    )
    assert given.issuer == "https://i.test/x" and given.m2m.secret == "b"
    assert given.mix == {"client_credentials": 1}
