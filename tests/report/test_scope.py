"""The page says what the load generator itself did not do in time."""

from pathlib import Path

from acpchaos.record.events import Request
from acpchaos.record.run import load_run
from acpchaos.report.scope import LATE_MS, answers
from acpchaos.scenario import Load, Stage
from tests.report import synthetic


def request(second: float, late_ms: float, error: str = "") -> Request:
    due_ns = synthetic.at(second)
    begun_ns = due_ns + round(late_ms * 1e6)
    return Request(
        t_ns=begun_ns + 5_000_000, source="load", flow="refresh", step="refresh",
        intended_ns=due_ns, start_ns=begun_ns, status=0 if error else 200, error=error,
    )  # fmt: skip


def told(tmp_path: Path, *requests: Request) -> tuple[str, ...]:
    recorded = [*synthetic.phases(), *requests]
    run = load_run(synthetic.write_run(tmp_path / "run", "redis-wipe", recorded, []))
    return next(one for one in answers(run) if one.question == "Load was real").details


def test_late_and_never_sent_requests_are_counted(tmp_path: Path) -> None:
    found = told(
        tmp_path, request(1, 0.4), request(2, LATE_MS - 1), request(3, LATE_MS + 1),
        request(4, 250), request(5, 10_000, "never_sent"),
    )  # fmt: skip
    assert "5 requests due, 4 good, 1 never sent" in found
    assert "3 begun over 100 ms late, the latest by 10,000 ms" in found
    assert "20 flows/s planned" in found


def test_a_load_in_time_is_told_as_such(tmp_path: Path) -> None:
    assert "0 begun over 100 ms late, the latest by 2 ms" in told(tmp_path, request(1, 2))


def test_how_the_load_moves_is_told(tmp_path: Path, monkeypatch) -> None:
    shaped = Load(
        rate_per_s=20, gaps="poisson",
        stages=(Stage(for_s=30, times=0.5), Stage(for_s=10, times=1, ramp=True)),
    )  # fmt: skip
    monkeypatch.setattr(synthetic, "Load", lambda **_: shaped)
    assert "20 flows/s planned, poisson arrivals, 0.5 times for 30 s, to 1 times for 10 s" in told(
        tmp_path, request(1, 2)
    )
