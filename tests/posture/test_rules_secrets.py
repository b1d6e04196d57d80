"""HARD-11, HARD-12, HARD-14 and HARD-15: where ACP's Secret is from, and what it holds."""

from typing import Any

import pytest

from acpchaos.record.snapshot import Object, Snapshot

from .asking import ACP, asked, fails, fails_among, not_here, passes, replaced, undecided, unread
from .building import (
    CONFIG,
    CONTAINER,
    MAIN,
    SECRET,
    attest,
    configure,
    container,
    installation,
    pod_spec,
    release,
    seal,
)
from .building_lab import hardened

ROWS = ("HARD-11", "HARD-12", "HARD-14", "HARD-15", "HARD-16", "HARD-18")
SYSTEM = "data[config.yaml].system.secret"
KEYS = "data[config.yaml].secrets"
SERVING = ("acp", "acp-primary", "acp-workers", "acp-workers-primary")


@pytest.fixture(autouse=True)
def _attested(monkeypatch: pytest.MonkeyPatch) -> None:
    attest(monkeypatch)


def secret(snapshot: Snapshot) -> Object:
    return snapshot.objects["Secret"][0]


def ungiven(snapshot: Snapshot) -> None:
    """No Secret but the certificate's is given to ACP."""
    for name in SERVING:
        pod_spec(snapshot, name)["volumes"][1] = {"name": "secret", "emptyDir": {}}


@pytest.mark.parametrize("row", ROWS)
def test_a_sound_installation_passes(row: str) -> None:
    passes(installation(), row)
    passes(hardened(), row)


@pytest.mark.parametrize("row", ROWS)
def test_secrets_that_could_not_be_listed_leave_the_row_undecided(row: str) -> None:
    snapshot = installation()
    unread(snapshot, "Secret")
    undecided(snapshot, row, "Secret objects could not be read: forbidden")


@pytest.mark.parametrize("row", ["HARD-12", "HARD-14", "HARD-15", "HARD-16"])
def test_a_secret_that_manifests_lack_leaves_the_row_undecided(row: str) -> None:
    snapshot = replaced(installation(), source="manifests")
    del snapshot.objects["Secret"][0]
    undecided(snapshot, row, f"{SECRET} is not among the manifests")


# HARD-11


@pytest.mark.parametrize(
    ("place", "key", "value"),
    [("labels", "app.kubernetes.io/managed-by", "Helm"),
     ("annotations", "meta.helm.sh/release-name", "acp")],
)  # fmt: skip
def test_a_secret_of_the_chart_fails(place: str, key: str, value: str) -> None:
    snapshot = installation()
    secret(snapshot)["metadata"][place][key] = value
    found = fails(snapshot, "HARD-11", SECRET, f"metadata.{place}[{key}]", value)
    assert "secretConfig" in found.remedy
    fails(replaced(snapshot, source="manifests"), "HARD-11", SECRET, f"metadata.{place}[{key}]")


def test_a_secret_managed_by_something_else_passes() -> None:
    snapshot = installation()
    secret(snapshot)["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "kustomize"
    passes(snapshot, "HARD-11")


@pytest.mark.parametrize("kind", ["ExternalSecret", "SealedSecret"])
def test_a_secret_that_an_operator_made_may_have_its_labels_from_helm(kind: str) -> None:
    snapshot = installation()
    meta = secret(snapshot)["metadata"]
    meta["labels"]["app.kubernetes.io/managed-by"] = "Helm"
    meta["ownerReferences"] = [{"kind": kind, "name": "acp-secret"}]
    passes(snapshot, "HARD-11")


def test_the_chart_may_make_the_certificates_secret() -> None:
    snapshot = installation()
    labels = snapshot.objects["Secret"][1]["metadata"]["labels"]
    labels["app.kubernetes.io/managed-by"] = "Helm"
    passes(snapshot, "HARD-11")


def test_an_empty_secret_of_the_chart_fails_too() -> None:
    snapshot = installation()
    secret(snapshot)["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm"
    secret(snapshot)["data"] = {}
    fails(snapshot, "HARD-11", SECRET, "metadata.labels[app.kubernetes.io/managed-by]")


def test_the_newest_revision_of_the_release_counts() -> None:
    snapshot = installation()
    made = {"values": {"secretConfig": {"create": True}}}
    snapshot.objects["Secret"].append(release(2, **made))
    passes(snapshot, "HARD-11")
    snapshot.objects["Secret"].append(release(10, **made))
    where = f"Secret {ACP}/sh.helm.release.v1.acp.v10"
    fails(snapshot, "HARD-11", where, "values.secretConfig.create", "true")


def test_without_helm_the_secret_is_nobodys_chart() -> None:
    snapshot = installation()
    del snapshot.objects["Secret"][2]
    passes(snapshot, "HARD-11")


def test_a_release_that_cannot_be_opened_leaves_the_row_undecided() -> None:
    snapshot = installation()
    snapshot.objects["Secret"][2]["data"]["derived"] = "unread: no Helm release"
    undecided(snapshot, "HARD-11", "no Helm release")


def test_a_secret_that_the_rendered_chart_lacks_is_not_made_by_it() -> None:
    snapshot = replaced(installation(), source="manifests")
    del snapshot.objects["Secret"][0]
    passes(snapshot, "HARD-11")


# HARD-12


@pytest.mark.parametrize("value", [None, "", {}, {"secret": ""}, {"secret": None}])
def test_without_a_secret_the_built_in_one_is_in_force(value: Any) -> None:
    snapshot = installation()
    seal(snapshot, system=value)
    verdict, findings = asked(snapshot, "HARD-12")
    assert verdict.outcome.value == "failed"
    assert all("built-in secret is in force" in each.saw for each in findings)
    expected = {SECRET} if value == {"secret": ""} else {
        f"Deployment {ACP}/{name} container acp" for name in SERVING
    }  # fmt: skip
    assert {each.object for each in findings} == expected


@pytest.mark.parametrize(
    ("value", "saw"),
    [("sealed:0000000000aa:31:-", "a secret of 31 characters"),
     ("sealed:0000000000aa:8:docs-secret-1", "the published value docs-secret-1"),
     ("sealed:0000000000aa:32:built-in-secret", "the published value built-in-secret"),
     ("mysecret", "the published value docs-secret-1"), ("shortword", "9 characters")],
)  # fmt: skip
def test_a_weak_or_published_secret_fails(value: str, saw: str) -> None:
    snapshot = installation()
    seal(snapshot, system={"secret": value})
    assert value not in str(fails(snapshot, "HARD-12", SECRET, SYSTEM, saw))


def test_thirty_two_characters_pass() -> None:
    snapshot = installation()
    seal(snapshot, system={"secret": "sealed:0000000000aa:32:-"})
    passes(snapshot, "HARD-12")


def test_a_later_file_decides() -> None:
    snapshot = installation()
    configure(snapshot, {"system": {"secret": "sealed:0000000000aa:8:docs-secret-1"}})
    passes(snapshot, "HARD-12")  # HARD-17 has something to say of it
    container(snapshot)["args"][-1] = "/secret/config.yaml,/data/extraconfig.yaml"
    fails(snapshot, "HARD-12", CONFIG, "data[extraconfig.yaml].system.secret", "docs-secret-1")


def test_a_variable_or_flag_decides_over_files() -> None:
    snapshot = installation()
    container(snapshot)["env"].append({"name": "SYSTEM_SECRET", "value": "sealed:0000000000aa:5:-"})
    fails(snapshot, "HARD-12", MAIN, f"{CONTAINER}.env[1]", "5 characters")
    container(snapshot)["args"] += ["--system.secret", "sealed:0000000000ab:6:-"]
    fails(snapshot, "HARD-12", MAIN, f"{CONTAINER}.args[6]", "6 characters")
    container(snapshot)["args"][-1] = "sealed:0000000000ac:40:-"
    passes(snapshot, "HARD-12")


def test_a_good_variable_of_one_container_does_not_help_another() -> None:
    snapshot = installation()
    seal(snapshot, system=None)
    good = {"name": "SYSTEM_SECRET", "value": "sealed:0000000000aa:43:-"}
    pod_spec(snapshot)["containers"].append({"name": "side", "image": "side:1", "env": [good]})
    where = f"{MAIN} container acp"
    fails_among(snapshot, "HARD-12", where, "system.secret", "not set")
    for name in SERVING:
        container(snapshot, name)["env"].append(good)
    passes(snapshot, "HARD-12")


def test_a_secret_that_a_variable_takes_from_elsewhere_is_unknown() -> None:
    snapshot = replaced(installation(), source="manifests")
    ref = {"secretKeyRef": {"name": "vault", "key": "x"}}
    container(snapshot)["env"].append({"name": "SYSTEM_SECRET", "valueFrom": ref})
    undecided(snapshot, "HARD-12", "Secret acp-system/vault is not among the manifests")


def test_jobs_need_none_but_must_not_bring_a_weak_one() -> None:
    snapshot = installation()
    job = pod_spec(snapshot, "acp-migrate", "Job")["initContainers"][0]
    job["args"] = ["sql", "migrate"]
    passes(snapshot, "HARD-12")
    job["args"] += ["--system.secret=sealed:0000000000aa:5:-"]
    where = "spec.template.spec.initContainers[0].args[2]"
    fails(snapshot, "HARD-12", f"Job {ACP}/acp-migrate", where)


# HARD-14


def keys(snapshot: Snapshot, *entries: Any) -> None:
    seal(snapshot, secrets=list(entries))


GOOD: Object = {"id": "sealed:1111111111aa:4:-", "key": "sealed:abcdefabcdef:32:-"}


@pytest.mark.parametrize("value", [None, []])
def test_without_a_key_the_built_in_one_is_in_force(value: Any) -> None:
    snapshot = installation()
    seal(snapshot, secrets=value)
    _, findings = asked(snapshot, "HARD-14")
    where = {f"Deployment {ACP}/{name} container acp" for name in SERVING}
    assert {each.object for each in findings} == where
    assert all("built-in key is in force" in each.saw for each in findings)


@pytest.mark.parametrize(
    ("entry", "field", "saw"),
    [({"key": "sealed:0000000000aa:32:quickstart-key"}, "key", "published value quickstart-key"),
     ({"key": "sealed:0000000000aa:31:-"}, "key", "31 characters"),
     ({"key": "sealed:0000000000aa:33:-"}, "key", "33 characters"),
     ({"key": ""}, "key", "not set"), ({"id": ""}, "id", "not set"),
     ({"id": GOOD["id"]}, "id", "the id of another key")],
)  # fmt: skip
def test_each_key_of_the_list_must_be_sound(entry: Object, field: str, saw: str) -> None:
    snapshot = installation()
    keys(snapshot, GOOD, {"id": "two", "key": "sealed:0000000000ff:32:-", **entry})
    fails(snapshot, "HARD-14", SECRET, f"{KEYS}[1].{field}", saw)


def test_what_is_no_list_of_mappings_fails() -> None:
    snapshot = installation()
    seal(snapshot, secrets="sealed:0000000000aa:32:-")
    fails(snapshot, "HARD-14", SECRET, KEYS, "a secret of 32 characters")
    keys(snapshot, "sealed:0000000000aa:32:-")
    fails_among(snapshot, "HARD-14", SECRET, f"{KEYS}[0].key", "not set")


def test_the_last_list_replaces_those_before() -> None:
    snapshot = installation()
    configure(snapshot, {"secrets": [{"id": "a", "key": "sealed:0000000000aa:5:-"}]})
    passes(snapshot, "HARD-14")
    container(snapshot)["args"][-1] = "/secret/config.yaml,/data/extraconfig.yaml"
    fails(snapshot, "HARD-14", CONFIG, "data[extraconfig.yaml].secrets[0].key", "5 characters")


@pytest.mark.parametrize("words", [["--secret-key", "sealed:0000000000aa:9:docs-key"],
                                   ["--secret.key=sealed:0000000000aa:9:docs-key"]])  # fmt: skip
def test_a_key_given_by_flag_is_judged(words: list[str]) -> None:
    snapshot = installation()
    container(snapshot)["args"] += words
    fails(snapshot, "HARD-14", MAIN, f"{CONTAINER}.args[{4 + len(words)}]", "docs-key")


def test_a_key_given_by_variable_is_judged_and_is_enough() -> None:
    snapshot = installation()
    seal(snapshot, secrets=None)
    for name in SERVING:
        entry = {"name": "SECRET_KEY", "value": "sealed:0000000000aa:32:-"}
        container(snapshot, name)["env"].append(entry)
    passes(snapshot, "HARD-14")
    container(snapshot)["env"][1]["value"] = "sealed:0000000000aa:16:-"
    fails(snapshot, "HARD-14", MAIN, f"{CONTAINER}.env[1]", "16 characters")


# HARD-15


@pytest.mark.parametrize("kind", ["kubernetes.io/tls", "example.com/acp", "bootstrap"])
def test_another_type_fails(kind: str) -> None:
    snapshot = installation()
    secret(snapshot)["type"] = kind
    fails(snapshot, "HARD-15", SECRET, "type", kind)


def test_secrets_given_by_variables_count_and_certificates_do_not() -> None:
    snapshot = installation()
    other: Object = {"kind": "Secret", "type": "odd", "data": {"a": "sealed:0000000000aa:9:-"},
             "metadata": {"name": "other", "namespace": ACP}}  # fmt: skip
    snapshot.objects["Secret"].append(other)
    passes(snapshot, "HARD-15")
    ref = {"secretKeyRef": {"name": "other", "key": "a"}}
    container(snapshot)["env"].append({"name": "A", "valueFrom": ref})
    fails(snapshot, "HARD-15", f"Secret {ACP}/other", "type", "odd")
    container(snapshot)["env"].pop()
    container(snapshot)["envFrom"] = [{"secretRef": {"name": "other"}}]
    fails(snapshot, "HARD-15", f"Secret {ACP}/other", "type", "odd")
    certificate = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----"
    other["data"] = {"client-ca.crt": certificate}
    passes(snapshot, "HARD-15")


@pytest.mark.parametrize("row", ["HARD-11", "HARD-15"])
def test_without_a_secret_the_row_does_not_apply(row: str) -> None:
    snapshot = installation()
    ungiven(snapshot)
    del snapshot.objects["Secret"][2]
    not_here(snapshot, row, "no Secret is given to ACP's pods")
