"""The vendor's check-list, row by row, and what the judged claims say about each.

Room: check. A row that no claim names is not yet proven: silence never counts as success.
"""

import tomllib
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import msgspec

from acpchaos.check.verdict import JudgedClaim, Outcome, merge
from acpchaos.errors import UsageError

CHECKLIST = Path(__file__).resolve().parents[2] / "suites" / "checklist.toml"

PROVEN = "proven"
NOT_YET_PROVEN = "not yet proven"


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row. severity: critical, high, medium, low, info. modes: objects, answers, probe,
    attestation; none for rows that only sum up others."""

    id: str
    chapter: str
    statement: str
    severity: str
    modes: tuple[str, ...]


class RowStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A row, its status word, and the ids of the claims it comes from."""

    row: Row
    status: str
    claims: tuple[str, ...] = ()


@lru_cache(maxsize=4)
def load_checklist(path: Path = CHECKLIST) -> list[Row]:
    """All rows in the order of the document; UsageError for an unreadable or doubled one."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        rows = msgspec.convert(table.get("row", []), list[Row])
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"read the check-list {path}", str(error), "restore the file") from error
    ids = [row.id for row in rows]
    if doubled := sorted({each for each in ids if ids.count(each) > 1}):
        raise UsageError(
            f"read the check-list {path}", f"doubled: {', '.join(doubled)}", "keep one of each"
        )
    return rows


def status_of_rows(
    judged: Iterable[JudgedClaim], rows: Iterable[Row] | None = None
) -> list[RowStatus]:
    """The status of every row over the claims of any number of runs: the worst claim decides."""
    claims = list(judged)
    statuses = []
    for row in load_checklist() if rows is None else rows:
        naming = [claim for claim in claims if row.id in claim.rows]
        statuses.append(
            RowStatus(
                row=row,
                status=_word(naming),
                claims=tuple(sorted({claim.id for claim in naming})),
            )
        )
    return statuses


def _word(naming: list[JudgedClaim]) -> str:
    if not naming:
        return NOT_YET_PROVEN
    outcome = merge(claim.verdict.outcome for claim in naming)
    return PROVEN if outcome is Outcome.PASSED else outcome.value
