"""Who the load acts as: missing ones are named, secrets are handed over in private."""

import stat

import pytest

from acpchaos.errors import UsageError
from acpchaos.load import settings
from acpchaos.scenario import Load, Stage
from acpchaos.target.client_auth import Account
from acpchaos.target.profile import load_profile
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


def test_the_profile_shapes_the_load_and_a_scenario_may_overrule_it(issuer, make_profile, tmp_path):
    profile = make_profile(issuer)
    path = tmp_path / "target.toml"
    shaped = 'sender = "fast"\ngaps = "poisson"\nstages = [{for_s = 9, times = 2, ramp = true}]'
    path.write_text(path.read_text().replace('sender = "lean"', shaped))
    given = settings.from_profile(load_profile(path), Load(mix={"refresh": 1}), 3, tmp_path)
    stages = (Stage(for_s=9, times=2, ramp=True),)
    assert (given.gaps, given.stages, given.sender) == ("poisson", stages, "fast")
    own = Load(mix={"refresh": 1}, gaps="constant", stages=(Stage(for_s=1, times=1),))
    given = settings.from_profile(load_profile(path), own, 3, tmp_path)
    assert (given.gaps, given.stages) == ("constant", own.stages)
    given = settings.from_profile(profile, Load(mix={"refresh": 1}), 3, tmp_path)
    assert (given.gaps, given.stages, given.sender) == ("constant", (), "lean")
    path = settings.hand_over(given)
    try:
        assert settings.sender({settings.PREFIX + "SETTINGS": str(path)}) == "lean"
    finally:
        path.unlink()


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ("for_s must be above 0", "stages = [{for_s = 0, times = 1}]"),
        ("times not below", "stages = [{for_s = 1, times = -1}, {for_s = 1, times = 1}]"),
        ("the last stage stays", "stages = [{for_s = 1, times = 0}]"),
        ("missing required field", "stages = [{for_s = 1}]"),
        ("gaps", 'gaps = "bursts"'),
        ("sender", 'sender = "requests"'),
    ],
)
def test_a_shape_that_is_none_is_refused(issuer, make_profile, tmp_path, told, line):
    make_profile(issuer)
    path = tmp_path / "target.toml"
    path.write_text(path.read_text().replace('sender = "lean"', line))
    with pytest.raises(UsageError, match=told) as error:
        load_profile(path)
    assert "load." in str(error.value)


def test_by_hand_every_way_to_prove_oneself_can_be_given(tmp_path):
    (tmp_path / "key").write_text("PEM")
    given = settings.take_over(
        {
            "ACPCHAOS_LOAD_M2M_ID": "a", "ACPCHAOS_LOAD_M2M_AUTH": "private_key_jwt",
            "ACPCHAOS_LOAD_M2M_KEY_FILE": str(tmp_path / "key"), "ACPCHAOS_LOAD_M2M_KID": "k",
            "ACPCHAOS_LOAD_GAPS": "poisson", "ACPCHAOS_LOAD_SENDER": "fast",
            "ACPCHAOS_LOAD_STAGES": '[{"for_s": 2, "times": 3}]',
        },
        "https://i.test/x",
    )  # fmt: skip
    assert given.m2m == Account("a", auth="private_key_jwt", key="PEM", kid="k")
    assert (given.gaps, given.sender, given.stages) == (
        "poisson", "fast", (Stage(for_s=2, times=3),),
    )  # fmt: skip
