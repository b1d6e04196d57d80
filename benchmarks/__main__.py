"""`python -m benchmarks [P2 P3 ...] [--quick]`: one table; exit code 1 where a bar is missed.

What is under way is told beside the table, on standard error. `--r1 1000` makes as many outages,
`--r2 24` shams for as many hours. The four readers are not here but in `benchmarks.compare`.
"""

import argparse
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from typing import NamedTuple

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


class Benchmark(NamedTuple):
    """One or two rows of the table. `about_s` is what it takes, whole, on a quiet machine: mostly
    the lengths it is given."""

    about_s: float
    run: Callable[[argparse.Namespace], list[Row]]


BENCHMARKS = {
    "P1": Benchmark(70, lambda to: peer.run(rounds=_one_or(5, to), round_s=2.0 * _one_or(2, to))),
    "P2": Benchmark(
        130, lambda to: clients.run(rounds=_one_or(5, to), round_s=2.0 * _one_or(2, to))
    ),
    "P3": Benchmark(25, lambda to: lateness.run(span_s=3.0 if to.quick else 10.0)),
    "P4": Benchmark(50, lambda to: freezes.run((0.5,) if to.quick else freezes.FREEZES_S)),
    "P6": Benchmark(15, lambda to: recording.run(20_000 * _one_or(5, to), rounds=_one_or(5, to))),
    "P7": Benchmark(
        60, lambda to: listing.run(1000 if to.quick else listing.PODS, rounds=_one_or(3, to))
    ),
    "P8": Benchmark(
        20, lambda to: watching.run(4000 if to.quick else 60_000, cuts=8 if to.quick else 24)
    ),
    "P10": Benchmark(120, lambda to: judging.run(600_000 if to.quick else judging.ROWS)),
    "R1": Benchmark(620, lambda to: outages.run(to.r1 or (6 if to.quick else 300))),
    "R2": Benchmark(605, lambda to: outages.run_sham(to.r2 * 3600 or (5.0 if to.quick else 600.0))),
    "H1": Benchmark(100, lambda to: review.run(rounds=_one_or(5, to))),
}  # fmt: skip


def _one_or(many: int, to: argparse.Namespace) -> int:
    return 1 if to.quick else many


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for, everything by default."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("ids", nargs="*", metavar="ID", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="short rounds: a smoke test")
    parser.add_argument("--r1", type=int, default=0, metavar="OUTAGES")
    parser.add_argument("--r2", type=float, default=0.0, metavar="HOURS")
    given = parser.parse_args(words)
    if unknown := set(given.ids) - set(BENCHMARKS):
        there = ", ".join(BENCHMARKS)
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {there}")
    chosen = {name: BENCHMARKS[name] for name in given.ids or BENCHMARKS}
    aside = Console(stderr=True, highlight=False)
    if not (given.quick or given.r1 or given.r2):
        whole_s = sum(each.about_s for each in chosen.values())
        aside.print(f"about {whole_s / 60:.0f} min on a quiet machine")
    rows = [row for name, each in chosen.items() for row in _told(name, each, given, aside)]
    show(rows, Console(width=180))
    return exit_code(rows)


def _told(name: str, each: Benchmark, given: argparse.Namespace, aside: Console) -> list[Row]:
    """The rows of one benchmark. One that broke has measured nothing, which meets no bar; the
    others go on."""
    aside.print(f"{name} ...")
    begin_s = time.monotonic()
    try:
        rows = each.run(given)
    except Exception as error:
        traceback.print_exc()
        why = f"{type(error).__name__}: {error}"
        rows = [Row(name, "broke off", "", "", "not measured", met=False, more=why[:300])]
    took_s = time.monotonic() - begin_s
    for row in rows:
        said = f"{row.id}  {row.figure} (bar {row.bar}): {row.verdict}, {took_s:.0f} s"
        aside.print(said, soft_wrap=True, markup=False)
    return rows


if __name__ == "__main__":
    sys.exit(main())
