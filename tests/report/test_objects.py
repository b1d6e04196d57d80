"""Budgets, StatefulSets, events and clocks on the page: what happened, and only that."""

from pathlib import Path

from acpchaos.record.events import (
    LEFT_OUT,
    AnyEvent,
    ClockOffset,
    ClusterEvent,
    DisruptionBudget,
    Heartbeat,
    Observation,
    StatefulSet,
)
from acpchaos.report.evidence import write_evidence
from tests.report import synthetic
from tests.report.page import read
from tests.report.synthetic import at


def page_of(path: Path, *more: AnyEvent) -> str:
    recorded = [*synthetic.phases(), *synthetic.deeds("redis-wipe"), *more]
    run = synthetic.write_run(path / "run", "redis-wipe", recorded, [synthetic.claim("c")])
    page = read(write_evidence([run], run / "evidence.html").read_text("utf-8"))
    return page.by_id("run-1").text


def budget(second: float, allowed: int) -> DisruptionBudget:
    return DisruptionBudget(
        t_ns=at(second), name="acp", allowed=allowed, healthy=2, wanted=2, expected=3
    )


def a_set(second: float, ready: int, uid: str = "u") -> StatefulSet:
    return StatefulSet(
        t_ns=at(second), name="redis-cluster", uid=uid, replicas=6, ready=ready, updated=ready
    )


def test_a_blocked_budget_and_a_set_made_anew_are_shown(tmp_path: Path) -> None:
    text = page_of(
        tmp_path, budget(1, 1), budget(31, 0), budget(33.5, 1), a_set(1, 6), a_set(31, 0, "v"),
        a_set(50, 6, "v"),
    )  # fmt: skip
    assert "acp 2.50 s +2.00 to +4.50 s 2 of 2 –" in text
    assert "redis-cluster made anew, short of pods +2.00 s +21.00 s 0 of 6" in text


def test_what_went_well_takes_no_room(tmp_path: Path) -> None:
    text = page_of(tmp_path, budget(1, 1), a_set(1, 6), a_set(40, 6))
    assert "let no pod go" not in text and "StatefulSet" not in text
    assert "the cluster said" not in text


def test_events_lead_with_warnings_and_none_is_dropped_in_silence(tmp_path: Path) -> None:
    words: list[AnyEvent] = [
        ClusterEvent(t_ns=at(30 + n / 10), reason="Pulled", about=f"Pod/p-{n}") for n in range(70)
    ]
    bad = ClusterEvent(t_ns=at(40), reason="<b>Unhealthy", about="Pod/acp-1", warning=True)
    left = Observation(t_ns=at(86), when="after", name=LEFT_OUT, value=12)
    text = page_of(tmp_path, *words, bad, left)
    assert "1 warnings, 70 others" in text
    assert "<b>Unhealthy warning Pod/acp-1 1 +11.00 s Pulled" in text, "escaped, and first"
    assert "11 more stand in the record" in text
    assert "12 later ones were counted, not recorded" in text


def test_clocks_are_shown_as_bounds_at_start_and_end(tmp_path: Path) -> None:
    api = [
        ClockOffset(
            t_ns=at(2), clock="api server", when="start", low_ms=-4, high_ms=12.25, how="d"
        ),
        ClockOffset(t_ns=at(84), clock="api server", when="end", how="no answer"),
    ]
    beats = [Heartbeat(t_ns=at(s), node="w1", renewed_ns=at(s - 0.25)) for s in (3, 84)]
    text = page_of(tmp_path, *api, *beats)
    assert "api server −4.0 to +12.2 ms unknown no answer" in text
    assert "node w1 −250 ms or more −250 ms or more renewals" in text
    assert "widened by 3.4 ms" in text, "of the synthetic run.json"
