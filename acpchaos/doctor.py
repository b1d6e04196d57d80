"""What a play needs, looked at before anyone plays: tools, profile, cluster, target's health.

Room: beside play. It reads only.
"""

import shutil
import sys

from acpchaos.errors import AcpchaosError
from acpchaos.faults import health
from acpchaos.record.run import package_versions
from acpchaos.target import guard
from acpchaos.target.cluster import Cluster
from acpchaos.target.guard import Finding
from acpchaos.target.lock import holder_of
from acpchaos.target.profile import Profile, load_profile, resolve


def examine(target: str) -> list[Finding]:
    """All findings; what depends on a failed one is left out."""
    findings = [_python(), *_packages(), _chaos()]
    try:
        profile = load_profile(target)
    except AcpchaosError as error:
        return [*findings, Finding(f"profile {target}", False, error.seen, error.next_step)]
    findings.append(Finding(f"profile {target}", True, profile.service.base_url, ""))
    findings += _secrets(profile)
    try:
        cluster = Cluster.from_profile(profile)
        guarded = guard.inspect(cluster, profile)
        findings += guarded
        if all(finding.ok for finding in guarded):
            findings += _target(cluster, profile)
    except AcpchaosError as error:
        findings.append(Finding("cluster", False, error.seen, error.next_step))
    return findings


def _python() -> Finding:
    seen = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python 3.12 or newer", sys.version_info >= (3, 12), seen, "make setup")


def _packages() -> list[Finding]:
    return [
        Finding(name, bool(seen), seen or "not installed", "make setup")
        for name, seen in package_versions().items()
    ]


def _chaos() -> Finding:
    found = shutil.which("chaos") or shutil.which("chaos", path=sys.exec_prefix + "/bin")
    return Finding("chaos command", bool(found), "found" if found else "absent", "make setup")


def _secrets(profile: Profile) -> list[Finding]:
    """Every file: and env: reference of the profile can be read; values are not shown."""
    given = profile.credentials
    references = [
        (name, reference)
        for name in ("m2m", "web", "introspect", "system")
        if (client := getattr(given, name))
        for reference in client.references()
    ]
    if given.users:
        references.append(("users", given.users.password))
    findings = []
    for name, reference in references:
        if reference.startswith("secret:"):
            continue  # read through the cluster when it is needed
        try:
            resolve(reference)
            findings.append(Finding(f"credential {name}", True, "readable", ""))
        except AcpchaosError as error:
            findings.append(Finding(f"credential {name}", False, error.seen, error.next_step))
    return findings


def _target(cluster: Cluster, profile: Profile) -> list[Finding]:
    holder = holder_of(cluster, profile.namespaces.acp)
    lock = Finding("no other run", not holder, holder or "free", "wait for that run to end")
    looks = [health.look(cluster, profile, part) for part in health.PARTS]
    remedy = f"kubectl -n {profile.namespaces.acp} get pods; wait, or repair the target first"
    return [lock, *(Finding(f"{part.what} healthy", part.ok, part.saw, remedy) for part in looks)]
