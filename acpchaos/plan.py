"""Plan before act: what a scenario or an experiment would do to the target, in words.

Room: beside play. It reads only; nothing on the target is touched, not even its Lease.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults.rehearsal import Plan, rehearse
from acpchaos.scenario import Scenario
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import holder_of
from acpchaos.target.profile import PROJECT, Profile


def plan_scenario(scenario: Scenario, profile: Profile, seed: int) -> list[str]:
    """The plan of one play, in lines. PreconditionUnmet says why it cannot be played now."""
    load = scenario.load
    rate = load.rate_per_s or profile.load.rate_per_s
    lines = [
        f"scenario {scenario.name} on {profile.name} ({profile.service.base_url}), seed {seed}",
        f"  load       {rate:g} flows/s" + (_surge(scenario, profile) if load.surge else ""),
        f"  phases     steady {scenario.steady_s:g} s, fault at most {scenario.fault_s:g} s, "
        f"recovery {scenario.recovery_s:g} s",
    ]
    configuration = {"seed": seed, **scenario.configuration}
    lines += plan_experiment(PROJECT / "experiments" / scenario.experiment, profile, configuration)
    for claim in scenario.claims:
        lines.append(f"  claim      {claim.says}" + _budgets(claim.params, profile))
    return lines


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


def _surge(scenario: Scenario, profile: Profile) -> str:
    own, given = scenario.load, profile.load
    least, most = own.surge_per_s or given.surge_per_s, own.surge_most_per_s
    return f", surge from {least:g} to at most {most or given.surge_most_per_s:g} flows/s"


def _budgets(params: Mapping[str, Any], profile: Profile) -> str:
    """Budgets as numbers, as a run would hold them."""
    found = [
        f"{name} {profile.budgets.lookup(value.removeprefix('budget:')):g}"
        for name, value in params.items()
        if isinstance(value, str) and value.startswith("budget:")
    ]
    return f" ({', '.join(found)})" if found else ""
