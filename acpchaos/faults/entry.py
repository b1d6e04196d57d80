"""One line of the catalogue, in words for people.

Room: faults. Rights and consents are asked from the fault itself.
"""

from collections.abc import Callable
from typing import NamedTuple

from acpchaos.faults.fault import Fault
from acpchaos.faults.session import Session


class Entry(NamedTuple):
    """`settings` are those of the experiment that lead to this fault; `loses` words of may_lose
    that it may need, by its blast radius."""

    area: str
    build: Callable[[Session], Fault]
    experiment: str
    changes: str
    way_back: str
    witness: str
    settings: str = ""
    loses: str = ""
