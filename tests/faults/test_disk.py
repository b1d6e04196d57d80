"""A full Redis disk: only where it is nobody else's, seen by what can be written, and emptied."""

import os
import subprocess
import time
from pathlib import Path

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from fake_api.stores import Answer, Stores
from safety.rbac import missing, unused, used

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import disk
from acpchaos.faults.disk import RedisDiskFull
from acpchaos.faults.fault import Act
from acpchaos.faults.rights import of_fault, of_play, of_undo
from acpchaos.faults.session import Session
from acpchaos.stores import redis_disk
from acpchaos.wait import eventually
from faults.cases import allowing_all
from faults.spoiling import NEVER, hasten, struck
from faults.told import witnesses


class Disks:
    """Pods whose disks a file of ours fills; `deaf` ones say yes and write nothing."""

    def __init__(self, api: FakeApi, stores: Stores) -> None:
        self.stores, self.full, self.deaf = stores, set[str](), False
        self.instead: dict[str, str] = {}
        self.mount, self.code = "/data", 0
        api.on_exec = self.answer

    def answer(self, pod: str, argv: list[str]) -> Answer:
        line = " ".join(argv)
        if "dd if=/dev/zero" in line:
            if not self.deaf and not self.code:
                self.full.add(self.instead.get(pod, pod))
            return "", self.code
        if argv[0] == "rm":
            self.full.discard(pod)
            return "", 0
        if "df -Pk" in line:
            free = 0 if pod in self.full else 900000
            said = f"/dev/sdb 1000000 100000 {free} 10% {self.mount}\n/data\n"
            return said + ("full\n" if pod in self.full else ""), 0
        if "acpchaos-look" in line:
            word = "full" if pod in self.full else "written"
            return f"{word}\naof_last_write_status:ok\r\n", 0
        return self.stores.answer(pod, argv)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    hasten(monkeypatch, disk, most_s=8.0 if "unspoiled" in request.node.name else 0.4)


@pytest.fixture
def disks(api: FakeApi, stores: Stores) -> Disks:
    return Disks(api, stores)


def build(session: Session) -> RedisDiskFull:
    return RedisDiskFull(allowing_all(session), 1, 60, 8.0)


def test_unspoiled_is_installed_and_healed_within_its_rights(
    api: FakeApi, session: Session, disks: Disks
) -> None:
    fault = build(session)
    api.store.asked.clear()
    act = Act(fault)
    assert act.strike()["witness"] == "installed", witnesses(session)
    act.heal()
    assert not disks.full and session.undo.outstanding() == {}
    called, granted = used(api), of_fault(fault)
    profile = fault.session.profile
    assert missing(granted | of_play(profile) | of_undo(profile), called) == []
    assert {need.kind for need in unused_of(granted, called)} <= {"Pod"}


def unused_of(granted: set, called: set) -> list:  # type: ignore[type-arg]
    names = unused(granted, called)
    return [need for need in granted if str(need) in names]


@pytest.mark.parametrize("sabotage", ["deaf", "denied", "elsewhere"])
def test_sabotaged_is_never_installed(session: Session, disks: Disks, sabotage: str) -> None:
    fault = build(session)

    def spoil() -> None:
        disks.deaf, disks.code = sabotage == "deaf", int(sabotage == "denied")
        if sabotage == "elsewhere":
            disks.instead = {fault.victim["metadata"]["name"]: "redis-cluster-5"}

    def heal() -> None:
        disks.full.clear()

    outcomes = struck(fault, spoil, heal)
    assert outcomes and all(outcome in NEVER for outcome in outcomes), witnesses(session)
    assert session.undo.outstanding() == {}


@pytest.mark.parametrize("kind", ["local", "hostPath"])
def test_folder_on_a_nodes_disk_is_not_applicable(
    api: FakeApi, session: Session, disks: Disks, kind: str
) -> None:
    with api.store.lock:
        for volume in api.store.items("persistentvolumes", "", "", ""):
            volume["spec"][kind] = {"path": "/var/x"}
    reason = build(session).available()
    assert kind in reason and "would not stop at Redis" in reason


def test_folder_that_is_no_file_system_of_its_own_is_refused(
    session: Session, disks: Disks
) -> None:
    disks.mount = "/"
    with pytest.raises(PreconditionUnmet, match="a small file system of its own"):
        Act(build(session)).strike()
    assert not disks.full


def test_rights_and_reasons_name_volumes_without_claim(session: Session) -> None:
    pod = {"metadata": {"namespace": NAMESPACE}, "spec": {"volumes": [{"emptyDir": {}}]}}
    assert disk.shared_volumes(session.cluster, [pod]) == ["emptyDir"]


def test_file_is_bounded_and_goes_by_itself(tmp_path: Path) -> None:
    """The script in a real shell: as much as was free and not more, gone after its time."""

    def run(pod: str, container: str, argv: object, stdin: object = None, **more: object) -> str:
        done = subprocess.run(
            list(argv), env={"PATH": os.environ["PATH"]}, capture_output=True, timeout=20,  # type: ignore[call-overload]
            check=True,
        )  # fmt: skip
        return str(done.stdout)

    free = redis_disk.Disk(8192, 2048, str(tmp_path), str(tmp_path), filled=False)
    redis_disk.fill(run, "p", "c", free, 1)
    file = tmp_path / redis_disk.FILE
    assert file.stat().st_size == 3 * 1024**2
    begin_s = time.monotonic()
    eventually("the file to be gone", lambda: not file.exists(), 15.0, 0.1)
    assert time.monotonic() - begin_s < 15
