"""Live sabotage of ACP's own configuration, played on a stand-in: each row is judged from what it
really answers, turns red, and holds again when the records are gone.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from fake_api import scene
from fake_api.server import FakeApi
from posture import kill_matrix_lab
from posture.building_lab import ACP, hardened
from posture.kill_matrix_lab import outcomes, play
from posture.kill_matrix_lab_changes import Lab, make
from posture.kill_matrix_lab_look import LOGIN, SECRETS, Look, _asking, _probes
from posture.sabotage import Sabotage, load

from acpchaos.check.verdict import Outcome
from acpchaos.errors import AcpchaosError
from acpchaos.faults.records import AcpRefused, records_removed
from acpchaos.faults.undo import UndoLog, undo_run
from acpchaos.posture.answers import ask
from acpchaos.posture.redaction import Sealer
from acpchaos.record.events import Clock
from acpchaos.record.snapshot import Snapshot
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import Profile, load_profile
from lab.certificates import issue, load_or_make_ca
from lab.paths import State

from .conftest import SEED, SYSTEM_SECRET
from .conftest import Lab as Stores
from .machines import Acp

ROWS = (
    "HARD-04", "HARD-05", "HARD-06", "HARD-07", "HARD-08", "HARD-09", "HARD-10", "HARD-13",
    "HARD-44",
)  # fmt: skip
EVERY = Look(frozenset({LOGIN, SECRETS}))


def file_of(row: str) -> Sabotage:
    return next(each for _, each in load() if each.row == row and each.live)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sabotage")


@pytest.fixture(scope="module")
def acme(lab: Stores, folder: Path) -> Iterator[Acp]:
    """The lab's tenant as it should be: nobody in a static provider. TLS that clients verify."""
    authority = load_or_make_ca(folder)
    issue(authority, folder / "acp", [])
    paths = {"cert_path": str(folder / "acp.crt"), "key_path": str(folder / "acp.key")}
    lab.postgres.run("postgres", "CREATE DATABASE sabotage")
    acp = lab.acp("sabotage", {"server": {"certificate": paths}})
    seed: dict[str, Any] = copy.deepcopy(SEED)  # type: ignore[arg-type]
    seed["idps"] = [{**idp, "method": "identity_pool"} for idp in seed["idps"]]
    (folder / "seed.yaml").write_text(yaml.safe_dump(seed))
    words = ("import", "--mode", "update", "--format", "yaml", "--input", str(folder / "seed.yaml"))
    done = acp.command(*words)
    assert done.returncode == 0, done.stderr
    acp.start()
    yield acp
    assert acp.stop() == 0


@pytest.fixture
def profile(api: FakeApi, tmp_path: Path, acme: Acp, folder: Path) -> Profile:
    """The scene's cluster, with this ACP in front of it."""
    path = scene.write_profile(api, tmp_path)
    (tmp_path / "system").write_text(SYSTEM_SECRET)
    text = path.read_text().replace(
        'base_url = "https://localhost:8443"\n',
        f'base_url = "{acme.url}"\nca_file = "{folder / "lab-ca.crt"}"\n',
    )
    text += f'[credentials.system]\nid = "system"\nsecret = "file:{tmp_path / "system"}"\n'
    path.write_text(text)
    return load_profile(path)


@pytest.fixture
def target(profile: Profile, folder: Path) -> Lab:
    """The hardened lab, with answers and logins of the stand-in in place of its own."""
    cluster = Cluster.from_profile(profile)
    log, base = UndoLog(cluster, ACP, "run-1", None, Clock()), hardened()

    def look(wanted: Look) -> Snapshot:
        asking = _asking(profile, wanted.secret)
        asked = ask(asking, Sealer(), cluster.read_secret)
        kept = {n: p for n, p in base.probes.items() if n.split()[0] not in ("login", "secret")}
        seen = msgspec.structs.replace(base, answers=asked.answers, unread=asked.unread)
        probes = kept | _probes(cluster, asking, log, seen, wanted)
        return msgspec.structs.replace(seen, probes=probes)

    return Lab(cluster, profile, log, look, lambda line: None, State(folder))


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kill_matrix_lab, "LOOK_AGAIN_S", 0.2)


def test_the_stand_in_holds_before_any_sabotage(target: Lab) -> None:
    judged = outcomes(target, EVERY)
    assert {judged[row] for row in ROWS} == {Outcome.PASSED}, judged


@pytest.mark.parametrize("row", ROWS)
def test_each_row_turns_red_and_holds_again(target: Lab, row: str) -> None:
    before, sabotage = outcomes(target, EVERY), file_of(row)
    kill = play(target, sabotage, before)
    assert not kill.survived, kill
    assert set(kill.failed) == {row, *sabotage.companions}
    assert outcomes(target, EVERY) == before
    assert target.log.outstanding() == {}


def test_what_a_dead_runner_left_in_acp_is_undone_from_the_cluster(target: Lab) -> None:
    before = outcomes(target, EVERY)
    for row in ("HARD-08", "HARD-44", "HARD-13"):
        make(target, file_of(row).changes[0])
    changes = target.log.outstanding()
    assert SYSTEM_SECRET not in str(changes)
    assert not records_removed(target.cluster, "run-1", changes["0003"])
    assert len(undo_run(target.profile, "all")) == 3
    assert outcomes(target, EVERY) == before
    assert undo_run(target.profile, "all") == []


def test_a_secret_that_acp_refuses_changes_nothing_and_is_told(target: Lab, tmp_path: Path) -> None:
    before = outcomes(target, EVERY)
    (tmp_path / "system").write_text("not-the-secret-of-this-server-at-all")
    with pytest.raises(AcpRefused, match="refused"):
        make(target, file_of("HARD-04").changes[0])
    with pytest.raises(AcpchaosError):
        records_removed(target.cluster, "run-1", next(iter(target.log.outstanding().values())))
    (tmp_path / "system").write_text(SYSTEM_SECRET)
    target.log.revert_all()
    assert outcomes(target, EVERY) == before
