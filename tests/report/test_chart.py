"""The drawing is true: bands begin at the fault, columns stand where requests were due."""

import re

import pytest

from acpchaos.record.events import AnyEvent
from acpchaos.record.run import Run
from acpchaos.report.chart import LEFT, RIGHT, timeline
from acpchaos.report.lanes import bucket_ns, node_lanes, ready_steps, redis_lanes
from acpchaos.report.moments import fault_windows, origin_ns, relative
from acpchaos.report.svg import TimeScale, number, step_line
from tests.report import synthetic
from tests.report.page import Tag, read


def made(recorded: list[AnyEvent]) -> Run:
    return Run(synthetic.meta("redis-wipe", [synthetic.claim("c")]), recorded)


def drawn(recorded: list[AnyEvent]) -> Tag:
    return read(str(timeline(made(recorded))))


def x_of(second: float) -> float:
    return LEFT + (RIGHT - LEFT) * second / synthetic.END_S


def test_fault_band_begins_when_the_fault_struck_and_ends_with_recovery() -> None:
    svg = drawn(synthetic.events())
    (fault,) = svg.all("rect", "fault")
    (repair,) = svg.all("rect", "repair")
    begin, width = float(fault.attributes["x"]), float(fault.attributes["width"])
    assert begin == pytest.approx(x_of(29), abs=0.02), "the end of the fault's set-up"
    assert begin + width == pytest.approx(x_of(40), abs=0.02)
    assert float(repair.attributes["x"]) == pytest.approx(x_of(40), abs=0.02)
    end = float(repair.attributes["x"]) + float(repair.attributes["width"])
    assert end == pytest.approx(x_of(52), abs=0.02)


def test_axis_zero_stands_at_the_fault() -> None:
    svg = drawn(synthetic.events())
    (zero,) = [
        t for t in svg.all("text", "tick") if t.text == "0" and "middle" in t.attributes["class"]
    ]
    assert float(zero.attributes["x"]) == pytest.approx(x_of(29), abs=0.02)


def test_bad_columns_span_the_outage_and_nothing_else() -> None:
    svg = drawn(synthetic.events())
    columns, rail = svg.all("path", "bad")[:2]
    for path in (columns, rail):
        xs = [float(x) for x in re.findall(r"M([\d.]+) ", path.attributes["d"])]
        assert min(xs) == pytest.approx(x_of(30), abs=2)
        assert max(xs) == pytest.approx(x_of(44), abs=2)


def test_a_run_without_failures_draws_no_bad_column() -> None:
    recorded = [*synthetic.phases(), *synthetic.requests(0, 0)]
    assert all(path.attributes["d"] == "" for path in drawn(recorded).all("path", "bad"))


def test_good_and_bad_stack_to_all_that_was_due() -> None:
    svg = drawn(synthetic.events())
    good, bad = svg.all("path", "good")[0], svg.all("path", "bad")[0]
    areas = [
        sum(float(height) for height in re.findall(r"v([\d.]+)", path.attributes["d"]))
        for path in (good, bad)
    ]
    load = made(synthetic.events()).requests("load")
    failed = sum(bool(request.error) for request in load)
    assert areas[1] / sum(areas) == pytest.approx(failed / len(load), rel=0.02)


def test_a_gap_is_hatched_where_the_recorder_was_blind() -> None:
    (gap,) = drawn([*synthetic.events(), synthetic.gap()]).all("rect", "gap")
    assert float(gap.attributes["x"]) == pytest.approx(x_of(60), abs=0.02)
    assert float(gap.attributes["width"]) == pytest.approx(x_of(64) - x_of(60), abs=0.02)
    assert "timeline-pods was blind: watch lost" in gap.text


def test_all_lanes_are_there_and_inside_the_drawing() -> None:
    svg = drawn(synthetic.events())
    titles = [tag.text for tag in svg.all("text", "lane")]
    assert titles == [
        "Requests", "Response time", "alive", "token", "acp replicas", "acp",
        "acp-workers", "postgresql", "redis-cluster", "Nodes", "Redis nodes", "Redis slots",
    ]  # fmt: skip
    height = float(svg.all("svg")[0].attributes["viewbox"].split()[3])
    tops = [float(y) for y in re.findall(r"translate\(0,([\d.]+)\)", transforms_of(svg))]
    assert tops == sorted(tops) and tops[-1] < height


def transforms_of(tag: Tag) -> str:
    return " ".join(t.attributes.get("transform", "") for t in tag.all())


def test_phase_names_do_not_overlap_when_phases_are_short() -> None:
    names = drawn(synthetic.events()).all("text", "phasename")
    assert [tag.text for tag in names] == ["gate", "steady", "fault", "recovery", "after"]
    spots = {(tag.attributes["x"], tag.attributes["y"]) for tag in names}
    assert len(spots) == len(names)


def test_two_injections_of_one_fault_are_two_windows() -> None:
    first, second = synthetic.deeds("pod-kill"), synthetic.deeds("pod-kill")
    late = [type(e)(**{**_fields(e), "t_ns": e.t_ns + 20 * synthetic.S}) for e in second]
    windows = fault_windows(made([*synthetic.phases(), *first[1:4], *late[1:]]))
    assert [w.begin_ns for w in windows] == [synthetic.at(29), synthetic.at(49)]
    assert windows[0].end_ns >= windows[0].begin_ns


def _fields(event: AnyEvent) -> dict[str, object]:
    return {name: getattr(event, name) for name in event.__struct_fields__}


def test_a_run_without_fault_counts_from_its_fault_phase() -> None:
    run = made(synthetic.phases())
    assert fault_windows(run) == []
    assert origin_ns(run) == synthetic.at(28)


def test_an_empty_record_still_draws() -> None:
    assert read(str(timeline(made([])))).all("svg")


def test_relative_times_read_well() -> None:
    zero = synthetic.at(0)
    assert relative(synthetic.at(-12), zero) == "−12.0 s"
    assert relative(synthetic.at(0.44), zero) == "+0.4 s"
    assert relative(synthetic.at(185), zero) == "+3:05"


def test_pods_on_their_way_out_do_not_count_as_ready() -> None:
    steps = ready_steps(made(synthetic.events()).of(type(synthetic.pod("acp", 0, 0, True))))
    assert steps["acp"][-1][1] == 3
    assert min(count for _, count in steps["redis-cluster"][6:]) == 0
    assert steps["redis-cluster"][-1][1] == 6


def test_redis_slots_follow_the_worst_informed_node() -> None:
    run = made(synthetic.events())
    scale = TimeScale(synthetic.at(0), synthetic.at(90), LEFT, RIGHT)
    nodes, slots = redis_lanes(scale, run)
    assert nodes.last == "6" and slots.last == "100 %"
    assert "0 %" in {words_of(mark) for mark in slots.body}


def words_of(mark: str) -> str:
    return read(str(mark)).text


def test_long_runs_use_wider_columns_and_say_so() -> None:
    hour = TimeScale(0, 3600 * synthetic.S, LEFT, RIGHT)
    minute = TimeScale(0, 60 * synthetic.S, LEFT, RIGHT)
    assert bucket_ns(minute) == 100_000_000
    assert bucket_ns(hour) == 1_000_000_000


def test_steps_before_the_scale_are_not_drawn() -> None:
    scale = TimeScale(100, 200, 0, 100)
    assert step_line(scale, [(0, 1), (50, 2), (150, 1)], 10, 2) == "M0 0H50V5H100"


def test_a_cordoned_node_shows_as_a_dip() -> None:
    scale = TimeScale(synthetic.at(0), synthetic.at(90), LEFT, RIGHT)
    (lane,) = node_lanes(scale, made(synthetic.nodes()))
    stair = read(str(lane.body[1])).all("path")[0].attributes["d"]
    assert lane.ceiling == "4" and lane.last == "4"
    assert f"H{number(x_of(30))}V6.5H{number(x_of(40))}V0" in stair
