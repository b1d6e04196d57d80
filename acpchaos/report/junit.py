"""The numbers of a judged claim as JUnit properties, so that dashboards can draw trends.

Room: report. pytest writes the file; this only names the properties.
"""

from acpchaos.check.verdict import JudgedClaim


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
