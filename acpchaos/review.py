"""One posture review: evidence gathered or read, judged, and written where a reader finds it.

Room: above all rooms but the doors, beside play. It puts the parts in order and decides nothing.
Reading a live cluster changes nothing in it; probes do, and put it back (acpchaos/posture/probes).
"""

import datetime as dt
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from acpchaos.check.checklist import load_checklist
from acpchaos.check.posture.attestations import (
    Attestation,
    armoured,
    load_attestations,
    signed,
)
from acpchaos.check.posture.folder import ReviewFolder, ReviewMeta, rejudge
from acpchaos.check.posture.rule import RowResult
from acpchaos.check.posture.waivers import load_waivers
from acpchaos.errors import UsageError
from acpchaos.record import snapshot as store
from acpchaos.record.run import origin
from acpchaos.record.snapshot import Snapshot
from acpchaos.report.evidence import write_evidence
from acpchaos.report.posture_markdown import posture_summary
from acpchaos.report.posture_sarif import write_sarif
from acpchaos.report.progress import Progress
from acpchaos.target.profile import PROJECT, Profile, load_profile

DEFAULT_TARGET = "kind"


@dataclass(frozen=True)
class Wish:
    """What a door was asked for. The cluster of `target` is read; with `snapshot` or `manifests`
    none is touched."""

    target: str = ""
    snapshot: Path | None = None
    manifests: Path | None = None
    allow_probes: bool = False
    waivers: Path | None = None
    attestations: Path | None = None
    attesters: Mapping[str, str] = field(default_factory=dict)  # name to public key


@dataclass(frozen=True)
class Reviewed:
    """A finished review: its folder and the judged rows."""

    folder: Path
    rows: tuple[RowResult, ...]


def review(wish: Wish, reports: Path, progress: Progress) -> Reviewed:
    """Gather, judge, write reports/<id>-posture. UsageError before anything is touched."""
    _check(wish)
    started_ns, begin_s = time.time_ns(), time.monotonic()
    progress.begin(f"hardening: {_words(wish)}")
    folder, meta = _gathered(wish, reports, progress, started_ns)
    gathered_s = meta.gathered_s
    snapshot = store.read(folder.snapshot)  # what is judged is what any reader of the folder has
    rows = rejudge(folder.path, snapshot)
    write_sarif(rows, meta, snapshot, folder.sarif)
    folder.summary.write_text(posture_summary(rows, meta, snapshot), encoding="utf-8")
    write_evidence([folder.path], folder.evidence)
    progress.say(f"{len(rows)} rows judged in {time.monotonic() - begin_s - gathered_s:.1f} s")
    return Reviewed(folder.path, tuple(rows))


def _gathered(
    wish: Wish, reports: Path, progress: Progress, started_ns: int
) -> tuple[ReviewFolder, ReviewMeta]:
    """The evidence in the review's folder. It leaves memory with this call: one at a time."""
    begin_s = time.monotonic()
    snapshot = _with_attesters(_evidence(wish, progress), wish.attesters)
    meta = _meta(wish, started_ns, time.monotonic() - begin_s)
    folder = ReviewFolder.create(
        Path(reports).absolute() / meta.run_id, meta, snapshot,
        waivers=wish.waivers, attestations=wish.attestations,
    )  # fmt: skip
    return folder, meta


def _check(wish: Wish) -> None:
    """Refuse what contradicts itself, and files that cannot be read, before a cluster is asked."""
    attempted = "review the hardening"
    if wish.snapshot and wish.manifests:
        raise UsageError(attempted, "both a snapshot and manifests are given", "name one of them")
    if wish.allow_probes and (wish.snapshot or wish.manifests):
        seen = "probes need a cluster, and none is touched with a snapshot or manifests"
        raise UsageError(attempted, seen, "leave one of the two options out")
    if wish.manifests and not wish.target:
        seen = "manifests do not tell which workloads are ACP's"
        raise UsageError(attempted, seen, "name the profile that does: --target NAME")
    if wish.waivers:
        load_waivers(wish.waivers)
    if wish.attestations:
        load_attestations(wish.attestations)


def _evidence(wish: Wish, progress: Progress) -> Snapshot:
    if wish.snapshot:
        found = store.read(wish.snapshot)
        return _under(load_profile(wish.target), found) if wish.target else found
    profile = load_profile(wish.target or DEFAULT_TARGET)
    if wish.manifests:
        from acpchaos.posture.manifests import from_manifests

        return from_manifests(wish.manifests, profile)
    return live(profile, progress, allow_probes=wish.allow_probes)


def read_attesters(given: Iterable[str]) -> dict[str, str]:
    """Public keys by name from words NAME=FILE; UsageError for any other word."""
    found = {}
    for word in given:
        name, _, path = word.partition("=")
        try:
            found[name] = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            next_step = "give --attester NAME=FILE with the public key in PEM"
            raise UsageError(f"read the public key of {word!r}", str(error), next_step) from None
    return found


def attested(row: str, *, text: str, owner: str, private_pem: bytes, target: str) -> Attestation:
    """A signed attestation of today; UsageError for a row that is not on the check-list."""
    known = [each.id for each in load_checklist()]
    if row not in known:
        raise UsageError(f"attest {row}", "no such row", "name one such as HARD-01")
    today = dt.datetime.now(dt.UTC).date()
    word = Attestation(row=row, date=today, owner=owner, text=text, target=target)
    return signed(word, private_pem)


def live(profile: Profile, progress: Progress, *, allow_probes: bool = False) -> Snapshot:
    """The evidence of a cluster, read now."""
    from acpchaos.posture.take import take  # imports the Kubernetes client

    return take(profile, progress.say, allow_probes=allow_probes)


def _under(profile: Profile, found: Snapshot) -> Snapshot:
    """The snapshot judged by the policy of a profile, which may be stricter than its own."""
    from acpchaos.posture.scope import scope_of

    return msgspec.structs.replace(found, scope=scope_of(profile))


def _with_attesters(found: Snapshot, more: Mapping[str, str]) -> Snapshot:
    """Keys given at the door count beside those of the profile; the folder remembers them."""
    if not more:
        return found
    given = {name: armoured(key) for name, key in more.items()}
    own = found.scope.policy
    policy = msgspec.structs.replace(own, attesters={**own.attesters, **given})
    return msgspec.structs.replace(found, scope=msgspec.structs.replace(found.scope, policy=policy))


def _words(wish: Wish) -> str:
    if wish.snapshot:
        return f"snapshot {wish.snapshot}"
    if wish.manifests:
        return f"manifests {wish.manifests}"
    return f"live cluster of {wish.target or DEFAULT_TARGET}"


def _meta(wish: Wish, started_ns: int, gathered_s: float) -> ReviewMeta:
    moment = dt.datetime.fromtimestamp(started_ns / 1e9, dt.UTC)
    made_by = origin(PROJECT)
    return ReviewMeta(
        run_id=f"{moment:%Y%m%dt%H%M%S}-{started_ns // 1000 % 0xFFFF:04x}-posture",
        started_ns=started_ns,
        evidence=_words(wish),
        allow_probes=wish.allow_probes,
        gathered_s=round(gathered_s, 3),
        commit=made_by.commit,
        dirty=made_by.dirty,
        argv=made_by.argv,
        versions=made_by.versions,
    )
