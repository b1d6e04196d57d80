"""The two ends outside of the pods: the way in through the ingress, and a place to reach."""

import socket
from pathlib import Path

import pytest
from fake_api.server import FakeApi

from acpchaos.posture.probes import controller
from acpchaos.posture.probes.outside import Outside
from acpchaos.target.oidc import Answer

from .building_target import profile_of


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer(200, {}, b'{"token_endpoint": "t"}'), "open"),
        (Answer(200, {}, b"<html>"), "unknown"),
        (Answer(503), "blocked"),
        (Answer(502), "blocked"),
        (Answer(404), "unknown"),
        (Answer(0, error="refused"), "unknown"),
    ],
)
def test_the_way_through_the_ingress(
    api: FakeApi, tmp_path: Path, answer: Answer, outcome: str
) -> None:
    found = controller.run(profile_of(api, tmp_path), lambda *_, **__: answer)
    assert found["controller acp:8443"].outcome == outcome


def test_this_machine_listens_for_the_time_of_the_probes() -> None:
    with Outside("", "127.0.0.1") as outside:
        (place,) = outside.places
        socket.create_connection((place.host, place.port), 2).close()
    with pytest.raises(OSError):
        socket.create_connection((place.host, place.port), 2)


def test_a_host_of_this_machine_may_be_named() -> None:
    with Outside("127.0.0.1", "192.0.2.1") as outside:
        assert outside.places[0].host == "127.0.0.1" and outside.places[0].port > 0


def test_a_place_with_a_port_is_taken_as_it_is() -> None:
    with Outside("198.51.100.7:443", "127.0.0.1") as outside:
        assert str(outside.places[0]) == "outside 198.51.100.7:443"


@pytest.mark.parametrize("configured", ["192.0.2.1", "no-such-host.invalid:443"])
def test_an_address_that_is_none_leaves_no_place(configured: str) -> None:
    with Outside(configured, "127.0.0.1") as outside:
        assert outside.places == ()
