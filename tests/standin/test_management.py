"""Management APIs, default objects behind their flags, metrics, drain."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator

import pytest
import requests

from lab.standin.settings import BUILT_IN_SYSTEM_SECRET

from .conftest import SYSTEM_SECRET, Lab
from .flows import call, m2m
from .machines import Acp


def system_headers(acp: Acp, secret: str = SYSTEM_SECRET) -> dict[str, str]:
    """Authorization of the system client."""
    answer = call(
        "POST", acp.url + "/system/system/oauth2/token", auth=("system", secret),
        data={"grant_type": "client_credentials"},
    )  # fmt: skip
    return {"authorization": f"Bearer {answer.json()['access_token']}"}


def read(acp: Acp, path: str, secret: str = SYSTEM_SECRET) -> requests.Response:
    """GET as the system client."""
    return call("GET", acp.url + path, headers=system_headers(acp, secret))


def test_export_is_stable_and_holds_no_secret(acp: Acp) -> None:
    first = read(acp, "/api/system/configuration")
    m2m(f"{acp.url}/acme/main")
    second = read(acp, "/api/system/configuration")
    assert hashlib.sha256(first.content).digest() == hashlib.sha256(second.content).digest()
    assert {s["id"] for s in first.json()["servers"]} >= {"main", "opaque", "system"}
    assert "m2m-secret" not in first.text
    assert not [key for key in first.json()["keys"] if "d" in key["jwk"]]


def test_reimport_changes_nothing(lab: Lab, acp: Acp) -> None:
    before = read(acp, "/api/system/configuration").content
    path = str(lab.folder / "seed.yaml")
    done = acp.command("import", "--mode", "update", "--format", "yaml", "--input", path)
    assert done.returncode == 0, done.stderr
    assert read(acp, "/api/system/configuration").content == before


@pytest.mark.parametrize(
    "path",
    [
        "/api/system/tenants",
        "/api/system/tenants/acme",
        "/api/admin/acme/servers",
        "/api/admin/acme/servers/main",
        "/api/admin/acme/servers/main/idps",
        "/api/admin/acme/servers/main/clients",
        "/api/admin/acme/servers/main/keys",
        "/api/admin/acme/environment",
        "/api/admin/tenants/acme/features",
        "/api/hub/acme/promote/config",
        "/api/hub/acme/workspaces/main/promote/config",
    ],
)
def test_reads_need_a_token(acp: Acp, path: str) -> None:
    assert read(acp, path).status_code == 200
    refused = call("GET", acp.url + path)
    assert refused.status_code == 401
    assert set(refused.json()) == {"error", "error_code", "status_code", "details"}
    foreign = m2m(f"{acp.url}/acme/main").json()["access_token"]
    bearer = {"authorization": f"Bearer {foreign}"}
    assert call("GET", acp.url + path, headers=bearer).status_code == 401


def test_servers_page_and_filter(acp: Acp) -> None:
    def ids(query: str) -> list[str]:
        return [s["id"] for s in read(acp, f"/api/admin/acme/servers?{query}").json()["servers"]]

    assert ids("limit=1") == ["admin"]
    assert ids("after_server_id=admin") == ["main", "opaque"]
    assert ids("server_types=admin") == ["admin"]


def test_idp_can_be_disabled_and_removed(acp: Acp) -> None:
    base, headers = f"{acp.url}/api/admin/acme/servers/main/idps", system_headers(acp)
    body = {"name": "Extra", "disabled": True}
    made = call("PUT", base + "/static/extra", headers=headers, json=body)
    assert (made.status_code, made.json()["disabled"]) == (200, True)
    assert call("DELETE", base + "/extra", headers=headers).status_code == 204
    assert call("DELETE", base + "/extra", headers=headers).status_code == 404


def test_cut_off_subject_loses_tokens(acp: Acp) -> None:
    url = f"{acp.url}/acme/main"
    token = m2m(url).json()["access_token"]
    path = f"{acp.url}/api/admin/acme/servers/main/tokens?subject=m2m"
    assert call("DELETE", path, headers=system_headers(acp)).status_code == 204
    bearer = {"authorization": f"Bearer {token}"}
    assert call("GET", url + "/userinfo", headers=bearer).status_code == 401
    time.sleep(1.1)  # noqa: TID251 - marks have a resolution of one second
    fresh = {"authorization": f"Bearer {m2m(url).json()['access_token']}"}
    assert call("GET", url + "/userinfo", headers=fresh).status_code == 200


@pytest.fixture(scope="module")
def stock(lab: Lab) -> Iterator[Acp]:
    """An install as the chart makes it by default: every flag on, nothing configured."""
    lab.postgres.run("postgres", "CREATE DATABASE stock")
    flags = ("--demo", "--swagger", "--create-default-tenant", "--create-default-workspaces")
    acp = lab.acp("stock", {"system": {"secret": ""}, "secrets": []}, flags=flags)
    acp.start()
    yield acp
    acp.stop()


def test_stock_install_has_what_must_be_found(stock: Acp) -> None:
    export = read(stock, "/api/system/configuration", BUILT_IN_SYSTEM_SECRET).json()
    servers = {(s["tenant_id"], s["id"]) for s in export["servers"]}
    assert servers >= {("default", name) for name in ("admin", "default", "developer", "system")}
    assert {c["id"] for c in export["clients"]} >= {
        "admin", "default", "developer-developer", "default-demo", "admin-swagger",
        "system-swagger", "system",
    }  # fmt: skip
    idps = [i for i in export["idps"] if i["method"] == "static" and not i["disabled"]]
    assert {i["server_id"] for i in idps} == {"admin", "default", "developer"}
    shown = call("GET", f"{stock.url}/default/default/environment").json()
    assert (shown["demo_app"], shown["swagger_ui"], shown["dev_mode"]) == (True, True, False)


def test_stock_install_can_lose_its_default_workspace(stock: Acp) -> None:
    headers = system_headers(stock, BUILT_IN_SYSTEM_SECRET)
    path = f"{stock.url}/api/admin/default/servers/default"
    assert call("DELETE", path, headers=headers).status_code == 204
    gone = call("GET", f"{stock.url}/default/default/.well-known/openid-configuration")
    assert gone.status_code == 404


def test_hardened_install_has_no_defaults(acp: Acp) -> None:
    answer = call("GET", f"{acp.url}/default/default/.well-known/openid-configuration")
    assert answer.status_code == 404
    ids = [t["id"] for t in read(acp, "/api/system/tenants").json()["tenants"]]
    assert ids == ["acme", "system"]


def test_metrics_have_the_names_dashboards_query(acp: Acp) -> None:
    m2m(f"{acp.url}/acme/main")
    text = requests.get(f"http://127.0.0.1:{acp.metrics_port}/metrics", timeout=2).text
    wanted = 'acp_http_duration_seconds_count{method="POST",path="/{tid}/{aid}/oauth2/token"'
    assert wanted in text
    for name in ("acp_redis_duration_seconds_count", "acp_postgres_duration_seconds_count"):
        assert name in text


def test_alive_answers_head(acp: Acp) -> None:
    answer = call("HEAD", acp.url + "/alive")
    assert (answer.status_code, answer.text) == (200, "")


def test_draining_process_serves_then_ends_cleanly(lab: Lab, acp: Acp) -> None:
    del acp
    other = lab.acp("acp", {"standin": {"drain_s": 1.5}})
    other.start()
    assert other.process
    other.process.terminate()
    answer = m2m(f"{other.url}/acme/main")
    assert answer.status_code == 200
    assert answer.headers["connection"] == "close"
    assert other.process.wait(timeout=10) == 0
