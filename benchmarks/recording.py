"""P6: what the record of one request costs, while it runs and at rest."""

import random
import tempfile
import time
from pathlib import Path
from statistics import median

from acpchaos.load.offer import FLUSH_S, Offer
from acpchaos.load.settings import Settings
from acpchaos.record.events import Request
from acpchaos.record.run import RunFolder, RunMeta
from acpchaos.record.seal import write_history
from acpchaos.scenario import Load, Scenario
from benchmarks.table import Row

COST_US, SIZE_B = 2.0, 8.0
RATE_PER_S = 5000


def run(count: int, rounds: int) -> list[Row]:
    """The row of P6: CPU time of the call that records, and bytes of history.parquet per row."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        made = _made(count)
        costs = []
        for number in range(rounds):
            offer = Offer()
            offer.open(Settings(issuer="", events=f"{folder}/{number}"))
            costs.append(cost_us(made, offer))
        size_b = _at_rest(Path(folder) / "run", made)
    return [row(median(costs), size_b)]


def row(cost_us: float, size_b: float) -> Row:
    """Both bars must be met."""
    return Row(
        id="P6", what="cost of the record per request", bar=f"{COST_US:g} us, {SIZE_B:g} B",
        stretch="1 us, 4 B", figure=f"{cost_us:.1f} us, {size_b:.1f} B",
        met=cost_us <= COST_US and size_b <= SIZE_B, more="",
    )  # fmt: skip


def cost_us(made: list[tuple[int, int, int]], offer: Offer) -> float:
    """CPU microseconds for each request: the event made, recorded and written, `offer` closed."""
    begin_s = time.process_time()
    for number, (intended_ns, start_ns, end_ns) in enumerate(made):
        if number % (RATE_PER_S * FLUSH_S) == 0:
            offer.flush()
        offer.record(
            Request(
                t_ns=end_ns, source="load", flow="client_credentials", step="token",
                intended_ns=intended_ns, start_ns=start_ns, status=200, session="4711-17-2048",
            )
        )  # fmt: skip
    offer.close()
    return (time.process_time() - begin_s) / len(made) * 1e6


def _made(count: int) -> list[tuple[int, int, int]]:
    """(intended, start, end) as a run at RATE_PER_S has them: gaps and durations are random."""
    dice, at_ns, found = random.Random(1), 1_764_000_000_000_000_000, []
    for _ in range(count):
        at_ns += int(dice.uniform(0.5, 1.5) / RATE_PER_S * 1e9)
        start_ns = at_ns + int(dice.expovariate(1 / 500_000))
        found.append((at_ns, start_ns, start_ns + int(dice.lognormvariate(14, 0.4))))
    return found


def _at_rest(path: Path, made: list[tuple[int, int, int]]) -> float:
    """Bytes of history.parquet for each request, whose sessions are short as real ones are."""
    scenario = Scenario(
        name="bench", load=Load(rate_per_s=RATE_PER_S), experiment="", steady_s=1, fault_s=1,
        recovery_s=1, claims=(),
    )  # fmt: skip
    meta = RunMeta(
        run_id="bench", seed=1, started_ns=made[0][0], commit="", dirty=False, argv=(), target={},
        versions={}, scenario=scenario,
    )  # fmt: skip
    folder = RunFolder.create(path, meta)
    journal = folder.journal("load-bench-1")
    for number, (intended_ns, start_ns, end_ns) in enumerate(made):
        session = f"4711-{number % 80}-{number // 80}"
        journal.write(
            Request(
                t_ns=end_ns, source="load", flow="client_credentials", step="token",
                intended_ns=intended_ns, start_ns=start_ns, status=200, session=session,
            )
        )  # fmt: skip
    journal.close()
    write_history(folder)
    return folder.history.stat().st_size / len(made)
