"""The folder of one posture review: the evidence, what was laid beside it, and the judged rows.

Room: check. It is the whole truth of a review: `rejudge` reaches the same verdicts from it alone.

    posture.json        what was asked, when, by which version
    snapshot/           the evidence, without secrets (record/snapshot.py)
    waivers.toml, attestations.toml     as they were given, where they were
    rows.json           judged rows with their findings
    verdicts.json       the same as claims, for the check-list map and for dashboards
"""

import shutil
from pathlib import Path

import msgspec

from acpchaos.check.judge import encode
from acpchaos.check.posture.attestations import load_attestations
from acpchaos.check.posture.judge import as_claims, judge
from acpchaos.check.posture.rule import RowResult
from acpchaos.check.posture.waivers import load_waivers
from acpchaos.errors import UsageError
from acpchaos.record import snapshot as store
from acpchaos.record.snapshot import Snapshot


class ReviewMeta(msgspec.Struct, frozen=True, kw_only=True):
    """posture.json. `evidence` says in words where the snapshot came from; `allow_probes` whether
    active probes were permitted, so that a reader knows why active rows are undecided."""

    run_id: str
    started_ns: int
    evidence: str
    allow_probes: bool
    gathered_s: float
    commit: str
    dirty: bool
    argv: tuple[str, ...]
    versions: dict[str, str] = {}


class ReviewFolder:
    """Names of everything in the folder. Paths only."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self.meta = self.path / "posture.json"
        self.snapshot = self.path / "snapshot"
        self.waivers = self.path / "waivers.toml"
        self.attestations = self.path / "attestations.toml"
        self.rows = self.path / "rows.json"
        self.verdicts = self.path / "verdicts.json"
        self.evidence = self.path / "evidence.html"
        self.summary = self.path / "summary.md"
        self.sarif = self.path / "posture.sarif"

    @classmethod
    def create(
        cls, path: Path, meta: ReviewMeta, snapshot: Snapshot, *,
        waivers: Path | None = None, attestations: Path | None = None,
    ) -> "ReviewFolder":  # fmt: skip
        """Make a new folder with the evidence in it; refuses one that holds a review."""
        folder = cls(path)
        if is_review(path):
            raise UsageError(f"create {path}", "it already holds a review", "name a new folder")
        folder.path.mkdir(parents=True, exist_ok=True)
        store.write(snapshot, folder.snapshot)
        for given, own in ((waivers, folder.waivers), (attestations, folder.attestations)):
            if given is not None:
                shutil.copyfile(given, own)
        folder.meta.write_bytes(msgspec.json.format(msgspec.json.encode(meta), indent=2) + b"\n")
        return folder

    def read_meta(self) -> ReviewMeta:
        """posture.json read back."""
        try:
            return msgspec.json.decode(self.meta.read_bytes(), type=ReviewMeta)
        except (OSError, msgspec.DecodeError) as error:
            next_step = "name a folder made by: acpchaos posture"
            raise UsageError(f"read {self.meta}", str(error), next_step) from error


def is_review(path: Path) -> bool:
    """Whether a folder holds a review, not a play."""
    return ReviewFolder(path).meta.is_file()


def rejudge(path: Path, snapshot: Snapshot | None = None) -> list[RowResult]:
    """Judge a review from its folder alone and write its rows and verdicts. `snapshot` is that of
    the folder, from a caller who has read it already: two of a large cluster need twice the
    memory."""
    folder = ReviewFolder(path)
    waivers = load_waivers(folder.waivers) if folder.waivers.exists() else []
    given = load_attestations(folder.attestations) if folder.attestations.exists() else []
    rows = judge(snapshot or store.read(folder.snapshot), waivers, attestations=given)
    folder.rows.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")
    folder.verdicts.write_bytes(encode(as_claims(rows)))
    return rows


def read_rows(path: Path) -> list[RowResult]:
    """The stored rows of a review, or fresh ones."""
    stored = ReviewFolder(path).rows
    if not is_review(path):
        seen, next_step = "no review is in it", "name a folder made by: acpchaos posture"
        raise UsageError(f"read the rows of {path}", seen, next_step)
    if not stored.exists():
        return rejudge(path)
    return msgspec.json.decode(stored.read_bytes(), type=list[RowResult])
