"""The controls are real: a fault that others leave behind is seen, one that they take back, too."""

import pytest

from safety import controls, signals
from safety.controls import Control


def once(tool: str, way: str) -> Control:
    control = Control(tool)
    controls._play(control, way, controls.HOLD_LONG_S, 0.0, signals.WAYS[way], 3.0)
    return control


@pytest.mark.parametrize("way", ["TERM", "HUP, stdin and stdout closed"])
def test_an_undo_in_the_process_works_while_it_can(way: str) -> None:
    seen = once("krkn's way", way)
    assert (seen.done, seen.live, seen.left) == (1, 1, [])


def test_nothing_but_another_process_undoes_after_a_kill() -> None:
    seen = controls.kill("krkn's way", 3, seed=1)
    assert seen.done == 3 and len(seen.left) == seen.live > 0


def test_stock_chaos_toolkit_leaves_its_fault_when_it_is_interrupted() -> None:
    seen = once("Chaos Toolkit 1.21", "INT")
    assert (seen.done, len(seen.left)) == (1, 1)
