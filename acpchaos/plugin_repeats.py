"""--chaos-repeats N: every scenario is played N times, each time at another offset.

Room: door. A fault that always strikes as long after the start may always meet the same moment of
what beats in the target (15 s of an autoscaler, a heartbeat, a flush); so the steady phase is
longer by a random part. Each play is a run folder of its own, judged by itself; a claim holds if it
held in all. What the N together say is check/repeats.py, also by `acpchaos repeats RUN...`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import pytest

from acpchaos.check.verdict import JudgedClaim, merge
from acpchaos.errors import AcpchaosError, TargetLeftDirty, UsageError
from acpchaos.plugin_ledger import LEDGER
from acpchaos.scenario import Scenario

if TYPE_CHECKING:
    from acpchaos.play import Played

OFFSET_S = 15.0  # the longest beat that Kubernetes has by default: the autoscaler's

type PlayOnce = Callable[[pytest.Config, Scenario], Played | AcpchaosError]


def add_options(group: pytest.OptionGroup) -> None:
    """The one option of repeats."""
    group.addoption(
        "--chaos-repeats", type=_count, default=1, metavar="N",
        help="play each scenario N times, at random offsets",
    )  # fmt: skip


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise ValueError(text)
    return count


def repeated(
    config: pytest.Config, scenario: Scenario, play_once: PlayOnce
) -> Played | AcpchaosError:
    """The plays of one scenario, as one: the worst verdict of each claim. One that could not be
    judged makes all inconclusive; one that left the target changed is the last."""
    count = config.getoption("chaos_repeats")
    if count == 1:
        return play_once(config, scenario)
    seen: list[Played] = []
    unjudged: AcpchaosError | None = None
    for number in range(count):
        played = play_once(config, shifted(scenario, number, config.getoption("chaos_seed")))
        if isinstance(played, TargetLeftDirty | UsageError):
            return played
        if isinstance(played, AcpchaosError):
            unjudged = played
        else:
            seen.append(played)
            config.stash[LEDGER].repeats.append(played.folder)
    return unjudged or worst(seen)


def shifted(scenario: Scenario, number: int, seed: int | None) -> Scenario:
    """The scenario with a longer steady phase; the same for the same seed and number."""
    dice = random.SystemRandom() if seed is None else random.Random(f"{seed} {number}")
    longer_s = round(dice.uniform(0, OFFSET_S), 3)
    return msgspec.structs.replace(scenario, steady_s=scenario.steady_s + longer_s)


def worst(seen: list[Played]) -> Played:
    """The last play, with the worst verdict that each claim got in any."""
    return type(seen[-1])(
        seen[-1].folder,
        tuple(_worst([each.judged[index] for each in seen])
              for index in range(len(seen[-1].judged))),
    )  # fmt: skip


def _worst(judged: list[JudgedClaim]) -> JudgedClaim:
    outcome = merge(claim.verdict.outcome for claim in judged)
    return next(claim for claim in judged if claim.verdict.outcome is outcome)


def write(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What the repeats say together."""
    folders = config.stash[LEDGER].repeats
    if not folders:
        return
    from acpchaos.check.repeats import repeats
    from acpchaos.record.run import load_run
    from acpchaos.report.repeats import lines

    terminalreporter.section("repeats")
    for line in lines(repeats(load_run(folder) for folder in folders)):
        terminalreporter.write_line(line)
