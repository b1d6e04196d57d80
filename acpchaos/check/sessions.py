"""Tokens through a fault: only declared losses, and new flows that work.

Room: check. What a fault may cost is check/losses.py, what became of each token check/fates.py. It
must not know how tokens were minted or looked at.
"""

import math
from collections import Counter, defaultdict

from acpchaos.check.answer import answer, unproven
from acpchaos.check.counts import failed
from acpchaos.check.fates import BROKEN, Fate, Followed, followed, undecided
from acpchaos.check.losses import ONCE, REQUIRED, RULES, Rule
from acpchaos.check.verdict import Verdict
from acpchaos.check.window import disturbed, due_in, phase, struck_ns
from acpchaos.record.events import RedisNode, TokenProbe
from acpchaos.record.run import Run


def losses_as_declared(run: Run, fault: str) -> Verdict:
    """No token of the ledger met a fate outside the declared rules of this fault."""
    if fault not in RULES:
        return unproven(f"no rules are declared for fault {fault!r}; known: {', '.join(RULES)}")
    found = followed(run, RULES[fault])
    if not found:
        return unproven("the ledger holds no token")
    counts = Counter(each.fate for each in found.values())
    broken = {token: each for token, each in found.items() if each.fate in BROKEN}
    mixed = _mixed_items(fault, found)
    said = ", ".join(f"{counts[fate]} {fate}" for fate in Fate if counts[fate])
    why = f"{len(found)} tokens: {said}{_meanwhile(run)}"
    if mixed:
        why += f"; differing answers for {', '.join(mixed)}"
    if broken or mixed:
        evidence = tuple(_told(token, each) for token, each in broken.items())
        return answer(False, why, len(broken) + len(mixed), 0, "tokens", evidence[:20])
    if open_ones := undecided(found):
        return unproven(why, open_ones, "indeterminate tokens")
    missing = [item for item in REQUIRED if item not in {each.item for each in found.values()}]
    if missing:
        return unproven(f"{why}; the ledger holds no {', '.join(missing)}")
    return answer(True, why, 0, 0, "tokens", (*_by_item(found), *_spread(run, found)))


def _told(token: str, each: Followed) -> str:
    shown = f", {each.shown}" if each.shown else ""
    return f"{token} ({each.item}): {each.fate}{shown}"


def _meanwhile(run: Run) -> str:
    """How often tokens were looked at while the fault and the recovery lasted, if at all."""
    window = disturbed(run)
    looks = [each for each in run.of(TokenProbe) if window and window.holds(each.t_ns)]
    return f"; {len(looks)} looks while it lasted" if looks else ""


def _mixed_items(fault: str, found: dict[str, Followed]) -> list[str]:
    """Kinds whose tokens had to end alike and did not."""
    ends: defaultdict[str, set[Fate]] = defaultdict(set)
    for item, fate, _ in found.values():
        if RULES[fault].get(item) is Rule.EITHER_BUT_CONSISTENT and fate is not Fate.INDETERMINATE:
            ends[item].add(fate)
    return sorted(item for item, seen in ends.items() if len(seen) > 1)


def _by_item(found: dict[str, Followed]) -> tuple[str, ...]:
    counts = Counter((each.item, each.fate) for each in found.values())
    return tuple(f"{item}: {count} {fate}" for (item, fate), count in sorted(counts.items()))


def _spread(run: Run, found: dict[str, Followed]) -> tuple[str, ...]:
    """How likely it is that a Redis master held none of the rarest kind that was there when the
    fault struck. Slots are drawn by hash, so that each master is as likely as another."""
    since_ns = struck_ns(run) or 0
    roles = {node.pod: node.role for node in run.of(RedisNode) if node.t_ns <= since_ns}
    masters = sum(role == "master" for role in roles.values())
    stored = {each.item for each in found.values()} - {"jwt_offline", *ONCE}
    if masters < 2 or not stored:
        return ()
    counts = Counter(each.item for each in found.values() if each.item in stored)
    count, item = min((count, item) for item, count in counts.items())
    empty = min(1.0, masters * (1 - 1 / masters) ** count)
    return (f"spread: {count} of {item} over {masters} Redis masters; that one holds none of them "
            f"has a chance of {empty:.1%} at most",)  # fmt: skip


def new_flows_work(run: Run, min_successes: float = 3) -> Verdict:
    """Each flow of the load succeeded at least `min_successes` times in the recovery phase."""
    window = phase(run, "recovery")
    flows = sorted(run.scenario.load.mix)
    if window is None or not flows:
        return unproven("the record has no recovery phase or does not name the flows of its load")
    due = {flow: due_in(run.requests("load", flow), window) for flow in flows}
    thin = [flow for flow in flows if len(due[flow]) < min_successes]
    good = {flow: len(due[flow]) - failed(due[flow]) for flow in flows if flow not in thin}
    flow, fewest = min(good.items(), key=lambda item: (item[1], item[0]), default=("", math.inf))
    if thin and fewest >= min_successes:
        told = f"{thin[0]}: only {len(due[thin[0]])} requests were due in the recovery phase"
        return unproven(told)
    why = f"fewest good answers after recovery: {flow}, {fewest}"
    return answer(fewest >= min_successes, why, fewest, min_successes, "good answers")
