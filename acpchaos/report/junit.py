"""The numbers of a judged claim as JUnit properties, so that dashboards can draw trends.

Room: report. pytest writes the file; this only names the properties.
"""

from acpchaos.check.posture.rule import RowResult
from acpchaos.check.verdict import JudgedClaim, Outcome
from acpchaos.report.posture_words import remedy_of


def properties(claim: JudgedClaim) -> list[tuple[str, str | float]]:
    """(name, value) pairs; a property that has no value is left out rather than left empty."""
    verdict = claim.verdict
    found: list[tuple[str, str | float | None]] = [
        ("claim", claim.id),
        ("outcome", verdict.outcome.value),
        ("measured", verdict.measured),
        ("budget", verdict.budget),
        ("unit", verdict.unit or None),
        ("rows", ",".join(claim.rows) or None),
        ("why", verdict.why or None),
    ]
    return [(name, value) for name, value in found if value is not None]


def row_properties(result: RowResult) -> list[tuple[str, str | float]]:
    """The same for a hardening row: what it is, what was seen, and what mends it."""
    found: list[tuple[str, str | float]] = [
        ("row", result.row),
        ("severity", result.severity),
        ("outcome", result.verdict.outcome.value),
        ("findings", sum(not each.waived for each in result.findings)),
        ("why", result.verdict.why),
    ]
    failed = result.verdict.outcome in (Outcome.FAILED, Outcome.WAIVED)
    return [*found, ("remedy", remedy_of(result))] if failed else found
