"""One lane of the timeline per question: was it served, how fast, by how many, on what sessions.

Room: report. Each function turns events into one drawing of a given width; stacking, axis and
fault bands are the chart's. Good and bad differ by shape as well as colour: bad also ticks a rail.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from acpchaos.record.events import PROBED, PROBER, Autoscaler, Node, Pod, RedisNode, Request
from acpchaos.record.run import Run
from acpchaos.report.svg import (
    NS_PER_S,
    Steps,
    TimeScale,
    element,
    line,
    number,
    step_area,
    step_line,
    text,
)

ALL_SLOTS = 16384  # hash slots of any Redis Cluster
MAX_BUCKETS = 6000  # keeps an hour-long run's page under a few megabytes
FIRST_ROUND_NS = NS_PER_S // 2  # nodes are first looked at one after another: no rise to draw
LABEL_ROOM = 12.0  # a step narrower than this carries no label
RAIL = 4.0  # height of the rail that ticks every bucket with a bad request


@dataclass(frozen=True)
class Lane:
    """A drawing with its words: title and note on the left, `ceiling` names the upper edge."""

    title: str
    note: str
    height: float
    body: tuple[Markup, ...]
    ceiling: str = ""
    last: str = ""


def bucket_ns(scale: TimeScale) -> int:
    """100 ms, or the next round width that keeps the drawing small on long runs."""
    for width_ms in (100, 200, 500, 1000, 2000, 5000, 10000):
        if scale.length_s * 1000 / width_ms <= MAX_BUCKETS:
            break
    return width_ms * 1_000_000


def _columns(bars: Iterable[tuple[float, float, float, float]]) -> str:
    """Path data of many rectangles (x, y, width, height)."""
    return "".join(
        f"M{number(x)} {number(y)}h{number(w)}v{number(h)}h{number(-w)}z" for x, y, w, h in bars
    )


def _ceiling(value: float) -> float:
    """A round number at or above `value` for the upper edge of a lane."""
    size = 1.0
    while True:
        for factor in (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0):
            if factor * size >= value and (size > 1 or factor.is_integer()):
                return factor * size
        size *= 10


def requests_lane(scale: TimeScale, requests: Sequence[Request], title: str, height: float) -> Lane:
    """Good and bad requests stacked, each counted when it was due, so an outage shows whole."""
    width_ns = bucket_ns(scale)
    good: Counter[int] = Counter()
    bad: Counter[int] = Counter()
    for request in requests:
        slot = (request.intended_ns - scale.begin_ns) // width_ns
        (bad if request.error else good)[slot] += 1
    slots = sorted(set(good) | set(bad))
    top = _ceiling(max((good[slot] + bad[slot] for slot in slots), default=1))
    plot = height - RAIL - 2

    def bars(slot: int, low: int, count: int, least: float) -> tuple[float, float, float, float]:
        x = scale.x(scale.begin_ns + slot * width_ns)
        width = max(least, scale.x(scale.begin_ns + (slot + 1) * width_ns) - x)
        return x, plot - plot * (low + count) / top, width, plot * count / top

    served = [bars(slot, 0, good[slot], 0.0) for slot in slots if good[slot]]
    lost = [bars(slot, good[slot], bad[slot], 1.2) for slot in slots if bad[slot]]
    rail = [(bar[0], plot + 2, bar[2], RAIL) for bar in lost]
    body = (
        element("path", d=_columns(served), class_="good"),
        element("path", d=_columns(lost), class_="bad"),
        line(scale.left, plot, scale.right, plot, "base"),
        element("path", d=_columns(rail), class_="bad"),
    )
    note = f"per {width_ns // 1_000_000} ms, when due"
    return Lane(title, note, height, body, f"{top:g}", f"{sum(bad.values())} bad")


def latency_lane(scale: TimeScale, requests: Sequence[Request], height: float = 56) -> Lane:
    """95th percentile per second of good requests, from when each was due until answered."""
    seconds: defaultdict[int, list[float]] = defaultdict(list)
    for request in requests:
        if not request.error:
            slot = (request.intended_ns - scale.begin_ns) // NS_PER_S
            seconds[slot].append((request.t_ns - request.intended_ns) / 1e6)
    p95_ms = {slot: sorted(seen)[int(0.95 * (len(seen) - 1))] for slot, seen in seconds.items()}
    top = _ceiling(max(p95_ms.values(), default=1.0))
    pieces: list[str] = []
    before = None
    for slot in sorted(p95_ms):
        x = scale.x(scale.begin_ns + slot * NS_PER_S + NS_PER_S // 2)
        pen = "L" if before == slot - 1 else "M"
        pieces.append(f"{pen}{number(x)} {number(height - height * p95_ms[slot] / top)}")
        before = slot
    body = (
        line(scale.left, height, scale.right, height, "base"),
        element("path", d="".join(pieces), class_="curve"),
    )
    return Lane("Response time", "p95 per second, good", height, body, _milliseconds(top))


def _milliseconds(value_ms: float) -> str:
    return f"{value_ms / 1000:g} s" if value_ms >= 1000 else f"{value_ms:g} ms"


def prober_lane(scale: TimeScale, requests: Sequence[Request], title: str, note: str) -> Lane:
    """Every probe of one endpoint as a tick: short and light when good, full height when bad."""
    height = 24.0
    good = [(scale.x(r.intended_ns), height - 6, 0.7, 6.0) for r in requests if not r.error]
    bad: list[tuple[float, float, float, float]] = []
    for request in (r for r in requests if r.error):
        x = scale.x(request.intended_ns)
        bad.append((x, 4, max(1.4, scale.x(request.t_ns) - x), height - 4))
    body = (
        element("path", d=_columns(good), class_="good"),
        element("path", d=_columns(bad), class_="bad"),
    )
    return Lane(title, note, height, body, "", f"{len(bad)} bad")


def prober_lanes(scale: TimeScale, run: Run) -> list[Lane]:
    """One lane per endpoint the prober asked, in order of name, those beside the claims last."""
    lanes: list[Lane] = []
    for source in PROBED:
        asked: defaultdict[tuple[str, str], list[Request]] = defaultdict(list)
        for request in run.requests(source):
            asked[request.flow, request.step].append(request)
        note = "prober" if source == PROBER else "prober, beside"
        lanes += [
            prober_lane(scale, seen, flow, f"{note}: {step}" if step not in ("", flow) else note)
            for (flow, step), seen in sorted(asked.items())
        ]
    return lanes


def ready_steps(pods: list[Pod]) -> dict[str, Steps]:
    """Pods of each workload that were ready and not on their way out, as it changed."""
    ready: defaultdict[str, set[str]] = defaultdict(set)
    steps: defaultdict[str, Steps] = defaultdict(list)
    for pod in pods:
        members = ready[pod.app]
        if pod.ready and not pod.gone and not pod.deleting:
            members.add(pod.uid)
        else:
            members.discard(pod.uid)
        if not steps[pod.app] or steps[pod.app][-1][1] != len(members):
            steps[pod.app].append((pod.t_ns, len(members)))
    return {app: found for app, found in steps.items() if any(count for _, count in found)}


def _step_lane(
    scale: TimeScale, title: str, note: str, steps: Steps, top: float, unit: str = ""
) -> Lane:
    """A count as a filled stair, each value labelled that lasted long enough to be read."""
    height = 26.0
    body = [
        element("path", d=step_area(scale, steps, height, top), class_="area"),
        element("path", d=step_line(scale, steps, height, top), class_="stair"),
        line(scale.left, height, scale.right, height, "base"),
    ]
    ends_ns = [t_ns for t_ns, _ in steps[1:]] + [scale.end_ns]
    for (t_ns, value), (_, was), next_ns in zip(steps[1:], steps, ends_ns[1:], strict=False):
        x = scale.x(t_ns)
        if scale.x(next_ns) - x < LABEL_ROOM or t_ns <= scale.begin_ns:
            continue
        y = min(height - 3, height - height * value / top + (11 if value >= was else -3))
        body.append(text(x + 3, max(9, y), f"{value:g}{unit}", "value"))
    last = f"{steps[-1][1]:g}{unit}" if steps else ""
    return Lane(title, note, height, tuple(body), f"{top:g}{unit}", last)


def pods_lanes(scale: TimeScale, run: Run) -> list[Lane]:
    """One lane per workload: how many of its pods were ready."""
    found = ready_steps(run.of(Pod))
    lanes: list[Lane] = []
    for app in sorted(found, key=lambda app: (app != "acp", app != "acp-workers", app)):
        top = max(count for _, count in found[app])
        lanes.append(_step_lane(scale, app or "other pods", "pods ready", found[app], top))
    return lanes


def node_lanes(scale: TimeScale, run: Run) -> list[Lane]:
    """How many cluster nodes were ready and open to new pods."""
    open_: set[str] = set()
    steps: Steps = []
    for node in run.of(Node):
        fit = node.ready and not node.unschedulable and not node.gone
        (open_.add if fit else open_.discard)(node.name)
        if not steps or steps[-1][1] != len(open_):
            steps.append((node.t_ns, len(open_)))
    top = max((count for _, count in steps), default=0)
    return [_step_lane(scale, "Nodes", "ready, not cordoned", steps, top)] if top else []


def autoscaler_lanes(scale: TimeScale, run: Run) -> list[Lane]:
    """Current replicas as a filled stair, desired ones dashed over it, per autoscaler."""
    lanes: list[Lane] = []
    for name in sorted({event.name for event in run.of(Autoscaler)}):
        seen = [event for event in run.of(Autoscaler) if event.name == name]
        current: Steps = [(event.t_ns, event.current) for event in seen]
        desired: Steps = [(event.t_ns, event.desired) for event in seen]
        top = max(max(e.max_replicas, e.current, e.desired) for e in seen)
        height = 40.0
        body = (
            element("path", d=step_area(scale, current, height, top), class_="area"),
            element("path", d=step_line(scale, current, height, top), class_="stair"),
            element("path", d=step_line(scale, desired, height, top), class_="dashed"),
            line(scale.left, height, scale.right, height, "base"),
        )
        last = f"{seen[-1].current}/{seen[-1].desired}"
        title, note = f"{name} replicas", "current ▬  desired ┅"
        lanes.append(Lane(title, note, height, body, f"max {top}", last))
    return lanes


def redis_lanes(scale: TimeScale, run: Run) -> list[Lane]:
    """Nodes that answered, and the share of slots the worst-informed of them saw served."""
    latest: dict[str, RedisNode] = {}
    nodes: Steps = []
    served: Steps = []
    seen = run.of(RedisNode)
    for event in seen:
        latest[event.pod] = event
        answering = [node for node in latest.values() if node.reachable]
        slots = min((n.slots if n.state == "ok" else 0 for n in answering), default=0)
        for steps, value in ((nodes, len(answering)), (served, 100 * slots / ALL_SLOTS)):
            if event.t_ns - seen[0].t_ns < FIRST_ROUND_NS:
                steps[:] = [(seen[0].t_ns, round(value, 1))]
            elif steps[-1][1] != round(value, 1):
                steps.append((event.t_ns, round(value, 1)))
    if not latest:
        return []
    return [
        _step_lane(scale, "Redis nodes", "answering", nodes, max(1, len(latest))),
        _step_lane(scale, "Redis slots", "served, worst view", served, 100, " %"),
    ]
