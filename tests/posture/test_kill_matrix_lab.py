"""Live sabotage over the fake API server: made, seen by the rows, undone to the byte; a runner that
dies leaves a record that mends the lab."""

import base64
import copy
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.errors import TargetLeftDirty, UsageError
from acpchaos.faults import objects
from acpchaos.faults.objects import KEPT, change_object
from acpchaos.faults.undo import UndoLog, undo_run
from acpchaos.posture.redaction import Sealer
from acpchaos.posture.sealing import sealed_objects
from acpchaos.record.events import Clock
from acpchaos.record.snapshot import Object, Snapshot
from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.target.kinds import find_kind
from acpchaos.target.profile import Profile, load_profile
from lab.paths import State
from posture import kill_matrix_lab
from posture.building_lab import ACP, hardened
from posture.kill_matrix_lab import main, matrix, outcomes, play
from posture.kill_matrix_lab_changes import Lab, make
from posture.kill_matrix_lab_look import Look
from posture.sabotage import Sabotage, load

LIVE = ("NetworkPolicy", "Role", "RoleBinding", "Namespace")
CUSTOM = ("CustomResourceDefinition", "Certificate")
OPEN_STORE = {
    "object": "NetworkPolicy acp-system/postgresql",
    "patch": [{"op": "add", "path": "/spec/ingress/-", "value": {"ports": [{"port": 5432}]}}],
}
SETTINGS = {"system": {"secret": "0" * 40}, "secrets": [{"id": "a", "key": "k" * 32}]}


@pytest.fixture
def profile(api: FakeApi, tmp_path: Path) -> Profile:
    """The scene, with the hardened lab's policies, one Deployment and one Secret in it."""
    lab = hardened()
    for kind in LIVE:
        for each in lab.objects[kind]:
            _put(api, find_kind(kind).plural, copy.deepcopy(each))
    text = base64.b64encode(yaml.safe_dump(SETTINGS).encode()).decode()
    meta = {"name": "acp-secret", "namespace": ACP, "labels": {"a": "b"}}
    secret = {"metadata": meta, "type": "Opaque", "data": {"config.yaml": text}}
    api.store.put("secrets", secret)
    return load_profile(scene.write_profile(api, tmp_path))


def _put(api: FakeApi, plural: str, each: Object) -> None:
    """Into the scene; a namespace that is there already keeps its identity."""
    there = api.store.objects.get((plural, "", each["metadata"]["name"]))
    if there is None:
        api.store.put(plural, each)
    else:
        there["metadata"].setdefault("labels", {}).update(each["metadata"].get("labels") or {})


@pytest.fixture
def lab(profile: Profile, tmp_path: Path) -> Lab:
    cluster = Cluster.from_profile(profile)
    log, base = UndoLog(cluster, ACP, "run-1", None, Clock()), hardened()

    def look(wanted: Look) -> Snapshot:
        """The hardened lab, with what the fake cluster holds of the live kinds."""
        kinds = (*LIVE, *CUSTOM)
        found = {kind: sealed_objects(kind, cluster.list(kind), Sealer()) for kind in kinds}
        functions = sealed_objects("Deployment", cluster.list("Deployment", "acp-faas"), Sealer())
        found["Deployment"] = [*base.objects["Deployment"], *functions]
        return msgspec.structs.replace(base, objects={**base.objects, **found})

    return Lab(cluster, profile, log, look, lambda line: None, State(tmp_path / "lab"))


def file_of(row: str) -> Sabotage:
    return next(each for _, each in load() if each.row == row)


def sabotage(row: str, *changes: dict[str, Any], companions: tuple[str, ...] = ()) -> Sabotage:
    return Sabotage(row=row, says="test", changes=list(changes), companions=companions, live=True)


def cluster_state(api: FakeApi) -> dict[str, Object]:
    """All objects but those that controllers and locks write."""
    with api.store.lock:
        return {
            "/".join(key): objects.state("ConfigMap", each)
            for key, each in copy.deepcopy(api.store.objects).items()
            if key[0] not in ("pods", "leases")
        }


def test_the_lab_scene_is_judged_like_the_hardened_lab(lab: Lab) -> None:
    assert "failed" not in {each.value for each in outcomes(lab).values()}


@pytest.mark.parametrize("row", ["HARD-20", "HARD-26", "HARD-28", "HARD-48", "HARD-50", "HARD-53"])
def test_live_sabotage_is_killed_and_undone(api: FakeApi, lab: Lab, row: str) -> None:
    before, judged = cluster_state(api), outcomes(lab)
    kill = play(lab, file_of(row), judged)
    assert not kill.survived and row in kill.failed, kill
    assert cluster_state(api) == before
    assert outcomes(lab) == judged


def test_a_deleted_object_is_made_again(api: FakeApi, lab: Lab) -> None:
    before = cluster_state(api)
    assert not play(lab, file_of("HARD-46"), outcomes(lab)).survived
    assert cluster_state(api) == before


def test_every_change_is_undone_also_when_reading_fails(api: FakeApi, lab: Lab) -> None:
    before, judged = cluster_state(api), outcomes(lab)

    def broken(wanted: Look) -> Snapshot:
        raise ApiRefused("GET /x", 500, "boom")

    kill = play(replace(lab, look=broken), file_of("HARD-50"), judged)
    assert "could not be played: GET /x" in kill.wrong
    assert cluster_state(api) == before


def test_ctrl_c_undoes_before_it_ends(api: FakeApi, lab: Lab) -> None:
    before, judged = cluster_state(api), outcomes(lab)

    def stopped(wanted: Look) -> Snapshot:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        play(replace(lab, look=stopped), file_of("HARD-20"), judged)
    assert cluster_state(api) == before


def test_a_dead_runner_is_cleaned_up_after_by_undo(
    api: FakeApi, lab: Lab, profile: Profile
) -> None:
    before = cluster_state(api)
    for change in [*file_of("HARD-46").changes, *file_of("HARD-20").changes, OPEN_STORE]:
        make(lab, change)
    assert cluster_state(api) != before
    assert len(undo_run(profile, "all")) == 4
    assert cluster_state(api) == before


def test_a_change_that_cannot_be_undone_ends_the_matrix_as_dirty(
    api: FakeApi, lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("acpchaos.faults.undo.VERIFY_S", 0.2)
    api.store.forbidden.append("DELETE .*/roles/secret-reader")
    api.store.forbidden.append("DELETE .*/roles/secret-writer")
    with pytest.raises(TargetLeftDirty):
        list(matrix(lab, [file_of("HARD-20"), file_of("HARD-21")]))
    names = {key[2] for key in api.store.objects if key[0] == "roles"}
    assert "secret-reader" in names and "secret-writer" not in names


def test_rollouts_are_held_back_and_the_number_of_replicas_is_left_alone(
    api: FakeApi, lab: Lab
) -> None:
    patch = [{"op": "add", "path": "/spec/template", "value": {"spec": {}}}]
    make(lab, {"object": "Deployment acp-system/acp", "patch": patch})
    key = ("deployments", ACP, "acp")
    assert api.store.objects[key]["spec"]["paused"] is True
    with api.store.lock:
        api.store.objects[key]["spec"]["replicas"] = 4  # as an autoscaler would
    lab.log.revert_all()
    assert "paused" not in api.store.objects[key]["spec"]
    assert "template" not in api.store.objects[key]["spec"]
    assert api.store.objects[key]["spec"]["replicas"] == 4


# Secrets


def secret_of(api: FakeApi) -> Object:
    with api.store.lock:
        return copy.deepcopy(api.store.objects[("secrets", ACP, "acp-secret")])


def test_a_secret_keeps_what_it_held_in_itself_and_gets_it_back(api: FakeApi, lab: Lab) -> None:
    before = secret_of(api)
    make(lab, {"secret": "acp-system/acp-secret", "file": "config.yaml",
               "set": {"system.secret": "mysecret", "secrets[0].id": "z"}})  # fmt: skip
    changed = secret_of(api)
    content = yaml.safe_load(base64.b64decode(changed["data"]["config.yaml"]))
    assert content == {"system": {"secret": "mysecret"}, "secrets": [{"id": "z", "key": "k" * 32}]}
    assert KEPT in changed["metadata"]["annotations"]
    recorded = json.dumps(
        [each for key, each in api.store.objects.items() if key[0] == "configmaps"]
    )
    assert "0" * 40 not in recorded and before["data"]["config.yaml"] not in recorded
    lab.log.revert_all()
    after = secret_of(api)
    assert after["data"] == before["data"] and KEPT not in after["metadata"]["annotations"]


def test_what_a_secret_kept_is_sealed_in_a_snapshot(lab: Lab) -> None:
    make(lab, {"secret": "acp-system/acp-secret", "file": "config.yaml",
               "set": {"system.secret": "mysecret"}})  # fmt: skip
    raw = lab.cluster.list("Secret", ACP)
    (sealed,) = sealed_objects("Secret", raw, Sealer())
    assert sealed["metadata"]["annotations"][KEPT].startswith("sealed:")


def test_two_settings_of_one_secret_are_undone_to_the_first_state(api: FakeApi, lab: Lab) -> None:
    before = secret_of(api)
    for value in ("one", "two"):
        make(lab, {"secret": "acp-system/acp-secret", "file": "config.yaml",
                   "set": {"system.secret": value}})  # fmt: skip
    lab.log.revert_all()
    assert secret_of(api)["data"] == before["data"]


def test_labels_of_a_secret_are_changed_and_put_back_without_its_data(
    api: FakeApi, lab: Lab
) -> None:
    before = secret_of(api)
    add = {"op": "add", "path": "/metadata/labels/app.kubernetes.io~1managed-by", "value": "Helm"}
    make(lab, {"object": "Secret acp-system/acp-secret", "patch": [add]})
    assert secret_of(api)["metadata"]["labels"] == {
        "a": "b", "app.kubernetes.io/managed-by": "Helm",
    }  # fmt: skip
    lab.log.revert_all()
    after = secret_of(api)
    assert after["metadata"]["labels"] == {"a": "b"} and after["data"] == before["data"]


@pytest.mark.parametrize(
    "change",
    [
        {"object": "Secret acp-system/acp-secret", "patch": [{"op": "remove", "path": "/data"}]},
        {"delete": "Secret acp-system/acp-secret"},
        {"secret": "acp-system/acp-secret", "file": "none", "set": {"a": "b"}},
        {"probe": "cni deny", "outcome": "open"},
    ],
)
def test_what_cannot_be_put_back_is_not_changed(
    api: FakeApi, lab: Lab, change: dict[str, Any]
) -> None:
    before = cluster_state(api)
    kill = play(lab, sabotage("HARD-12", change), outcomes(lab))
    assert "cannot be applied: Misses" in kill.wrong
    assert cluster_state(api) == before


def test_no_secret_lies_in_an_undo_record() -> None:
    with pytest.raises(ValueError, match="must not lie in an undo record"):
        change_object(
            "Secret", {"metadata": {"name": "x", "namespace": ACP}, "data": {"a": "Yg=="}}
        )


# the matrix


def test_a_survivor_and_an_unnamed_companion_are_told(lab: Lab) -> None:
    judged = outcomes(lab)
    harmless = {"object": "NetworkPolicy acp-system/postgresql",
                "patch": [{"op": "add", "path": "/metadata/labels", "value": {}}]}  # fmt: skip
    assert "stays" in play(lab, sabotage("HARD-50", harmless), judged).wrong
    both = play(lab, sabotage("HARD-51", *file_of("HARD-51").changes), judged)
    assert both.wrong == "fails HARD-50 as well, which it does not say"


def test_an_attestation_is_judged_live_without_a_change(api: FakeApi, lab: Lab) -> None:
    before = cluster_state(api)
    play(lab, sabotage("HARD-01", {"attestation": "HARD-01"}), outcomes(lab))
    assert cluster_state(api) == before


def test_a_lab_that_is_not_as_before_is_told_at_the_end(lab: Lab) -> None:
    looks: list[Callable[[Look], Snapshot]] = [lab.look, lab.look]

    def later(wanted: Look) -> Snapshot:
        if looks:
            return looks.pop()(wanted)
        snapshot = lab.look(wanted)
        snapshot.objects["NetworkPolicy"].clear()
        return snapshot

    kills = list(matrix(replace(lab, look=later), [file_of("HARD-50")]))
    assert kills[-1].row == "all rows" and "HARD-46" in kills[-1].wrong


def test_nothing_but_the_lab_is_sabotaged(
    monkeypatch: pytest.MonkeyPatch, profile: Profile
) -> None:
    staging = profile.model_copy(update={"cluster": profile.cluster.model_copy(update={"lab": ""})})
    monkeypatch.setattr(kill_matrix_lab, "load_profile", lambda name: staging)
    with pytest.raises(UsageError, match="is no lab"):
        main([])
