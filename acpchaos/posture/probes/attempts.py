"""Connection attempts from a probe pod, and what they prove: open, blocked, or nothing.

Room: posture. An attempt that met the target is `open` even when nobody listens there: the packet
got through. It must not know which places are asked for which row.
"""

import inspect
import time
from collections.abc import Callable, Iterable, Sequence

import msgspec

from acpchaos.posture.probes import inside
from acpchaos.record.snapshot import Probe
from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.target.execute import execute
from acpchaos.wait import pause_until

TIMEOUT_S = 2.5  # a policy that drops is told from one that rejects by this wait
ROUNDS = 4
BETWEEN_S = 1.0  # policies of a new pod are known to agents about a second after the pod
SOURCE = inspect.getsource(inside)
SOURCE_VARIABLE = "ACPCHAOS_PROBE"  # keeps exec's URL, and so the audit log, short
RUN = ["python3", "-c", f"import os; exec(os.environ['{SOURCE_VARIABLE}'])"]
BLOCKED = frozenset({"timeout", "rejected"})


class Place(msgspec.Struct, frozen=True):
    """Where to connect to; `what` names it for people."""

    what: str
    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.what} {self.host}:{self.port}"


class Attempt(msgspec.Struct, frozen=True):
    """How one attempt ended, in a word of `inside`, or `unsteady` when rounds disagreed.

    `source` names the pod that tried, where several do.
    """

    place: Place
    word: str
    took_ms: int = 0
    source: str = ""

    def __str__(self) -> str:
        return f"{self.source + ' to ' if self.source else ''}{self.place} {self.word}"


class Source(msgspec.Struct, frozen=True):
    """A running probe pod."""

    namespace: str
    pod: str


def connect(cluster: Cluster, source: Source, places: Sequence[Place]) -> list[Attempt]:
    """Try all places at once from a pod; ApiRefused when the pod could not be asked."""
    if not places:
        return []
    argv = [*RUN, "connect", str(TIMEOUT_S), *(f"{each.host}:{each.port}" for each in places)]
    done = execute(cluster, source.namespace, source.pod, "probe", argv, timeout_s=20.0)
    attempted = f"try connections from pod {source.namespace}/{source.pod}"
    if done.code != 0:
        seen = f"python3 ended with {done.code}: {done.stderr[-200:]}"
        raise ApiRefused(attempted, 0, seen, "set probes.image to one with python3")
    try:
        answers = msgspec.json.decode(done.stdout, type=list[tuple[str, int]])
        pairs = list(zip(places, answers, strict=True))
    except ValueError as error:
        raise ApiRefused(attempted, 0, f"its answer is no list: {error}") from None
    return [Attempt(place, word, took_ms) for place, (word, took_ms) in pairs]


def settled(
    ask: Callable[[], list[Attempt]], pause: Callable[[float], None] = pause_until
) -> list[Attempt]:
    """Ask in rounds until two in a row agree, so that one lost packet or a policy still on its way
    to a new pod decides nothing; what never agrees is `unsteady`."""
    rounds = [ask()]
    while len(rounds) < ROUNDS:
        pause(time.monotonic() + BETWEEN_S)
        rounds.append(ask())
        if all(_side(new) == _side(old) for new, old in zip(*rounds[-2:], strict=True)):
            return rounds[-1]
    return [
        new if _side(new) == _side(old) else msgspec.structs.replace(new, word="unsteady")
        for new, old in zip(*rounds[-2:], strict=True)
    ]


def _side(attempt: Attempt) -> str:
    return "blocked" if attempt.word in BLOCKED else attempt.word


def judged(
    attempts: Iterable[Attempt], *, source_works: bool, rejects_by_reset: bool = False,
    may_be_absent: bool = False,
) -> Probe:  # fmt: skip
    """One outcome for all places of a probe: open when any is, blocked when all are.

    `source_works`: the pod was seen to reach something; else a block proves nothing.
    `rejects_by_reset`: this network's policies answer like a closed port, so `refused` is no proof.
    `may_be_absent`: a place that no router finds (metadata off the cloud) counts as blocked.
    """
    tried = list(attempts)
    if not tried:
        return unknown("there was nothing to connect to")
    through = {"open"} if rejects_by_reset else {"open", "refused"}
    kept_out = BLOCKED | ({"unreachable"} if may_be_absent else frozenset())
    if passed := [each for each in tried if each.word in through]:
        return Probe(outcome="open", saw=told(passed))
    if unclear := [each for each in tried if each.word not in kept_out]:
        return unknown(f"no proof either way: {told(unclear)}")
    if not source_works:
        return unknown(f"the pod reached nothing at all, so a block proves nothing: {told(tried)}")
    return Probe(outcome="blocked", saw=told(tried))


def unknown(why: str) -> Probe:
    """A probe that proved nothing."""
    return Probe(outcome="unknown", saw=why)


def told(attempts: Sequence[Attempt]) -> str:
    """The first of them in words."""
    shown = ", ".join(str(each) for each in attempts[:4])
    return shown + (f" and {len(attempts) - 4} more" if len(attempts) > 4 else "")


__all__ = [
    "RUN", "SOURCE", "SOURCE_VARIABLE", "Attempt", "Place", "Source", "connect", "judged",
    "settled", "told", "unknown",
]  # fmt: skip
