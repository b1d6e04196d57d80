"""`python -m benchmarks [P2 P3 ...] [--quick]`: one table; exit code 1 where a bar is missed.

`--r1 1000` makes as many outages, `--r2 24` shams for as many hours.
"""

import argparse
import sys
from collections.abc import Callable

from rich.console import Console

from benchmarks import (
    clients,
    freezes,
    judging,
    lateness,
    listing,
    outages,
    peer,
    recording,
    review,
    watching,
)
from benchmarks.table import Row, exit_code, show

RUNS: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "P1": lambda to: peer.run(rounds=1 if to.quick else 5, round_s=2.0 if to.quick else 4.0),
    "P2": lambda to: clients.run(rounds=1 if to.quick else 5, round_s=2.0 if to.quick else 4.0),
    "P3": lambda to: lateness.run(span_s=3.0 if to.quick else 10.0),
    "P4": lambda to: freezes.run((0.5,) if to.quick else freezes.FREEZES_S),
    "P6": lambda to: recording.run(20_000 if to.quick else 100_000, rounds=1 if to.quick else 5),
    "P7": lambda to: listing.run(1000 if to.quick else listing.PODS, rounds=1 if to.quick else 3),
    "P8": lambda to: watching.run(4000 if to.quick else 60_000, cuts=8 if to.quick else 24),
    "P10": lambda to: judging.run(600_000 if to.quick else judging.ROWS),
    "R1": lambda to: outages.run(to.r1 or (6 if to.quick else 300)),
    "R2": lambda to: outages.run_sham(to.r2 * 3600 or (5.0 if to.quick else 600.0)),
    "H1": lambda to: review.run(rounds=1 if to.quick else 5),
}


def main() -> int:
    """Run what is asked for, everything by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("ids", nargs="*", metavar="ID", help=", ".join(RUNS))
    parser.add_argument("--quick", action="store_true", help="short rounds: a smoke test")
    parser.add_argument("--r1", type=int, default=0, metavar="OUTAGES")
    parser.add_argument("--r2", type=float, default=0.0, metavar="HOURS")
    given = parser.parse_args()
    if unknown := set(given.ids) - set(RUNS):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(RUNS)}")
    rows = [row for name in given.ids or RUNS for row in RUNS[name](given)]
    show(rows, Console(width=180))
    return exit_code(rows)


sys.exit(main())
