"""How a check says its verdict: held, broken, or unproven, always with one sentence why.

Room: check. It must not know what is measured.
"""

from acpchaos.check.verdict import Outcome, Verdict


def answer(
    holds: bool,
    why: str,
    measured: float | str | None = None,
    budget: float | str | None = None,
    unit: str = "",
    evidence: tuple[str, ...] = (),
) -> Verdict:
    """Passed or failed. Numbers are rounded to a thousandth, so that a record judges alike."""
    return Verdict(
        outcome=Outcome.PASSED if holds else Outcome.FAILED,
        why=why,
        measured=_rounded(measured),
        budget=_rounded(budget),
        unit=unit,
        evidence=evidence,
    )


def unproven(why: str, measured: float | str | None = None, unit: str = "") -> Verdict:
    """Inconclusive: the record cannot decide."""
    return Verdict(outcome=Outcome.INCONCLUSIVE, why=why, measured=_rounded(measured), unit=unit)


def not_applicable(why: str) -> Verdict:
    """The target cannot show this; it never counts as passed."""
    return Verdict(outcome=Outcome.NOT_APPLICABLE, why=why)


def _rounded(value: float | str | None) -> float | str | None:
    return value if value is None or isinstance(value, str) else round(float(value), 3)
