"""`python -m benchmarks [P2 P3 ...] [--quick]`: one table; exit code 1 where a bar is missed."""

import argparse
import sys
from collections.abc import Callable

from rich.console import Console

from benchmarks import clients, lateness, recording
from benchmarks.table import Row, exit_code, show

RUNS: dict[str, Callable[[bool], list[Row]]] = {
    "P2": lambda quick: clients.run(rounds=1 if quick else 5, round_s=2.0 if quick else 4.0),
    "P3": lambda quick: lateness.run(span_s=3.0 if quick else 10.0),
    "P6": lambda quick: recording.run(20_000 if quick else 100_000, rounds=1 if quick else 5),
}


def main() -> int:
    """Run what is asked for, everything by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("ids", nargs="*", metavar="ID", help=", ".join(RUNS))
    parser.add_argument("--quick", action="store_true", help="short rounds: a smoke test")
    given = parser.parse_args()
    if unknown := set(given.ids) - set(RUNS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(RUNS)}")
    rows = [row for name in given.ids or RUNS for row in RUNS[name](given.quick)]
    show(rows, Console(width=180))
    return exit_code(rows)


sys.exit(main())
