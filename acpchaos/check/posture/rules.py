"""The register of all rules, filled by importing their modules.

Room: check.
"""

from acpchaos.check.posture import (
    access,
    certificates,
    containers,
    defaults,
    exposure,
    faas,
    flags,
    identity,
    leaks,
    lifecycle,
    network,
    providers,
    repositories,
    secrets,
    stores,
    tls,
    unsafe,
)
from acpchaos.check.posture.rule import Rule, registered

MODULES = (
    access, certificates, containers, defaults, exposure, faas, flags, identity, leaks, lifecycle,
    network, providers, repositories, secrets, stores, tls, unsafe,
)  # fmt: skip


def rules() -> dict[str, Rule]:
    """All rules by row, in the order of the check-list."""
    return registered()
