"""The kill matrix: does each row's sabotage turn that row red, and no other but its companions?

Offline, on a snapshot of the hardened lab and on its manifests: `make kill-matrix`. A survivor, a
row without a sabotage, or a sabotage that hits more than it says ends with 1.
"""

import datetime as dt
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path

import msgspec
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from rich.console import Console
from rich.table import Table
from rich.text import Text

from acpchaos.check.checklist import load_checklist
from acpchaos.check.posture.attestations import Attestation, public_half, signed
from acpchaos.check.posture.judge import judge
from acpchaos.check.verdict import Outcome
from acpchaos.posture.manifests import from_manifests
from acpchaos.record.snapshot import Snapshot
from acpchaos.target.profile import load_profile
from posture import building_lab
from posture.sabotage import FOLDER, PROJECT, Misses, Sabotage, Scene, apply, load

ATTESTED = ("HARD-01", "HARD-18", "HARD-19")  # rows that a person may have to attest
ATTESTER = "reviewer"
_GOOD = (Outcome.PASSED, Outcome.NOT_APPLICABLE, Outcome.WAIVED)

Outcomes = dict[str, Outcome]


@dataclass(frozen=True)
class Kill:
    """One sabotage played: `wrong` says why it counts as survived; `also` are rows that changed
    otherwise than to failed."""

    row: str
    says: str
    failed: tuple[str, ...] = ()
    wrong: str = ""
    also: dict[str, str] = field(default_factory=dict)
    on_manifests: str = "–"

    @property
    def survived(self) -> bool:
        """Whether it must fail the build."""
        return bool(self.wrong)


def hardening_rows() -> list[str]:
    """Ids of all rows that need a sabotage."""
    return [row.id for row in load_checklist() if row.chapter == "hardening"]


@cache
def baseline() -> Scene:
    """The hardened lab as it was recorded."""
    return attested(building_lab.recorded())


@cache
def manifests_baseline() -> Scene:
    """What a pull request would show: the lab's manifests, read like any others."""
    with tempfile.TemporaryDirectory() as folder:
        documents = building_lab.documents()
        Path(folder, "lab.yaml").write_text(yaml.safe_dump_all(documents))
        taken_at = building_lab.NOW.isoformat()
        found = from_manifests(
            Path(folder), load_profile(PROJECT / "targets" / "kind.toml"), taken_at
        )
    return attested(found)


@cache
def manifests_outcomes() -> Outcomes:
    """What manifests tell before any sabotage."""
    return judged(manifests_baseline())


def attested(snapshot: Snapshot) -> Scene:
    """With all that a person must say, signed by a key of this process on the snapshot's day."""
    key = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    policy = msgspec.structs.replace(snapshot.scope.policy, attesters={ATTESTER: public_half(key)})
    scope = msgspec.structs.replace(snapshot.scope, policy=policy)
    sign = partial(signed, private_pem=key)
    today = dt.date.fromisoformat(snapshot.taken_at[:10])
    given = tuple(
        sign(Attestation(row=r, date=today, owner=ATTESTER, text="seen", target=scope.profile))
        for r in ATTESTED
    )
    return Scene(msgspec.structs.replace(snapshot, scope=scope), given, sign)


def judged(scene: Scene) -> Outcomes:
    """Outcome of every row."""
    rows = judge(scene.snapshot, attestations=scene.attestations)
    return {each.row: each.verdict.outcome for each in rows}


def matrix() -> Iterator[Kill]:
    """All sabotages against the baseline, and the rows that have none."""
    before, every = judged(baseline()), load()
    covered = {each.row for _, each in every}
    for row in hardening_rows():
        if row not in covered:
            yield Kill(row, "", wrong=f"no sabotage in {FOLDER.relative_to(PROJECT)}/{row}")
    for _, each in every:
        yield play(each, before)


def play(sabotage: Sabotage, before: Outcomes) -> Kill:
    """One sabotage on the recorded snapshot and, where manifests tell the row, on manifests."""
    row, says = sabotage.row, sabotage.says
    try:
        after = judged(apply(baseline(), sabotage.changes))
    except Exception as error:  # whatever it trips over, it proves nothing
        return Kill(row, says, wrong=f"cannot be applied: {type(error).__name__}: {error}")
    newly = tuple(r for r in after if after[r] is Outcome.FAILED and before[r] is not after[r])
    also = {
        r: f"{before[r]} to {after[r]}"
        for r in after
        if after[r] is not before[r] and r not in newly
    }
    wrong = _wrong(sabotage, before, after, newly, also)
    told = _on_manifests(sabotage)
    if told == "survived":
        wrong = wrong or "survives on manifests, which tell this row"
    return Kill(row, says, newly, wrong, also, told)


def _wrong(
    sabotage: Sabotage, before: Outcomes, after: Outcomes, newly: tuple[str, ...],
    also: dict[str, str],
) -> str:  # fmt: skip
    row, wanted = sabotage.row, {sabotage.row, *sabotage.companions}
    if before[row] not in _GOOD:
        return f"{row} is {before[row]} on the hardened lab, so nothing is proven"
    if after[row] is not Outcome.FAILED:
        return f"{row} stays {after[row]}"
    if extra := set(newly) - wanted:
        return f"fails {', '.join(sorted(extra))} as well, which it does not say"
    if idle := wanted - set(newly):
        return f"says that {', '.join(sorted(idle))} fails with it, which does not"
    better = [r for r in also if before[r] not in _GOOD and after[r] in _GOOD]
    lost = [r for r in also if before[r] is Outcome.PASSED and after[r] is Outcome.NOT_APPLICABLE]
    if better or lost:
        return f"makes {', '.join([*better, *lost])} look better: {also}"
    return ""


def _on_manifests(sabotage: Sabotage) -> str:
    """killed, survived, or – where manifests cannot tell the row or hold no such change."""
    if not all({"object", "delete", "add"} & change.keys() for change in sabotage.changes):
        return "–"
    before = manifests_outcomes()[sabotage.row]
    try:
        after = judged(apply(manifests_baseline(), sabotage.changes))[sabotage.row]
    except Misses:
        return "–"
    if after is Outcome.FAILED:
        return "killed"
    return "survived" if before is Outcome.PASSED else "–"


# the matrix on a terminal


def lines(kills: Sequence[Kill]) -> list[str]:
    """One line per sabotage, for logs."""
    return [f"{_word(k):<8}  {k.row}  {k.wrong or ' '.join(k.failed)}  {k.says}" for k in kills]


def table(kills: Sequence[Kill]) -> Table:
    """Row, sabotage, and which rows turned red."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "row", "sabotage", "turned red", "manifests"):
        made.add_column(heading, overflow="fold", no_wrap=heading == "row")
    for kill in kills:
        style = "bold red" if kill.survived else "green"
        red = kill.wrong or " ".join(kill.failed)
        also = "".join(f"\n{row}: {change}" for row, change in kill.also.items())
        shown = Text(red, style="red" if kill.survived else "").append(also, style="dim")
        made.add_row(
            Text(_word(kill), style=style), kill.row, Text(kill.says), shown, kill.on_manifests
        )
    return made


def _word(kill: Kill) -> str:
    return "SURVIVED" if kill.survived else "killed"


def show(kills: Sequence[Kill], took_s: float, console: Console | None = None) -> int:
    """Print the matrix; 1 when anything survived."""
    console = console or Console()
    if console.is_terminal:
        console.print(table(kills))
    else:
        for line in lines(kills):
            console.print(line, markup=False, highlight=False, soft_wrap=True)
    rows = {kill.row for kill in kills}
    dead = rows - {kill.row for kill in kills if kill.survived}
    console.print(f"{len(dead)} of {len(rows)} rows killed, {took_s:.1f} s", highlight=False)
    return 0 if dead == rows else 1


if __name__ == "__main__":
    begin_s = time.monotonic()
    played = sorted(matrix(), key=lambda kill: kill.row)
    sys.exit(show(played, time.monotonic() - begin_s))
