"""Which identity providers of the stand-in can log a user in."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from lab.standin.authorize import AuthorizeEndpoints
from lab.standin.model import Idp, Server, User
from lab.standin.sealing import hash_password

SERVER = Server(tenant_id="acme", id="main")


class Catalog:
    """One provider with one user."""

    def __init__(self, idp: Idp) -> None:
        self._idp = idp
        self._user = User(
            tenant_id="acme",
            server_id="main",
            idp_id=idp.id,
            id="ann",
            password=hash_password("pw"),
        )

    async def idps(self, _tenant: str, _server: str) -> list[Idp]:
        return [self._idp]

    async def user(self, _tenant: str, _server: str, _idp: str, user: str) -> User | None:
        return self._user if user == "ann" else None


def logged_in_by(idp: Idp, password: str = "pw") -> str | None:
    context: Any = SimpleNamespace(catalog=Catalog(idp))
    return asyncio.run(AuthorizeEndpoints(context)._idp_of(SERVER, "ann", password))


def idp(method: str, *, disabled: bool = False) -> Idp:
    return Idp(tenant_id="acme", server_id="main", id="users", method=method, disabled=disabled)


@pytest.mark.parametrize("method", ["static", "identity_pool"])
def test_users_of_static_providers_and_of_identity_pools_log_in_by_password(method: str) -> None:
    assert logged_in_by(idp(method)) == "users"
    assert logged_in_by(idp(method), "wrong") is None


def test_a_disabled_provider_and_one_of_another_method_let_nobody_in() -> None:
    assert logged_in_by(idp("identity_pool", disabled=True)) is None
    assert logged_in_by(idp("external")) is None
