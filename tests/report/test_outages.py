"""Outages and returns on the page: bounds as bounds, unknown as unknown, clocks, phases, floors."""

from pathlib import Path

import msgspec

from acpchaos.record.events import (
    ENDPOINT,
    ZONE_PATH,
    AnyEvent,
    Endpoints,
    Pod,
    RedisNode,
    Request,
)
from acpchaos.record.run import load_run
from acpchaos.report.evidence import write_evidence
from acpchaos.report.outages import OutageView, outage_view
from acpchaos.report.summary import summary
from tests.report import synthetic
from tests.report.page import read
from tests.report.synthetic import at


def view(path: Path, recorded: list[AnyEvent]) -> OutageView:
    run = synthetic.write_run(path / "run", "redis-wipe", recorded, [synthetic.claim("c")])
    return outage_view(load_run(run))


def test_an_endpoint_shows_bounds_budget_and_resolution(wipe: Path) -> None:
    told = outage_view(load_run(wipe))
    rows = {row.name: row for row in told.endpoints}
    assert list(rows) == ["prober alive", "prober token", "load"]
    token = rows["prober token"]
    assert token.down == "13.79 to 14.21 s"
    assert token.began == "+0.80 to +1.01 s", "the fault struck at 29 s, the outage began at 30"
    assert token.ended == "+14.80 to +15.01 s"
    assert token.failed == "70 of 270, 20.8 to 31.6 %"
    assert token.spent == "0.433 to 0.658 %"
    assert token.resolution == "0.20 + 0.01 s"
    assert token.sustained == token.ended
    alive = rows["prober alive"]
    assert alive.down == "none seen, 0.21 s could hide"
    assert (alive.began, alive.first, alive.quick) == ("–", "–", "–")


def test_moments_across_clocks_are_widened_by_what_these_may_stand_apart(wipe: Path) -> None:
    run = load_run(wipe)
    run.meta.clock_offsets_ms["prober"] = -250.0
    told = outage_view(run)
    token = next(each for each in told.endpoints if each.name == "prober token")
    assert told.doubt == "250 ms"
    assert token.began == "+0.55 to +1.26 s" and token.ended == "+14.55 to +15.26 s"
    assert token.down == "13.79 to 14.21 s", "a length stands on one clock"


def test_what_the_prober_asks_beside_has_rows_of_its_own(tmp_path: Path) -> None:
    """An outage of one zone's way in, with the same bounds, and no part in the three clocks."""
    whole = synthetic.events(outage_s=0)
    more = [
        msgspec.structs.replace(event, source=source, flow=flow)
        for event in synthetic.requests(30, 14)
        if isinstance(event, Request) and event.flow == "token" and event.source == "prober"
        for source, flow in ((ZONE_PATH, "jwks via zone-a"), (ENDPOINT, "userinfo"))
    ]
    told = view(tmp_path, [*whole, *more])
    assert [row.name for row in told.beside] == ["prober userinfo", "prober jwks via zone-a"]
    assert {row.down for row in told.beside} == {"13.79 to 14.21 s"}
    assert {row.began for row in told.beside} == {"+0.80 to +1.01 s"}
    assert [row.state for row in told.clocks if row.who == "the clients"] == ["unharmed"]
    run = tmp_path / "run"
    page = read(write_evidence([run], run / "evidence.html").read_text("utf-8"))
    told_short = summary([run])
    assert "prober jwks via zone-a: 13.79 to 14.21 s" in told_short and "userinfo" not in told_short
    assert "no claim counts these prober userinfo 13.79 to 14.21 s" in page.by_id("run-1").text


def test_nothing_answered_is_unknown_not_zero(tmp_path: Path) -> None:
    unsent = [
        msgspec.structs.replace(event, error="never_sent", status=0)
        if isinstance(event, Request) and event.flow == "token" and event.intended_ns >= at(28)
        else event
        for event in synthetic.events()
    ]
    row = next(each for each in view(tmp_path, unsent).endpoints if each.name == "prober token")
    assert {row.down, row.failed, row.spent, row.impaired, row.resolution} == {"unknown"}


def test_an_outage_without_end_is_said_so(tmp_path: Path) -> None:
    row = next(
        each for each in view(tmp_path, synthetic.events(outage_s=99)).endpoints
        if each.name == "prober token"
    )  # fmt: skip
    assert row.ended == "not within the record"
    assert (row.sustained, row.quick) == ("–", "unknown")


def test_clocks_and_their_disagreement_stand_on_page_and_summary(wipe: Path) -> None:
    told = outage_view(load_run(wipe))
    assert [row.who for row in told.clocks] == ["Kubernetes", "the clients", "the store"]
    text = (
        read(write_evidence([wipe], wipe / "evidence.html").read_text("utf-8")).by_id("run-1").text
    )
    assert "Recovered, by three clocks" in text
    assert told.findings, "the synthetic store is whole long after the last good answer"
    for line in told.findings:
        assert f"disagree {line}" in text
    assert "differs beyond the clocks" in summary([wipe])
    assert "Ways in" not in summary([wipe])


def test_no_disagreement_no_words(tmp_path: Path) -> None:
    recorded = [*synthetic.phases(), *synthetic.deeds("redis-wipe")]
    told = view(tmp_path, recorded)
    assert (told.endpoints, told.findings, told.pods, told.steps) == ([], [], [], [])
    assert {row.state for row in told.clocks} == {"not seen"}
    assert "differs beyond" not in summary([tmp_path / "run"])


def test_phases_of_a_pod_stand_in_order_and_cut_ones_are_dashes(tmp_path: Path) -> None:
    def pod(second: float, name: str, **state: object) -> Pod:
        return Pod(t_ns=at(second), name=name, uid=name, app="acp", **state)  # type: ignore[arg-type]

    led = [
        Endpoints(t_ns=at(second), service="acp", ready=ready)
        for second, ready in ((1, ("a", "b")), (45, ("b", "c")))
    ]
    recorded = [
        *synthetic.phases(), *synthetic.deeds("redis-wipe"), *led,
        *(pod(1, name, node="n", phase="Running", ready=True) for name in "ab"),
        pod(30, "a", ready=True, deleting=True), pod(31, "c", phase="Pending"),
        pod(32, "c", node="n", phase="Pending"), pod(35, "c", node="n", phase="Running"),
        pod(44, "c", node="n", phase="Running", ready=True),
        pod(60, "b", gone=True),
    ]  # fmt: skip
    whole, cut = view(tmp_path, recorded).pods
    assert whole.pods == "a → c"
    assert whole.took == ("1.00", "1.00", "1.00", "3.00", "9.00", "1.00")
    assert whole.total == "16.00 s"
    assert cut.pods == "b → nothing" and cut.total == "never"
    assert cut.took == ("31.00", "–", "–", "–", "–", "–")


def test_steps_and_floors_stand_in_the_folded_part(tmp_path: Path) -> None:
    ids = ((30.0, "old"), (30.5, "new"))
    redis = [
        RedisNode(t_ns=at(second), pod="redis-9", reachable=True, run_id=run_id, role="master",
                  state="ok")
        for second, run_id in ids
    ]  # fmt: skip
    recorded = [*synthetic.events(), *redis]
    told = view(tmp_path, recorded)
    assert "introspect · token" in {row.step for row in told.steps}
    assert all(" to " in row.share and row.share.endswith("%") for row in told.steps)
    (floor,) = told.floors
    assert (floor.seen, floor.floor, floor.impossible) == ("1.5 s at most", "2.0 s", True)
    run = tmp_path / "run"
    page = read(write_evidence([run], run / "evidence.html").read_text("utf-8"))
    assert "redis-9 restarted as a master and is ok impossible 1.5 s" in page.by_id("run-1").text
