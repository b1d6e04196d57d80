"""What a posture rule is, what it answers, and the register of all of them.

Room: check. It must not know any rule.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from acpchaos.check.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from acpchaos.check.posture.view import View


class Unreadable(Exception):
    """Evidence that a rule needs is not in the snapshot; the text says which and why."""


class NotHere(Exception):
    """The row does not apply to this installation; the text says why."""


class Unattested(Exception):
    """No valid attestation of a row that only a person can attest; the judge makes it a failure."""

    def __init__(self, finding: "Finding") -> None:
        super().__init__(str(finding))
        self.finding = finding


class NoAttestation(Unattested, Unreadable):
    """There is none at all. A rule with other evidence may take it for unreadable; alone it fails,
    since nobody looked."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that breaks a row. `object` is "Kind namespace/name", or a path of the API of ACP,
    or a served place; `field` a JSON-path-like place in it; `remedy` what to paste."""

    object: str
    field: str = ""
    saw: str
    want: str
    remedy: str = ""
    waived: str = ""  # owner, reason and expiry of the waiver that covers it

    def __str__(self) -> str:
        at = f"{self.object}: {self.field}" if self.field else self.object
        return f"{at} is {self.saw}, wanted {self.want}"


def broken(where: str, field: str, saw: str, want: str, remedy: str) -> Finding:
    """A finding in the order in which it is told."""
    return Finding(object=where, field=field, saw=saw, want=want, remedy=remedy)


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a rule: what breaks the row, and what was read to say so."""

    findings: tuple[Finding, ...] = ()
    read: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One row's rule. The texts appear in the documentation and on the evidence page.

    `evidence` what is read, `passes` the rule in one sentence, `source` where the rule comes from,
    `remedy` how to mend it in general, `active` whether it needs --allow-probes.
    """

    row: str
    evidence: str
    passes: str
    source: str
    remedy: str
    judge: Callable[["View"], Judgement]
    active: bool = False


class RowResult(msgspec.Struct, frozen=True, kw_only=True):
    """One row judged. `findings` holds waived ones too; they do not decide."""

    row: str
    severity: str
    statement: str
    verdict: Verdict
    findings: tuple[Finding, ...] = ()
    read: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        """Whether the row was looked at and holds; a waived one does not."""
        return self.verdict.outcome is Outcome.PASSED

    def __repr__(self) -> str:
        return f"{self.row} {self.severity}, {self.verdict.outcome}: {self.verdict.why}"

    def __str__(self) -> str:
        lines = [f"{self.row} {self.severity}, {self.verdict.outcome}: {self.statement}"]
        for finding in self.findings:
            lines.append(f"  {finding}")
            lines += [f"    remedy: {finding.remedy}"] if finding.remedy else []
            lines += [f"    waived: {finding.waived}"] if finding.waived else []
        return "\n".join(lines)


_RULES: dict[str, Rule] = {}


def rule(
    row: str, *, evidence: str, passes: str, source: str, remedy: str, active: bool = False
) -> Callable[[Callable[["View"], Judgement]], Callable[["View"], Judgement]]:
    """Register a function as the rule of a row; a second rule of one row is a mistake."""

    def register(judge: Callable[["View"], Judgement]) -> Callable[["View"], Judgement]:
        if row in _RULES:
            raise ValueError(f"row {row} has two rules")
        _RULES[row] = Rule(
            row=row, evidence=evidence, passes=passes, source=source, remedy=remedy,
            judge=judge, active=active,
        )  # fmt: skip
        return judge

    return register


def registered() -> dict[str, Rule]:
    """All rules by row, in the order of the check-list."""
    return dict(sorted(_RULES.items()))


def verdict_of(findings: Iterable[Finding], read: Iterable[str]) -> Verdict:
    """Failed for any finding that is not waived. Nothing read proves nothing: inconclusive."""
    every, sources = tuple(findings), tuple(read)
    open_ones = [finding for finding in every if not finding.waived]
    if open_ones:
        more = f", and {len(open_ones) - 1} more" if len(open_ones) > 1 else ""
        return Verdict(
            outcome=Outcome.FAILED, why=f"{open_ones[0]}{more}", measured=len(open_ones),
            budget=0, unit="findings", evidence=tuple(str(each) for each in open_ones),
        )  # fmt: skip
    if not sources:
        return Verdict(outcome=Outcome.INCONCLUSIVE, why="the rule read nothing")
    if every:
        return Verdict(
            outcome=Outcome.WAIVED, why=f"{every[0]} ({every[0].waived})",
            evidence=tuple(f"{each} ({each.waived})" for each in every),
        )  # fmt: skip
    shown = ", ".join(sources[:4]) + (f" and {len(sources) - 4} more" if len(sources) > 4 else "")
    return Verdict(outcome=Outcome.PASSED, why=f"nothing found in {shown}", evidence=sources)
