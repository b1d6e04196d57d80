"""The register of all rules, filled by importing their modules.

Room: check.
"""

from acpchaos.check.posture import containers
from acpchaos.check.posture.rule import Rule, registered

MODULES = (containers,)


def rules() -> dict[str, Rule]:
    """All rules by row, in the order of the check-list."""
    return registered()
