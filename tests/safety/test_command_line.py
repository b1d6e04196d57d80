"""`acpchaos undo` journals what it does; `acpchaos check` does not trust a broken journal."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from fake_api import scene
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos import plugin
from acpchaos.cli import _mutations_hold, main
from acpchaos.faults import changes
from acpchaos.faults.undo import UndoLog
from acpchaos.record.events import Clock
from acpchaos.record.mutations import FILE, Mutations, read_chain
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import load_profile
from safety import target


def test_undo_is_journalled(api: FakeApi, tmp_path: Path) -> None:
    path, reports = scene.write_profile(api, tmp_path), tmp_path / "reports"
    cluster = Cluster.from_profile(load_profile(path))
    undo = UndoLog(cluster, NAMESPACE, "run-1", None, Clock())
    undo.record(changes.cordon(cluster.get("Node", "worker-a")))
    meta = {"annotations": {changes.CORDONED_BY: "run-1"}}
    cluster.patch("Node", "worker-a", {"metadata": meta, "spec": {"unschedulable": True}})
    api.store.calls.clear()
    argv = ["undo", "--target", str(path), "--reports", str(reports)]
    done = CliRunner().invoke(main, argv)
    assert (done.exit_code, done.output) == (0, "reverted cordon worker-a\n")
    journal = reports / "run-1-undo" / FILE
    assert read_chain(journal).faults == [] and target.unmatched(api, journal) == []
    assert len(read_chain(journal).calls) == 3  # node, record's entry, record
    assert "nothing was left" in CliRunner().invoke(main, argv).output


@pytest.mark.parametrize(("cut", "holds"), [(0, True), (1, False)])
def test_a_broken_chain_does_not_hold(tmp_path: Path, cut: int, holds: bool) -> None:
    with Mutations(tmp_path / FILE) as mutations:
        mutations.after(mutations.before("PATCH", "/n", {}), 200, "")
    lines = (tmp_path / FILE).read_bytes().splitlines(keepends=True)
    (tmp_path / FILE).write_bytes(b"".join(lines[cut:]))
    assert _mutations_hold(tmp_path) is holds


def test_runs_from_before_hold(tmp_path: Path) -> None:
    assert _mutations_hold(tmp_path)


class Asked:
    """A pytest configuration that was given -n, or is a process of one that was."""

    def __init__(self, **options: object) -> None:
        self.options, self.stash = options, dict[object, object]()

    def getoption(self, name: str, default: object = None) -> object:
        return self.options.get(name, default)


def test_suites_are_never_played_beside_each_other() -> None:
    plugin.pytest_configure(Asked(numprocesses=3))  # type: ignore[arg-type]  # tests may
    with pytest.raises(pytest.UsageError, match="serial by design"):
        plugin.pytest_configure(Asked(numprocesses=3, chaos_target="kind"))  # type: ignore[arg-type]


def test_a_worker_process_plays_nothing() -> None:
    config, item = Asked(), SimpleNamespace(get_closest_marker=lambda name: name == "disruptive")
    config.workerinput = {}  # type: ignore[attr-defined]
    with pytest.raises(pytest.UsageError, match="serial by design"):
        plugin.pytest_collection_modifyitems(config, [item])  # type: ignore[arg-type, list-item]


@pytest.mark.parametrize(
    "argv",
    [
        ["--nonsense"], ["nonsense"], ["check"], ["plan", "no-such-file.yaml"],
        ["rbac", "--account", "no-namespace"], ["lab", "up", "--size", "enormous"],
    ],
)  # fmt: skip
def test_usage_ends_with_4(argv: list[str]) -> None:
    done = CliRunner().invoke(main, argv)
    assert done.exit_code == 4 and "Usage: " in done.output
