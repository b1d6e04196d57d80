"""Repeated plays as plain lines, for a terminal and for pytest's end.

Room: report. What n trials cannot carry is not said.
"""

import math
from collections.abc import Sequence

from acpchaos.check.repeats import Bounds, Repeats
from acpchaos.report.words import SIGNS


def lines(found: Sequence[Repeats]) -> list[str]:
    """A heading for each scenario, then a line for each claim."""
    told: list[str] = []
    for each in found:
        if (heading := f"{each.scenario}, {len(each.trials)} plays") not in told:
            told.append(heading)
        told.append(f"  {SIGNS[each.outcome]} {each.claim}: {'; '.join(_parts(each))}")
    return told


def _parts(each: Repeats) -> list[str]:
    parts = [
        f"{each.failed} of {len(each.decided)} failed, a share of {each.failures_at_most:.1%} is "
        "still possible"
    ]
    if each.undecided:
        parts.append(f"{each.undecided} decided nothing")
    if each.median is None or each.maximum is None:
        return parts
    middle = f"median {_number(each.median)} {each.unit}".strip()
    if each.interval is not None:
        low, high = (_number(Bounds(one, one)) for one in each.interval)
        middle += f" ({low} to {high} in 95 of 100 cases)"
    else:
        middle += f" (no interval from {each.measured})"
    parts += [middle, f"maximum {_number(each.maximum)}"]
    parts += [f"p{p * 100:g} at most {_number(Bounds(high, high))}"
              for p, high in each.percentiles.items()]  # fmt: skip
    if each.censored:
        parts.append(f"{each.censored} had not ended when the record did")
    return parts


def _number(bounds: Bounds) -> str:
    """One number where both bounds are it."""
    low, high = bounds
    if low == high:
        return "unbounded" if math.isinf(low) else f"{low:.3g}"
    return f"over {low:.3g}" if math.isinf(high) else f"{low:.3g} to {high:.3g}"
