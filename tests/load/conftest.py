"""An issuer, and a target profile that points at it."""

import pytest

from acpchaos.target.profile import load_profile
from tests.load.issuer import CALLBACK, CLIENTS, PASSWORD, Issuer

WHO = {"m2m": "load-m2m", "web": "load-web", "introspect": "load-introspect"}


@pytest.fixture
def issuer():
    with Issuer() as found:
        yield found


@pytest.fixture
def make_profile(tmp_path):
    return lambda issuer, **given: write_profile(issuer, tmp_path, **given)


def write_profile(issuer, folder, *, without=()):
    """A profile of the issuer, its secrets in files; `without` leaves credentials out."""
    lines = ['[cluster]\ncontext = "none"', f'[service]\nbase_url = "{issuer.base_url}"']
    for who, client in WHO.items():
        secret = folder / f"{who}.secret"
        secret.write_text(CLIENTS[client])
        if who not in without:
            lines.append(
                f'[credentials.{who}]\nid = "{client}"\nsecret = "file:{secret}"\n'
                f'redirect_uri = "{CALLBACK}"'
            )
    password = folder / "password.secret"
    password.write_text(PASSWORD)
    if "users" not in without:
        lines.append(
            f'[credentials.users]\nprefix = "load-user"\ncount = 5\npassword = "file:{password}"'
        )
    path = folder / "target.toml"
    path.write_text("\n".join(lines))
    return load_profile(path)
