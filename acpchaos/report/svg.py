"""The few SVG words the charts need: escaped elements, paths and a time scale.

Room: report. Text from a cluster (pod names, endpoints) is untrusted, so every value passes
through markupsafe. It must not know what is drawn.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup, escape

NS_PER_S = 1_000_000_000


def number(value: float) -> str:
    """A coordinate with at most two decimals and no trailing zeros, to keep the page small."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def element(name: str, *children: str, **attributes: str | float) -> Markup:
    """One element. `class_` means class; an underscore in a name becomes a hyphen."""
    pieces = [name]
    for key, value in attributes.items():
        shown = number(value) if isinstance(value, int | float) else value
        pieces.append(f'{key.rstrip("_").replace("_", "-")}="{escape(shown)}"')
    inside = Markup("").join(escape(child) for child in children)
    return Markup("<") + Markup(" ".join(pieces)) + Markup(">") + inside + Markup(f"</{name}>")


def group(children: Iterable[str], **attributes: str | float) -> Markup:
    """A <g> around `children`."""
    return element("g", *children, **attributes)


def text(x: float, y: float, words: str, class_: str) -> Markup:
    """Words at a point; size and alignment come from the class."""
    return element("text", words, x=x, y=y, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


@dataclass(frozen=True)
class TimeScale:
    """Wall time in nanoseconds to a horizontal position; what lies outside is clamped."""

    begin_ns: int
    end_ns: int
    left: float
    right: float

    def x(self, t_ns: int) -> float:
        """Position of a moment."""
        inside_ns = min(max(t_ns, self.begin_ns), self.end_ns)
        share = (inside_ns - self.begin_ns) / max(1, self.end_ns - self.begin_ns)
        return self.left + share * (self.right - self.left)

    @property
    def length_s(self) -> float:
        """Length of what is shown, in seconds."""
        return (self.end_ns - self.begin_ns) / NS_PER_S


Steps = list[tuple[int, float]]
"""A quantity that holds from each moment (ns) until the next one."""


def step_line(scale: TimeScale, steps: Steps, height: float, top: float) -> str:
    """Path data of a quantity as a stair; `top` is the value at the upper edge of the lane."""
    if not steps:
        return ""
    pieces: list[str] = []
    for t_ns, value in _shown(scale, steps):
        x, y = number(scale.x(t_ns)), number(height - height * value / top)
        pieces.append(f"H{x}V{y}" if pieces else f"M{x} {y}")
    pieces.append(f"H{number(scale.right)}")
    return "".join(pieces)


def _shown(scale: TimeScale, steps: Steps) -> Steps:
    """Without what was overtaken before the scale begins."""
    earlier = [step for step in steps if step[0] <= scale.begin_ns]
    return earlier[-1:] + [step for step in steps if step[0] > scale.begin_ns]


def step_area(scale: TimeScale, steps: Steps, height: float, top: float) -> str:
    """The same stair closed down to the base line."""
    stair = step_line(scale, steps, height, top)
    return f"{stair}V{number(height)}H{number(scale.x(steps[0][0]))}Z" if stair else ""
