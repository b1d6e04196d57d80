"""Rights: what each fault says that it needs and reads is what it calls, both ways."""

import pytest
from fake_api.scene import NAMESPACE
from fake_api.server import FakeApi
from fake_api.stores import Stores
from safety.rbac import missing, unused, used

from acpchaos.faults.fault import Act, Need
from acpchaos.faults.rights import of_fault, of_play, of_undo
from acpchaos.faults.session import Session
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
