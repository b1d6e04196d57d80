"""Restore: the way back is recorded first, every fact is told, and a lost row must be lost."""

from typing import Any

import pytest
from fake_api.server import FakeApi

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import restore
from acpchaos.faults.fault import Act
from acpchaos.faults.restore import Restore
from acpchaos.faults.session import Session
from acpchaos.stores.backup import Backup, Place, Raw
from acpchaos.stores.postgres import Fingerprint
from acpchaos.stores.restore import Drill, Restored, Served
from acpchaos.target.profile import Client
from faults.told import events, undo_records, witnesses


class Stores:
    """The SQL store, its backups and the drill's ACP, as far as the fault asks for them."""

    def __init__(self) -> None:
        self.marks: set[str] = set()
        self.damage_works = True

    def fingerprints(self, *_: Any) -> dict[str, Fingerprint]:
        return {"public.acpchaos_marker": Fingerprint(len(self.marks), str(sorted(self.marks)))}

    def back_up(self, run: Any, leader: str, container: str, repo: int) -> Backup:
        return Backup(
            repo=repo, label=f"full{repo}", type="full", begin_s=1, end_s=2, size=3, stored=2,
            cipher="aes-256-cbc", status="ok",
        )  # fmt: skip

    def markers(self, run: Any, pod: str, container: str) -> tuple[str, ...]:
        return tuple(self.marks)

    def damage(self, run: Any, pod: str, container: str, mark: str) -> None:
        if self.damage_works:
            self.marks.discard(mark)


@pytest.fixture
def stores(monkeypatch: pytest.MonkeyPatch) -> Stores:
    return faked(monkeypatch)


def faked(patch: pytest.MonkeyPatch) -> Stores:
    """The fault and its drill ask these stores from now on."""
    fake = Stores()
    places = tuple(
        Place(repo=n, endpoint=f"e{n}", bucket=f"b{n}", cipher="aes-256-cbc") for n in (1, 2)
    )
    raw = Raw(object="o", readable=False, saw="Salted__")
    for name, function in {
        "places": lambda *_: places, "back_up": fake.back_up, "verify": lambda *_: "ok",
        "read_raw": lambda *_: raw,
    }.items():  # fmt: skip
        patch.setattr(restore.backup, name, function)
    for name, function in {
        "fingerprints": fake.fingerprints, "markers": fake.markers, "damage_marker": fake.damage,
        "write_marker": lambda run, pod, box, mark: fake.marks.add(mark),
        "drop_markers": lambda *_: fake.marks.clear(),
    }.items():  # fmt: skip
        patch.setattr(restore.postgres, name, function)
    patch.setattr(restore, "REPLICATED_S", 0.2)
    patch.setattr(Drill, "restore", restored)
    patch.setattr(Drill, "fingerprints", lambda self: {"t": Fingerprint(1, "x")})
    patch.setattr(Drill, "start_acp", started)
    patch.setattr(
        Drill, "ask_token", lambda self, name, secret: Served(served=True, saw=f"{name} {secret}")
    )
    return fake


def restored(self: Drill, repo: int, label: str, budget_s: float, **more: bool) -> Restored:
    return Restored(restored=not more, saw=label, took_s=5.0)


def started(self: Drill, budget_s: float, *, wrong_key: bool = False) -> str:
    return "it does not start: exit code 1" if wrong_key else ""


@pytest.fixture
def able(session: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setenv("M2M", "s3cret")
    return able_to(session)


def able_to(session: Session) -> Session:
    """The same session; its profile has backups and a client for the drill."""
    profile = session.profile
    experiments = profile.experiments.model_copy(update={"backup": True, "may_disrupt": ("sql",)})
    m2m = Client(id="load-m2m", secret="env:M2M")
    update = {
        "experiments": experiments,
        "credentials": profile.credentials.model_copy(update={"m2m": m2m}),
    }
    return Session(
        profile.model_copy(update=update), session.cluster, session.run_id, session.journal,
        session.clock, session.undo,
    )  # fmt: skip


def told(session: Session) -> dict[str, Any]:
    found = [e for e in events(session.journal.path) if e["kind"] == "observation"]
    return {each["name"]: each["value"] for each in found}


def test_all_facts_are_told_and_nothing_is_left(
    api: FakeApi, able: Session, stores: Stores
) -> None:
    act = Act(Restore(able, 2, 60.0, verify=True))
    assert act.strike()["witness"] == "installed"
    act.heal()
    facts = told(able)
    assert facts["fingerprints_backup"] != facts["fingerprints_damaged"]
    assert [(b["place"], b["bucket"], b["label"]) for b in facts["backups"]] == [
        ("repo1", "b1", "full1"), ("repo2", "b2", "full2"),
    ]  # fmt: skip
    assert facts["backup_verify"] == {"repo1": "ok", "repo2": "ok"}
    assert [each["readable"] for each in facts["unencrypted_read"]] == [False, False]
    assert facts["fingerprints_restored"] == {"t": {"rows": 1, "md5": "x"}}
    assert facts["old_client"] == {"served": True, "saw": "load-m2m s3cret"}
    assert facts["wrong_key"]["served"] is False
    assert facts["wrong_cipher"]["restored"] is False
    assert facts["restore_s"] >= 5.0
    assert stores.marks == set()
    assert not [key for key in api.store.objects if "restore" in key[2]]
    states = {e["change"]: e["state"] for e in events(able.journal.path) if e["kind"] == "undo"}
    assert set(states.values()) == {"verified"} and len(states) == 3


def test_harm_that_did_not_happen_is_not_installed(able: Session, stores: Stores) -> None:
    stores.damage_works = False
    assert Act(Restore(able, 1, 60.0)).strike()["witness"] == "not installed"
    assert witnesses(able) == [("not installed", "the row is lost in 0 of 3 members")]


def test_no_marker_is_written_without_its_record(
    api: FakeApi, able: Session, stores: Stores
) -> None:
    api.store.forbidden.append("POST .*/configmaps")
    with pytest.raises(Exception, match="403"):
        Act(Restore(able, 1, 60.0)).strike()
    assert stores.marks == set()


def test_failed_drill_takes_everything_back(
    api: FakeApi, able: Session, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Restored:
        raise PreconditionUnmet("restore", "no such backup", "look")

    monkeypatch.setattr(Drill, "restore", broken)
    act = Act(Restore(able, 1, 60.0))
    act.strike()
    with pytest.raises(PreconditionUnmet):
        act.heal()
    assert stores.marks == set() and undo_records(api) == []
    assert not [key for key in api.store.objects if "acpchaos-restore" in key[2]]


def test_unknown_repository_is_refused(able: Session, stores: Stores) -> None:
    with pytest.raises(PreconditionUnmet, match="repository 3"):
        Act(Restore(able, 3, 60.0)).strike()


def test_target_without_backup_is_not_available(session: Session) -> None:
    with pytest.raises(PreconditionUnmet, match="no backup"):
        Act(Restore(session, 1, 60.0)).strike()


def test_failed_backup_leaves_no_marker(
    api: FakeApi, able: Session, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Backup:
        raise PreconditionUnmet("back up", "the bucket is gone", "look")

    monkeypatch.setattr(restore.backup, "back_up", broken)
    with pytest.raises(PreconditionUnmet, match="bucket is gone"):
        Act(Restore(able, 1, 60.0)).strike()
    assert stores.marks == set() and undo_records(api) == []
    assert witnesses(able) == []


def test_files_are_verified_only_when_asked(able: Session, stores: Stores) -> None:
    Act(Restore(able, 1, 60.0)).strike()
    assert "backups" in told(able) and "backup_verify" not in told(able)


def test_acp_that_is_late_on_the_copy_answers_nothing(
    able: Session, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    budgets: list[float] = []

    def late(self: Drill, budget_s: float, *, wrong_key: bool = False) -> str:
        budgets.append(budget_s)
        return "not ready in time: pending"

    monkeypatch.setattr(Drill, "start_acp", late)
    act = Act(Restore(able, 1, 60.0, start_s=7.0))
    act.strike()
    act.heal()
    assert budgets == [7.0, 7.0]
    assert told(able)["old_client"] == {"served": None, "saw": "not ready in time: pending"}
    assert told(able)["wrong_key"]["served"] is None
