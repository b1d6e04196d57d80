"""What became of each token of the ledger, from all looks at it in order of time.

Room: check. A ledger that looks only before and after a fault cannot tell a token that was kept
from one that was refused meanwhile and accepted again: its holder was sent away for nothing, or an
intruder let in. So every look counts, whenever it was.
"""

from collections import defaultdict
from enum import StrEnum
from itertools import takewhile
from typing import NamedTuple

from acpchaos.check.losses import ONCE, Rule
from acpchaos.check.offsets import moment
from acpchaos.check.window import struck_ns
from acpchaos.record.events import TokenProbe
from acpchaos.record.run import Run


class Fate(StrEnum):
    """What became of one token."""

    KEPT = "kept"  # survived
    STAYED_INVALID = "stayed invalid"
    LOST_AS_DECLARED = "lost as declared"
    LOST_UNDECLARED = "lost undeclared"
    LIED_TO = "lied to"  # called invalid while the store was away, valid again later
    RESURRECTED = "resurrected"  # a revoked token became valid again
    UNANSWERED = "unanswered"  # still no honest answer after recovery
    INDETERMINATE = "indeterminate"  # never seen as it should be before, or not looked at after


BROKEN = {Fate.LOST_UNDECLARED, Fate.LIED_TO, Fate.RESURRECTED, Fate.UNANSWERED}


class Followed(NamedTuple):
    """One token, its fate, and what shows it where that is more than its last look."""

    item: str
    fate: Fate
    shown: str = ""


def followed(run: Run, rules: dict[str, Rule]) -> dict[str, Followed]:
    """Every token of the ledger, by ledger id."""
    looks: defaultdict[str, list[TokenProbe]] = defaultdict(list)
    for probe in run.of(TokenProbe):
        looks[probe.token].append(probe)
    return {
        token: _followed(run, of_one, rules.get(of_one[0].item, Rule.MUST_HOLD))
        for token, of_one in sorted(looks.items())
    }


def undecided(found: dict[str, Followed]) -> int:
    """Tokens that leave the ledger undecided. One that is spent by its look and was not answered
    may be spent or not, and proves nothing; others of its kind speak for it."""
    told = {each.item for each in found.values() if each.fate is not Fate.INDETERMINATE}
    return sum(
        each.fate is Fate.INDETERMINATE and not (each.item in ONCE and each.item in told)
        for each in found.values()
    )


def _followed(run: Run, looks: list[TokenProbe], rule: Rule) -> Followed:
    item = looks[0].item
    stays_invalid = rule is Rule.MUST_STAY_INVALID
    if turned := _turned(looks):
        refused, accepted = turned
        fate = Fate.RESURRECTED if stays_invalid else Fate.LIED_TO
        shown = f"invalid {moment(run, refused.t_ns)}, valid {moment(run, accepted.t_ns)}"
        return Followed(item, fate, shown)
    if item in ONCE:
        return Followed(item, _of_once(looks, rule))
    before = [probe.result for probe in looks if probe.when == "before"]
    after = [probe.result for probe in looks if probe.when == "after"]
    if not before or before[-1] != ("invalid" if stays_invalid else "valid") or not after:
        return Followed(item, Fate.INDETERMINATE)
    if stays_invalid and after[-1] == "invalid":
        return Followed(item, Fate.STAYED_INVALID)
    fate = _ended(after[-1], rule)
    if fate is Fate.LOST_AS_DECLARED and (early := _before_the_fault(run, looks)):
        return Followed(item, Fate.LOST_UNDECLARED, f"invalid {moment(run, early.t_ns)} already")
    return Followed(item, fate)


def _turned(looks: list[TokenProbe]) -> tuple[TokenProbe, TokenProbe] | None:
    """The first refusal and the first acceptance after it."""
    refused = next((each for each in looks if each.result == "invalid"), None)
    if refused is None:
        return None
    later = looks[looks.index(refused) :]
    accepted = next((each for each in later if each.result == "valid"), None)
    return (refused, accepted) if accepted else None


def _of_once(looks: list[TokenProbe], rule: Rule) -> Fate:
    """The fate of what was spent by its first look; unanswered during the fault it may be spent."""
    first = looks[0]
    if first.result == "unavailable" and first.when != "after":
        return Fate.INDETERMINATE
    return _ended(first.result, rule)


def _ended(result: str, rule: Rule) -> Fate:
    match result:
        case "valid":
            return Fate.KEPT
        case "invalid":
            return Fate.LOST_UNDECLARED if rule is Rule.MUST_HOLD else Fate.LOST_AS_DECLARED
        case "unavailable":
            return Fate.UNANSWERED
        case _:
            return Fate.INDETERMINATE


def _before_the_fault(run: Run, looks: list[TokenProbe]) -> TokenProbe | None:
    """A refusal that no fault can excuse, since none had struck yet."""
    since_ns = struck_ns(run)
    if since_ns is None:
        return None
    early = takewhile(lambda each: each.t_ns < since_ns, looks)
    return next((each for each in early if each.result == "invalid"), None)
