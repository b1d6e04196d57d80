"""This product and others beside it on the same fake target, for R6 and R8: one table that the
README can carry."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from safety import controls, kills, signals
from safety.rows import Tell, piped, piped_head, silent

OURS = "acpchaos"
COLUMNS = (
    "", "SIGKILL at a random moment", "of them with a fault live", "fault left behind",
    f"told to stop in {len(signals.WAYS)} ways", "fault left behind by",
)  # fmt: skip


@dataclass
class Beside:
    """What one tool left after it was killed, and after it was told to stop."""

    tool: str
    killed: int = 0
    live: int = 0
    left: int = 0
    stopped: int = 0
    stuck: list[str] = field(default_factory=list)  # ways to stop that left the fault

    def words(self) -> tuple[str, ...]:
        """A row of the table."""
        return (
            self.tool, str(self.killed), str(self.live), str(self.left), str(self.stopped),
            ", ".join(self.stuck) or "none",
        )  # fmt: skip


def ours(seen: kills.Kills, stops: list[signals.Stopped]) -> Beside:
    """This product, by what R6 and R8 saw."""
    stuck = [each.way for each in stops if each.left]
    return Beside(OURS, seen.done, seen.live, len(seen.left), len(stops), stuck)


def others(count: int, seed: int, tell: Tell = silent) -> Iterator[Beside]:
    """The others, with `count` kills each."""
    for number, tool in enumerate(controls.TOOLS, 1):
        killed, stops = controls.kill(tool, count, seed), controls.stop(tool)
        stuck = [each.partition(":")[0] for each in stops.left]
        tell(number)
        yield Beside(tool, killed.done, killed.live, len(killed.left), stops.done, stuck)


def table(rows: list[Beside]) -> str:
    """In Markdown."""
    return "\n".join([piped_head(COLUMNS), *(piped(row.words()) for row in rows)])
