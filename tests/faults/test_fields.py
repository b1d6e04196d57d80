"""One field there and back: to the value before, on the same object, unless someone changed it."""

from typing import Any

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi

from acpchaos.faults import fields
from acpchaos.faults.session import Session
from faults.told import undo_records

ACP = ("deployments", NAMESPACE, "acp")


def change(session: Session, path: tuple[str, ...], ours: object) -> dict[str, Any]:
    found = session.cluster.get("Deployment", "acp", NAMESPACE)
    made = fields.change_field("Deployment", found, path, ours)
    session.undo.record(made)
    return made


def value(session: Session, path: tuple[str, ...]) -> Any:
    return fields.value_at(session.cluster.get("Deployment", "acp", NAMESPACE), path)


@pytest.mark.parametrize(
    ("path", "ours", "before"),
    [(fields.REPLICAS, 0, 3), (fields.RESTARTED_AT, "now", None)],
)
def test_there_and_back(
    api: FakeApi, session: Session, path: tuple[str, ...], ours: object, before: object
) -> None:
    made = change(session, path, ours)
    fields.write_field(session.cluster, made)
    assert value(session, path) == ours
    session.undo.revert_all()
    assert value(session, path) == before
    assert undo_records(api) == []


def test_what_an_operator_wrote_meanwhile_stays(session: Session) -> None:
    fields.write_field(session.cluster, change(session, fields.REPLICAS, 0))
    session.cluster.patch("Deployment", "acp", {"spec": {"replicas": 5}}, NAMESPACE)
    session.undo.revert_all()
    assert value(session, fields.REPLICAS) == 5


def test_recorded_and_never_made_changes_nothing(api: FakeApi, session: Session) -> None:
    change(session, fields.REPLICAS, 0)
    session.undo.revert_all()
    assert not [call for call in api.store.calls if "PATCH" in call and "deployments" in call]


def test_another_object_of_the_same_name_is_left_alone(api: FakeApi, session: Session) -> None:
    made = change(session, fields.REPLICAS, 0)
    with api.store.lock:
        found = api.store.get(ACP)
        found["metadata"]["uid"], found["spec"]["replicas"] = "reborn", 0
    session.undo.revert_all()
    assert value(session, fields.REPLICAS) == 0
    with pytest.raises(Exception, match="409"):
        fields.write_field(session.cluster, made)


def test_only_the_field_is_sent(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(type(session.cluster), "patch", lambda self, *args: sent.append(args[2]))
    found = {"metadata": {"name": "x", "namespace": "y", "uid": "u"}, "spec": {"replicas": 2}}
    fields.write_field(
        session.cluster, fields.change_field("Deployment", found, fields.REPLICAS, 1)
    )
    assert sent == [{"spec": {"replicas": 1}, "metadata": {"uid": "u"}}]
