"""The management API is read whole, as the system client, and what it refuses is told."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from acpchaos.check.posture.rule import Unreadable
from acpchaos.check.posture.view import View
from acpchaos.posture.answers import DISCOVERY, TENANTS, Asked, ask
from acpchaos.posture.redaction import Sealer
from acpchaos.record.snapshot import Answer, Scope, Snapshot
from tests.posture.acp_api import SECRET, TOKEN, AcpApi

SERVERS = "/api/admin/default/servers"
CLIENTS = f"{SERVERS}/main/clients"


@pytest.fixture
def acp() -> Iterator[AcpApi]:
    with AcpApi() as found:
        yield found


def asked(acp: AcpApi, folder: Path) -> Asked:
    return ask(acp.profile(folder), Sealer())


def view(found: Asked) -> View:
    return View(
        Snapshot(
            source="live", taken_at="2025-01-01", scope=Scope(profile="x"), answers=found.answers,
            unread=found.unread,
        )
    )  # fmt: skip


def ids(answer: Answer, key: str, name: str) -> list[str]:
    return [each[name] for each in answer.body[key]]


def test_all_tenants_and_workspaces_are_asked(acp: AcpApi, tmp_path: Path) -> None:
    found = asked(acp, tmp_path)
    assert not found.unread
    assert set(found.answers) == {
        TENANTS, DISCOVERY, "/default/main/environment",
        "/api/admin/default/environment", "/api/admin/system/environment",
        SERVERS, "/api/admin/system/servers",
        f"{SERVERS}/admin/idps", f"{SERVERS}/admin/clients", f"{SERVERS}/main/idps", CLIENTS,
        "/api/admin/system/servers/system/idps", "/api/admin/system/servers/system/clients",
    }  # fmt: skip
    assert found.answers[DISCOVERY].status == 404
    assert ids(found.answers[SERVERS], "servers", "id") == ["admin", "main"]
    assert ids(found.answers[CLIENTS], "clients", "client_id") == acp.clients
    assert found.answers[f"{SERVERS}/admin/clients"].body == {"clients": []}
    assert [call for call in acp.calls if not call.startswith("GET ")] == ["POST /token"]


def test_no_secret_and_no_token_is_kept(acp: AcpApi, tmp_path: Path) -> None:
    text = msgspec.json.encode(asked(acp, tmp_path)).decode()
    for secret in (SECRET, TOKEN, "s3cret-of-a-client", "a-value-of-it"):
        assert secret not in text
    assert '"client_secret":"sealed:' in text


@pytest.mark.parametrize("cap", [20, 33, 100])
def test_long_lists_are_read_to_their_end(acp: AcpApi, tmp_path: Path, cap: int) -> None:
    acp.cap = cap
    acp.clients = [f"client-{number:03}" for number in range(100)]
    acp.servers["default"] = ["admin", "main", *(f"w{number:02}" for number in range(60))]
    found = asked(acp, tmp_path)
    assert ids(found.answers[CLIENTS], "clients", "client_id") == acp.clients
    assert len(found.answers[SERVERS].body["servers"]) == 62
    assert f"{SERVERS}/w59/idps" in found.answers


def test_a_list_is_never_told_in_part(acp: AcpApi, tmp_path: Path) -> None:
    acp.cap = 20
    acp.clients = [f"client-{number:03}" for number in range(40)]
    acp.after_page[CLIENTS] = 500
    found = asked(acp, tmp_path)
    assert found.answers[CLIENTS] == Answer(
        status=0, error="HTTP 500 on a page after the first 20 items"
    )
    with pytest.raises(Unreadable, match="after the first 20"):
        view(found).answer(CLIENTS)


def test_a_client_without_the_right_is_told(acp: AcpApi, tmp_path: Path) -> None:
    acp.refused = {SERVERS: 403}
    found = asked(acp, tmp_path)
    assert found.answers[SERVERS].status == 403
    assert f"{SERVERS}/main/idps" not in found.answers
    with pytest.raises(Unreadable, match="HTTP 403"):
        view(found).answer(SERVERS)
    assert found.answers["/api/admin/system/servers"].status == 200


def test_too_many_requests_are_no_answer(acp: AcpApi, tmp_path: Path) -> None:
    acp.refused = {f"{SERVERS}/main/idps": 429}
    with pytest.raises(Unreadable, match="429"):
        view(asked(acp, tmp_path)).answer(f"{SERVERS}/main/idps")


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"system": False}, "no \\[credentials.system\\]"),
        ({"secret": "another"}, "oauth_invalid_client"),
    ],
)
def test_without_a_token_the_public_answers_are_left(
    acp: AcpApi, tmp_path: Path, given: dict[str, object], why: str
) -> None:
    found = ask(acp.profile(tmp_path, **given), Sealer())  # type: ignore[arg-type]
    assert set(found.answers) == {DISCOVERY, "/default/main/environment"}
    with pytest.raises(Unreadable, match=why):
        view(found).answer(TENANTS)


def test_an_absent_secret_file_is_told_without_its_content(acp: AcpApi, tmp_path: Path) -> None:
    profile = acp.profile(tmp_path)
    (tmp_path / "secret").unlink()
    assert "No such file" in ask(profile, Sealer()).unread[f"answer {TENANTS}"]


def test_a_secret_of_the_cluster_is_read_through_it(acp: AcpApi, tmp_path: Path) -> None:
    profile = acp.profile(tmp_path)
    system = profile.credentials.system.model_copy(update={"secret": "secret:ns/name/key"})  # type: ignore[union-attr]
    credentials = profile.credentials.model_copy(update={"system": system})
    profile = profile.model_copy(update={"credentials": credentials})
    found = ask(profile, Sealer(), lambda *place: SECRET if place == ("ns", "name", "key") else "")
    assert found.answers[TENANTS].status == 200


def test_an_acp_that_is_away_answers_nothing(acp: AcpApi, tmp_path: Path) -> None:
    profile = acp.profile(tmp_path)
    acp.__exit__()
    found = ask(profile, Sealer())
    assert found.answers[DISCOVERY] == Answer(status=0, error="refused")
    assert "refused" in found.unread[f"answer {TENANTS}"]
