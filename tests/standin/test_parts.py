"""Parts without a server: settings layers, sealing, signatures, routing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.standin.cli import parser, settings_of
from lab.standin.problems import OAuthProblem, StartRefused
from lab.standin.sealing import Box, Unsealable, hash_password, password_fits
from lab.standin.settings import BUILT_IN_SYSTEM_SECRET, DataKey, Flags, Settings, build
from lab.standin.signing import Signer, new_jwk
from lab.standin.web import Request, Response, Router, empty, single

ONE, TWO = DataKey("one", "0" * 32), DataKey("two", "1" * 32)


def settings(*files: Path, environ: dict[str, str] | None = None) -> Settings:
    """Settings from files and an environment alone."""
    return build([str(path) for path in files], environ or {}, {}, Flags())


def test_later_layers_win(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text("server: {url: https://a, port: 1}\nredis: {addrs: ['r:7000']}\n")
    second.write_text("server: {url: https://b}\n")
    merged = settings(first, second, environ={"SERVER_PORT": "3", "REDIS_PASSWORD": "007"})
    assert (merged.url, merged.port) == ("https://b", 3)
    assert merged.redis.seeds == (("r", 7000),)
    assert merged.redis.password == "007"


def test_flags_win_over_everything(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("sql: {url: a}\n")
    words = ["server", "start", "--config", str(path), "--sql.url", "b", "--demo"]
    chosen = settings_of(parser().parse_args(words))
    assert chosen.sql_url == "b"
    assert chosen.features["demo_app"] is True
    assert chosen.features["dev_mode"] is False


def test_three_doors_lead_to_one_feature() -> None:
    assert settings(environ={"FEATURES_SWAGGER_UI": "true"}).features["swagger_ui"] is True
    assert settings(environ={"SERVER_DISABLE_ASYNC_PROCESSING": "true"}).workers is False


def test_nothing_configured_means_the_built_in_secret() -> None:
    assert settings().system_secret == BUILT_IN_SYSTEM_SECRET


def test_settings_never_print_secrets() -> None:
    chosen = settings(environ={"SYSTEM_SECRET": "tell-nobody", "REDIS_PASSWORD": "nor-this"})
    assert "tell-nobody" not in repr(chosen)
    assert "nor-this" not in repr(chosen)


@pytest.mark.parametrize(
    "text", ["standin: {refresh_tokens: disk}", "secrets: [{id: a, key: short}]", "- a"]
)
def test_nonsense_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(StartRefused):
        settings(path)


@given(st.text())
def test_sealed_text_opens_with_its_key_only(plain: str) -> None:
    sealed = Box([ONE]).seal(plain)
    assert Box([TWO, ONE]).open(sealed) == plain
    with pytest.raises(Unsealable):
        Box([TWO]).open(sealed)
    with pytest.raises(Unsealable):
        Box([DataKey("one", "1" * 32)]).open(sealed)


def test_passwords() -> None:
    stored = hash_password("right")
    assert password_fits("right", stored)
    assert not password_fits("wrong", stored)
    assert not password_fits("", "")


def test_altered_or_expired_token_fails() -> None:
    signer = Signer(*new_jwk())
    token = signer.sign({"exp": 2**40})
    assert signer.verify(token) == {"exp": 2**40}
    head, body, signature = token.split(".")
    assert signer.verify(f"{head}.{body[:-2]}AA.{signature}") is None
    assert signer.verify(f"{head}.{body}.") is None
    assert signer.verify(signer.sign({"exp": 1})) is None
    assert Signer(*new_jwk()).verify(token) is None


def test_doubled_parameter_is_refused() -> None:
    with pytest.raises(OAuthProblem):
        single(b"scope=a&scope=b")


def test_router_prefers_words_and_knows_other_methods() -> None:
    async def word(_request: Request) -> Response:
        return empty(200)

    async def hole(_request: Request) -> Response:
        return empty(204)

    router = Router()
    router.add("GET", "/a/b", word)
    router.add("GET", "/a/{x}", hole)
    assert router.find("GET", "/a/b")[1] is word
    assert router.find("GET", "/a/c%20d")[1:] == (hole, {"x": "c d"})
    assert router.find("POST", "/a/b")[:2] == ("/a/{x}", None)
    assert router.find("GET", "/nowhere/at/all")[:2] == ("", None)
