"""Hardening. Claim: every row of the vendor's hardening chapter holds on this installation.

Method: evidence is gathered once, from the cluster by reading, from a snapshot or from rendered
manifests; each row is a pure rule on it. Active rows need --chaos-allow-probes. Proof that it could
fail: lab/manifests/sabotage has a change per row that turns it red (make kill-matrix).
"""

import pytest

from acpchaos.plugin_posture import hardening_rows

pytestmark = pytest.mark.owner("identity-sre")


@hardening_rows
def test_hardening(row):
    assert row.held, str(row)
