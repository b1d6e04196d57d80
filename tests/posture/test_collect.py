"""Objects are read whole or not at all, page by page, with reading rights only."""

from pathlib import Path

import pytest
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.posture import collect as collecting
from acpchaos.posture.collect import Collected, collect
from acpchaos.posture.redaction import Sealer
from acpchaos.posture.wanted import CUSTOM, KINDS
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import Profile, load_profile
from tests.posture import building_objects as building

NAMESPACE = scene.NAMESPACE


@pytest.fixture
def profile(api: FakeApi, tmp_path: Path) -> Profile:
    return load_profile(scene.write_profile(api, tmp_path))


@pytest.fixture
def cluster(profile: Profile) -> Cluster:
    return Cluster.from_profile(profile)


def collected(cluster: Cluster, profile: Profile) -> Collected:
    return collect(cluster, profile, Sealer())


def put(
    api: FakeApi, plural: str, name: str, namespace: str = NAMESPACE, **content: object
) -> None:
    api.store.put(plural, {"metadata": {"name": name, "namespace": namespace}, **content})


def names(found: Collected, kind: str) -> list[tuple[str, str]]:
    return [
        (each["metadata"].get("namespace", ""), each["metadata"]["name"])
        for each in found.objects[kind]
    ]


def test_every_kind_is_there_and_nothing_was_changed(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    found = collected(cluster, profile)
    assert set(found.objects) == {"Secret", *KINDS, *CUSTOM} and not found.unread
    assert names(found, "Deployment") == [(NAMESPACE, "acp"), (NAMESPACE, "acp-workers")]
    assert {call.partition(" ")[0] for call in api.store.calls} == {"GET"}


def test_only_the_namespaces_of_the_installation_are_read(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    for namespace in (NAMESPACE, "acp-faas", "ingress", "kube-system", "payroll"):
        for plural in ("secrets", "services"):
            put(api, plural, "it", namespace)
        put(api, "rolebindings", "it", namespace, subjects=[])
    found = collected(cluster, profile)
    assert names(found, "Secret") == [(NAMESPACE, "it"), ("acp-faas", "it")]
    near = [NAMESPACE, "acp-faas", "ingress", "kube-system"]
    assert names(found, "Service") == [(each, "it") for each in near]
    assert ("payroll", "it") in names(found, "RoleBinding")
    asked = [call for call in api.store.calls if "/secrets" in call]
    assert asked == [f"GET /api/v1/namespaces/{each}/secrets" for each in near[:2]]


def test_pages_are_put_together(
    api: FakeApi, cluster: Cluster, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "LARGE_PAGE", 3)
    for number in range(10):
        put(api, "configmaps", f"c{number}", data={"a": "b"})
    found = collected(cluster, profile)
    assert [name for _, name in names(found, "ConfigMap")] == [f"c{n}" for n in range(10)]
    path = f"GET /api/v1/namespaces/{NAMESPACE}/configmaps"
    assert api.store.calls.count(path) == 4


def test_a_list_that_grew_too_old_is_read_again(
    api: FakeApi, cluster: Cluster, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "LARGE_PAGE", 3)
    for number in range(5):
        put(api, "secrets", f"s{number}")
    pages, seen = collecting.pages, []

    def disturbed(cluster: Cluster, path: str, limit: int):  # type: ignore[no-untyped-def]
        for page in pages(cluster, path, limit):
            yield page
            if path.endswith(f"{NAMESPACE}/secrets") and not seen:
                seen.append(path)
                put(api, "secrets", "late")  # a new version: the token is refused with 410

    monkeypatch.setattr(collecting, "pages", disturbed)
    found = collected(cluster, profile)
    wanted = ["late", *(f"s{n}" for n in range(5))]
    assert [name for _, name in names(found, "Secret")] == wanted


@pytest.mark.parametrize(
    ("pattern", "kind"),
    [
        (r"GET /api/v1/nodes$", "Node"),
        (r"GET /api/v1/namespaces/acp-faas/secrets$", "Secret"),
        (r"GET .*/namespaces/kube-system/pods$", "Pod"),
        (r"GET /apis/rbac.*/clusterrolebindings$", "ClusterRoleBinding"),
    ],
)
def test_a_forbidden_kind_is_told_and_takes_nothing_else_with_it(
    api: FakeApi, cluster: Cluster, profile: Profile, pattern: str, kind: str
) -> None:
    put(api, "secrets", "it")
    api.store.forbidden = [pattern]
    found = collected(cluster, profile)
    assert list(found.unread) == [kind] and kind not in found.objects
    assert found.unread[kind].startswith("HTTP 403: ")
    assert set(found.objects) == {"Secret", *KINDS, *CUSTOM} - {kind}


def test_a_kind_that_the_cluster_does_not_know_is_empty(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    api.store.served = ["cert-manager.io/v1", "external-secrets.io/v1beta1"]
    put(api, "certificates", "acp", status={"conditions": [{"type": "Ready"}], "other": 1})
    found = collected(cluster, profile)
    assert names(found, "Certificate") == [(NAMESPACE, "acp")]
    assert found.objects["Certificate"][0]["status"] == {"conditions": [{"type": "Ready"}]}
    assert found.objects["SealedSecret"] == [] == found.objects["ExternalSecret"]
    calls = " ".join(api.store.calls)
    assert "/apis/external-secrets.io/v1beta1/" in calls and "bitnami" not in calls


def test_unknown_groups_leave_others_kinds_unread(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    api.store.forbidden = [r"GET /apis$"]
    found = collected(cluster, profile)
    assert set(found.unread) == set(CUSTOM)
    assert found.unread["Certificate"].startswith("API groups: HTTP 403")
    assert set(found.objects) == {"Secret", *KINDS}


def test_a_server_that_is_away_is_told(api: FakeApi, cluster: Cluster, profile: Profile) -> None:
    api.close()
    found = collected(cluster, profile)
    assert not found.objects
    assert set(found.unread) == {"Secret", *KINDS, *CUSTOM}
    assert found.unread["Pod"].startswith("no answer: ")


def test_the_ingress_secret_of_another_namespace_is_read_by_name(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    api.store.served = ["projectcontour.io/v1"]
    for name, secret in (("ours", "ingress/tls"), ("here", "acp-tls"), ("gone", "ingress/gone")):
        spec = {"virtualhost": {"fqdn": "a.test", "tls": {"secretName": secret}}}
        put(api, "httpproxies", name, spec=spec)
    put(api, "secrets", "tls", "ingress", data={"tls.key": building.encoded("S3cret-key-9")})
    put(api, "secrets", "another", "ingress")
    found = collected(cluster, profile)
    assert names(found, "Secret") == [("ingress", "tls")]
    assert found.objects["Secret"][0]["data"]["tls.key"].startswith("sealed:")
    assert list(found.unread) == ["Secret ingress/gone"]


def test_what_secrets_hold_is_found_in_objects_read_later(
    api: FakeApi, cluster: Cluster, profile: Profile
) -> None:
    put(api, "secrets", "it", data={"password": building.encoded("Zk4hY77pQ")})
    put(api, "configmaps", "it", data={"motto": "always Zk4hY77pQ"})
    found = collected(cluster, profile)
    assert found.objects["ConfigMap"][0]["data"]["motto"].startswith("always sealed:")
