"""What one pytest session has played, reviewed and concluded.

Room: door. Shared by the parts of the plugin; it must not know how any of it is run.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from acpchaos.check.verdict import JudgedClaim, Outcome
from acpchaos.errors import AcpchaosError

if TYPE_CHECKING:
    from acpchaos.check.posture.rule import RowResult
    from acpchaos.play import Played
    from acpchaos.review import Reviewed


class Inconclusive(Exception):
    """The evidence could not decide this claim or row."""


class Crashed(AcpchaosError):
    """A defect of ours ended a play or a review; nothing is decided."""


def crashed(attempted: str, error: Exception) -> Crashed:
    """The error by which it is remembered, so that nothing is played again; told in full here."""
    traceback.print_exception(error)
    seen = f"{type(error).__name__}: {error}"
    return Crashed(attempted, seen, "this is a defect; please report it with the traceback above")


@dataclass
class Ledger:
    """What the session has played and concluded; `review` stays None until rows are asked for."""

    plays: dict[str, Played | AcpchaosError] = field(default_factory=dict)
    repeats: list[Path] = field(default_factory=list)  # every play of --chaos-repeats, in order
    plans: dict[str, str | AcpchaosError] = field(default_factory=dict)  # of a dry run
    review: Reviewed | AcpchaosError | None = None
    rows: list[RowResult] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    judged: list[JudgedClaim] = field(default_factory=list)
    page: Path | None = None

    @property
    def used(self) -> bool:
        """Whether anything was played or reviewed at all."""
        return bool(self.plays) or self.review is not None

    @property
    def folders(self) -> list[Path]:
        """Where the plays and the review of this session lie."""
        done = [*self.plays.values(), *([self.review] if self.review else [])]
        shown = [each.folder for each in done if not isinstance(each, AcpchaosError)]
        return [*(each for each in self.repeats if each not in shown), *shown]


LEDGER = pytest.StashKey[Ledger]()


def given(config: pytest.Config, option: str) -> bool:
    """Whether a --chaos option was given."""
    return bool(config.getoption(option.removeprefix("--").replace("-", "_")))
