"""Plan before act: what a scenario or an experiment would do to the target, in words.

Room: below play, which plays what is planned here. It reads only; nothing on the target is
touched, not even its Lease.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults.rehearsal import Plan, rehearse
from acpchaos.scenario import Claim, Scenario
from acpchaos.stopping import told as told_stops
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import holder_of
from acpchaos.target.profile import PROJECT, Profile


def plan_scenario(scenario: Scenario, profile: Profile, seed: int) -> list[str]:
    """The plan of one play, in lines. PreconditionUnmet says why it cannot be played now."""
    planned = resolved(scenario, profile)
    load = planned.load
    surge = f", surge from {load.surge_per_s:g} to at most {load.surge_most_per_s:g} flows/s"
    lines = [
        f"scenario {scenario.name} on {profile.name} ({profile.service.base_url}), seed {seed}",
        f"  load       {load.rate_per_s:g} flows/s" + (surge if load.surge else ""),
        f"  phases     steady {scenario.steady_s:g} s, fault at most {scenario.fault_s:g} s, "
        f"recovery {scenario.recovery_s:g} s",
    ]
    configuration = {"seed": seed, **scenario.configuration}
    lines += plan_experiment(PROJECT / "experiments" / scenario.experiment, profile, configuration)
    for asked, claim in zip(scenario.claims, planned.claims, strict=True):
        lines.append(f"  claim      {claim.says}" + _budgets(asked, claim))
    return [*lines, *_each("stop", told_stops(profile.stop, planned))]


def plan_experiment(
    experiment: Path, profile: Profile, configuration: Mapping[str, Any]
) -> list[str]:
    """The plan of one experiment file, in lines."""
    plan = rehearse(experiment, profile, configuration)
    if plan.refused:
        raise PreconditionUnmet(
            f"plan {experiment.name}", plan.refused, "nothing was changed; repair this first"
        )
    holder = holder_of(Cluster.from_profile(profile), profile.namespaces.acp)
    return [*told(plan), f"  lock       {f'held by {holder}' if holder else 'free'}"]


def told(plan: Plan) -> list[str]:
    """A plan in lines, each beginning with what it is."""
    return [
        f"  fault      {plan.fault or 'none'} ({plan.experiment})",
        *_each("target", plan.targets),
        *_each("change", plan.changes or ("none on the target",)),
        *_each("then", plan.then),
        *_each("undo", plan.undo or ("nothing to take back: what is lost is replaced by itself",)),
        f"  effect     {plan.effect}",
    ]


def _each(what: str, lines: Iterable[str]) -> list[str]:
    return [f"  {what:<10} {line}" for line in lines]


def _budgets(asked: Claim, planned: Claim) -> str:
    """What the suite leaves to the target's budgets, with the number that it has here."""
    found = [
        f"{name} {value:g}" for name, value in planned.params.items() if value != asked.params[name]
    ]
    return f" ({', '.join(found)})" if found else ""


def resolved(scenario: Scenario, profile: Profile) -> Scenario:
    """Budgets and rates as numbers and the flow mix spelled out: the run folder stands alone."""
    claims = []
    for claim in scenario.claims:
        params = {
            key: profile.budgets.lookup(value.removeprefix("budget:"))
            if isinstance(value, str) and value.startswith("budget:")
            else value
            for key, value in claim.params.items()
        }
        claims.append(msgspec.structs.replace(claim, params=params))
    own, given = scenario.load, profile.load
    load = msgspec.structs.replace(
        own,
        mix=own.mix or given.mix,
        rate_per_s=own.rate_per_s or given.rate_per_s,
        gaps=own.gaps or given.gaps,
        stages=own.stages or given.stages,
        surge_per_s=(own.surge_per_s or given.surge_per_s) if own.surge else 0.0,
        surge_most_per_s=(own.surge_most_per_s or given.surge_most_per_s) if own.surge else 0.0,
    )
    return msgspec.structs.replace(scenario, claims=tuple(claims), load=load)
