"""Steps: the way from a bare machine to a ready lab, as data; and the runner that walks it.

A step says what it is called, how long it should take, whether it is done already, and how to do
it. The runner knows nothing else. An interrupted walk is taken up again by walking it again: what
is done says so by itself.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from lab.process import LabError


class Say(Protocol):
    """Where progress goes: one call per line."""

    def __call__(self, line: str) -> None: ...


@dataclass(frozen=True)
class Step:
    """`done` is asked first; `act` is called when it says no. `expected_s` is for a cold machine of
    two cores.
    """

    name: str
    expected_s: int
    act: Callable[[], str | None]
    done: Callable[[], bool] = lambda: False


@dataclass
class Walk:
    """What a walk cost, step by step."""

    took_s: dict[str, float] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)


class StepFailed(Exception):
    """A step that did not end well; `text` names step, sight, log and remedy."""

    def __init__(self, step: Step, cause: LabError) -> None:
        log = f"\n  log:    {cause.log}" if cause.log else ""
        self.text = f"step '{step.name}' failed: {cause}{log}\n  remedy: {cause.remedy}"
        super().__init__(self.text)


def walk(steps: Sequence[Step], say: Say, clock: Callable[[], float] = time.monotonic) -> Walk:
    """Walk all steps in order; the first that fails ends it with StepFailed."""
    result = Walk()
    began = clock()
    for number, step in enumerate(steps, 1):
        head = f"[{number:2}/{len(steps)}] {step.name}"
        try:
            if step.done():
                result.kept.append(step.name)
                say(f"{head}: kept")
                continue
            say(f"{head} ... (about {step.expected_s} s, {clock() - began:.0f} s so far)")
            at = clock()
            note = step.act()
        except LabError as cause:
            raise StepFailed(step, cause) from cause
        result.took_s[step.name] = round(clock() - at, 1)
        say(f"{head}: done in {result.took_s[step.name]:.0f} s{f' ({note})' if note else ''}")
    return result
