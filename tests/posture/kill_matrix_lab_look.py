"""How the kill matrix looks at the lab: everything that is read, and the probes that a row needs.

The matrix holds the target's lock itself, so probes are run here one group at a time, with the same
functions as `acpchaos posture --allow-probes`, and not through its door, which would take the lock.
"""

import os
import secrets as random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from acpchaos.faults.changes import RUN_LABEL, create_object
from acpchaos.faults.undo import UndoLog
from acpchaos.posture.probes import at_rest, controller, login, network, published, secrets
from acpchaos.posture.probes.scratch import Scratch
from acpchaos.posture.take import read
from acpchaos.record.snapshot import Probe, Snapshot
from acpchaos.target.cluster import Cluster, Object
from acpchaos.target.plain import Plain
from acpchaos.target.profile import Profile, resolve

LOGIN, SECRETS, AT_REST, NETWORK = "login", "secrets", "at-rest", "network"
EVERY = frozenset({LOGIN, SECRETS, AT_REST, NETWORK})
# rows that nothing but a probe turns red here
OF_ROW = {"HARD-08": LOGIN, "HARD-13": SECRETS, "HARD-19": AT_REST, "HARD-47": NETWORK}
_VARIABLE = "ACPCHAOS_SABOTAGED_SECRET"


@dataclass(frozen=True)
class Look:
    """What a look needs besides reading: groups of probes, objects that lie in their scratch
    namespace, and the secret of client `system` while a change gave it another one."""

    probes: frozenset[str] = frozenset()
    scratch: tuple[Object, ...] = field(default=(), hash=False)
    secret: str = ""


def looker(cluster: Cluster, profile: Profile, log: UndoLog) -> Callable[[Look], Snapshot]:
    """A look at the real lab."""

    def look(wanted: Look) -> Snapshot:
        asking = _asking(profile, wanted.secret)
        seen = read(cluster, asking, _silent)
        probes = _probes(cluster, asking, log, seen, wanted)
        return msgspec.structs.replace(seen, probes=probes)

    return look


def _asking(profile: Profile, secret: str) -> Profile:
    """The profile; with the other secret of client `system` where there is one, else no answer of
    the management API could be read."""
    if not secret:
        return profile
    os.environ[_VARIABLE] = secret
    given = profile.credentials.system
    assert given is not None
    system = given.model_copy(update={"secret": f"env:{_VARIABLE}"})
    credentials = profile.credentials.model_copy(update={"system": system})
    return profile.model_copy(update={"credentials": credentials})


def _probes(
    cluster: Cluster, profile: Profile, log: UndoLog, seen: Snapshot, wanted: Look
) -> dict[str, Probe]:
    """Outcomes of the groups that are wanted."""
    send, found = Plain(str(profile.service.ca_file or "")), dict[str, Probe]()

    def secret_of(reference: str) -> str:
        return resolve(reference, cluster.read_secret)

    if LOGIN in wanted.probes:
        found |= login.run(profile, seen.answers, send, _silent)
    if SECRETS in wanted.probes:
        found |= secrets.run(profile, send, secret_of)
    if wanted.probes & {AT_REST, NETWORK}:
        found |= _scratched(cluster, profile, log, wanted)
    if NETWORK in wanted.probes:
        found |= controller.run(profile, send) | published.run(cluster, profile)
    return found


def _scratched(
    cluster: Cluster, profile: Profile, log: UndoLog, wanted: Look
) -> dict[str, Probe]:  # fmt: skip
    """Probes that need the scratch namespace; it is gone afterwards."""
    scratch = Scratch(cluster, profile, random.token_hex(4))
    scratch.clear()  # what a run that died may have left
    found: dict[str, Probe] = {}
    try:
        scratch.open()
        for manifest in wanted.scratch:
            _place(scratch, log, manifest)
        if AT_REST in wanted.probes:
            found |= at_rest.run(cluster, profile, scratch)
        if NETWORK in wanted.probes:
            found |= network.run(cluster, profile, scratch, _silent)
    finally:
        scratch.close()
    return found


def _place(scratch: Scratch, log: UndoLog, manifest: Object) -> None:
    """An object of the sabotage in the scratch namespace, recorded first."""
    meta: dict[str, Any] = dict(manifest["metadata"])
    meta["labels"] = {**(meta.get("labels") or {}), RUN_LABEL: log.run_id}
    log.record(create_object(manifest["kind"], scratch.namespace, meta["name"]))
    scratch.create(manifest["kind"], {**manifest, "metadata": meta})


def _silent(line: str) -> None:
    """Each reading tells the same; the matrix tells what differs."""
