"""What a judgement says, and how judgements merge.

Room: check. Merge order failed > inconclusive > waived > passed; neither not applicable nor waived
ever counts as passed; dirty stands above all (design, section 4).
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from acpchaos.errors import EXIT_DIRTY, EXIT_FAILED, EXIT_HELD, EXIT_INCONCLUSIVE


class Outcome(StrEnum):
    """The six words a result may have. Waived: broken, and accepted by somebody until a date."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    WAIVED = "waived"
    NOT_APPLICABLE = "not applicable"
    DIRTY = "dirty"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """One claim judged. `measured` and `budget` are in `unit`; `why` is one sentence."""

    outcome: Outcome
    why: str
    measured: float | str | None = None
    budget: float | str | None = None
    unit: str = ""
    evidence: tuple[str, ...] = ()


class JudgedClaim(msgspec.Struct, frozen=True, kw_only=True):
    """A claim with its verdict, as stored in verdicts.json."""

    id: str
    says: str
    rows: tuple[str, ...]
    verdict: Verdict

    @property
    def held(self) -> bool:
        """Whether the claim was tested and held."""
        return self.verdict.outcome is Outcome.PASSED

    def __repr__(self) -> str:
        v = self.verdict
        numbers = (
            "" if v.measured is None else f" (measured {v.measured} {v.unit}, budget {v.budget})"
        )
        return f"{v.outcome}: {self.says}{numbers}. {v.why}"


_ORDER = (Outcome.DIRTY, Outcome.FAILED, Outcome.INCONCLUSIVE, Outcome.WAIVED, Outcome.PASSED)


def merge(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst outcome; INCONCLUSIVE for nothing at all, since zero samples prove nothing."""
    seen = set(outcomes)
    for outcome in _ORDER:
        if outcome in seen:
            return outcome
    return Outcome.NOT_APPLICABLE if seen else Outcome.INCONCLUSIVE


def exit_code(outcome: Outcome) -> int:
    """Exit code of a merged outcome (design, section 4)."""
    return {
        Outcome.DIRTY: EXIT_DIRTY,
        Outcome.FAILED: EXIT_FAILED,
        Outcome.INCONCLUSIVE: EXIT_INCONCLUSIVE,
    }.get(outcome, EXIT_HELD)
