"""HARD-17: a secret in a ConfigMap, an argument or a plain variable of any container."""

from typing import Any

import pytest

from acpchaos.record.snapshot import Object, Snapshot

from .asking import ACP, fails, passes, replaced, undecided, unread
from .building import (
    CONFIG,
    CONTAINER,
    FAAS,
    MAIN,
    POD,
    configure,
    container,
    installation,
    pod_spec,
)
from .building_lab import hardened

ROW = "HARD-17"
SEALED = "sealed:0000000000aa:24:-"
EXTRA = "data[extraconfig.yaml]"
WORKLOADS = [
    ("Deployment", "acp-primary", ACP), ("Deployment", "acp-workers", ACP),
    ("Job", "acp-migrate", ACP), ("CronJob", "acp-export", ACP),
    ("Deployment", "acp-faas-node-v5", FAAS), ("StatefulSet", "redis-cluster", ACP),
    ("StatefulSet", "postgresql", ACP),
]  # fmt: skip


def test_a_sound_installation_passes() -> None:
    passes(installation(), ROW)
    passes(hardened(), ROW)


# ConfigMaps


@pytest.mark.parametrize(
    ("settings", "place"),
    [({"redis": {"password": SEALED}}, "redis.password"),
     ({"system": {"secret": SEALED}}, "system.secret"),
     ({"secrets": [{"id": "a", "key": SEALED}]}, "secrets[0].key"),
     ({"clients": [{"client_secret": SEALED}]}, "clients[0].client_secret"),
     ({"sql": {"url": f"postgres://acp:{SEALED}@sql/acp"}}, "sql.url"),
     ({"sql": {"url": "postgres://acp:hunter2@sql/acp"}}, "sql.url"),
     ({"tls": {"key": "-----BEGIN EC PRIVATE KEY-----\nMHc\n"}}, "tls.key")],
)  # fmt: skip
def test_a_secret_in_a_settings_file_fails_at_its_place(settings: Any, place: str) -> None:
    snapshot = installation()
    configure(snapshot, settings)
    found = fails(snapshot, ROW, CONFIG, f"{EXTRA}.{place}")
    assert "hunter2" not in str(found) and "sealed:" not in found.saw


def test_what_is_published_says_so() -> None:
    snapshot = installation()
    configure(snapshot, {"system": {"secret": "sealed:0000000000aa:8:docs-secret-1"}})
    fails(snapshot, ROW, CONFIG, f"{EXTRA}.system.secret", "the published value docs-secret-1")


@pytest.mark.parametrize(
    ("text", "place"),
    [(f"a: 1\n# password: {SEALED}\n", f"{EXTRA} line 2"),
     (f"#!/bin/sh\nexport PASSWORD={SEALED}\n", f"{EXTRA} line 2"),
     (f"a: [\nb: {SEALED}\n", f"{EXTRA} line 2"), (SEALED, EXTRA),
     (f"---\na: 1\n---\nb: {SEALED}\n", f"{EXTRA} line 4")],
)  # fmt: skip
def test_comments_scripts_and_other_texts_are_searched_by_line(text: str, place: str) -> None:
    snapshot = installation()
    configure(snapshot, text)
    fails(snapshot, ROW, CONFIG, place, "a secret of 24 characters")


@pytest.mark.parametrize("text", ["password: ${REDIS_PASSWORD}\n", "url: postgres://${U}:${P}@h/d\n",
                                  "a: {{ .Values.secret }}\n", "url: https://host:8443/a@b\n",
                                  "existingSecret: acp-secret\n"])  # fmt: skip
def test_a_reference_is_no_secret(text: str) -> None:
    snapshot = installation()
    configure(snapshot, text)
    passes(snapshot, ROW)


def test_a_config_map_that_nobody_is_given_does_not_count() -> None:
    snapshot = installation()
    meta = {"name": "other", "namespace": ACP}
    other: Object = {"kind": "ConfigMap", "metadata": meta, "data": {"a": SEALED}}
    snapshot.objects["ConfigMap"].append(other)
    passes(snapshot, ROW)
    entry = {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "other"}}}
    every: list[Object] = [{"envFrom": [{"configMapRef": {"name": "other"}}]}, {"env": [entry]}]
    for source in every:
        changed = installation()
        changed.objects["ConfigMap"].append(other)
        container(changed, "acp-migrate", "Job").update(source)
        fails(changed, ROW, f"ConfigMap {ACP}/other", "data[a]")


def test_the_stores_config_maps_count() -> None:
    snapshot = installation()
    meta = {"name": "redis-conf", "namespace": ACP}
    text = f"loadmodule search.so OSS_GLOBAL_PASSWORD {SEALED}\nport 6379\n"
    made: Object = {"kind": "ConfigMap", "metadata": meta, "data": {"redis.conf": text}}
    snapshot.objects["ConfigMap"].append(made)
    store = pod_spec(snapshot, "redis-cluster", "StatefulSet")
    store["volumes"] = [{"name": "conf", "configMap": {"name": "redis-conf"}}]
    fails(snapshot, ROW, f"ConfigMap {ACP}/redis-conf", "data[redis.conf] line 1")


def test_binary_data_leaves_the_row_undecided() -> None:
    snapshot = installation()
    snapshot.objects["ConfigMap"][0]["binaryData"] = {"keystore.jks": SEALED}
    undecided(snapshot, ROW, f"{CONFIG} has binaryData, which cannot be looked into")
    configure(snapshot, {"redis": {"password": SEALED}})
    fails(snapshot, ROW, CONFIG, f"{EXTRA}.redis.password")


def test_config_maps_that_are_not_shown_leave_the_row_undecided() -> None:
    snapshot = replaced(installation(), source="manifests")
    snapshot.objects["ConfigMap"].clear()
    undecided(snapshot, ROW, f"{CONFIG} is not among the manifests")
    unread(snapshot, "ConfigMap")
    undecided(snapshot, ROW, "ConfigMap objects could not be read: forbidden")
    container(snapshot)["args"].append(f"--system.secret={SEALED}")
    fails(snapshot, ROW, MAIN, f"{CONTAINER}.args[5]")


# containers


@pytest.mark.parametrize("word", [f"--secret-key={SEALED}", SEALED, f"--sql.url=x://u:{SEALED}@h",
                                  "--sql.url=postgres://acp:hunter2@sql/acp"])  # fmt: skip
def test_a_secret_in_an_argument_fails(word: str) -> None:
    snapshot = installation()
    container(snapshot)["args"].append(word)
    assert "hunter2" not in str(fails(snapshot, ROW, MAIN, f"{CONTAINER}.args[5]"))
    container(snapshot)["command"] = [container(snapshot)["args"].pop()]
    fails(snapshot, ROW, MAIN, f"{CONTAINER}.command[0]")


@pytest.mark.parametrize(("kind", "name", "namespace"), WORKLOADS)
def test_a_plain_variable_of_any_workload_fails(kind: str, name: str, namespace: str) -> None:
    snapshot = installation()
    container(snapshot, name, kind)["env"] = [{"name": "DB_PASSWORD", "value": SEALED}]
    path = f"spec.jobTemplate.{CONTAINER}" if kind == "CronJob" else CONTAINER
    found = fails(snapshot, ROW, f"{kind} {namespace}/{name}", f"{path}.env[0].value")
    assert found.remedy.startswith("{name: DB_PASSWORD, valueFrom: {secretKeyRef:")


def test_init_containers_count() -> None:
    snapshot = installation()
    pod_spec(snapshot)["initContainers"][0]["env"] = [{"name": "TOKEN", "value": SEALED}]
    fails(snapshot, ROW, MAIN, f"{POD}.initContainers[0].env[0].value")


def test_a_variable_or_word_from_a_secret_passes() -> None:
    snapshot = installation()
    ref = {"secretKeyRef": {"name": "acp-secret", "key": "x"}}
    snapshot.objects["Secret"][0]["data"]["x"] = SEALED
    container(snapshot)["env"].append({"name": "SQL_URL", "valueFrom": ref})
    container(snapshot)["args"] += ["--sql.url", "$(SQL_URL)"]
    passes(snapshot, ROW)


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet", "Job", "CronJob"])
def test_workloads_that_could_not_be_listed_leave_the_row_undecided(kind: str) -> None:
    snapshot: Snapshot = installation()
    unread(snapshot, kind)
    undecided(snapshot, ROW, f"{kind} objects could not be read: forbidden")
