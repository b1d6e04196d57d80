"""A dry run tells targets by UID, changes, undo and budgets, and sends nothing that changes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from fake_api import scene
from fake_api.server import FakeApi

from acpchaos.cli import main
from acpchaos.faults import rehearsal
from acpchaos.faults.pods import PodLoss
from acpchaos.faults.rehearsal import Untouchable, rehearse, told
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import PROJECT, load_profile
from safety.target import changes

EXPERIMENTS = PROJECT / "experiments"


@pytest.fixture
def profile_path(api: FakeApi, tmp_path: Path) -> Iterator[Path]:
    yield scene.write_profile(api, tmp_path)
    assert changes(api) == []


def uids(api: FakeApi, plural: str, prefix: str) -> set[str]:
    with api.store.lock:
        return {
            item["metadata"]["uid"]
            for (kind, _, name), item in api.store.objects.items()
            if kind == plural and name.startswith(prefix)
        }


def test_pod_loss(api: FakeApi, profile_path: Path) -> None:
    plan = rehearse(EXPERIMENTS / "pod-loss.yaml", load_profile(profile_path), {"count": 2})
    assert (plan.fault, len(plan.targets), plan.undo, plan.refused) == ("pod_loss", 2, (), "")
    assert len(plan.changes) == 2
    named = [uid for uid in uids(api, "pods", "acp-") if f"(uid {uid})" in "".join(plan.changes)]
    assert len(named) == 2 and all("DELETE acp-system/pods/acp-" in c for c in plan.changes)


def test_zone_drain(api: FakeApi, profile_path: Path) -> None:
    plan = rehearse(EXPERIMENTS / "zone-drain.yaml", load_profile(profile_path), {"zone": "zone-b"})
    assert plan.targets == ("worker-b",) and plan.undo == ("cordon worker-b",)
    node = next(iter(uids(api, "nodes", "worker-b")))
    assert plan.changes == (f"PATCH nodes/worker-b {{'unschedulable': True}} (uid {node})",)
    assert sum(each.startswith("evict acp-system/pods/") for each in plan.then) >= 4
    assert plan.then[-2:] == ("bring-zone-back", "spread-acp-again")


def test_redis_wipe(api: FakeApi, profile_path: Path) -> None:
    plan = rehearse(EXPERIMENTS / "redis-wipe.yaml", load_profile(profile_path))
    assert plan.undo == ("stateful-set redis-cluster",)
    kinds = [change.split("/")[1] for change in plan.changes]
    assert kinds == ["statefulsets"] + ["pods"] * 3 + ["persistentvolumeclaims"] * 3
    for plural in ("statefulsets", "pods"):
        assert all(uid in "".join(plan.changes) for uid in uids(api, plural, "redis-cluster"))


def test_what_cannot_be_played_is_refused_with_its_reason(profile_path: Path) -> None:
    plan = rehearse(EXPERIMENTS / "pod-loss.yaml", load_profile(profile_path), {"count": 9})
    assert "3 are ready" in plan.refused
    plan = rehearse(EXPERIMENTS / "restore.yaml", load_profile(profile_path))
    assert "no backup" in plan.refused


def test_a_fault_that_goes_around_the_notes_is_stopped(
    profile_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def around(self: PodLoss) -> None:
        self.cluster.open("DELETE", "/api/v1/nodes/worker-a")

    monkeypatch.setattr(PodLoss, "inject", around)
    plan = rehearse(EXPERIMENTS / "pod-loss.yaml", load_profile(profile_path))
    assert "a rehearsal changes nothing" in plan.refused


def test_the_net_below_is_what_stops_it(profile_path: Path) -> None:
    cluster = Cluster.from_profile(load_profile(profile_path), rehearsal._Nothing())
    with pytest.raises(Untouchable):
        cluster.delete("Node", "worker-a")


def test_secrets_are_not_told() -> None:
    body: dict[str, Any] = {"metadata": {"uid": "u"}, "data": {"k": "djRsdWU="}, "spec": "djRsdWU="}
    path = "/api/v1/namespaces/a/secrets/s"
    assert told("PATCH", path, body) == "PATCH a/secrets/s (uid u)"


def test_the_command_line_prints_it(profile_path: Path) -> None:
    argv = ["plan", str(EXPERIMENTS / "pod-loss.yaml"), "--target", str(profile_path)]
    done = CliRunner().invoke(main, [*argv, "--set", "count=1"])
    assert done.exit_code == 0, done.output
    assert "lock       free" in done.output and "DELETE acp-system/pods/acp-" in done.output
    refused = CliRunner().invoke(main, [*argv, "--set", "count=9"])
    assert refused.exit_code == 10 and "3 are ready" in refused.output


def test_suites_are_planned_and_not_played(profile_path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider",
         "suites/test_pod_loss.py", "suites/test_zone_drain.py", "--chaos-dry-run",
         "--chaos-target", str(profile_path), "--chaos-reports", str(tmp_path / "reports")],
        cwd=PROJECT, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "14 skipped" in done.stdout
    for line in ("scenario one-pod", "scenario a-third", "scenario zone-drain", "longest_gap_s 2"):
        assert line in done.stdout
    assert not (tmp_path / "reports").exists()
