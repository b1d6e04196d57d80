"""Kubernetes, the clients and the store: what each calls recovered, and where they cannot all be
right."""

from golden import records
from golden.records import at

from acpchaos.check.clocks import (
    BACK,
    CLIENTS,
    KUBERNETES,
    NEVER,
    STORE,
    UNHARMED,
    UNKNOWN,
    Clock,
    clocks,
    disagreements,
)
from acpchaos.check.window import seconds
from acpchaos.record.events import AnyEvent
from acpchaos.record.run import Run

from .judging import played


def down(until_s: float) -> list[AnyEvent]:
    return records.changed(
        [*records.prober(), *records.load()], records.due_between(33, until_s), error="http_503"
    )


def wiped(back_s: float) -> list[AnyEvent]:
    """Redis is looked at each second and whole again at `back_s`."""
    away = {"reachable": False, "run_id": "", "state": "", "slots": 0, "link_up": False}
    looks = [
        records.redis_sight(second, n, **(away if second < back_s else {"run_id": f"new{n}"}))
        for second in range(33, 80)
        for n in range(6)
    ]
    return [*(records.redis_sight(5, n) for n in range(6)), *looks]


def told(run: Run) -> dict[str, Clock]:
    return {each.who: each for each in clocks(run)}


def test_three_ideas_of_recovered_stand_side_by_side() -> None:
    found = told(played(*records.pods(45), *down(50), *wiped(48)))
    assert [each.state for each in found.values()] == [BACK, BACK, BACK]
    kubernetes, clients, store = (found[who].at for who in (KUBERNETES, CLIENTS, STORE))
    assert kubernetes and clients and store
    assert kubernetes == (at(45), at(45))
    assert 49.7 <= seconds(at(0), clients.from_ns) < 50 < seconds(at(0), clients.until_ns) < 50.6
    assert (store.from_ns, store.until_ns) == (at(48), at(48)), "nodes are looked at in turn"


def test_who_calls_it_too_early_is_told_with_the_distance() -> None:
    lines = disagreements(played(*records.pods(45), *down(50), *wiped(48)))
    assert len(lines) == 3
    assert lines[0].startswith("recovered by Kubernetes 4.8 s or more before the clients: acp had")
    assert any(line.startswith("recovered by the store 1.") for line in lines)


def test_within_the_offset_of_the_clocks_nobody_is_wrong() -> None:
    run = played(*records.pods(49.5), *down(50), *wiped(49))
    assert disagreements(run) != []
    run.meta.clock_offsets_ms["api server"] = 900.0
    assert disagreements(run) == []


def test_one_that_never_recovers_contradicts_one_that_did() -> None:
    run = played(*records.pods(45), *down(99))
    assert told(run)[CLIENTS].state == NEVER
    (line,) = disagreements(run)
    assert line.startswith("recovered by Kubernetes, not by the clients: ")
    lost = played(*records.pods()[:-1], *down(50))
    assert told(lost)[KUBERNETES].state == NEVER
    assert disagreements(lost)[0].startswith("recovered by the clients, not by Kubernetes")


def test_what_only_the_clients_noticed_is_a_finding() -> None:
    still = [records.pod(0, number) for number in range(3)]
    whole = [records.redis_sight(second, n) for second in (5, 40, 70) for n in range(6)]
    (line,) = disagreements(played(*still, *whole, *down(40)))
    assert line.startswith("only the clients noticed: ")
    assert disagreements(played(*still, *whole, *records.prober())) == []


def test_what_was_not_looked_at_is_unknown_and_contradicts_nobody() -> None:
    found = told(played())
    assert [each.state for each in found.values()] == [UNKNOWN, UNKNOWN, UNKNOWN]
    assert disagreements(played()) == []
    assert clocks(records.run_of([])) == []
    unwell = told(played(records.redis_sight(5, 0, state="fail")))
    assert unwell[STORE].state == UNKNOWN
    calm = told(played(*records.prober(), *(records.redis_sight(s, 0) for s in (5, 40))))
    assert (calm[CLIENTS].state, calm[STORE].state) == (UNHARMED, UNHARMED)
