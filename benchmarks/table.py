"""Rows of the one table, and the exit code they make."""

from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape
from rich.table import Table


@dataclass(frozen=True)
class Row:
    """A bar and what was measured against it."""

    id: str
    what: str
    bar: str
    stretch: str
    figure: str
    met: bool
    more: str = ""

    @property
    def verdict(self) -> str:
        return "met" if self.met else "missed"


def show(rows: list[Row], console: Console) -> None:
    """Print them."""
    table = Table("id", "what", "bar", "stretch", "measured", "verdict", "more", highlight=False)
    for row in rows:
        words = (row.id, row.what, row.bar, row.stretch, row.figure)
        verdict = row.verdict if row.met else f"[bold red]{row.verdict}[/]"
        table.add_row(*map(escape, words), verdict, escape(row.more))
    console.print(table)


def exit_code(rows: list[Row]) -> int:
    """0 when there are rows and all are met, else 1."""
    return 0 if rows and all(row.met for row in rows) else 1
