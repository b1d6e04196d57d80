"""Waivers: findings that somebody accepts, with a reason and until a date.

Room: check. An expired waiver covers nothing, and says so. Reviewed like code: a TOML file

    [[waiver]]
    row = "HARD-38"
    object = "StatefulSet acp-system/redis-cluster*"   # shell pattern on the finding's object
    reason = "needs root until the chart is updated"
    owner = "identity-sre"
    expires = 2026-12-31
"""

import datetime as dt
import tomllib
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from acpchaos.check.posture.rule import Finding
from acpchaos.errors import UsageError


class Waiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One accepted finding. All keys are needed; a waiver without an end is none."""

    row: str
    object: str
    reason: str
    owner: str
    expires: dt.date

    def __post_init__(self) -> None:
        if not self.reason.strip() or not self.owner.strip() or not self.object.strip("* "):
            raise ValueError("row, object, reason and owner must each say something")


def load_waivers(path: Path) -> list[Waiver]:
    """All waivers of a file; UsageError names what is wrong in it."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return msgspec.convert(table.get("waiver", []), list[Waiver])
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(
            f"read waivers from {path}", str(error), "each [[waiver]] needs row, object, reason, "
            "owner and expires (a date)",
        ) from error  # fmt: skip


def apply(
    row: str, findings: Iterable[Finding], waivers: Iterable[Waiver], today: str
) -> tuple[Finding, ...]:
    """The findings, with those marked that a waiver in force covers; an expired one is told in
    what was seen."""
    mine = [each for each in waivers if each.row == row]
    return tuple(_marked(finding, mine, dt.date.fromisoformat(today)) for finding in findings)


def _marked(finding: Finding, waivers: list[Waiver], today: dt.date) -> Finding:
    covering = [each for each in waivers if fnmatchcase(finding.object, each.object)]
    if not covering:
        return finding
    last = max(covering, key=lambda each: each.expires)
    if last.expires < today:
        saw = f"{finding.saw} (its waiver by {last.owner} expired on {last.expires})"
        return msgspec.structs.replace(finding, saw=saw)
    text = f"{last.reason}; {last.owner}, until {last.expires}"
    return msgspec.structs.replace(finding, waived=text)
