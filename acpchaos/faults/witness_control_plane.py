"""Looks at parts of the control plane that were stopped; shares no code with the injector.

Room: faults. Each part shows by what only it does: the API server answers, an etcd member tells its
health, controllers and scheduler renew their Lease. Beside that the processes of the nodes are
asked for, by calls of the witness's own.
"""

from collections.abc import Sequence

from acpchaos.faults import witness_nodes
from acpchaos.faults.fault import Sight
from acpchaos.faults.witness_nodes import Watched
from acpchaos.target.cluster import ApiRefused, Cluster
from acpchaos.target.profile import Profile

LEASES = "kube-system"
STILL_S = 7.0  # leaders renew every 2 s
LOOKS = 5
HEALTH = "http://127.0.0.1:2381/health"  # kubeadm's listen-metrics-urls of etcd


def stopped(
    cluster: Cluster, profile: Profile, watched: Sequence[Watched], program: str
) -> Sight:  # fmt: skip
    """Installed: no node of these runs the program, and what it does is not done: the API server
    does not answer, the etcd member tells no health, the Lease stands still."""
    seen = {each.node: witness_nodes.programs(profile, each) for each in watched}
    if blind := [name for name, found in seen.items() if found is None]:
        return Sight("indeterminate", f"nobody tells what runs on {', '.join(blind)}")
    gone = [name for name, found in seen.items() if program not in (found or ())]
    dumb, told = _dumb(cluster, profile, watched, program)
    saw = f"no {program} on {len(gone)} of {len(watched)} nodes; {told}"
    detail = {"gone": gone, "silent": dumb}
    if watched and len(gone) == len(watched) and dumb:
        return Sight("installed", saw, detail)
    return Sight("partial" if gone or dumb else "not installed", saw, detail)


def _dumb(
    cluster: Cluster, profile: Profile, watched: Sequence[Watched], program: str
) -> tuple[bool, str]:
    """Whether what the program does is not done any more, and what was seen."""
    if program == "etcd":
        healthy = [each.node for each in watched
                   if '"true"' in (witness_nodes.says(profile, each, "curl", "-sm3", HEALTH)
                                   or "")]  # fmt: skip
        return not healthy, f"{len(healthy)} of {len(watched)} members tell health"
    if program == "kube-apiserver":
        bad, last = witness_nodes.silent(cluster, LOOKS)
        return bad == LOOKS, f"/readyz failed {bad} of {LOOKS} times: {last[:160]}"
    try:
        still = witness_nodes.still(cluster, LEASES, [program], STILL_S)
    except ApiRefused as error:
        return False, f"its Lease could not be read: {error.seen}"
    return bool(still), f"its Lease {'stands still' if still else 'is renewed or absent'}"
