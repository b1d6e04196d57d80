"""HARD-04 to HARD-10, HARD-13, HARD-44: default providers, workspaces, published secrets."""

from typing import Any

import pytest

from acpchaos.record.snapshot import Answer, Snapshot
from posture.asking import answered, asked, fails, passes, probed, undecided
from posture.building_lab import hardened

STATIC = {"id": "default", "name": "Default", "method": "static"}
ADMIN = "/api/admin/acme/servers/admin/idps"
SERVERS = "/api/admin/acme/servers"
ROWS = ("HARD-04", "HARD-05", "HARD-06", "HARD-07", "HARD-09", "HARD-10", "HARD-44")


def added(snapshot: Snapshot, path: str, key: str, entry: Any) -> Any:
    """One more entry in a list that ACP answers with; its place in the list."""
    listed = snapshot.answers[path].body[key]
    listed.append(entry)
    return len(listed) - 1


def workspace(snapshot, server, idps=(), clients=()):
    """One more workspace, with its providers and clients."""
    at = added(snapshot, SERVERS, "servers", server)
    path = f"{SERVERS}/{server['id']}"
    answered(snapshot, f"{path}/idps", {"idps": list(idps)})
    answered(snapshot, f"{path}/clients", {"clients": list(clients)})
    return at


@pytest.mark.parametrize("row", [*ROWS, "HARD-08", "HARD-13"])
def test_the_hardened_lab_passes(row: str) -> None:
    passes(hardened(), row)


@pytest.mark.parametrize(
    ("row", "server"),
    [
        ("HARD-04", {"id": "admin2", "type": "admin"}),
        ("HARD-05", {"id": "partners", "type": "developer"}),
        ("HARD-05", {"id": "developer", "type": "regular"}),
        ("HARD-06", {"id": "default", "type": "regular"}),
        ("HARD-07", {"id": "shop", "type": "organization"}),
    ],
)
def test_an_enabled_static_provider_fails_the_row_of_its_workspace_and_no_other(
    row: str, server: Any
) -> None:
    snapshot = hardened()
    workspace(snapshot, server, [{"id": "ldap", "method": "external"}, STATIC])
    path = f"{SERVERS}/{server['id']}/idps"
    found = fails(snapshot, row, path, "idps[1].method", "static and not disabled (id default")
    assert "DELETE -H" in found.remedy and f"{path}/default" in found.remedy
    for other in {"HARD-04", "HARD-05", "HARD-06", "HARD-07"} - {row}:
        passes(snapshot, other)


def test_a_static_provider_of_the_admin_workspace_of_any_tenant_fails() -> None:
    snapshot = hardened()
    added(snapshot, ADMIN, "idps", STATIC)
    fails(snapshot, "HARD-04", ADMIN, "idps[0].method")


@pytest.mark.parametrize("disabled", [False, None, "true", 1])
def test_only_disabled_true_disables(disabled: Any) -> None:
    snapshot = hardened()
    added(snapshot, ADMIN, "idps", {**STATIC, "disabled": disabled})
    fails(snapshot, "HARD-04", ADMIN, "idps[0].method")


def test_a_disabled_static_provider_and_a_hidden_one_of_another_method_pass() -> None:
    snapshot = hardened()
    added(snapshot, ADMIN, "idps", {**STATIC, "disabled": True})
    added(snapshot, ADMIN, "idps", {**STATIC, "method": "identity_pool", "hidden": True})
    passes(snapshot, "HARD-04")


def test_a_hidden_static_provider_is_still_one() -> None:
    snapshot = hardened()
    added(snapshot, ADMIN, "idps", {**STATIC, "hidden": True})
    fails(snapshot, "HARD-04", ADMIN, "idps[0].method")


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize(
    ("path", "answer", "why"),
    [
        ("/api/system/tenants", None, "not asked"),
        ("/api/system/tenants", Answer(status=403), "HTTP 403"),
        ("/api/system/tenants", Answer(status=200, body={"tenants": []}), "no tenant"),
        (SERVERS, Answer(status=0, error="timeout"), "timeout"),
        (SERVERS, Answer(status=200, body=[]), "without a list"),
        (SERVERS, Answer(status=404, body={"error": "not found"}), "without a list"),
    ],
)
def test_answers_that_did_not_come_decide_nothing(
    row: str, path: str, answer: Any, why: str
) -> None:
    snapshot = hardened()
    del snapshot.answers[path]
    if answer is not None:
        snapshot.answers[path] = answer
    undecided(snapshot, row, why)


def test_providers_of_one_workspace_unread_are_inconclusive_but_do_not_hide_another_finding() -> (
    None
):
    snapshot = hardened()
    answered(snapshot, f"{SERVERS}/opaque/idps", status=401)
    undecided(snapshot, "HARD-07", "opaque/idps was not answered: HTTP 401")
    added(snapshot, f"{SERVERS}/main/idps", "idps", STATIC)
    fails(snapshot, "HARD-07", f"{SERVERS}/main/idps", "idps[1].method")


def test_a_default_login_that_works_fails() -> None:
    snapshot = hardened()
    probed(snapshot, "login default/admin admin", "accepted", "code issued")
    field = "login of admin with the default password"
    found = fails(snapshot, "HARD-08", "/default/admin", field, "accepted code issued")
    assert "/api/admin/default/servers/admin/idps/default" in found.remedy


def test_logins_not_tried_or_without_proof_decide_nothing() -> None:
    snapshot = hardened()
    probed(snapshot, "login default/admin admin", "unknown", "no form")
    undecided(snapshot, "HARD-08", "no form")
    for name in [n for n in snapshot.probes if n.startswith("login ")]:
        del snapshot.probes[name]
    undecided(snapshot, "HARD-08", "were not run")


def test_a_workspace_default_fails_and_so_does_its_discovery_document() -> None:
    snapshot = hardened()
    at = workspace(snapshot, {"id": "default", "name": "Shop"})
    fails(snapshot, "HARD-09", SERVERS, f"servers[{at}]", "id default, name Shop")
    snapshot = hardened()
    path = "/default/default/.well-known/openid-configuration"
    answered(snapshot, path, {"issuer": "x"})
    fails(snapshot, "HARD-09", path, "status", "HTTP 200")
    del snapshot.answers[path]
    undecided(snapshot, "HARD-09", path)


@pytest.mark.parametrize(
    "server",
    [{"id": "developer", "name": "X"}, {"id": "x", "type": "developer", "name": "Developer"}],
)
def test_a_developer_portal_fails_by_id_or_by_type_and_name(server: Any) -> None:
    snapshot = hardened()
    at = workspace(snapshot, server)
    fails(snapshot, "HARD-10", SERVERS, f"servers[{at}]")


def test_a_developer_workspace_of_ones_own_is_no_default_portal_but_its_client_is() -> None:
    snapshot = hardened()
    workspace(snapshot, {"id": "partners", "type": "developer", "name": "Partners"})
    passes(snapshot, "HARD-10")
    path = f"{SERVERS}/partners/clients"
    added(snapshot, path, "clients", {"id": "developer-developer", "name": "Developer Portal"})
    found = fails(snapshot, "HARD-10", path, "clients[0]", "developer-developer")
    assert found.remedy.endswith("/api/admin/acme/clients/developer-developer")


@pytest.mark.parametrize("row", ["HARD-13", "HARD-44"])
def test_a_published_secret_that_works_fails(row: str) -> None:
    snapshot = hardened()
    probed(snapshot, "secret chart-test-value", "accepted", "HTTP 200")
    where = ("/system/system/oauth2/token", "client system")
    fails(snapshot, row, *where, "accepted with the published chart-test-value")


@pytest.mark.parametrize("row", ["HARD-13", "HARD-44"])
def test_every_published_secret_must_have_been_tried(row: str) -> None:
    snapshot = hardened()
    del snapshot.probes["secret docs-secret-2"]
    undecided(snapshot, row, "secret docs-secret-2 was not run")


@pytest.mark.parametrize(
    "client",
    [
        {"id": "main-demo", "name": "x"},
        {"id": "admin-swagger", "name": "x"},
        {"id": "c1", "name": "Demo Portal"},
        {"client_id": "c2", "client_name": "System Swagger"},
    ],
)
def test_clients_of_earlier_flags_are_found_by_id_and_by_name(client: Any) -> None:
    snapshot = hardened()
    path = f"{SERVERS}/main/clients"
    at = added(snapshot, path, "clients", client)
    fails(snapshot, "HARD-44", path, f"clients[{at}]")


def test_a_client_that_only_speaks_of_a_demo_is_not_taken_for_one() -> None:
    snapshot = hardened()
    added(
        snapshot, f"{SERVERS}/main/clients", "clients", {"id": "demo-booth", "name": "Demo booth"}
    )
    passes(snapshot, "HARD-44")


def test_the_default_tenant_is_left_over() -> None:
    snapshot = hardened()
    at = added(snapshot, "/api/system/tenants", "tenants", {"id": "default", "name": "Default"})
    answered(snapshot, "/api/admin/default/servers", {"servers": []})
    fails(snapshot, "HARD-44", "/api/system/tenants", f"tenants[{at}]", "id default")


def test_remedies_name_the_base_url_of_the_profile() -> None:
    snapshot = hardened()
    added(snapshot, ADMIN, "idps", STATIC)
    _, findings = asked(snapshot, "HARD-04")
    assert "https://localhost:8443/api/admin/acme" in findings[0].remedy


def test_a_list_that_is_null_is_empty_and_ids_have_several_names() -> None:
    snapshot = hardened()
    answered(snapshot, ADMIN, {"idps": None})
    passes(snapshot, "HARD-04")
    path = f"{SERVERS}/main/clients"
    at = added(snapshot, path, "clients", {"client_id": "developer-developer"})
    fails(snapshot, "HARD-10", path, f"clients[{at}]", "id developer-developer")


def test_an_id_is_quoted_in_paths() -> None:
    snapshot = hardened()
    added(snapshot, SERVERS, "servers", {"id": "a/b", "type": "regular"})
    undecided(snapshot, "HARD-07", f"{SERVERS}/a%2Fb/idps")
