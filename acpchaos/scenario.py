"""A scenario is data: load, fault, phases and the claims judged from its record.

Room: shared words between suites, play, check and report. It must not know any of them.
"""

from typing import Literal

import msgspec

type Gaps = Literal["constant", "poisson"]


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """For so long the load is `times` the offered rate; with `ramp` it goes there in a straight
    line from where the stage before ended (the first from 0). The last one's rate stays."""

    for_s: float
    times: float
    ramp: bool = False


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """Offered load, in flows (sessions) per second. What is 0 or empty comes from the target
    profile, since only the target's people know what it has to carry; a run holds the numbers.

    With `surge` the load rises to `surge_per_s` for the fault phase, climbs from there until the
    autoscaler reads that more is asked of it, never beyond `surge_most_per_s`, and falls back.
    `mix` weighs flows by name. `gaps` says how arrivals follow each other, `stages` how the rate
    moves from the moment the load begins, which is before the steady phase.
    """

    rate_per_s: float = 0.0
    surge: bool = False
    surge_per_s: float = 0.0
    surge_most_per_s: float = 0.0
    mix: dict[str, int] = {}
    gaps: Gaps | Literal[""] = ""
    stages: tuple[Stage, ...] = ()


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """One assertion about a run, judged by the pure check named `check` with `params`.

    `check` is "<module>.<function>" in acpchaos.check; `rows` are check-list ids it proves.
    A string param that begins with "budget:" is looked up in the target's budgets before the
    play, so that the run folder holds plain numbers.
    """

    id: str
    says: str
    check: str
    rows: tuple[str, ...] = ()
    params: dict[str, float | str | bool] = {}


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What is played once. Lengths in seconds; the fault phase ends when the experiment ends,
    at the latest after `fault_s`. `requires` names parts whose health this play rests on besides
    nodes, ACP and its stores; what it does not rest on must not keep it from being judged."""

    name: str
    load: Load
    experiment: str
    configuration: dict[str, str | int | float | bool] = {}
    steady_s: float
    fault_s: float
    recovery_s: float
    ledger: bool = True
    requires: tuple[str, ...] = ()
    claims: tuple[Claim, ...]
