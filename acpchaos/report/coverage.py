"""The check-list map, laid out by chapter; what each row's status is, the check room says.

Room: report. It must not decide what counts as proven.
"""

from collections import Counter
from dataclasses import dataclass

from acpchaos.check.checklist import NOT_YET_PROVEN, PROVEN, RowStatus, status_of_rows
from acpchaos.check.verdict import JudgedClaim, Outcome
from acpchaos.report.words import WORST_FIRST

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
# Proven first, as people ask for it first; then worst first; open rows last.
ORDER = (
    PROVEN,
    *(outcome.value for outcome in WORST_FIRST if outcome is not Outcome.PASSED),
    NOT_YET_PROVEN,
)


@dataclass(frozen=True)
class Chapter:
    """The rows that share an id prefix."""

    title: str
    rows: list[RowStatus]

    @property
    def tally(self) -> list[tuple[str, int]]:
        """(status, count) of this chapter, without zeros."""
        return tally([self])


def chapters(claims: list[JudgedClaim]) -> list[Chapter]:
    """All rows by chapter, in the order of the check-list."""
    grouped: dict[str, list[RowStatus]] = {}
    for status in status_of_rows(claims):
        grouped.setdefault(status.row.id.rpartition("-")[0], []).append(status)
    return [Chapter(TITLES.get(prefix, prefix), found) for prefix, found in grouped.items()]


def tally(found: list[Chapter]) -> list[tuple[str, int]]:
    """(status, count) over chapters, in the order of reading, without zeros."""
    counts = Counter(status.status for chapter in found for status in chapter.rows)
    return [(word, counts[word]) for word in ORDER if counts[word]]
