"""What became of each token of the ledger: kept, lost as declared, lost undeclared, lied to.

Room: check. The table below is the contract: per fault and kind of token what may be lost. It must
not know how tokens were minted or probed.
"""

from collections import Counter, defaultdict
from enum import StrEnum

from acpchaos.check.answer import answer, unproven
from acpchaos.check.verdict import Verdict
from acpchaos.check.window import due_in, phase
from acpchaos.record.events import TokenProbe
from acpchaos.record.run import Run


class Rule(StrEnum):
    """What a fault may do to a kind of token."""

    MUST_HOLD = "must hold"
    LOSS_EXPECTED = "loss expected"
    EITHER = "either"  # unknown or timing; both are accepted and told
    EITHER_BUT_CONSISTENT = "either, but all alike"
    MUST_STAY_INVALID = "must stay invalid"


class Fate(StrEnum):
    """What became of one token."""

    KEPT = "kept"
    STAYED_INVALID = "stayed invalid"
    LOST_AS_DECLARED = "lost as declared"
    LOST_UNDECLARED = "lost undeclared"
    LIED_TO = "lied to"  # called invalid while the store was away, valid again later
    RESURRECTED = "resurrected"  # a revoked token became valid again
    UNANSWERED = "unanswered"  # still no honest answer after recovery
    INDETERMINATE = "indeterminate"  # never seen as it should be before, or not looked at after


_UNHARMED = {
    "access_jwt": Rule.MUST_HOLD,
    "access_opaque": Rule.MUST_HOLD,
    "refresh": Rule.MUST_HOLD,
    "code": Rule.MUST_HOLD,  # lives 10 minutes, longer than these plays
    "par": Rule.EITHER,  # lives 60 s, less than a play
    "sso_session": Rule.MUST_HOLD,
    "revoked_jwt": Rule.MUST_STAY_INVALID,
    "jwt_offline": Rule.MUST_HOLD,
}

RULES: dict[str, dict[str, Rule]] = {
    "pod_loss": _UNHARMED,
    "zone_drain": _UNHARMED,
    "restore": _UNHARMED,  # the copy is restored beside the living store
    "redis_wipe": {
        "access_jwt": Rule.EITHER_BUT_CONSISTENT,  # its introspection record may be in Redis
        "access_opaque": Rule.LOSS_EXPECTED,
        "refresh": Rule.EITHER,  # written behind to SQL in some versions
        "code": Rule.LOSS_EXPECTED,
        "par": Rule.LOSS_EXPECTED,
        "sso_session": Rule.LOSS_EXPECTED,
        "revoked_jwt": Rule.MUST_STAY_INVALID,  # a wiped deny list must not revive a token
        "jwt_offline": Rule.MUST_HOLD,
    },
}

# Kinds that any issuer has; a ledger without them proves too little.
REQUIRED = ("access_jwt", "refresh", "revoked_jwt", "jwt_offline")

# Looking at these uses them up, so their first look is the one after; to be minted is to be valid.
ONCE = ("code", "par")

_BROKEN = {Fate.LOST_UNDECLARED, Fate.LIED_TO, Fate.RESURRECTED, Fate.UNANSWERED}


def losses_as_declared(run: Run, fault: str) -> Verdict:
    """No token of the ledger met a fate outside the declared rules of this fault."""
    if fault not in RULES:
        return unproven(f"no rules are declared for fault {fault!r}; known: {', '.join(RULES)}")
    fates = fates_of(run, fault)
    if not fates:
        return unproven("the ledger holds no token")
    counts = Counter(fate for _, fate in fates.values())
    broken = {token: (item, fate) for token, (item, fate) in fates.items() if fate in _BROKEN}
    mixed = _mixed_items(run, fault, fates)
    said = ", ".join(f"{counts[fate]} {fate}" for fate in Fate if counts[fate])
    why = f"{len(fates)} tokens: {said}"
    if mixed:
        why += f"; differing answers for {', '.join(mixed)}"
    if broken or mixed:
        evidence = tuple(f"{token} ({item}): {fate}" for token, (item, fate) in broken.items())
        return answer(False, why, len(broken) + len(mixed), 0, "tokens", evidence[:20])
    if counts[Fate.INDETERMINATE]:
        return unproven(why, counts[Fate.INDETERMINATE], "indeterminate tokens")
    missing = [item for item in REQUIRED if item not in {item for item, _ in fates.values()}]
    if missing:
        return unproven(f"{why}; the ledger holds no {', '.join(missing)}")
    return answer(True, why, 0, 0, "tokens", _by_item(fates))


def fates_of(run: Run, fault: str) -> dict[str, tuple[str, Fate]]:
    """(item, fate) of each token of the ledger, by ledger id."""
    looks: defaultdict[str, list[TokenProbe]] = defaultdict(list)
    for probe in run.of(TokenProbe):
        looks[probe.token].append(probe)
    rules = RULES[fault]
    return {
        token: (probes[0].item, _fate(probes, rules.get(probes[0].item, Rule.MUST_HOLD)))
        for token, probes in sorted(looks.items())
    }


def _fate(probes: list[TokenProbe], rule: Rule) -> Fate:
    """The fate of one token from all looks at it, in order of time."""
    before = [probe.result for probe in probes if probe.when == "before"]
    later = [probe.result for probe in probes if probe.when != "before"]
    after = [probe.result for probe in probes if probe.when == "after"]
    proper = "invalid" if rule is Rule.MUST_STAY_INVALID else "valid"
    if rule is Rule.MUST_STAY_INVALID and "invalid" in before and "valid" in later:
        return Fate.RESURRECTED
    if probes[0].item in ONCE and not before:
        before = ["valid"]
    if not before or before[-1] != proper or not after:
        return Fate.INDETERMINATE
    if "invalid" in later and "valid" in later[later.index("invalid") :]:
        return Fate.LIED_TO
    match after[-1]:
        case "valid":
            return Fate.KEPT
        case "invalid" if rule is Rule.MUST_STAY_INVALID:
            return Fate.STAYED_INVALID
        case "invalid":
            return Fate.LOST_UNDECLARED if rule is Rule.MUST_HOLD else Fate.LOST_AS_DECLARED
        case "unavailable":
            return Fate.UNANSWERED
        case _:
            return Fate.INDETERMINATE


def _mixed_items(run: Run, fault: str, fates: dict[str, tuple[str, Fate]]) -> list[str]:
    """Kinds whose tokens had to end alike and did not."""
    ends: defaultdict[str, set[Fate]] = defaultdict(set)
    for item, fate in fates.values():
        if RULES[fault].get(item) is Rule.EITHER_BUT_CONSISTENT and fate is not Fate.INDETERMINATE:
            ends[item].add(fate)
    return sorted(item for item, seen in ends.items() if len(seen) > 1)


def _by_item(fates: dict[str, tuple[str, Fate]]) -> tuple[str, ...]:
    counts = Counter(fates.values())
    return tuple(f"{item}: {count} {fate}" for (item, fate), count in sorted(counts.items()))


def new_flows_work(run: Run, min_successes: float = 3) -> Verdict:
    """Each flow of the load succeeded at least `min_successes` times in the recovery phase."""
    window = phase(run, "recovery")
    flows = sorted(run.scenario.load.mix)
    if window is None or not flows:
        return unproven("the record has no recovery phase or does not name the flows of its load")
    good: dict[str, int] = {}
    for flow in flows:
        due = due_in(run.requests("load", flow), window)
        if len(due) < min_successes:
            return unproven(f"{flow}: only {len(due)} requests were due in the recovery phase")
        good[flow] = sum(not request.error for request in due)
    flow, fewest = min(good.items(), key=lambda item: (item[1], item[0]))
    why = f"fewest good answers after recovery: {flow}, {fewest}"
    return answer(fewest >= min_successes, why, fewest, min_successes, "good answers")
