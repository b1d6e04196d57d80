"""Active probes of the hardening rows: logins, published secrets, network, encryption at rest.

Room: posture. Only doors that were given --allow-probes call `run`. It asks the guard first, takes
the target's lock, so that no play is disturbed and no other run's pods are removed, and deletes
everything it made whatever happens. No probe is judged here. Probes that are tried but prove
nothing are `unknown` with the reason; those that do not concern the installation are absent.

Bounds: one token request per published secret, one login per user and workspace, connections of
2.5 s at most, pods that end after three minutes by themselves.
"""

import secrets as random
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from acpchaos.posture.probes import at_rest, controller, login, network, published, secrets
from acpchaos.posture.probes.scratch import Scratch
from acpchaos.record.snapshot import Answer, Probe
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import Lock
from acpchaos.target.plain import Plain
from acpchaos.target.profile import Profile, resolve

Say = Callable[[str], None]


def run(
    cluster: Cluster, profile: Profile, say: Say, answers: Mapping[str, Answer] | None = None
) -> dict[str, Probe]:
    """Run all probes; outcomes by name. Changes the cluster, and changes it back.

    `answers` are those of the management API by path: they tell workspaces and clients for login.
    GuardRefused when the target is not the pinned, opted-in one or is in use; TargetLeftDirty when
    something could not be removed.
    """
    guard.require(cluster, profile, nodes=False)
    run_id = random.token_hex(4)
    with Lock(cluster, profile.namespaces.acp, f"posture-{run_id}"):
        scratch = Scratch(cluster, profile, run_id)
        if left := scratch.clear():
            say(f"removed what a former run of probes left: {', '.join(left)}")
        begin_s = time.monotonic()
        try:
            scratch.open()
            probes = _all(cluster, profile, scratch, say, answers or {})
            say(f"{len(probes)} probes in {time.monotonic() - begin_s:.0f} s")
        finally:
            scratch.close()
    return probes


def _all(
    cluster: Cluster, profile: Profile, scratch: Scratch, say: Say, answers: Mapping[str, Answer]
) -> dict[str, Probe]:
    """Everything at once; the network probes take longest and hide the others."""
    send = Plain(str(profile.service.ca_file or ""))

    def secret_of(reference: str) -> str:
        return resolve(reference, cluster.read_secret)

    pool = ThreadPoolExecutor(6, "probes")
    try:
        futures = [
            pool.submit(network.run, cluster, profile, scratch, say),
            pool.submit(at_rest.run, cluster, profile, scratch),
            pool.submit(controller.run, profile, send),
            pool.submit(published.run, cluster, profile),
            pool.submit(secrets.run, profile, send, secret_of),
            pool.submit(login.run, profile, answers, send, say),
        ]
        probes: dict[str, Probe] = {}
        for future in futures:
            probes |= future.result()
        return dict(sorted(probes.items()))
    finally:
        # not waited for: after Ctrl-C the clean-up comes first, and what still runs finds no pods
        pool.shutdown(wait=False, cancel_futures=True)
