"""P6: what the record of one request costs, while it runs and at rest."""

import random
import tempfile
import time
from pathlib import Path
from statistics import median

from acpchaos.load.offer import FLUSH_S, Offer
from acpchaos.load.settings import Settings
from acpchaos.record.events import Request
from acpchaos.record.journal import Journal
from acpchaos.record.run import RunFolder, RunMeta
from acpchaos.record.seal import write_history
from acpchaos.scenario import Load, Scenario
from benchmarks.table import Row

COST_US, SIZE_B = 2.0, 8.0
RATE_PER_S = 5000
FLOWS = {
    ("client_credentials", "token"): 4,
    ("refresh", "token"): 2,
    ("introspect", "introspect"): 1,
}


def run(count: int, rounds: int) -> list[Row]:
    """The row of P6: CPU time of the call that records, and bytes per row of what a sealed
    run keeps."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        made = requests(count)
        costs = []
        for number in range(rounds):
            offer = Offer()
            offer.open(Settings(issuer="", events=f"{folder}/{number}"))
            costs.append(cost_us(made, offer))
        size_b = at_rest(Path(folder) / "run", made)
    return [row(median(costs), size_b)]


def row(cost_us: float, size_b: float) -> Row:
    """Both bars must be met."""
    return Row(
        id="P6", what="cost of the record per request", bar=f"{COST_US:g} us, {SIZE_B:g} B",
        stretch="1 us, 4 B", figure=f"{cost_us:.1f} us, {size_b:.1f} B",
        met=cost_us <= COST_US and size_b <= SIZE_B, more="",
    )  # fmt: skip


def cost_us(made: list[Request], offer: Offer) -> float:
    """CPU microseconds for each request: the event made, recorded and written, `offer` closed."""
    begin_s = time.process_time()
    for number, one in enumerate(made):
        if number % (RATE_PER_S * FLUSH_S) == 0:
            offer.flush()
        offer.record(
            Request(
                t_ns=one.t_ns, source="load", flow=one.flow, step=one.step,
                intended_ns=one.intended_ns, start_ns=one.start_ns, status=one.status,
                session=one.session,
            )
        )  # fmt: skip
    offer.close()
    return (time.process_time() - begin_s) / len(made) * 1e6


def requests(count: int) -> list[Request]:
    """As a run at RATE_PER_S has them: gaps, delays, durations and flows are random, moments those
    of a Clock."""
    dice, at_us, found = random.Random(1), 1_764_000_000_000_000, []
    for number in range(count):
        at_us += int(dice.uniform(0.5, 1.5) / RATE_PER_S * 1e6)
        start_us = at_us + int(dice.expovariate(1 / 500))
        flow, step = dice.choices(list(FLOWS), list(FLOWS.values()))[0]
        found.append(
            Request(
                t_ns=(start_us + int(dice.lognormvariate(7.1, 0.4))) * 1000, source="load",
                flow=flow, step=step, intended_ns=at_us * 1000, start_ns=start_us * 1000,
                status=200, session=f"bench-4711-{number}",
            )
        )  # fmt: skip
    return found


def at_rest(path: Path, made: list[Request]) -> float:
    """Bytes of everything that a sealed run keeps of its requests, for each."""
    scenario = Scenario(
        name="bench", load=Load(rate_per_s=RATE_PER_S), experiment="", steady_s=1, fault_s=1,
        recovery_s=1, claims=(),
    )  # fmt: skip
    meta = RunMeta(
        run_id="bench", seed=1, started_ns=0, commit="", dirty=False, argv=(), target={},
        versions={}, scenario=scenario,
    )  # fmt: skip
    folder = RunFolder.create(path, meta)
    with Journal(folder.events / "load-bench-1.ndjson", held=True) as journal:
        for one in made:
            journal.write(one)
    write_history(folder)
    kept = [folder.history, *folder.events.iterdir()]
    return sum(file.stat().st_size for file in kept) / len(made)
