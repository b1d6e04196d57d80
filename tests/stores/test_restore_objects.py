"""Objects of a drill, made from the lab's own manifests."""

import base64
from pathlib import Path

import pytest
import yaml

from acpchaos.stores import restore, restore_objects

STORES = Path(__file__).parents[2] / "lab/manifests/stores"
NAMESPACE = "acpchaos-restore-r1"


def stateful_set(store):
    return yaml.safe_load((STORES / store / "statefulset.yaml").read_text())


@pytest.fixture
def database():
    live = stateful_set("postgresql")
    return restore_objects.database_pod(live, "postgresql", NAMESPACE, "postgresql", 2, "20260101F")


def test_the_database_is_restored_before_it_serves(database):
    (first,), (second,) = database["spec"]["initContainers"], database["spec"]["containers"]
    assert {"--repo=2", "--set=20260101F", "--type=immediate", "restore"} <= set(first["command"])
    assert "archive_mode=off" in second["command"]
    assert first["image"] == second["image"] == "docker.io/lab/stores:1"
    assert database["spec"]["restartPolicy"] == "Never"


def test_each_mount_of_the_database_has_its_volume(database):
    volumes = {volume["name"] for volume in database["spec"]["volumes"]}
    for container in (*database["spec"]["initContainers"], *database["spec"]["containers"]):
        assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
    assert {"name": "datadir", "emptyDir": {}} in database["spec"]["volumes"]
    assert "patroni" not in volumes


def test_the_database_needs_the_repositories_and_no_patroni(database):
    assert restore_objects.references(database["spec"]) == {
        ("Secret", "pgbackrest"),
        ("Secret", "postgresql-tls"),
        ("ConfigMap", "pgbackrest"),
    }


def test_redis_starts_empty_on_scratch_space():
    live = stateful_set("redis-cluster")
    pod = restore_objects.redis_pod(live, "redis-cluster", NAMESPACE)
    assert {"name": "redis-data", "emptyDir": {}} in pod["spec"]["volumes"]
    assert "persistentVolumeClaim" not in str(pod)
    assert ("Secret", "redis-cluster") in restore_objects.references(pod["spec"])


def test_acp_keeps_image_and_mounts_and_loses_its_spread():
    pod = {
        "serviceAccountName": "acp",
        "topologySpreadConstraints": [{}],
        "containers": [{"name": "acp", "image": "acp:1", "args": ["server", "start"]}],
        "volumes": [{"name": "secret", "secret": {"secretName": "acp-secret"}}],
    }
    live = {"spec": {"replicas": 3, "template": {"spec": pod}}}
    made = restore_objects.acp_deployment(live, NAMESPACE)
    spec = made["spec"]["template"]["spec"]
    assert made["spec"]["replicas"] == 1
    assert spec["containers"] == pod["containers"]
    assert not {"serviceAccountName", "topologySpreadConstraints"} & spec.keys()
    assert "serviceAccountName" in pod, "the live object is not touched"


def secret(**values):
    data = {key: base64.b64encode(text.encode()).decode() for key, text in values.items()}
    return {"metadata": {"name": "acp-secret", "uid": "live"}, "type": "Opaque", "data": data}


def texts(copy):
    return {key: base64.b64decode(value).decode() for key, value in copy["data"].items()}


def test_a_copied_secret_points_to_the_services_beside_it():
    config = "sql: {url: 'postgres://acp:pw@postgresql.acp-system.svc.cluster.local:5432/acp'}"
    edit = restore_objects.at_home("acp-system")
    copy = restore_objects.copied("Secret", secret(**{"config.yaml": config}), NAMESPACE, edit)
    assert texts(copy)["config.yaml"] == "sql: {url: 'postgres://acp:pw@postgresql:5432/acp'}"
    assert copy["metadata"] == {"name": "acp-secret", "namespace": NAMESPACE}


def test_only_the_passphrase_of_the_repository_is_wrong():
    live = secret(PGBACKREST_REPO1_CIPHER_PASS="one", PGBACKREST_REPO2_CIPHER_PASS="two")
    made = texts(restore_objects.copied("Secret", live, NAMESPACE, restore._with_cipher(1)))
    assert made["PGBACKREST_REPO2_CIPHER_PASS"] == "two"
    assert made["PGBACKREST_REPO1_CIPHER_PASS"] not in ("one", "two")


def test_only_the_encryption_keys_are_wrong():
    config = yaml.safe_dump({"secrets": [{"id": "a", "key": "right"}], "system": {"secret": "s"}})
    other = yaml.safe_load(restore._other_keys("config.yaml", config))
    assert other["secrets"] == [{"id": "a", "key": restore.WRONG}]
    assert other["system"] == {"secret": "s"}
    assert restore._other_keys("config.yaml", "server: {}") == "server: {}"
    assert restore._other_keys("tls.crt", config) == config


def test_what_a_projected_volume_needs_is_copied_too() -> None:
    sources = [{"secret": {"name": "acp-tls"}}, {"configMap": {"name": "ca"}}, {"downwardAPI": {}}]
    spec = {"containers": [], "volumes": [{"name": "tls", "projected": {"sources": sources}}]}
    assert restore_objects.references(spec) == {("Secret", "acp-tls"), ("ConfigMap", "ca")}
