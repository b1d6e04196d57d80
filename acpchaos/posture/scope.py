"""The scope of a snapshot, out of a target profile: names and policy, never a credential.

Room: posture.
"""

import msgspec

from acpchaos.record.snapshot import Policy, Scope, WorkloadRef
from acpchaos.target.profile import Profile


def scope_of(profile: Profile) -> Scope:
    """Which installation the profile means, and what it allows."""
    names = profile.namespaces
    return Scope(
        profile=profile.name,
        namespace=names.acp,
        ingress_namespace=names.ingress,
        faas_namespace=names.faas,
        base_url=profile.service.base_url,
        workloads=msgspec.convert(profile.workloads.model_dump(), dict[str, WorkloadRef]),
        policy=msgspec.convert(profile.posture.model_dump(), Policy),
    )
