"""Is the Redis Cluster whole again, and really a new one.

Room: check. It reads the nodes' own views from the record.
"""

from acpchaos.check.answer import answer, unproven
from acpchaos.check.verdict import Verdict
from acpchaos.check.window import disturbed, seconds, struck_ns
from acpchaos.record.events import RedisNode
from acpchaos.record.run import Run

ALL_SLOTS = 16384  # hash slots of any Redis Cluster


def cluster_recovered(run: Run, within_s: float, wiped: bool = True) -> Verdict:
    """Every node of before is back within `within_s` of the fault: state ok, all slots, replicas
    linked, as many masters; with `wiped` also under a new run id, else the wipe did not bite."""
    window, since_ns = disturbed(run), struck_ns(run)
    if window is None or since_ns is None:
        return unproven("the record has no injected fault with a recovery phase")
    sights = run.of(RedisNode)
    before = {node.pod: node for node in sights if node.t_ns <= window.begin_ns}
    if not before or not whole(before, before):
        return unproven(f"the cluster was not whole before the fault: {_told(before)}")
    later = [node for node in sights if node.t_ns > since_ns]
    if not later:
        return unproven("no node was looked at after the fault")
    now, back_ns = dict(before), None
    for node in later:
        now[node.pod] = node
        fresh = not wiped or _all_new(before, now)
        if not (fresh and whole(now, before)):
            back_ns = None
        elif back_ns is None:
            back_ns = node.t_ns
    if wiped and not _all_new(before, now) and whole(now, before):
        return unproven("nodes kept their run id, so the cluster was not replaced")
    if back_ns is None:
        why = f"not whole when the record ended: {_told(now)}"
        return answer(False, why, "never", within_s, "s")
    took_s = seconds(since_ns, back_ns)
    why = f"{_told(now)}; whole again after {took_s:.1f} s"
    evidence = tuple(f"{pod}: run id {node.run_id[:8]}" for pod, node in sorted(now.items()))
    return answer(took_s <= within_s, why, took_s, within_s, "s", evidence)


def whole(now: dict[str, RedisNode], before: dict[str, RedisNode]) -> bool:
    """Whether every node of before is there, ok, with all slots, linked; as many are masters."""
    return (
        all(
            node.reachable
            and node.state == "ok"
            and node.slots == ALL_SLOTS
            and (node.role == "master" or node.link_up)
            for node in now.values()
        )
        and before.keys() <= now.keys()
        and _masters(now) >= max(1, _masters(before))
    )


def _all_new(before: dict[str, RedisNode], now: dict[str, RedisNode]) -> bool:
    return all(now[pod].run_id not in ("", node.run_id) for pod, node in before.items())


def _masters(nodes: dict[str, RedisNode]) -> int:
    return sum(node.role == "master" for node in nodes.values())


def _told(nodes: dict[str, RedisNode]) -> str:
    well = sum(node.reachable and node.state == "ok" for node in nodes.values())
    slots = min((node.slots for node in nodes.values()), default=0)
    return f"{well} of {len(nodes)} nodes ok, {_masters(nodes)} masters, {slots} slots served"
