"""The check-list map: for every row of the vendor's document, what the shown runs say about it.

Room: report. A row no shown claim names is "not yet proven": silence never counts as success.
"""

from collections import Counter
from dataclasses import dataclass

from acpchaos.check.checklist import Row, load_checklist
from acpchaos.check.verdict import JudgedClaim, Outcome, merge
from acpchaos.report.words import NOT_YET_PROVEN, WORST_FIRST

TITLES = {
    "HARD": "Hardening",
    "BCR": "Backup and restore: SQL store",
    "BRD": "Backup and restore: Redis",
    "BTS": "Backup and restore: TimescaleDB",
    "HA1": "High availability: replicas",
    "HA2": "High availability: autoscaling",
    "HA3": "High availability: data stores",
    "HA4": "High availability: zones and regions",
    "HA5": "High availability: control plane",
    "HA6": "Monitoring and logging",
    "HA7": "Backup procedures",
    "HA8": "Disaster recovery",
}


@dataclass(frozen=True)
class RowView:
    """A check-list row with its merged verdict and the claims it comes from."""

    id: str
    says: str
    verdict: str
    claims: tuple[str, ...]


@dataclass(frozen=True)
class Chapter:
    """The rows that share an id prefix."""

    title: str
    prefix: str
    rows: list[RowView]

    @property
    def tally(self) -> list[tuple[str, int]]:
        """(verdict, count), worst first, open rows last, zeros left out."""
        return [(word, count) for word, count in tally([self]) if count]


def chapters(claims: list[JudgedClaim], rows: list[Row] | None = None) -> list[Chapter]:
    """All rows by chapter, in the order of the check-list; `rows` replaces the stored list."""
    grouped: dict[str, list[RowView]] = {}
    for row in load_checklist() if rows is None else rows:
        grouped.setdefault(row.id.rsplit("-", 1)[0], []).append(_row_view(row, claims))
    return [Chapter(TITLES.get(prefix, prefix), prefix, found) for prefix, found in grouped.items()]


def _row_view(row: Row, claims: list[JudgedClaim]) -> RowView:
    naming = [claim for claim in claims if row.id in claim.rows]
    verdict = merge(c.verdict.outcome for c in naming).value if naming else NOT_YET_PROVEN
    return RowView(row.id, row.statement, verdict, tuple(claim.id for claim in naming))


def tally(found: list[Chapter]) -> list[tuple[str, int]]:
    """Rows per verdict: proven first as people ask for it first, then worst first, open last."""
    counts = Counter(row.verdict for chapter in found for row in chapter.rows)
    worst_first = [outcome.value for outcome in WORST_FIRST if outcome is not Outcome.PASSED]
    order = [Outcome.PASSED.value, *worst_first, NOT_YET_PROVEN]
    return [(word, counts[word]) for word in order]
