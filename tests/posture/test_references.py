"""A reference to a variable is no secret, and a secret that looks like one is still sealed."""

import pytest

from acpchaos.posture.documents import sealed_document
from acpchaos.posture.redaction import Sealer


@pytest.mark.parametrize(
    "text",
    ["$GITHUB_CLIENT_SECRET", "$PASSWORD", "$(REDIS_PASSWORD)", "$(redis.password-1)", "${PGPASS}",
     "${PGPASS:?must be set}", "${PGPASS:-}", "{{ .Values.password }}", "Bearer $(TOKEN)",
     "$(DB_USER):$(DB_PASS)", "$(cat /run/secrets/password)", "$(openssl rand -hex 32)"],
)  # fmt: skip
def test_references_stay(text: str) -> None:
    assert Sealer().value("password", text) == text
    line = f'export PGPASSWORD="{text}"\n'
    assert sealed_document(Sealer(), line) == line


@pytest.mark.parametrize(
    "text",
    ["$ecret123", "$P4SSW0RD", "$AB", "${PGPASS:-hunter2hunter2}", "$(echo hunter2hunter2)",
     "$PASSWORDx", "hunter2$(TOKEN)", "Bearer hunter2hunter2"],
)  # fmt: skip
def test_secrets_do_not(text: str) -> None:
    assert Sealer().value("password", text).startswith("sealed:")
    found = sealed_document(Sealer(), f"export PGPASSWORD={text}\n")
    assert "sealed:" in found and "hunter2" not in found


def test_a_reference_in_a_url_stays_and_a_password_does_not() -> None:
    sealer = Sealer()
    for text in ("postgres://acp:$(DB_PASS)@db:5432/acp", "postgres://acp:${DB_PASS}@db/acp"):
        assert sealer.value("", text) == text
    assert "hunter2" not in sealer.value("", "postgres://acp:hunter2@db:5432/acp")
