"""--chaos-repeats: as many plays, each at another offset, and the worst verdict of each claim."""

from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from golden import records

from acpchaos.check.verdict import JudgedClaim, Verdict
from acpchaos.errors import PreconditionUnmet, TargetLeftDirty
from acpchaos.plugin_ledger import LEDGER, Ledger
from acpchaos.plugin_repeats import OFFSET_S, repeated, shifted

from .judging import F, I, P

SCENARIO = records.good().scenario


class Played(NamedTuple):
    folder: Path
    judged: tuple[JudgedClaim, ...]


def play_of(*outcomes):
    return tuple(
        JudgedClaim(id=f"c{n}", says="", rows=(), verdict=Verdict(outcome=outcome, why=""))
        for n, outcome in enumerate(outcomes)
    )


def played(results, count, seed=7):
    """(what comes of `count` plays with these results, scenarios as played, the ledger)."""
    given = {"chaos_repeats": count, "chaos_seed": seed}
    config = SimpleNamespace(getoption=given.get, stash={LEDGER: Ledger()})
    scenarios = []

    def once(_, scenario):
        scenarios.append(scenario)
        result = results[len(scenarios) - 1]
        if isinstance(result, Exception):
            return result
        return Played(Path(f"run-{len(scenarios)}"), play_of(*result))

    return repeated(config, SCENARIO, once), scenarios, config.stash[LEDGER]


def test_one_play_is_played_as_it_is():
    result, scenarios, ledger = played([(P, F)], 1)
    assert scenarios == [SCENARIO] and ledger.repeats == [] and result.judged == play_of(P, F)


def test_each_play_is_at_an_offset_of_its_own_and_the_worst_counts():
    result, scenarios, ledger = played([(P, P, I), (F, P, P), (P, P, P)], 3)
    assert [claim.verdict.outcome for claim in result.judged] == [F, P, I]
    steady = [scenario.steady_s - SCENARIO.steady_s for scenario in scenarios]
    assert len(set(steady)) == 3 and all(0 <= one <= OFFSET_S for one in steady)
    assert ledger.repeats == [Path("run-1"), Path("run-2"), Path("run-3")] == ledger.folders
    assert shifted(SCENARIO, 1, 7) == scenarios[1] != shifted(SCENARIO, 1, 8)


def test_a_play_that_could_not_be_judged_leaves_all_undecided():
    unmet = PreconditionUnmet("wait", "unwell", "repair")
    result, scenarios, _ = played([(P,), unmet, (P,)], 3)
    assert result is unmet and len(scenarios) == 3


def test_a_target_left_changed_is_not_played_on():
    dirty = TargetLeftDirty("undo", "left", "undo it")
    result, scenarios, _ = played([(P,), dirty, (P,)], 3)
    assert result is dirty and len(scenarios) == 2


@pytest.mark.parametrize("count", ["0", "-1", "many"])
def test_nonsense_is_refused(count):
    from acpchaos.plugin_repeats import _count

    with pytest.raises(ValueError):
        _count(count)
