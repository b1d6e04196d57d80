"""Each way in through one zone is probed by itself, as the host that all are, and judged apart."""

import asyncio
import socket
import ssl
from pathlib import Path

import pytest
from pydantic import ValidationError

from acpchaos.load import prober
from acpchaos.load.prober import Probe
from acpchaos.record.events import ZONE_PATH, Clock, Request
from acpchaos.record.journal import Journal, read_journal
from acpchaos.target import oidc
from acpchaos.target.client_auth import Account
from acpchaos.target.profile import Service

ENDS = oidc.Endpoints(
    issuer="http://acp.invalid", authorize="", token="http://acp.invalid/token",
    jwks="http://acp.invalid/keys", userinfo="", introspect="", revoke="",
)  # fmt: skip


async def asked(probe: Probe, path: Path) -> tuple[Request, bytes]:
    """What one probe records, and what a server behind `via` was sent."""
    seen = b""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal seen
        seen = await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{"keys":[]}')
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    probe = Probe(flow=probe.flow, url=probe.url, every_s=1, needs=probe.needs,
                  via=probe.via.replace("PORT", str(port)), source=probe.source)  # fmt: skip
    with Journal(path / "prober-1.ndjson") as journal:
        trust, clock = ssl.create_default_context(), Clock()
        await prober._once(probe, prober._request(probe), trust, journal, clock, clock.now_ns())
    server.close()
    (event,) = read_journal(path / "prober-1.ndjson").events
    assert isinstance(event, Request)
    return event, seen


def test_a_zone_is_asked_for_the_host_of_all_through_its_own_address(tmp_path: Path) -> None:
    (probe,) = prober._zone_paths(ENDS, {"zone-a": "127.0.0.1:PORT"})
    event, seen = asyncio.run(asked(probe, tmp_path))
    assert (event.source, event.flow, event.error) == (ZONE_PATH, "jwks via zone-a", "")
    assert b"Host: acp.invalid" in seen and seen.startswith(b"GET /keys ")


def test_a_zone_that_is_away_fails_alone(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    (probe,) = prober._zone_paths(ENDS, {"zone-a": address})
    event, seen = asyncio.run(asked(probe, tmp_path))
    assert (event.source, event.error, seen) == (ZONE_PATH, "refused", b"")


def test_without_zone_paths_the_probes_are_what_they_were() -> None:
    assert prober._zone_paths(ENDS, {}) == ()
    assert {probe.source for probe in prober._probes(ENDS, Account())} == {"prober"}


@pytest.mark.parametrize("path", ["zone-a.example", "https://a:1", "a:b", ""])
def test_an_address_without_a_port_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match="host:port"):
        Service(base_url="https://acp.example", zone_paths={"a": path})
