"""An issuer, and a target profile that points at it."""

import pytest

from acpchaos.target.profile import load_profile
from tests.load.issuer import CALLBACK, CLIENTS, PASSWORD, Issuer

WHO = {"m2m": "load-m2m", "web": "load-web", "introspect": "load-introspect"}


@pytest.fixture
def issuer():
    with Issuer() as found:
        yield found


@pytest.fixture(params=["lean", "fast"])
def sender(request):
    """Both HTTP clients must pass."""
    return request.param


@pytest.fixture
def make_profile(tmp_path):
    return lambda issuer, **given: write_profile(issuer, tmp_path, **given)


def write_profile(issuer, folder, *, without=(), sender="lean", clients=None):
    """A profile of the issuer, its secrets in files; `without` leaves credentials out, `clients`
    has those that prove themselves by more than a secret: {who: lines of TOML}."""
    clients = clients or {}
    lines = ['[cluster]\ncontext = "none"', f'[service]\nbase_url = "{issuer.base_url}"']
    lines.append(f'[load]\nsender = "{sender}"')
    lines += [f"[credentials.{who}]\n{told}" for who, told in clients.items()]
    for who, client in WHO.items():
        secret = folder / f"{who}.secret"
        secret.write_text(CLIENTS[client])
        if who not in without and who not in clients:
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
