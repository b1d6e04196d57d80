"""P2: what a recorded token request costs over each client, in rounds that alternate.

The figure is requests per second of CPU time, since a busy machine slows the clock and not the
work; the ratio of medians within one run is what the bar is about.
"""

import json
import os
import tempfile
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.machine import locust, served
from benchmarks.table import Row

USERS = 20
BARS = {"fast": (4.0, 6.0), "http": (15.0, 25.0)}
NAMES = {"fast": "FastHttpUser", "http": "HttpUser"}


class Round(NamedTuple):
    """One client's share of a round."""

    per_cpu_s: float
    per_s: float


def run(rounds: int, round_s: float) -> list[Row]:
    """The two rows of P2."""
    seen: dict[str, list[Round]] = {"lean": [], "fast": [], "http": []}
    with served() as issuer:
        for number in range(rounds):
            order = list(seen) if number % 2 == 0 else list(reversed(seen))
            for client in order:
                seen[client].append(one_round(client, issuer, round_s))
    return rows(seen)


def rows(seen: dict[str, list[Round]]) -> list[Row]:
    """Ratios of medians against their bars."""
    cost = {client: median(one.per_cpu_s for one in found) for client, found in seen.items()}
    rate = {client: median(one.per_s for one in found) for client, found in seen.items()}
    found = []
    for peer, (bar, stretch) in BARS.items():
        ratio = cost["lean"] / cost[peer]
        found.append(
            Row(
                id="P2", what=f"token POST, recorded, lean client against {NAMES[peer]}",
                bar=f"{bar:g} x", stretch=f"{stretch:g} x", figure=f"{ratio:.1f} x",
                met=ratio >= bar,
                more=f"{cost['lean']:,.0f} and {cost[peer]:,.0f} requests per CPU second; "
                f"{rate['lean']:,.0f} and {rate[peer]:,.0f} per second",
            )
        )  # fmt: skip
    return found


def one_round(client: str, issuer: str, round_s: float) -> Round:
    """Tokens as fast as they come, over one client."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        result = Path(folder) / "result.json"
        os.environ |= {
            "BENCH_CLIENT": client, "BENCH_S": str(round_s), "BENCH_RESULT": str(result),
        }  # fmt: skip
        given = {"RATE": "0", "EVENTS": folder}
        locust("benchmarks/users.py", issuer, USERS, given)
        told = json.loads(result.read_text())
        written = sum(file.read_bytes().count(b"\n") for file in Path(folder).glob("load-*"))
    if written < told["requests"]:
        raise RuntimeError(f"{client}: {told['requests']} asked, {written} recorded")
    return Round(told["requests"] / told["cpu_s"], told["requests"] / told["wall_s"])
