"""What a share of failures among n requests can mean: an exact binomial interval.

Room: check. Clopper-Pearson, since it covers the true share at least as often as it says for every
n and every count. Wilson's interval is shorter but falls short of its promise near 0 and 1, which
is where failure shares live.
"""

import math
from typing import NamedTuple

CONFIDENCE = 0.95


class Share(NamedTuple):
    """`failed` of `of`, and the bounds of the share behind them; all of 0 to 1 for no request."""

    failed: int
    of: int
    low: float
    high: float


def share(failed: int, of: int, confidence: float = CONFIDENCE) -> Share:
    """The share with its two-sided interval. Nothing seen is unknown: the interval is all."""
    tail = (1 - confidence) / 2
    low = 0.0 if failed == 0 else _quantile(tail, failed, of - failed + 1)
    high = 1.0 if failed == of else _quantile(1 - tail, failed + 1, of - failed)
    return Share(failed, of, low, high)


def _quantile(p: float, a: int, b: int) -> float:
    """x with beta_cdf(x, a, b) = p, by halving."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if _beta_cdf(middle, a, b) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _beta_cdf(x: float, a: int, b: int) -> float:
    """Regularised incomplete beta function, by its continued fraction where that is quick."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_cdf(1 - x, b, a)
    log = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(log + a * math.log(x) + b * math.log1p(-x)) / a * _fraction(x, a, b)


def _fraction(x: float, a: int, b: int) -> float:
    """1/(1 + d1/(1 + d2/(1 + ...))), evaluated from the front (modified Lentz)."""
    tiny = 1e-300
    value, upper, lower = 1.0, 1.0, 0.0
    for step in range(1, 10_000):
        m = step // 2
        if step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        lower = 1 / ((1 + term * lower) or tiny)
        upper = (1 + term / upper) or tiny
        value *= upper * lower
        if abs(upper * lower - 1) < 1e-13:
            break
    return 1 / value
