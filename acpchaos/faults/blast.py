"""Blast radius: what a fault takes away at once, computed before it and held against the profile.

Room: faults. Pure arithmetic on what set-up has read; it must not ask the cluster. Words of
`experiments.may_lose` say what a target's people accept beyond single pods.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from acpchaos.errors import PreconditionUnmet
from acpchaos.stores.redis_cluster import NodeView, Shard, shards
from acpchaos.target.cluster import Object


@dataclass(frozen=True)
class Blast:
    """Pods hit of how many, in how many zones of how many; `loses` are words of may_lose."""

    pods: int
    of_pods: int
    zones: int
    of_zones: int
    loses: tuple[str, ...] = ()
    why: str = ""

    def told(self) -> dict[str, Any]:
        """As plain data for journal and plan."""
        return asdict(self) | {"loses": list(self.loses)}


def majority(voters: int) -> int:
    """How many of `voters` must agree: more than half."""
    return voters // 2 + 1


def of_pods(victims: Collection[Object], every: Collection[Object], zones: Mapping[str, str]) \
        -> Blast:  # fmt: skip
    """`every` are all pods of the workload; `zones` maps node names to zones."""
    hit, known = _zones(victims, zones), _zones(every, zones)
    everything = len(victims) >= len(every)
    why = f"all {len(every)} pods at once" if everything else ""
    loses = ("workload",) if everything else ()
    return Blast(len(victims), len(every), len(hit), len(known), loses, why)


def _zones(pods: Collection[Object], zones: Mapping[str, str]) -> set[str]:
    names = {pod["spec"].get("nodeName", "") for pod in pods}
    return {zones[name] for name in names if zones.get(name)}


def of_voters(blast: Blast, voters: int, lost: int) -> Blast:
    """The same blast where a majority of `voters` decides, e.g. the members of an SQL store."""
    left, needed = voters - lost, majority(voters)
    if left >= needed:
        return blast
    return _also(blast, "quorum", f"{left} of {voters} members left, {needed} are a majority")


def of_redis(blast: Blast, views: Sequence[NodeView], victims: Collection[str]) -> Blast:
    """The same blast in a Redis Cluster: masters vote on failovers, a shard needs one live copy."""
    known = shards(views, {})
    hit = sum(shard.master in victims for shard in known)
    blast = of_voters(blast, len(known), hit)
    if dead := [shard.master for shard in known if set(_copies(shard)) <= set(victims)]:
        blast = _also(blast, "shard", f"no copy left of the slots of {', '.join(sorted(dead))}")
    return blast


def _copies(shard: Shard) -> tuple[str, ...]:
    return (shard.master, *shard.replicas)


def together(parts: Mapping[str, Blast], hit: Collection[str], known: Collection[str]) -> Blast:
    """One blast of several workloads by name, which share the zones `hit` of those `known`."""
    loses = tuple(dict.fromkeys(word for part in parts.values() for word in part.loses))
    whys = [f"{name}: {part.why}" for name, part in parts.items() if part.why]
    return Blast(
        sum(part.pods for part in parts.values()), sum(part.of_pods for part in parts.values()),
        len(hit), len(known), loses, "; ".join(whys),
    )  # fmt: skip


def _also(blast: Blast, word: str, why: str) -> Blast:
    reasons = "; ".join(each for each in (blast.why, why) if each)
    return Blast(
        blast.pods, blast.of_pods, blast.zones, blast.of_zones, (*blast.loses, word), reasons
    )


def require_allowed(blast: Blast, may_lose: Collection[str]) -> Blast:
    """The blast, unless it takes away what the profile does not let go."""
    if refused := [word for word in blast.loses if word not in may_lose]:
        raise PreconditionUnmet(
            f"hit {blast.pods} of {blast.of_pods} pods",
            f"{blast.why}; the profile's experiments.may_lose has no {', '.join(refused)}",
            "ask for fewer, or have the target's people add it to the profile",
        )
    return blast
