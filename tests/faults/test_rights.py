"""Rights: what each fault says that it needs and reads is what it calls, both ways."""

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from fake_api.stores import Stores
from safety.rbac import missing, unused, used

from acpchaos.faults.certificates import CertificateExpired
from acpchaos.faults.client_secret import SecretRotated
from acpchaos.faults.fault import Act, Fault, Need
from acpchaos.faults.observers import ObserverGone
from acpchaos.faults.rights import of_fault, of_play, of_reaper, of_undo
from acpchaos.faults.session import Session
from acpchaos.target.profile import PROJECT, Rotated
from faults.cases import CASES, allowing_all

# Only where the sender of a stop is gone without a word: the pod is replaced.
WAYS_OUT = {Need("delete", "Pod", NAMESPACE)}


@pytest.mark.parametrize("name", CASES)
def test_granted_is_used(api: FakeApi, session: Session, stores: Stores, name: str) -> None:
    own = allowing_all(session)
    fault = CASES[name].build(own)
    api.store.asked.clear()
    act = Act(fault)
    assert act.strike()["witness"] == "installed"
    act.heal()
    called = used(api)
    granted = of_fault(fault)
    assert missing(granted | of_play(own.profile) | of_undo(own.profile), called) == []
    ways_out = WAYS_OUT if name == "process_freeze" else set()
    assert unused(granted - ways_out, called) == []


def test_what_the_profile_does_not_name_needs_no_right_anywhere(session: Session) -> None:
    faults: tuple[Fault, ...] = (
        ObserverGone(session, "logs", 0.0, 0.0), ObserverGone(session, "prometheus", 0.0, 0.0),
        CertificateExpired(session, 0.0), SecretRotated(session, 0.0, 0.0),
    )  # fmt: skip
    assert [of_fault(fault) for fault in faults] == [set()] * 4


@pytest.mark.parametrize("file", ["cut", "sql-exhausted", "memory-oom", "redis-password",
                                  "secret-rotated", "certificate-expired"])  # fmt: skip
def test_reaper_may_take_back_what_the_fault_makes_and_changes(session: Session, file: str) -> None:
    rotated = Rotated(certificate="tls", config="acp-secret/config.yaml")
    signals = session.profile.signals.model_copy(update={"node_pods": True})
    profile = session.profile.model_copy(update={"rotated": rotated, "signals": signals})
    granted = of_reaper(PROJECT / "experiments" / f"{file}.yaml", profile)
    wanted = {
        "cut": {Need("patch", "NetworkPolicy", NAMESPACE), Need("delete", "NetworkPolicy",
                NAMESPACE), Need("delete", "Pod", NAMESPACE)},
        "sql-exhausted": {Need("delete", "Pod", NAMESPACE)},
        "memory-oom": {Need("delete", "Pod", "kube-system")},
        "redis-password": {Need("delete", "Pod", NAMESPACE),
                           Need("delete", "Secret", NAMESPACE, name="acpchaos-redis-password")},
        "secret-rotated": {Need("update", "Secret", NAMESPACE, name="acp-secret"),
                           Need("patch", "Deployment", NAMESPACE)},
        "certificate-expired": {Need("update", "Secret", NAMESPACE, name="tls")},
    }[file]  # fmt: skip
    assert missing(granted, wanted) == []
    assert not [need for need in granted if need.verb == "create"]
