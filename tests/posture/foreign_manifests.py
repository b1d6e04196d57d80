"""Manifests nobody here wrote: what must hold of the verdicts on any of them.

Also a command, for a chart that cannot be kept here: rendered into FOLDER, with the name of the
server's workload, python -m posture.foreign_manifests FOLDER NAME [KIND [NAMESPACE]] (in tests/)
prints every row and ends with 1 where a rule crashed or a row passed on what was not read.
"""

import re
import sys
from pathlib import Path

from acpchaos.check.posture.judge import judge
from acpchaos.check.posture.objects import label
from acpchaos.check.posture.rule import RowResult
from acpchaos.check.verdict import Outcome
from acpchaos.posture.manifests import from_manifests
from acpchaos.record.snapshot import Snapshot
from acpchaos.report.posture_words import seen
from acpchaos.target.profile import Profile, Workload, load_profile
from posture.building_lab import PROJECT

TAKEN_AT = "2026-11-24T12:00:00+00:00"
_ABSENT = " is not among the manifests"


def profile(name: str, kind: str = "Deployment", namespace: str = "") -> Profile:
    """The lab's profile, with this workload as ACP's. Its least version is ACP's, so nobody's here:
    HARD-02 stays undecided."""
    own = load_profile(PROJECT / "targets" / "kind.toml")
    workload = Workload(kind=kind, name=name, selector=f"app={name}", container=name)
    spaces = own.namespaces.model_copy(update={"acp": namespace} if namespace else {})
    workloads = own.workloads.model_copy(update={"acp": workload})
    posture = own.posture.model_copy(update={"minimum_version": ""})
    update = {"workloads": workloads, "namespaces": spaces, "posture": posture}
    return own.model_copy(update=update)


def read(folder: Path, name: str, kind: str = "Deployment", namespace: str = "") -> Snapshot:
    """The manifests of a folder, judged as those of the workload with this name."""
    return from_manifests(folder, profile(name, kind, namespace), TAKEN_AT)


def crashes(rows: list[RowResult]) -> list[str]:
    """Rows whose rule ended with an error."""
    return [repr(each) for each in rows if "the rule ended with" in each.verdict.why]


def unread_passes(snapshot: Snapshot, rows: list[RowResult]) -> list[str]:
    """Sources of passed rows that are no object of these manifests; a source may also be one that
    is really not among them, where its absence is what the row asks for."""
    known = {label(kind, each) for kind, found in snapshot.objects.items() for each in found}
    wrong = []
    for row in rows:
        if row.verdict.outcome is not Outcome.PASSED:
            continue
        wrong += [] if row.read else [f"{row.row} passed on nothing"]
        for source in row.read:
            name, absent = re.subn(_ABSENT, "", source)
            name = re.split(r"[\[:]| container | spec", name)[0]
            spaces = re.fullmatch(r"Services of [\w-]+", name)  # a whole list was read
            if not spaces and (name in known) == bool(absent):
                wrong.append(f"{row.row} passed on {source}")
    return wrong


def main(words: list[str]) -> int:
    """Print the rows; 1 when something is wrong with them."""
    snapshot = read(Path(words[0]), *words[1:])
    rows = judge(snapshot)
    for row in rows:
        print(f"{row.row} {row.verdict.outcome.value:15} {seen(row)[:160]}")
    wrong = [*crashes(rows), *unread_passes(snapshot, rows)]
    print("\n".join(wrong) or f"{len(rows)} rows: none crashed, none passed on what was not read")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
