"""The judge: validity first, then each claim by its pure check; the same record, the same bytes.

Room: check. A run that was not real decides nothing, a target left changed is dirty above all, and
a check that crashes decides nothing either.
"""

import importlib
from collections.abc import Callable
from pathlib import Path

import msgspec

from acpchaos.check.answer import unproven
from acpchaos.check.validity import left_changed, objections, stops, unwell_after
from acpchaos.check.verdict import JudgedClaim, Outcome, Verdict
from acpchaos.record.run import Run, RunFolder, load_run
from acpchaos.scenario import Claim

Check = Callable[..., Verdict]

ERROR_BUDGET = "availability.error_ratio"
MODULES = (
    "availability",
    "configuration",
    "conformity",
    "recovery",
    "redis",
    "restore",
    "scaling",
    "sessions",
)


def judge(run: Run) -> list[JudgedClaim]:
    """One judged claim per claim of the scenario, in its order."""
    verdict = _verdict_on_run(run)
    unwell = unwell_after(run)
    return [
        JudgedClaim(
            id=claim.id,
            says=claim.says,
            rows=claim.rows,
            verdict=_burnt(run, claim, verdict)
            or verdict
            or _unless_unwell(_checked(run, claim), unwell),
        )
        for claim in run.scenario.claims
    ]


def rejudge(path: Path) -> list[JudgedClaim]:
    """Judge a run folder from its record alone and write its verdicts.json."""
    folder = RunFolder(path)
    judged = judge(load_run(folder.path))
    folder.verdicts.write_bytes(encode(judged))
    return judged


def encode(judged: list[JudgedClaim]) -> bytes:
    """verdicts.json: a list of judged claims, byte for byte the same for the same record."""
    return msgspec.json.format(msgspec.json.encode(judged), indent=2) + b"\n"


def find_check(name: str) -> Check:
    """The check named "<module>.<function>"; LookupError when there is none."""
    module, _, function = name.partition(".")
    if module not in MODULES or function.startswith("_"):
        raise LookupError(f"no check {name!r}; modules: {', '.join(MODULES)}")
    found = getattr(importlib.import_module(f"acpchaos.check.{module}"), function, None)
    if not callable(found) or getattr(found, "__module__", "") != f"acpchaos.check.{module}":
        raise LookupError(f"module {module} has no check {function!r}")
    check: Check = found
    return check


def _verdict_on_run(run: Run) -> Verdict | None:
    """What holds for every claim alike; None when each is to be judged."""
    if dirty := left_changed(run):
        return Verdict(outcome=Outcome.DIRTY, why=f"target left changed: {'; '.join(dirty)}")
    if against := objections(run):
        return Verdict(outcome=Outcome.INCONCLUSIVE, why=against[0], evidence=tuple(against[1:]))
    return None


def _burnt(run: Run, claim: Claim, verdict: Verdict | None) -> Verdict | None:
    """A play that was stopped because its error budget was burnt breaks the claim of that budget,
    if nothing else speaks against the run: what was left of it could only have added failures."""
    burnt = [stop for stop in stops(run) if stop["by"] == "burn"]
    if not burnt or verdict is None or verdict.outcome is not Outcome.INCONCLUSIVE:
        return None
    if claim.check != ERROR_BUDGET or len(objections(run)) > len(burnt):
        return None
    judged = _checked(run, claim)
    return judged if judged.outcome is Outcome.FAILED else None


def _checked(run: Run, claim: Claim) -> Verdict:
    try:
        return find_check(claim.check)(run, **claim.params)
    except Exception as error:  # whatever a check trips over, its claim is undecided
        return unproven(f"the check {claim.check} crashed: {type(error).__name__}: {error}")


def _unless_unwell(verdict: Verdict, unwell: list[str]) -> Verdict:
    """A claim is proven only on a target that was well afterwards, too."""
    if verdict.outcome is Outcome.PASSED and unwell:
        return msgspec.structs.replace(
            verdict,
            outcome=Outcome.INCONCLUSIVE,
            why=f"not healthy after: {'; '.join(unwell)} (else: {verdict.why})",
        )
    return verdict
