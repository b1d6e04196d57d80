"""A large cluster costs what its objects cost, once: figures on a whole one are `make bench`."""

from pathlib import Path

import pytest

from acpchaos.check.posture import netpol, reach
from acpchaos.check.posture.judge import judge
from acpchaos.check.verdict import Outcome
from acpchaos.record import snapshot
from acpchaos.record.snapshot import Object
from tests.posture import large

PODS, POLICIES = 270, 50  # a part of it, in which every kind of pod and policy comes


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("large")
    return large.write(snapshot.read(large.RECORDED), place / "snapshot", PODS, POLICIES)


def test_every_row_of_a_large_cluster_is_judged_and_each_policy_read_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(found: Object) -> netpol.Policy:
        read.append(found["metadata"]["name"])
        return netpol.policy_of(found)

    monkeypatch.setattr(reach, "policy_of", counted)
    found = snapshot.read(folder)
    rows = {each.row: each.verdict for each in judge(found)}
    assert len(rows) == 53
    assert [each for each in rows.values() if "the rule ended with" in each.why] == []
    assert len(read) == len(set(read)) >= POLICIES
    # its foreign pods and policies open doors, and every one of them has shown its certificate
    assert rows["HARD-48"].outcome is rows["HARD-49"].outcome is Outcome.FAILED
    assert rows["HARD-25"].outcome is rows["HARD-28"].outcome is Outcome.PASSED


def test_an_outline_counts_what_is_there(folder: Path) -> None:
    whole, outline = snapshot.read(folder), snapshot.outline(folder)
    count = {kind: len(found) for kind, found in whole.objects.items()}
    assert {kind: len(found) for kind, found in outline.objects.items()} == count
    assert count["Pod"] > PODS and outline.served == whole.served
