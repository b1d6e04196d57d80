"""A play journals its mutations from the first to the last, and asks what it may before it acts."""

from pathlib import Path

import pytest
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos import play
from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import changes
from acpchaos.faults.undo import UndoLog
from acpchaos.record.events import Clock
from acpchaos.record.mutations import FILE, read_chain
from acpchaos.scenario import Load, Scenario
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import load_profile
from safety import target

SCENARIO = Scenario(
    name="one-pod", load=Load(), experiment="pod-loss.yaml", steady_s=1, fault_s=1, recovery_s=1,
    claims=(),
)  # fmt: skip


class Silent:
    def begin(self, title: str) -> None: ...
    def say(self, text: str) -> None: ...


class Ended(Exception):
    """Instead of load and fault."""


def played(api: FakeApi, folder: Path) -> None:
    play.play(
        SCENARIO, load_profile(scene.write_profile(api, folder)), target="t",
        reports=folder / "reports", seed=1, progress=Silent(),
    )  # fmt: skip


def test_all_mutations_of_a_play_are_in_one_closed_chain(
    api: FakeApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(self: play._Play) -> None:
        self._cluster.patch("Node", "worker-a", {"metadata": {"annotations": {"seen": "x"}}})
        assert not self._stops.is_set()
        raise Ended

    monkeypatch.setattr(play._Play, "run", run)
    monkeypatch.setattr(play, "Swarm", lambda *_, **__: None)
    with pytest.raises(Ended):
        played(api, tmp_path)
    (folder,) = (tmp_path / "reports").iterdir()
    chain = read_chain(folder / FILE)
    assert (chain.faults, chain.unfinished) == ([], [])
    assert [line.method for line in chain.calls] == ["POST", "PATCH", "DELETE"]
    assert target.unmatched(api, folder / FILE) == []


def test_an_account_that_may_not_is_refused_before_anything_is_changed(
    api: FakeApi, tmp_path: Path
) -> None:
    api.store.may_not.append("delete pods")
    with pytest.raises(PreconditionUnmet, match="may not delete Pod in acp-system"):
        played(api, tmp_path)
    assert target.changes(api) == [] and not (tmp_path / "reports").exists()


def test_nothing_begins_on_what_another_run_left_changed(
    api: FakeApi, tmp_path: Path
) -> None:  # fmt: skip
    profile = load_profile(scene.write_profile(api, tmp_path))
    cluster = Cluster.from_profile(profile)
    log = UndoLog(cluster, scene.NAMESPACE, "run-dead", None, Clock())
    log.record(changes.cordon(cluster.get("Node", "worker-a")))
    with pytest.raises(PreconditionUnmet, match="acpchaos undo run-dead"):
        played(api, tmp_path)
    assert list((tmp_path / "reports").rglob("run.json")) == []
