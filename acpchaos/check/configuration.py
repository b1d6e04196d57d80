"""Is what ACP was configured with the same before and after.

Room: check. It compares observations by name and must not know how they were taken.
"""

from typing import Any

from acpchaos.check.answer import answer, unproven
from acpchaos.check.verdict import Verdict
from acpchaos.record.events import Observation
from acpchaos.record.run import Run

CONFIGURATION = "configuration_sha256"
SIGNING_KEYS = "jwks_kids"


def unchanged(run: Run, names: str = f"{CONFIGURATION},{SIGNING_KEYS}") -> Verdict:
    """Each named observation (comma-separated) is equal before and after."""
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    before, after = (observed(run, when) for when in ("before", "after"))
    missing = [
        f"{name} {when}"
        for when, seen in (("before", before), ("after", after))
        for name in wanted
        if not seen.get(name)
    ]
    changed = [name for name in wanted if all(seen.get(name) for seen in (before, after))]
    changed = [name for name in changed if _plain(before[name]) != _plain(after[name])]
    if changed:
        evidence = tuple(f"{name}: {before[name]} became {after[name]}" for name in changed)
        why = f"changed: {', '.join(changed)}"
        return answer(False, why, len(changed), 0, "changes", evidence)
    if missing or not wanted:
        return unproven(f"not observed: {', '.join(missing) or 'nothing named'}")
    why = f"{', '.join(wanted)} equal before and after"
    return answer(True, why, 0, 0, "changes", tuple(f"{name}: {after[name]}" for name in wanted))


def observed(run: Run, when: str = "") -> dict[str, Any]:
    """The last value of each observation, of one time (before, during, after) or of all."""
    return {o.name: o.value for o in run.of(Observation) if when in ("", o.when)}


def _plain(value: Any) -> Any:
    """Key ids and the like are sets; their order tells nothing."""
    if isinstance(value, list):
        return sorted((_plain(each) for each in value), key=repr)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return value
