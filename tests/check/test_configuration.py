"""Checks of configuration: each passes on a record that shows its claim, fails for its own
reason, and decides nothing when the record is silent."""

from golden import records

from acpchaos.check import (
    configuration,
)

from .judging import F, I, P, expect, played


def test_configuration_is_compared_by_value_not_order() -> None:
    same = records.observations(jwks_kids={"main": ["k2", "k1"]})
    expect(configuration.unchanged(played(*same)), P, "equal before and after")
    other = records.observations(jwks_kids={"main": ["k1", "k3"]})
    expect(configuration.unchanged(played(*other)), F, "changed: jwks_kids")


def test_configuration_not_seen_decides_nothing() -> None:
    only_before = [o for o in records.observations() if o.when == "before"]
    expect(configuration.unchanged(played(*only_before)), I, "jwks_kids after")
    empty = records.observations(jwks_kids={})
    expect(configuration.unchanged(played(*empty)), I, "jwks_kids after")
