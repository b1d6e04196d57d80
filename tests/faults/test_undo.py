"""Undo: durable before the change, idempotent, to the prior state only, honest when it fails."""

from pathlib import Path

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.errors import GuardRefused, TargetLeftDirty
from acpchaos.faults import changes
from acpchaos.faults.session import Session
from acpchaos.faults.undo import UndoLog, recorded_runs, undo_run
from acpchaos.record.events import Clock
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.profile import load_profile
from faults.told import cordoned, events, undo_records


def cordon(session: Session, name: str, run: str = "run-1") -> None:
    meta = {"annotations": {changes.CORDONED_BY: run}}
    session.cluster.patch("Node", name, {"metadata": meta, "spec": {"unschedulable": True}})


def record_and_cordon(session: Session, name: str) -> None:
    session.undo.record(changes.cordon(session.cluster.get("Node", name)))
    cordon(session, name)


def test_another_process_undoes_what_a_dead_runner_left(
    api: FakeApi, session: Session, profile_path: Path
) -> None:
    record_and_cordon(session, "worker-a")
    record_and_cordon(session, "worker-b")
    profile = load_profile(profile_path)
    assert recorded_runs(Cluster.from_profile(profile), NAMESPACE) == ["run-1"]
    assert undo_run(profile, "all") == ["cordon worker-a", "cordon worker-b"]
    assert cordoned(api) == [] and undo_records(api) == []
    assert undo_run(profile, "all") == [] and undo_run(profile, "run-1") == []


def test_operators_cordon_stays(api: FakeApi, session: Session) -> None:
    """Recorded but never made by us, while someone cordoned the node by hand."""
    session.undo.record(changes.cordon(session.cluster.get("Node", "worker-a")))
    session.cluster.patch("Node", "worker-a", {"spec": {"unschedulable": True}})
    cordon(session, "worker-b", run="run-2")
    session.undo.revert_all()
    assert cordoned(api) == ["worker-a", "worker-b"]


def test_a_new_node_under_an_old_name_is_left_alone(api: FakeApi, session: Session) -> None:
    session.undo.record(changes.cordon(session.cluster.get("Node", "worker-a")))
    with api.store.lock:
        api.store.get(("nodes", "", "worker-a"))["metadata"]["uid"] = "reborn"
    cordon(session, "worker-a")
    session.undo.revert_all()
    assert cordoned(api) == ["worker-a"]


def test_failure_is_dirty_names_the_change_and_keeps_its_record(
    api: FakeApi, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_and_cordon(session, "worker-a")
    record_and_cordon(session, "worker-b")
    api.store.forbidden.append("PATCH .*/nodes/worker-a")
    monkeypatch.setattr("acpchaos.faults.undo.VERIFY_S", 0.5)
    with pytest.raises(TargetLeftDirty, match=r"cordon worker-a.*403") as caught:
        session.undo.revert_all()
    assert caught.value.exit_code == 11
    assert cordoned(api) == ["worker-a"]  # the other was reverted all the same
    assert [change["name"] for change in session.undo.outstanding().values()] == ["worker-a"]
    states = [(e["change"], e["state"]) for e in events(session.journal.path)]
    assert ("cordon worker-a", "failed") in states and ("cordon worker-b", "verified") in states
    api.store.forbidden.clear()
    session.undo.revert_all()
    assert cordoned(api) == [] and undo_records(api) == []


def test_what_is_recorded_while_the_record_is_removed_is_not_lost(
    api: FakeApi, session: Session, profile_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody presses undo while the run goes on and makes its next change."""
    record_and_cordon(session, "worker-a")
    delete, nodes = Cluster.delete, ["worker-b"]

    def late(self: Cluster, kind: str, *words: str, **more: str) -> bool:
        if kind == "ConfigMap" and nodes:
            record_and_cordon(session, nodes.pop())
        return delete(self, kind, *words, **more)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(Cluster, "delete", late)
        assert undo_run(load_profile(profile_path), "run-1") == ["cordon worker-a"]
    assert cordoned(api) == [] and undo_records(api) == []


def test_undo_refuses_the_wrong_cluster(session: Session, profile_path: Path) -> None:
    record_and_cordon(session, "worker-a")
    text = profile_path.read_text().replace("uid-of-kube-system", "uid-of-another")
    profile_path.write_text(text)
    with pytest.raises(GuardRefused):
        undo_run(load_profile(profile_path), "all")


def test_removed_stateful_set_is_created_as_it_was(api: FakeApi, session: Session) -> None:
    found = session.cluster.get("StatefulSet", "redis-cluster", NAMESPACE)
    session.undo.record(changes.remove_stateful_set(found))
    session.cluster.delete("StatefulSet", "redis-cluster", NAMESPACE)
    session.undo.revert_all()
    again = session.cluster.get("StatefulSet", "redis-cluster", NAMESPACE)
    assert again["spec"] == found["spec"]
    assert again["metadata"]["labels"] == found["metadata"]["labels"]
    assert again["metadata"]["uid"] != found["metadata"]["uid"]


def test_created_objects_are_removed_only_with_our_label(session: Session) -> None:
    def secret(name: str, run: str) -> Object:
        return {"metadata": {"name": name, "labels": {changes.RUN_LABEL: run}}}

    for name, run in (("ours", "run-1"), ("theirs", "run-2")):
        session.undo.record(changes.create_object("Secret", NAMESPACE, name))
        session.cluster.create("Secret", secret(name, run), NAMESPACE)
    session.undo.revert_all()
    assert session.cluster.find("Secret", "ours", NAMESPACE) is None
    assert session.cluster.find("Secret", "theirs", NAMESPACE) is not None


def test_run_id_becomes_a_legal_name(session: Session) -> None:
    log = UndoLog(session.cluster, NAMESPACE, "2026_Run:7", None, Clock())
    log.record(changes.create_object("Secret", NAMESPACE, "x"))
    assert session.cluster.find("ConfigMap", "acpchaos-undo-2026-run-7", NAMESPACE) is not None
