"""The timeline of one run as inline SVG: what was asked, what broke, what came back.

Room: report. Lanes share one time axis whose zero is the fault; fault windows are shaded through
all of them. Colours come from the page's classes, so one drawing serves light, dark and print.
"""

import zlib

from markupsafe import Markup

from acpchaos.record.events import Gap, Phase
from acpchaos.record.run import Run
from acpchaos.report import lanes
from acpchaos.report.moments import bounds_ns, fault_windows, origin_ns, relative
from acpchaos.report.svg import NS_PER_S, TimeScale, element, group, line, text

WIDTH, LEFT, RIGHT = 1120.0, 172.0, 1064.0
HEADER, LANE_GAP, AXIS = 50.0, 13.0, 26.0
CHARACTER = 6.1  # widest average glyph of the label font, to keep labels from overlapping
TITLE_LENGTH = 22  # characters of the lane font between the edge and the upper tick
TICKS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)


def timeline(run: Run) -> Markup:
    """The whole drawing; its accessible name says what it shows."""
    begin_ns, end_ns = bounds_ns(run)
    scale = TimeScale(begin_ns, end_ns, LEFT, RIGHT)
    shown = _lanes(scale, run)
    drawn: list[Markup] = []
    y = HEADER
    for lane in shown:
        drawn.append(_placed(lane, y))
        y += lane.height + LANE_GAP
    bottom = y - LANE_GAP + 4
    zero_ns = origin_ns(run)
    name = f"Timeline of {run.scenario.name}, time relative to the fault"
    return element(
        "svg",
        element("title", name),
        _hatch(run),
        _faults(run, scale, bottom),
        _gaps(run, scale, bottom),
        _phases(run, scale, bottom),
        *drawn,
        _axis(scale, zero_ns, bottom),
        viewBox=f"0 0 {WIDTH:g} {bottom + AXIS:g}",
        role="img",
        class_="timeline",
    )


def _lanes(scale: TimeScale, run: Run) -> list[lanes.Lane]:
    load = run.requests(source="load")
    asked = [lanes.requests_lane(scale, load, "Requests", 116)] if load else []
    timed = [lanes.latency_lane(scale, load)] if load else []
    return [
        *asked,
        *timed,
        *lanes.prober_lanes(scale, run),
        *lanes.autoscaler_lanes(scale, run),
        *lanes.pods_lanes(scale, run),
        *lanes.node_lanes(scale, run),
        *lanes.redis_lanes(scale, run),
    ]


def _placed(lane: lanes.Lane, y: float) -> Markup:
    """A lane at its height, with its words in the margins."""
    two_lines = lane.height >= 24
    words = [_title(lane.title)]
    if two_lines:
        words.append(text(0, 24, lane.note, "note"))
    if lane.ceiling:
        words.append(text(LEFT - 6, 8, lane.ceiling, "tick end"))
    if lane.last:
        words.append(text(RIGHT + 6, min(lane.height, 14), lane.last, "last"))
    return group([*words, *lane.body], transform=f"translate(0,{y:g})")


def _title(words: str) -> Markup:
    """A lane's name, cut where the drawing begins; the whole of it shows on hover."""
    if len(words) <= TITLE_LENGTH:
        return text(0, 11, words, "lane")
    cut = f"{words[: TITLE_LENGTH - 1]}…"
    return element("text", element("title", words), cut, x=0, y=11, class_="lane")


def _faults(run: Run, scale: TimeScale, bottom: float) -> Markup:
    """A band per fault: full while it lasts, lighter while it is being repaired."""
    bands: list[Markup] = []
    zero_ns = origin_ns(run)
    free_x = 0.0
    for window in fault_windows(run):
        x1, x2, x3 = (scale.x(t) for t in (window.begin_ns, window.recover_ns, window.end_ns))
        height = bottom - 32
        told = (
            f"{window.fault}: {relative(window.begin_ns, zero_ns)} to "
            f"{relative(window.end_ns, zero_ns)}; {', '.join(window.targets)}"
        )
        band = [
            element("title", told),
            element("rect", x=x1, y=32, width=max(1.5, x2 - x1), height=height, class_="fault"),
            element("rect", x=x2, y=32, width=x3 - x2, height=height, class_="repair"),
            line(x1, 32, x1, bottom, "strike"),
        ]
        if x1 >= free_x:
            band.append(text(x1 + 4, 43, window.fault, "faultname"))
            free_x = x1 + 12 + CHARACTER * len(window.fault)
        bands.append(group(band))
    return group(bands, class_="faults")


def _hatch_id(run: Run) -> str:
    """Ids are the page's, not the drawing's, so each run needs its own."""
    return f"hatch-{zlib.crc32(run.meta.run_id.encode()):08x}"


def _hatch(run: Run) -> Markup:
    """The fill of blind times; a pattern, so that it also reads without colour."""
    stroke = line(0, 0, 0, 6, "hatchline")
    pattern = {"patternUnits": "userSpaceOnUse", "patternTransform": "rotate(45)"}
    return element(
        "defs", element("pattern", stroke, id=_hatch_id(run), width=6, height=6, **pattern)
    )


def _gaps(run: Run, scale: TimeScale, bottom: float) -> Markup:
    """Where a recorder was blind: hatched, since nothing may be concluded there."""
    marks: list[Markup] = []
    for gap in run.of(Gap):
        x1, x2 = scale.x(gap.from_ns), scale.x(gap.t_ns)
        told = element("title", f"{gap.recorder} was blind: {gap.why}")
        box = {"x": x1, "y": 32, "width": max(2, x2 - x1), "height": bottom - 32}
        fill = f"url(#{_hatch_id(run)})"
        marks.append(element("rect", told, **box, fill=fill, class_="gap"))
    return group(marks)


def _phases(run: Run, scale: TimeScale, bottom: float) -> Markup:
    """A dotted line and a name per phase; a name drops a row when its neighbour is too close."""
    marks: list[Markup] = []
    free_x = [0.0, 0.0]
    for mark in run.of(Phase):
        x = scale.x(mark.t_ns)
        marks.append(line(x, 18, x, bottom, "phase"))
        row = next((row for row in (0, 1) if free_x[row] <= x), None)
        if row is None or mark.name == "end":
            continue
        marks.append(text(x + 3, 12 + 13 * row, mark.name, "phasename"))
        free_x[row] = x + 8 + CHARACTER * len(mark.name)
    return group(marks)


def _axis(scale: TimeScale, zero_ns: int, bottom: float) -> Markup:
    """Ticks at round seconds from the fault; at most about twelve of them."""
    step_s = next((s for s in TICKS_S if scale.length_s / s <= 12), TICKS_S[-1])
    first = -((zero_ns - scale.begin_ns) // (step_s * NS_PER_S))
    marks: list[Markup] = [line(LEFT, bottom, RIGHT, bottom, "base")]
    tick_ns = zero_ns + first * step_s * NS_PER_S
    while tick_ns <= scale.end_ns:
        x = scale.x(tick_ns)
        marks.append(line(x, bottom, x, bottom + 4, "base"))
        offset_s = (tick_ns - zero_ns) // NS_PER_S
        marks.append(text(x, bottom + 17, _tick(offset_s, step_s), "tick middle"))
        tick_ns += step_s * NS_PER_S
    marks.append(text(0, bottom + 17, "time from the fault", "note"))
    return group(marks)


def _tick(offset_s: int, step_s: int) -> str:
    if offset_s == 0:
        return "0"
    sign, size_s = ("−" if offset_s < 0 else "+"), abs(offset_s)
    return f"{sign}{size_s} s" if step_s < 60 else f"{sign}{size_s // 60} min"
