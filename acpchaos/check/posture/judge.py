"""Every row judged on one snapshot, waivers applied.

Room: check. A rule that crashes makes its row inconclusive, with the reason; it never hides others.
"""

from collections.abc import Iterable

from acpchaos.check.checklist import load_checklist
from acpchaos.check.posture import rules
from acpchaos.check.posture.attestations import Attestation
from acpchaos.check.posture.rule import (
    Finding,
    Judgement,
    NotHere,
    RowResult,
    Rule,
    Unattested,
    Unreadable,
    verdict_of,
)
from acpchaos.check.posture.view import View
from acpchaos.check.posture.waivers import Waiver, apply
from acpchaos.check.verdict import JudgedClaim, Outcome, Verdict
from acpchaos.record.snapshot import Snapshot


def judge(
    snapshot: Snapshot, waivers: Iterable[Waiver] = (), today: str = "",
    attestations: Iterable[Attestation] = (),
) -> list[RowResult]:  # fmt: skip
    """All hardening rows in the order of the check-list. `today` is an ISO date, for waivers and
    ages; empty takes the day the snapshot was taken, so that a dump judges alike for ever."""
    view = View(snapshot, attestations, today)
    day, given = today or snapshot.taken_at[:10], tuple(waivers)
    known = rules.rules()
    results = []
    for row in load_checklist():
        if row.chapter != "hardening":
            continue
        verdict, findings, read = _one(known.get(row.id), view, given, day)
        results.append(
            RowResult(
                row=row.id,
                severity=row.severity,
                statement=row.statement,
                verdict=verdict,
                findings=findings,
                read=read,
            )
        )
    return results


def _one(
    known: Rule | None, view: View, waivers: tuple[Waiver, ...], day: str
) -> tuple[Verdict, tuple[Finding, ...], tuple[str, ...]]:
    if known is None:
        return _undecided("no rule"), (), ()
    try:
        answer = known.judge(view)
    except Unattested as lack:
        answer = Judgement(findings=(lack.finding,), read=(lack.finding.object,))
    except Unreadable as reason:
        return _undecided(str(reason)), (), ()
    except NotHere as reason:
        return Verdict(outcome=Outcome.NOT_APPLICABLE, why=str(reason)), (), ()
    except Exception as error:  # odd evidence must not hide the other rows
        return _undecided(f"the rule ended with {type(error).__name__}: {error}"), (), ()
    findings = apply(known.row, answer.findings, waivers, day)
    return verdict_of(findings, answer.read), findings, answer.read


def _undecided(why: str) -> Verdict:
    return Verdict(outcome=Outcome.INCONCLUSIVE, why=why)


def as_claims(results: Iterable[RowResult]) -> list[JudgedClaim]:
    """Results as claims, so that the check-list map and the exit code treat them like any other."""
    return [
        JudgedClaim(
            id=f"hardening-{result.row.lower()}",
            says=result.statement,
            rows=(result.row,),
            verdict=result.verdict,
        )
        for result in results
    ]
