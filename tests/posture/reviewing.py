"""One review with every outcome in it, for the tests of what is made from reviews."""

from pathlib import Path

import msgspec

from acpchaos.check.posture.attestations import append
from acpchaos.check.posture.folder import ReviewFolder, ReviewMeta, rejudge
from acpchaos.check.posture.rule import RowResult
from acpchaos.record.snapshot import LAST_CHANGE, Probe, Snapshot
from posture.asking import named, probed, replaced, unread
from posture.building_lab import hardened
from posture.kill_matrix import attested

HOSTILE = "<script>alert(1)</script>\"'|`x`\n[bold]"
META = ReviewMeta(
    run_id="20261124t120000-posture", started_ns=1_795_521_600_000_000_000, evidence="live cluster",
    allow_probes=True, gathered_s=3.2, commit="c0ffee" * 6, dirty=False, argv=("acpchaos",),
)  # fmt: skip
WAIVERS = """
[[waiver]]
row = "HARD-38"
object = "StatefulSet acp-system/redis-cluster*"
reason = "needs it until the chart is updated"
owner = "identity-sre"
expires = 2027-01-31
"""
ATTESTED = attested(hardened())
FAILED, UNDECIDED, WAIVED, ABSENT = "HARD-08", "HARD-20", "HARD-38", "HARD-52"


def attestations(folder: Path) -> Path:
    """A file with all that a person must say of the lab."""
    path = folder / "attested.toml"
    path.unlink(missing_ok=True)
    for each in ATTESTED.attestations:
        append(each, path)
    return path


def damaged() -> Snapshot:
    """The hardened lab with one row failed, some unread, one to be waived; hostile words in it."""
    snapshot = replaced(hardened(), scope=ATTESTED.snapshot.scope)
    probed(snapshot, "login default/admin admin", "accepted", HOSTILE)
    unread(snapshot, "RoleBinding", "HTTP 403: forbidden")
    redis = named(snapshot, "StatefulSet", "redis-cluster")
    redis["spec"]["template"]["spec"]["containers"][0]["securityContext"]["capabilities"] = {}
    return snapshot


def rendered(*, source: str = "charts/acp/templates/deployment.yaml:12") -> Snapshot:
    """Manifests whose Deployment lets root in, with the place of each object."""
    snapshot = msgspec.structs.replace(hardened(), source="manifests", served=[], probes={})
    acp = named(snapshot, "Deployment", "acp")
    acp["metadata"].setdefault("annotations", {})["acpchaos.io/source"] = source
    acp["metadata"]["annotations"].pop(LAST_CHANGE, None)
    container = acp["spec"]["template"]["spec"]["containers"][0]
    container["securityContext"]["runAsNonRoot"] = False
    return snapshot


def review(
    folder: Path, snapshot: Snapshot | None = None, meta: ReviewMeta = META
) -> tuple[ReviewFolder, list[RowResult]]:
    """A written and judged review."""
    waivers, said = folder.parent / "given.toml", attestations(folder.parent)
    waivers.write_text(WAIVERS)
    made = ReviewFolder.create(
        folder, meta, snapshot or damaged(), waivers=waivers, attestations=said
    )
    return made, rejudge(folder)


def result(rows: list[RowResult], row: str) -> RowResult:
    return next(each for each in rows if each.row == row)


def unknown(snapshot: Snapshot) -> Snapshot:
    """One probe that proved nothing."""
    probes = {**snapshot.probes, "cni deny": Probe(outcome="unknown", saw="no answer")}
    return msgspec.structs.replace(snapshot, probes=probes)
