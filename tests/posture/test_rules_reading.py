"""HARD-16 and HARD-18: the Secret is really read, and was encrypted where it was kept."""

from typing import Any

import pytest

from acpchaos.check.posture.repositories import PUBLISHED_RECIPIENTS
from acpchaos.check.posture.rule import Finding, NoAttestation
from acpchaos.check.posture.view import View
from acpchaos.record.snapshot import Object, Snapshot

from .asking import ACP, fails, fails_among, passes, replaced, undecided, unread
from .building import (
    CONTAINER,
    FILES,
    MAIN,
    SECRET,
    attest,
    container,
    installation,
    pod_spec,
)

FLUX = "kustomize.toolkit.fluxcd.io"


@pytest.fixture(autouse=True)
def _attested(monkeypatch: pytest.MonkeyPatch) -> None:
    attest(monkeypatch)


def unattested(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_view: View, row: str) -> Any:
        raise NoAttestation(
            Finding(object=f"attestation {row}", saw="missing", want="one", remedy="attest")
        )

    monkeypatch.setattr(View, "attestation", none)


def args(snapshot: Snapshot) -> list[str]:
    found: list[str] = container(snapshot)["args"]
    return found


# HARD-16


@pytest.mark.parametrize(
    ("path", "saw"),
    [("/secret/other.yaml", "Secret acp-secret has no such file"),
     ("/data/other.yaml", "ConfigMap acp has no such file"),
     ("/secrets/config.yaml", "nothing is mounted there"),
     ("/secret", "Secret acp-secret has no such file")],
)  # fmt: skip
def test_a_path_without_a_file_fails(path: str, saw: str) -> None:
    snapshot = installation()
    args(snapshot)[-1] = f"{FILES},{path}"
    found = fails(snapshot, "HARD-16", MAIN, f"{CONTAINER}.args[4]", saw)
    assert path in found.saw


def test_a_secret_that_no_path_leads_to_fails() -> None:
    snapshot = installation()
    args(snapshot)[-1] = "/data/config.yaml"
    found = fails(snapshot, "HARD-16", MAIN, f"{CONTAINER}.volumeMounts[1]", "Secret acp-secret")
    assert "/secret/config.yaml" in found.remedy


def test_without_config_the_mounted_secret_is_read_by_nobody() -> None:
    snapshot = installation()
    del args(snapshot)[3:]
    fails(snapshot, "HARD-16", MAIN, f"{CONTAINER}.volumeMounts[1]", "--config does not name")


def test_a_mount_of_another_container_does_not_help() -> None:
    snapshot = installation()
    mounts = container(snapshot)["volumeMounts"]
    pod_spec(snapshot)["initContainers"][0]["volumeMounts"] = [mounts.pop(1)]
    fails(snapshot, "HARD-16", MAIN, f"{CONTAINER}.args[4]", "nothing is mounted there")


def test_jobs_and_init_containers_count() -> None:
    snapshot = installation()
    job = pod_spec(snapshot, "acp-migrate", "Job")["initContainers"][0]
    job["args"][-1] = "/secret/gone.yaml"
    where = "spec.template.spec.initContainers[0].args[3]"
    fails(snapshot, "HARD-16", f"Job {ACP}/acp-migrate", where)


def test_an_item_names_the_file_and_its_key_must_exist() -> None:
    snapshot = installation()
    volume = pod_spec(snapshot)["volumes"][1]["secret"]
    volume["items"] = [{"key": "config.yaml", "path": "acp.yaml"}]
    args(snapshot)[-1] = "/secret/acp.yaml"
    passes(snapshot, "HARD-16")
    volume["items"][0]["key"] = "gone.yaml"
    fails_among(snapshot, "HARD-16", MAIN, f"{CONTAINER}.args[4]", "has no such file")


def test_a_file_that_no_object_fills_leaves_the_row_undecided() -> None:
    snapshot = installation()
    pod_spec(snapshot)["volumes"][1] = {"name": "secret", "csi": {"driver": "vault"}}
    undecided(snapshot, "HARD-16", "lies in volume secret of Deployment acp-system/acp")


def test_a_secret_without_settings_is_not_for_config() -> None:
    snapshot = installation()
    data = {"password": "sealed:0000000000aa:20:-"}
    meta = {"name": "plain", "namespace": ACP}
    other = {"kind": "Secret", "type": "Opaque", "metadata": meta, "data": data}
    snapshot.objects["Secret"].append(other)
    pod_spec(snapshot)["volumes"].append({"name": "p", "secret": {"secretName": "plain"}})
    container(snapshot)["volumeMounts"].append({"name": "p", "mountPath": "/plain"})
    passes(snapshot, "HARD-16")


@pytest.mark.parametrize("kind", ["Secret", "ConfigMap"])
def test_without_the_objects_the_row_is_undecided(kind: str) -> None:
    snapshot = installation()
    unread(snapshot, kind)
    undecided(snapshot, "HARD-16", f"{kind} objects could not be read")


# HARD-18


def kept(snapshot: Snapshot) -> Object:
    found: Object = snapshot.objects["Secret"][0]
    return found


def test_where_nothing_tells_a_person_must(monkeypatch: pytest.MonkeyPatch) -> None:
    passes(installation(), "HARD-18")
    unattested(monkeypatch)
    fails(installation(), "HARD-18", "attestation HARD-18", "", "missing")


@pytest.mark.parametrize("kind", ["SealedSecret", "ExternalSecret"])
def test_an_operator_that_decrypts_needs_no_word(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    unattested(monkeypatch)
    snapshot = installation()
    kept(snapshot)["metadata"]["ownerReferences"] = [{"kind": kind, "name": "acp-secret"}]
    passes(snapshot, "HARD-18")
    kept(snapshot)["metadata"]["ownerReferences"] = [{"kind": "Certificate", "name": "x"}]
    fails(snapshot, "HARD-18", "attestation HARD-18", "")


def applied_by_flux(snapshot: Snapshot, **spec: Any) -> None:
    labels = {f"{FLUX}/name": "apps", f"{FLUX}/namespace": "flux-system"}
    kept(snapshot)["metadata"]["labels"] = labels
    meta = {"name": "apps", "namespace": "flux-system"}
    made = {"kind": "Kustomization", "metadata": meta, "spec": spec}
    snapshot.objects["Kustomization"].append(made)


def test_flux_tells_by_its_decryption(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = installation()
    applied_by_flux(snapshot)
    where = "Kustomization flux-system/apps"
    found = fails(snapshot, "HARD-18", where, "spec.decryption", "not set")
    assert "decryption: {provider: sops" in found.remedy
    unattested(monkeypatch)
    snapshot = installation()
    applied_by_flux(snapshot, decryption={"provider": "sops"})
    passes(snapshot, "HARD-18")


def test_a_kustomization_that_is_hidden_leaves_the_row_undecided() -> None:
    snapshot = installation()
    applied_by_flux(snapshot)
    snapshot.objects["Kustomization"].clear()
    undecided(snapshot, "HARD-18", "Kustomization flux-system/apps, which is hidden")
    unread(snapshot, "Kustomization")
    undecided(snapshot, "HARD-18", "Kustomization objects could not be read")


def test_a_plain_secret_among_manifests_fails_and_an_encrypted_one_passes() -> None:
    snapshot = replaced(installation(), source="manifests")
    fails(snapshot, "HARD-18", SECRET, "data", "plain")
    kept(snapshot)["sops"] = {"age": [{"recipient": "age1own"}]}
    passes(snapshot, "HARD-18")


def test_an_empty_secret_among_manifests_leaks_nothing() -> None:
    snapshot = replaced(installation(), source="manifests")
    kept(snapshot)["data"] = {"config.yaml": ""}
    passes(snapshot, "HARD-18")  # by the attestation


def test_a_secret_kept_elsewhere_than_the_manifests_needs_a_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    snapshot = replaced(installation(), source="manifests")
    del snapshot.objects["Secret"][0]
    passes(snapshot, "HARD-18")
    unattested(monkeypatch)
    fails(snapshot, "HARD-18", "attestation HARD-18", "")


@pytest.mark.parametrize(
    "fingerprint", [*PUBLISHED_RECIPIENTS, "379b2fd0571babb20ddf66f7c88d9f4d45ac1770"]
)
def test_a_key_that_is_published_is_as_good_as_none(fingerprint: str) -> None:
    snapshot = replaced(installation(), source="manifests")
    kept(snapshot)["sops"] = {"pgp": [{"fp": "AA"}, {"fp": fingerprint}]}
    fails(snapshot, "HARD-18", SECRET, "sops.pgp[1].fp", "private half is published")
