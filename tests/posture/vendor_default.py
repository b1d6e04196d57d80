"""The vendor's default install must fail exactly the rows that its chart's defaults break.

    python -m posture.vendor_default          as the overlay and the stand-in's defaults describe it
    python -m posture.vendor_default live     the running lab: acpchaos lab up --install
                                              vendor-default; make vendor-default-lab
    python -m posture.vendor_default DIR      a snapshot of such a lab, taken with probes

Prints how it differs from the hardened lab, row by row; 1 when another row fails, one of these
holds, or one is undecided.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from acpchaos.check.posture.judge import judge
from acpchaos.check.posture.rule import RowResult
from acpchaos.check.verdict import Outcome
from acpchaos.errors import AcpchaosError, UsageError
from acpchaos.posture.take import take
from acpchaos.record import snapshot as store
from acpchaos.record.snapshot import Snapshot
from acpchaos.report.posture_terminal import difference_lines
from acpchaos.report.progress import Progress
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import load_profile
from posture import building_lab
from posture.building_vendor import vendor_default

_FLAG = "--create-default-tenant"
# rows that the chart's defaults break, and what they entail, with the default that does it
BROKEN = {
    "HARD-04": "--create-default-workspaces: admin has its static provider",
    "HARD-05": "the same of developer",
    "HARD-06": "the same of default",
    "HARD-08": "their users have their names for passwords",
    "HARD-09": "--create-default-workspaces: there is a workspace default",
    "HARD-10": "the same of developer, with its portal",
    "HARD-11": "secretConfig.create: true",
    "HARD-12": "secretConfig.data is empty: the built-in system secret",
    "HARD-13": "so the built-in secret opens the system tenant",
    "HARD-14": "secretConfig.data is empty: the built-in data key",
    "HARD-23": "the token of the service account is mounted",
    "HARD-25": "certificate.create: true without a certificate: the published one",
    "HARD-26": "it is nobody's own",
    "HARD-27": "it ended on 2026-04-21",
    "HARD-41": "--demo",
    "HARD-42": "--create-default-tenant",
    "HARD-43": "--create-default-workspaces",
    "HARD-44": "so there are a tenant default, a demo client, a secret that opens",
    "HARD-46": "the chart has no network policy for ACP",
    "HARD-48": "so every pod reaches ACP",
    "HARD-49": "and ACP reaches everything",
    "HARD-50": "the stores have none either",
    "HARD-51": "but Redis, whose policy names no source",
}
# fail on every lab: only a person can say these
UNSAID = frozenset({"HARD-01", "HARD-18"})


def wrong(rows: Sequence[RowResult]) -> list[str]:
    """What is not as it must be on the vendor's default install."""
    found = []
    for each in rows:
        outcome, row = each.verdict.outcome, each.row
        if row in BROKEN and outcome is not Outcome.FAILED:
            found.append(f"{row} is {outcome}, though {BROKEN[row]}")
        elif row not in BROKEN | dict.fromkeys(UNSAID) and outcome in (
            Outcome.FAILED, Outcome.INCONCLUSIVE,
        ):  # fmt: skip
            found.append(f"{row} is {outcome}: {each.verdict.why}")
    return found


def hardened_rows() -> list[RowResult]:
    """The hardened lab as it was recorded, judged on that day, with nothing attested."""
    return judge(building_lab.recorded())


def live(progress: Progress) -> Snapshot:
    """The running lab, read and probed; UsageError where it was made otherwise."""
    profile = load_profile("kind")
    if not profile.cluster.lab:
        raise UsageError("judge the default install", f"{profile.name} is no lab", "use the lab")
    main = profile.workloads.acp
    cluster = Cluster.from_profile(profile)
    found = cluster.get(main.kind, main.name, profile.namespaces.acp)
    if _FLAG not in str(found["spec"]["template"]):
        seen = "this lab was made hardened"
        next_step = "acpchaos lab down, then: acpchaos lab up --install vendor-default"
        raise UsageError("judge the default install", seen, next_step)
    progress.begin(f"the vendor's default install on {profile.name}")
    return take(profile, progress.say, allow_probes=True)


def main(words: list[str]) -> int:
    """Judge, print the difference, say what is wrong."""
    if words == ["live"]:
        seen = live(Progress())
    else:
        seen = store.read(Path(words[0])) if words else vendor_default()
    rows = judge(seen)
    for line in difference_lines(hardened_rows(), rows):
        row = line.split()[0] if line.split() else ""
        print(f"{line}  ({BROKEN[row]})" if row in BROKEN else line)
    faults = wrong(rows)
    for fault in faults:
        print(f"WRONG  {fault}")
    failed = sum(each.verdict.outcome is Outcome.FAILED for each in rows)
    told = "as must be" if not faults else f"{len(faults)} not as must be"
    print(f"{failed} of {len(rows)} rows fail: {len(BROKEN)} by defaults, {len(UNSAID)} unsaid; "
          f"{told}")  # fmt: skip
    return 1 if faults else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AcpchaosError as error:
        print(f"vendor default: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
