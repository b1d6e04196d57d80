"""One snapshot of a live target: objects first, then what ACP says and what it serves.

Room: posture. Only the pinned cluster is read; active probes come last and only when allowed. What
cannot be read is told in the snapshot and takes nothing else with it.
"""

import datetime as dt
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import msgspec

from acpchaos.posture.answers import Asked, ask
from acpchaos.posture.collect import Collected, collect
from acpchaos.posture.probes import run
from acpchaos.posture.redaction import Sealer
from acpchaos.posture.scope import scope_of
from acpchaos.posture.served import served
from acpchaos.record.snapshot import Served, Snapshot
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import Profile

Say = Callable[[str], None]


def take(profile: Profile, say: Say = lambda line: None, *, allow_probes: bool = False) -> Snapshot:
    """Everything that can be read, and with `allow_probes` what active probes show as well.

    GuardRefused for another cluster than the pinned one.
    """
    cluster = Cluster.from_profile(profile)
    guard.require_identity(cluster, profile)
    seen = read(cluster, profile, say)
    if not allow_probes:
        return seen
    return msgspec.structs.replace(seen, probes=run(cluster, profile, say, seen.answers))


def read(cluster: Cluster, profile: Profile, say: Say) -> Snapshot:
    """Everything that can be read without a probe."""
    taken_at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    sealer, begun = Sealer(), time.monotonic()
    found = collect(cluster, profile, sealer)
    say(_told_objects(found, time.monotonic() - begun))
    begun = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        asking = pool.submit(ask, profile, sealer, cluster.read_secret)
        looking = pool.submit(served, cluster, profile)
        asked, (places, unseen) = asking.result(), looking.result()
    say(_told_answers(asked, time.monotonic() - begun))
    say(_told_served(places))
    unread = {**found.unread, **asked.unread, **unseen}
    for what, why in sorted(unread.items()):
        say(f"not read: {what}: {why}")
    return Snapshot(
        source="live", taken_at=taken_at, scope=scope_of(profile), objects=found.objects,
        unread=unread, answers=asked.answers, served=places,
    )  # fmt: skip


def _told_objects(found: Collected, took_s: float) -> str:
    count = sum(map(len, found.objects.values()))
    return f"objects: {count} of {len(found.objects)} kinds in {took_s:.1f} s"


def _told_answers(asked: Asked, took_s: float) -> str:
    good = sum(each.status in (200, 404) for each in asked.answers.values())
    return f"answers of ACP: {good} of {len(asked.answers)} in {took_s:.1f} s"


def _told_served(places: list[Served]) -> str:
    good = sum(bool(each.chain) for each in places)
    return f"certificates: served at {good} of {len(places)} places"
