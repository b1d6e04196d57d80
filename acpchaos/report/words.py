"""How verdicts and numbers are worded, the same on the page, in Markdown and on a terminal.

Room: report. A verdict is always a letter or sign and a word, never a colour alone.
"""

from collections import Counter
from collections.abc import Iterable

from acpchaos.check.verdict import JudgedClaim, Outcome

SIGNS = {
    Outcome.DIRTY: "!",
    Outcome.FAILED: "✕",
    Outcome.INCONCLUSIVE: "?",
    Outcome.WAIVED: "~",
    Outcome.PASSED: "✓",
    Outcome.NOT_APPLICABLE: "–",
}
WORST_FIRST = tuple(SIGNS)


def value(number: float | str | None, unit: str) -> str:
    """A measured value or a budget with its unit; "–" when there is none."""
    if number is None or number == "":
        return "–"
    if isinstance(number, str):
        return number
    return f"{_rounded(number)} {unit}".rstrip()


def _rounded(number: float) -> str:
    """At most four significant digits, so that a budget is never shown as held when it is not."""
    if float(number).is_integer():
        return f"{int(number):,}".replace(",", " ")
    return f"{number:.4g}" if abs(number) < 10000 else f"{number:,.0f}".replace(",", " ")


def counted(claims: Iterable[JudgedClaim]) -> list[tuple[Outcome, int]]:
    """How many claims have each outcome, worst first, zeros left out."""
    tally = Counter(claim.verdict.outcome for claim in claims)
    return [(outcome, tally[outcome]) for outcome in WORST_FIRST if tally[outcome]]


def headline(claims: list[JudgedClaim], merged: Outcome) -> str:
    """The result in one sentence, led by what matters most."""
    tally, total = dict(counted(claims)), len(claims)
    failed, open_ = tally.get(Outcome.FAILED, 0), tally.get(Outcome.INCONCLUSIVE, 0)
    applicable = total - tally.get(Outcome.NOT_APPLICABLE, 0)
    if not claims:
        return "No claim was judged"
    if merged is Outcome.DIRTY:
        return "The target was left changed"
    if merged is Outcome.FAILED:
        return f"{failed} of {total} {plural('claim', total)} failed"
    if merged is Outcome.INCONCLUSIVE:
        return f"{open_} of {total} {plural('claim', total)} could not be decided"
    if waived := tally.get(Outcome.WAIVED, 0):
        return f"{applicable - waived} of {total} {plural('claim', total)} held, {waived} waived"
    if merged is Outcome.NOT_APPLICABLE:
        return "No claim applies to this target"
    return f"All {applicable} claims held" if applicable > 1 else "The claim held"


def plural(word: str, count: int) -> str:
    """The word, with an s unless there is exactly one."""
    return word if count == 1 else f"{word}s"
