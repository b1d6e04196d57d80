"""A store that answers from a table: what would be run is looked up, nothing is run."""

from collections.abc import Callable, Sequence
from pathlib import Path

from acpchaos.stores.exec import CommandFailed

RECORDED = Path(__file__).parent / "recorded"


def recorded(name: str) -> str:
    return (RECORDED / name).read_text()


class FakeExec:
    """`answer` gets pod and the joined command; an int is an exit code, None is silence."""

    def __init__(self, answer: Callable[[str, str], str | int]) -> None:
        self.answer, self.asked, self.inputs = answer, [], []

    def __call__(
        self, pod: str, container: str, command: Sequence[str], stdin=None, *, timeout_s=20.0
    ):
        line = " ".join(command)
        self.asked.append((pod, line))
        self.inputs.append(stdin)
        said = self.answer(pod, line)
        if isinstance(said, int):
            raise CommandFailed(pod, command[0], said, "recorded failure")
        return said
