"""How tests strike a fault that was spoiled once its targets are frozen, and wait no real time."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from acpchaos import wait
from acpchaos.errors import AcpchaosError
from acpchaos.faults import fault as fault_module
from acpchaos.faults import health, node_records, watchdog
from acpchaos.faults.fault import Act, Fault
from acpchaos.faults.session import Session
from faults.told import witnesses

NEVER = ("not installed", "partial")


def overdue(session: Session, patch: pytest.MonkeyPatch) -> Path:
    """The record of the one watched change, once more, for another watchdog whose time has come; it
    tries twice and does not sleep between."""
    [path] = node_records.folder_of(session.cluster).glob("*.json")
    record = json.loads(path.read_text())
    record["watched"]["due"] = time.time()
    other = path.with_name("other.json")
    other.write_text(json.dumps(record))
    quick = SimpleNamespace(time=time.time, monotonic=time.monotonic, sleep=lambda s: None)
    patch.setattr(watchdog, "time", quick)
    patch.setattr(watchdog, "TRIES", 2)
    return other


def hasten(patch: pytest.MonkeyPatch, *modules: ModuleType, most_s: float = 8.0) -> None:
    """Waits of these modules, for a sight and for health, look often, at most for `most_s`."""

    def eventually(what: str, probe: Any, budget_s: float, every_s: float = 1, **more: Any) -> Any:
        return wait.eventually(what, probe, min(budget_s, most_s), min(every_s, 0.05), **more)

    for module in (fault_module, health, *modules):
        patch.setattr(module, "eventually", eventually)


def spoiled(fault: Fault, spoil: Callable[[], None]) -> list[str]:
    """Outcomes of all looks; `spoil` comes once the targets are frozen, before injection."""
    setup = fault.setup

    def then_spoiled() -> tuple[str, ...]:
        targets = setup()
        spoil()
        return targets

    fault.setup = then_spoiled  # type: ignore[method-assign]
    act = Act(fault)
    try:
        act.strike()
        act.heal()
    except AcpchaosError:
        assert act.state == "invalid"
    return [outcome for outcome, _ in witnesses(fault.session)]


def struck(fault: Fault, spoil: Callable[[], None], heal: Callable[[], None]) -> list[str]:
    """As `spoiled`; `heal` comes before undo."""
    revert = fault.session.undo._revert

    def healed(changes: Any) -> None:
        heal()
        revert(changes)

    fault.session.undo._revert = healed  # type: ignore[method-assign]
    return spoiled(fault, spoil)
