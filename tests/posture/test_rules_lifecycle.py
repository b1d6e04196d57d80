"""HARD-01, HARD-02 and HARD-24: reviewed since the last change, patched, and in force."""

from typing import Any

import pytest

from acpchaos.check.posture.rule import Finding, Unattested
from acpchaos.check.posture.view import View
from acpchaos.check.verdict import Outcome
from acpchaos.record.snapshot import LAST_CHANGE, Answer, Object, Snapshot

from .asking import ACP, asked, fails, not_here, passes, replaced, undecided, unread, with_policy
from .building import (
    CONTAINER,
    FAAS,
    MAIN,
    POD,
    SECRET,
    attest,
    before,
    container,
    installation,
    pod_spec,
    release,
)
from .building_lab import hardened

CHANGED = f"metadata.annotations[{LAST_CHANGE}]"
IMAGE = f"{CONTAINER}.image"


@pytest.fixture(autouse=True)
def _attested(monkeypatch: pytest.MonkeyPatch) -> None:
    attest(monkeypatch)


def named(snapshot: Snapshot, kind: str, name: str) -> Object:
    return next(each for each in snapshot.objects[kind] if each["metadata"]["name"] == name)


@pytest.mark.parametrize("row", ["HARD-01", "HARD-02", "HARD-24"])
def test_a_sound_installation_passes(row: str) -> None:
    passes(installation(), row)
    passes(hardened(), row)


# HARD-01


@pytest.mark.parametrize(
    ("name", "namespace"),
    [("acp", ACP), ("acp-primary", ACP), ("acp-workers", ACP), ("acp-faas-node-v5", FAAS)],
)
def test_a_change_after_the_review_fails(
    name: str, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    attest(monkeypatch, "2026-11-22")
    snapshot = installation()
    passes(snapshot, "HARD-01")  # all was changed on that day
    notes = named(snapshot, "Deployment", name)["metadata"]["annotations"]
    notes[LAST_CHANGE] = "2026-11-23T00:00:00Z"
    found = fails(snapshot, "HARD-01", f"Deployment {namespace}/{name}", CHANGED, "2026-11-23")
    assert "attestation HARD-01 of 2026-11-22 by sre" in found.saw
    assert "acpchaos attest HARD-01 --target made" in found.remedy


def test_the_hour_in_another_zone_is_told_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    attest(monkeypatch, "2026-11-22")
    snapshot = installation()
    notes = named(snapshot, "Deployment", "acp")["metadata"]["annotations"]
    notes[LAST_CHANGE] = "2026-11-23T01:00:00+02:00"
    passes(snapshot, "HARD-01")


def test_a_release_after_the_review_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    attest(monkeypatch, "2026-11-22")
    snapshot = installation()
    newer = release(4, last_deployed="2026-11-23T10:00:00.123456789Z")
    snapshot.objects["Secret"].append(newer)
    where = f"Secret {ACP}/sh.helm.release.v1.acp.v4"
    fails(snapshot, "HARD-01", where, "last_deployed", "2026-11-23")


def test_without_an_attestation_the_row_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_view: View, row: str) -> Any:
        raise Unattested(Finding(object=row, field="date", saw="old", want="new", remedy="attest"))

    monkeypatch.setattr(View, "attestation", none)
    fails(installation(), "HARD-01", "HARD-01", "date", "old")


def test_a_time_that_is_not_told_leaves_the_row_undecided() -> None:
    snapshot = installation()
    notes = named(snapshot, "Deployment", "acp")["metadata"]["annotations"]
    notes[LAST_CHANGE] = "yesterday"
    undecided(snapshot, "HARD-01", f"{MAIN} has no time that can be read: 'yesterday'")
    del notes[LAST_CHANGE]
    undecided(snapshot, "HARD-01", f"{MAIN} does not tell when it was changed last")
    other = named(snapshot, "Deployment", "acp-workers")["metadata"]["annotations"]
    other[LAST_CHANGE] = "2026-11-25T00:00:00Z"
    fails(snapshot, "HARD-01", f"Deployment {ACP}/acp-workers", CHANGED)


@pytest.mark.parametrize("row", ["HARD-01", "HARD-24"])
def test_manifests_have_no_times(row: str) -> None:
    snapshot = replaced(installation(), source="manifests")
    undecided(snapshot, row, "rendered manifests do not tell when")


@pytest.mark.parametrize(("row", "kind"), [("HARD-01", "Secret"), ("HARD-01", "Deployment"),
                                           ("HARD-02", "Job"), ("HARD-02", "Pod"),
                                           ("HARD-24", "Secret"), ("HARD-24", "Pod")])  # fmt: skip
def test_a_kind_that_could_not_be_listed_leaves_the_row_undecided(row: str, kind: str) -> None:
    snapshot = installation()
    unread(snapshot, kind)
    undecided(snapshot, row, f"{kind} objects could not be read: forbidden")


# HARD-02


@pytest.mark.parametrize("image", ["acp", "acp:latest", "host:5000/acp", "acp:Stable", "acp:main",
                                   ""])  # fmt: skip
@pytest.mark.parametrize(("kind", "name", "namespace"), [
    ("Deployment", "acp-faas-node-v5", FAAS), ("CronJob", "acp-export", ACP),
])  # fmt: skip
def test_a_tag_that_moves_fails(image: str, kind: str, name: str, namespace: str) -> None:
    snapshot = with_policy(installation(), minimum_version="")
    pod_spec(snapshot, name, kind)["containers"].append({"name": "x", "image": image})
    path = f"spec.jobTemplate.{POD}" if kind == "CronJob" else POD
    where = f"{kind} {namespace}/{name}"
    if kind == "CronJob":  # it is one of ACP's by the image of its first container
        assert container(snapshot, name, kind)["image"].endswith("acp:2.25.0")
    fails(snapshot, "HARD-02", where, f"{path}.containers[1].image", image)


@pytest.mark.parametrize("image", ["acp:2.25.0", "host:5000/acp:1", "acp@sha256:abc",
                                   "acp:latest@sha256:abc", "acp:2.25.0-alpine"])  # fmt: skip
def test_a_tag_or_digest_that_stays_passes(image: str) -> None:
    snapshot = installation()
    pod_spec(snapshot)["initContainers"][0]["image"] = image
    passes(snapshot, "HARD-02")


@pytest.mark.parametrize(
    ("tag", "least"),
    [("2.23.9", "2.24"), ("v2.3", "2.24"), ("2.24.0-rc.1", "2.24"), ("2.0", "2.1")],
)
def test_an_old_version_fails(tag: str, least: str) -> None:
    snapshot = with_policy(installation(), minimum_version=least)
    snapshot.answers.clear()
    container(snapshot)["image"] = f"registry.example.test/acp:{tag}"
    found = fails(snapshot, "HARD-02", MAIN, IMAGE, "version")
    assert f"{least} or newer" in found.want


@pytest.mark.parametrize("tag", ["2.24", "v2.25.0", "2.24.0-alpine", "10.0"])
def test_a_version_is_compared_by_its_numbers(tag: str) -> None:
    snapshot = installation()
    snapshot.answers.clear()
    container(snapshot)["image"] = f"registry.example.test/acp:{tag}"
    passes(snapshot, "HARD-02")


@pytest.mark.parametrize("tag", ["3", "20260101", "build-77"])
def test_a_single_number_is_no_version(tag: str) -> None:
    snapshot = without_release(installation())
    snapshot.answers.clear()
    container(snapshot)["image"] = f"registry.example.test/acp:{tag}"
    undecided(snapshot, "HARD-02", "does not tell its version")


@pytest.mark.parametrize("least", ["", "newest"])
def test_without_a_minimum_nothing_is_patched(least: str) -> None:
    snapshot = with_policy(installation(), minimum_version=least)
    undecided(snapshot, "HARD-02", f"posture.minimum_version is {least or 'not set'}")


def says_version(snapshot: Snapshot, *versions: str) -> Snapshot:
    """What ACP itself answers, by one path each."""
    told = snapshot.answers["/acme/main/environment"]
    for at, version in enumerate(versions):
        body = {**told.body, "version": version}
        snapshot.answers[f"/acme/{at}/environment"] = Answer(status=200, body=body)
    return snapshot


def serve(snapshot: Snapshot, image: str, *names: str) -> Snapshot:
    for name in names:
        container(snapshot, name)["image"] = f"registry.example.test/acp:{image}"
    return snapshot


def test_what_acp_says_of_itself_comes_before_a_tag() -> None:
    mains = ("acp", "acp-primary")
    old = says_version(installation(), "2.25.0", "2.23.1-hotfix")  # one of its pods is behind
    verdict, findings = asked(old, "HARD-02")
    assert verdict.outcome is Outcome.FAILED
    assert {each.object for each in findings} >= {f"Deployment {ACP}/{name}" for name in mains}
    assert {each.saw for each in findings} == {"version 2.23.1"}
    passes(serve(installation(), "7", *mains), "HARD-02")  # the count of a build, which says 2.25.0


def test_what_acp_says_speaks_for_no_other_image() -> None:
    behind = serve(installation(), "2.20.0", "acp-workers")
    fails(behind, "HARD-02", f"Deployment {ACP}/acp-workers", IMAGE, "version 2.20.0")
    two = serve(installation(), "2.20.0", "acp")  # who of the two that serve has answered?
    fails(two, "HARD-02", MAIN, IMAGE, "version 2.20.0")
    named(two, "Deployment", "acp")["spec"]["replicas"] = 0  # Flagger's idle copy serves nobody
    fails(two, "HARD-02", MAIN, IMAGE, "version 2.20.0")


def without_release(snapshot: Snapshot) -> Snapshot:
    del snapshot.objects["Secret"][2]
    return snapshot


def digest_only(snapshot: Snapshot) -> None:
    for kind in ("Deployment", "Job", "CronJob"):
        for each in snapshot.objects[kind]:
            spec = pod_spec(snapshot, each["metadata"]["name"], kind)
            for one in (*(spec.get("initContainers") or []), *spec["containers"]):
                one["image"] = one["image"].replace(":2.25.0", "@sha256:abc")


def test_a_digest_needs_a_label_or_a_release_that_tells_the_version() -> None:
    snapshot = installation()
    snapshot.answers.clear()
    digest_only(snapshot)
    passes(snapshot, "HARD-02")  # by the Helm release
    named(snapshot, "Deployment", "acp")["metadata"]["labels"]["app.kubernetes.io/version"] = "2.1"
    fails(snapshot, "HARD-02", MAIN, IMAGE, "version 2.1")


def test_a_version_that_nothing_tells_leaves_the_row_undecided() -> None:
    snapshot = without_release(installation())
    digest_only(snapshot)
    passes(snapshot, "HARD-02")  # by what ACP answers
    snapshot.answers.clear()
    undecided(snapshot, "HARD-02", "does not tell its version: image registry.example.test/acp@")


def test_other_images_need_not_have_acps_version() -> None:
    snapshot = with_policy(installation(), minimum_version="2.25")
    passes(snapshot, "HARD-02")  # wait:1.2 and faas-node:5.1 are among them


def test_pods_of_one_tag_with_different_contents_show_that_it_moved() -> None:
    snapshot = installation()
    first = named(snapshot, "Pod", "acp-x")
    second: Object = {**first, "metadata": {**first["metadata"], "name": "acp-y"},
              "status": {"phase": "Running", "startTime": before(hours=1), "containerStatuses": [
                  {"name": "acp", "imageID": "sha256:other"}]}}  # fmt: skip
    snapshot.objects["Pod"].append(second)
    fails(snapshot, "HARD-02", MAIN, IMAGE, "2 different images under registry.example.test/acp")
    second["metadata"]["deletionTimestamp"] = before(hours=0)
    passes(snapshot, "HARD-02")


# HARD-24


@pytest.mark.parametrize("name", ["acp", "acp-primary", "acp-workers"])
def test_a_pod_older_than_the_secret_fails(name: str) -> None:
    snapshot = installation()
    named(snapshot, "Pod", f"{name}-x")["status"]["startTime"] = before(days=2, hours=1)
    found = fails(snapshot, "HARD-24", f"Pod {ACP}/{name}-x", "status.startTime", "2026-11-22")
    assert SECRET in found.want
    assert found.remedy == f"kubectl -n {ACP} rollout restart deployment/{name}"


def test_a_pod_of_the_same_second_is_not_older() -> None:
    snapshot = installation()
    changed = snapshot.objects["Secret"][0]["metadata"]["annotations"][LAST_CHANGE]
    named(snapshot, "Pod", "acp-x")["status"]["startTime"] = changed
    passes(snapshot, "HARD-24")


def test_the_certificate_may_be_newer_since_it_is_read_again() -> None:
    snapshot = installation()
    snapshot.objects["Secret"][1]["metadata"]["annotations"][LAST_CHANGE] = before(hours=1)
    passes(snapshot, "HARD-24")


def test_pods_that_end_or_are_others_do_not_count() -> None:
    snapshot = installation()
    for name, change in (("a", {"deletionTimestamp": before(hours=1)}), ("b", {"labels": {}})):
        meta = {"name": name, "namespace": ACP, "labels": {"app": "acp"}} | change
        old = {"phase": "Running", "startTime": before(days=9)}
        snapshot.objects["Pod"].append({"kind": "Pod", "metadata": meta, "status": old})
    passes(snapshot, "HARD-24")


def test_evidence_that_is_missing_leaves_the_row_undecided() -> None:
    snapshot = installation()
    pod = named(snapshot, "Pod", "acp-x")
    del pod["status"]["startTime"]
    undecided(snapshot, "HARD-24", "Pod acp-system/acp-x has no time that can be read")
    snapshot.objects["Pod"].remove(pod)
    undecided(snapshot, "HARD-24", f"no pod of {MAIN} is in the evidence")
    del snapshot.objects["Secret"][0]["metadata"]["annotations"][LAST_CHANGE]
    undecided(snapshot, "HARD-24", f"{SECRET} does not tell when it was changed last")


def test_without_a_secret_the_row_does_not_apply() -> None:
    snapshot = installation()
    for each in snapshot.objects["Deployment"]:
        pod_spec(snapshot, each["metadata"]["name"])["volumes"] = []
    not_here(snapshot, "HARD-24", "no Secret is given to ACP's pods")
