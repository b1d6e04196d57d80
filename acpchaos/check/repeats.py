"""The same play, n times: what n trials can carry, and not a number more.

Room: check. No distribution is assumed and no outlier removed: the outlier is the finding. A trial
that did not recover has no time, only one that it exceeds: it is censored, and every figure is as
wide as what such a trial may have taken, which holds however trials came to be cut. A trial that
decided nothing counts for nothing and is told.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from math import comb
from typing import NamedTuple

import msgspec

from acpchaos.check.binomial import CONFIDENCE, share
from acpchaos.check.judge import judge
from acpchaos.check.verdict import JudgedClaim, Outcome, merge
from acpchaos.check.window import seconds, struck_ns
from acpchaos.errors import UsageError
from acpchaos.record.run import Run

NEVER = "never"  # what a check measures that did not see the end of what it waited for
PERCENTILES = (0.9, 0.95, 0.99)


class Trial(NamedTuple):
    """One play's word on one claim. `value` is in the claim's unit, None where none was measured;
    with `censored` it took longer than that."""

    outcome: Outcome
    value: float | None
    censored: bool = False


class Bounds(NamedTuple):
    """A figure between two; `high` is infinite where a trial without an end decides it."""

    low: float
    high: float


class Repeats(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All trials of one claim, in the order of the plays."""

    scenario: str
    claim: str
    unit: str
    trials: tuple[Trial, ...]

    @property
    def outcome(self) -> Outcome:
        """The worst of all."""
        return merge(trial.outcome for trial in self.trials)

    @cached_property
    def decided(self) -> list[Trial]:
        return [t for t in self.trials if t.outcome in (Outcome.PASSED, Outcome.FAILED)]

    @property
    def undecided(self) -> int:
        return len(self.trials) - len(self.decided)

    @property
    def failed(self) -> int:
        return sum(trial.outcome is Outcome.FAILED for trial in self.decided)

    @property
    def failures_at_most(self) -> float:
        """The largest share of failures that these trials leave possible, one-sided; 1 for none.
        Without a failure it is 1 - 0.05^(1/n), near 3/n."""
        return share(self.failed, len(self.decided), 2 * CONFIDENCE - 1).high

    @cached_property
    def _lows(self) -> list[float]:
        return sorted(t.value for t in self.decided if t.value is not None)

    @cached_property
    def _highs(self) -> list[float]:
        measured = [t for t in self.decided if t.value is not None]
        return sorted(math.inf if t.censored else t.value or 0.0 for t in measured)

    @property
    def measured(self) -> int:
        """Trials with a value, censored ones included; all below is about these."""
        return len(self._lows)

    @property
    def censored(self) -> int:
        return sum(trial.censored for trial in self.decided)

    @property
    def median(self) -> Bounds | None:
        """One number twice, unless trials without an end decide it. None for no trial."""
        if not self.measured:
            return None
        return Bounds(_middle(self._lows), _middle(self._highs))

    @property
    def interval(self) -> Bounds | None:
        """Where the median of all such plays lies, in 95 of 100 cases at least; None where n is too
        small to say (below 6)."""
        if not (rank := median_rank(self.measured)):
            return None
        return Bounds(self._lows[rank - 1], self._highs[-rank])

    @property
    def maximum(self) -> Bounds | None:
        return Bounds(self._lows[-1], self._highs[-1]) if self.measured else None

    @property
    def percentiles(self) -> dict[float, float]:
        """For each percentile that n can carry, what it does not exceed in 95 of 100 cases."""
        ranks = {p: upper_rank(self.measured, p) for p in PERCENTILES}
        return {p: self._highs[rank - 1] for p, rank in ranks.items() if rank}


def _middle(ordered: Sequence[float]) -> float:
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2


def median_rank(n: int) -> int:
    """The largest k so that the k-th smallest and k-th largest of n enclose the median in 95 of
    100 cases (order statistics; the number below the median is binomial). 0 where there is none."""
    tail, rank = 0.0, 0
    while rank < n / 2:
        tail += comb(n, rank) / 2**n
        if 2 * tail > 1 - CONFIDENCE:
            break
        rank += 1
    return rank


def upper_rank(n: int, p: float) -> int:
    """The smallest k so that the k-th smallest of n is no less than the p-quantile in 95 of 100
    cases; 0 where not even the largest is (below 29, 59 and 299 for p90, p95 and p99)."""
    below = 0.0
    for rank in range(1, n + 1):
        below += comb(n, rank - 1) * p ** (rank - 1) * (1 - p) ** (n - rank + 1)
        if below >= CONFIDENCE:
            return rank
    return 0


def repeats(runs: Iterable[Run]) -> list[Repeats]:
    """Every claim of every scenario among the runs, each judged again from its record. UsageError
    for a run that is given twice, since it would count twice."""
    seen: set[str] = set()
    found: defaultdict[tuple[str, str], list[tuple[str, Trial]]] = defaultdict(list)
    for run in sorted(runs, key=lambda each: (each.meta.started_ns, each.meta.run_id)):
        if run.meta.run_id in seen:
            raise UsageError(
                f"count run {run.meta.run_id}", "it was given twice", "name each run once"
            )
        seen.add(run.meta.run_id)
        for claim in judge(run):
            key = (_same(run), claim.id)
            found[key].append((claim.verdict.unit, trial(run, claim)))
    return [
        Repeats(
            scenario=scenario, claim=claim,
            unit=next((unit for unit, _ in told if unit), ""), trials=tuple(t for _, t in told),
        )
        for (scenario, claim), told in found.items()
    ]  # fmt: skip


def _same(run: Run) -> str:
    """What must be alike for plays to be trials of one thing."""
    return f"{run.scenario.name} on {run.meta.target.get('profile', 'an unnamed target')}"


def trial(run: Run, claim: JudgedClaim) -> Trial:
    """What one play says of one claim."""
    verdict = claim.verdict
    if verdict.measured == NEVER:
        since_ns = struck_ns(run)
        looked_s = seconds(since_ns, run.end_ns) if since_ns is not None else 0.0
        return Trial(verdict.outcome, looked_s, censored=True)
    value = verdict.measured if isinstance(verdict.measured, int | float) else None
    return Trial(verdict.outcome, value)
