"""The outage prober: fixed cadence, a fresh connection each time, in a process of its own.

Room: load. Probes begin when they are due, however the ones before fare, so a stalled server does
not thin them out. It shares no client code with the load. It asks only what changes nothing: alive,
discovery, keys, a token for the client itself, and introspection and userinfo of the token that it
was given last, so that no session but that is needed.
"""

import asyncio
import contextlib
import gc
import os
import re
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from acpchaos.errors import PreconditionUnmet
from acpchaos.load import settings
from acpchaos.load.settings import PREFIX
from acpchaos.load.swarm import die_with_parent
from acpchaos.record.anchors import tell_clock
from acpchaos.record.events import ENDPOINT, PROBER, ZONE_PATH, Clock, Gap, Request
from acpchaos.record.journal import Journal
from acpchaos.target import oidc
from acpchaos.target.client_auth import Account, authenticated, trusting
from acpchaos.target.plain import Plain
from acpchaos.target.profile import PROJECT, Profile
from acpchaos.wait import eventually

TIMEOUT_S = 1.0  # a token that takes longer is an outage to whoever waits for it
START_S = 15.0
DISCOVERY_S = 30.0  # a target that still settles; after that it is not there
NOT_PUBLIC = (401, 403, 404)  # what is answered so at the start is nothing that users can see
TOKEN = "{token}"  # noqa: S105 - stands for the last token in a probe's form or headers
BLIND_S = 1.0  # a probe begun later than this saw another moment than it was due to see


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """One endpoint at one cadence; `needs` must be in the answer, blanks aside. An empty `form`
    means GET, else `client` proves itself with it, to `audience`. Where form or `bearer` is TOKEN,
    the last token answered to a probe of this process stands there, and nothing is asked before
    there is one. `via` is the host:port to connect to where that is not the URL's own; what is
    asked, and whose certificate is expected, stays the same."""

    flow: str
    url: str
    every_s: float
    needs: str
    form: dict[str, str] = {}
    client: Account = Account()
    audience: str = ""
    bearer: str = ""
    via: str = ""
    source: str = PROBER

    @property
    def waits_for_token(self) -> bool:
        return TOKEN in (self.bearer, *self.form.values())


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What the child probes; handed over by pipe, since it holds a client's secret."""

    probes: tuple[Probe, ...]
    ca_file: str
    events: str


def plan(profile: Profile, run_dir: Path) -> Plan:
    """Token requests five times a second, keys twice, and beside them what `_beside` and
    `_zone_paths` tell: cheap enough to run beside any load. DeadlinePassed where no discovery
    document can be had."""
    given = profile.credentials
    m2m = settings.account(given.m2m)
    ca_file = str(profile.service.ca_file or "")
    issuer, send = profile.service.issuer("jwt"), Plain(ca_file)
    ends = eventually(
        f"the discovery document of {issuer}", lambda: oidc.discover(send, issuer),
        DISCOVERY_S, transient=(oidc.StepFailed,),
    )  # fmt: skip
    alive = f"{profile.service.base_url}/alive"
    if send("alive", "GET", alive).status in NOT_PUBLIC:
        alive = ""
    asker = settings.account(given.introspect)
    userinfo = "userinfo" in profile.load.mix  # so the client's own token opens it
    probes = _probes(ends, m2m) + _zone_paths(ends, profile.service.zone_paths)
    probes += _beside(ends, issuer, alive=alive, asker=asker, userinfo=userinfo and bool(m2m.id))
    if not m2m.id:
        probes = tuple(each for each in probes if not each.waits_for_token)
    return Plan(probes=probes, ca_file=ca_file, events=str(run_dir / "events"))


def _probes(ends: oidc.Endpoints, m2m: Account) -> tuple[Probe, ...]:
    """What claims count."""
    token = Probe(
        flow="token", url=ends.of("token", m2m), every_s=0.2, needs="access_token",
        form={"grant_type": "client_credentials"}, client=m2m, audience=ends.token,
    )  # fmt: skip
    keys = Probe(flow="jwks", url=ends.jwks, every_s=0.5, needs="keys")
    return (token, keys) if m2m.id else (keys,)


def _beside(
    ends: oidc.Endpoints, issuer: str, *, alive: str, asker: Account, userinfo: bool
) -> tuple[Probe, ...]:
    """The other endpoints that can be asked without a trace, under a source of their own: they are
    shown, and fail no claim. `alive` is empty where it is not public, `asker` without id where
    nobody may introspect."""
    found = [
        Probe(flow="discovery", url=f"{issuer}/.well-known/openid-configuration", every_s=1.0,
              needs="token_endpoint", source=ENDPOINT),
    ]  # fmt: skip
    if alive:
        found.append(Probe(flow="alive", url=alive, every_s=1.0, needs="", source=ENDPOINT))
    if asker.id and ends.introspect:
        found.append(
            Probe(flow="introspect", url=ends.of("introspect", asker), every_s=1.0,
                  needs='"active":true', form={"token": TOKEN}, client=asker, audience=ends.token,
                  source=ENDPOINT)
        )  # fmt: skip
    if userinfo and ends.userinfo:
        found.append(
            Probe(flow="userinfo", url=ends.userinfo, every_s=1.0, needs='"sub":', bearer=TOKEN,
                  source=ENDPOINT)
        )  # fmt: skip
    return tuple(found)


def _zone_paths(ends: oidc.Endpoints, paths: dict[str, str]) -> tuple[Probe, ...]:
    """The keys through each zone. They have a source of their own: a zone that is drained has no
    way in, and no claim about the whole may fail by that."""
    return tuple(
        Probe(flow=f"jwks via {zone}", url=ends.jwks, every_s=0.5, needs="keys", via=address,
              source=ZONE_PATH)
        for zone, address in sorted(paths.items())
    )  # fmt: skip


class Prober:
    """The child process under the play's control."""

    def __init__(self, profile: Profile, run_dir: Path) -> None:
        self._profile, self._run_dir = profile, run_dir
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and return once its first probes are recorded."""
        planned = msgspec.json.encode(plan(self._profile, self._run_dir))
        log = self._run_dir / "prober.log"
        with log.open("wb") as out:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "acpchaos.load.prober"], stdin=subprocess.PIPE,
                stdout=out, stderr=out, cwd=PROJECT, start_new_session=True,
                preexec_fn=die_with_parent,
                env={k: v for k, v in os.environ.items() if not k.startswith(PREFIX)},
            )  # fmt: skip
        assert self._child.stdin is not None
        self._child.stdin.write(planned)
        self._child.stdin.close()
        eventually("the prober's first record", self._recording, START_S, 0.1)

    def _recording(self) -> bool:
        if self._child is None or self._child.poll() is not None:
            said = (self._run_dir / "prober.log").read_text(encoding="utf-8", errors="replace")
            raise PreconditionUnmet("start the prober", said[-500:] or "it ended", "see prober.log")
        files = (self._run_dir / "events").glob("prober-*.ndjson")
        return any(file.stat().st_size for file in files)

    def stop(self) -> None:
        """End it; probes under way are given their second."""
        child, self._child = self._child, None
        if child is None or child.poll() is not None:
            return
        child.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(TIMEOUT_S + 3)
        if child.poll() is None:
            child.kill()
            child.wait()


class _Tokens:
    """The token that was answered last, for probes that are about one."""

    def __init__(self) -> None:
        self.last, self._given = "", asyncio.Event()

    def take(self, told: asyncio.Task[str]) -> None:
        """From the body of a token answer, if it was a good one."""
        body = "" if told.cancelled() or told.exception() else told.result()
        if found := _ACCESS_TOKEN.search(body):
            self.last = found[1]
            self._given.set()

    async def first(self, stop: asyncio.Event) -> None:
        """Until there is one, or the end."""
        waiting = [asyncio.create_task(each.wait()) for each in (self._given, stop)]
        _, open_ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for each in open_:
            each.cancel()


_ACCESS_TOKEN = re.compile(r'"access_token"\s*:\s*"([^"]+)"')


async def _cadence(
    probe: Probe, trust: ssl.SSLContext, journal: Journal, clock: Clock, stop: asyncio.Event,
    tokens: _Tokens,
) -> None:  # fmt: skip
    """Begin a probe at each due moment until told to stop, then let those under way end."""
    if probe.waits_for_token:
        await tokens.first(stop)
    begin_s, number, flying = time.monotonic(), 0, set()
    while not stop.is_set():
        request = _request(probe, tokens.last)  # before it is due, as a signature takes its time
        due_s = begin_s + number * probe.every_s
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), max(0.0, due_s - time.monotonic()))
            break
        late_s = time.monotonic() - due_s
        intended_ns = clock.ago_ns(late_s)
        if late_s > BLIND_S:
            why = "the prober was starved or suspended"
            journal.write(Gap(t_ns=clock.now_ns(), recorder="prober", from_ns=intended_ns, why=why))
        task = asyncio.create_task(_once(probe, request, trust, journal, clock, intended_ns))
        flying.add(task)
        task.add_done_callback(flying.discard)
        if probe.flow == "token":
            task.add_done_callback(tokens.take)
        number += 1
    await asyncio.gather(*flying, return_exceptions=True)


async def _once(
    probe: Probe, request: bytes, trust: ssl.SSLContext, journal: Journal, clock: Clock,
    intended_ns: int,
) -> str:  # fmt: skip
    """One probe; every way to fail is one error class. Returns the body of a good answer, else
    nothing."""
    start_ns, status, body = clock.now_ns(), 0, ""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            status, body = await _ask(probe.url, request, trust, probe.via)
        good = status == 200 and probe.needs in "".join(body.split())
        error = "" if good else _refused(status)
    except TimeoutError:
        error = "timeout"
    except ConnectionRefusedError:
        error = "refused"
    except ssl.SSLError:
        error = "tls"
    except (OSError, EOFError, ValueError) as problem:
        error = "refused" if "Connect call failed" in str(problem) else "reset"
    journal.write(
        Request(
            t_ns=clock.now_ns(), source=probe.source, flow=probe.flow, step=probe.flow,
            intended_ns=intended_ns, start_ns=start_ns, status=status, error=error,
        )
    )  # fmt: skip
    return "" if error else body


def _refused(status: int) -> str:
    return "bad_body" if status == 200 else f"http_{status}"


async def _ask(to: str, request: bytes, trust: ssl.SSLContext, via: str) -> tuple[int, str]:
    """One answer on a connection that ends with it."""
    url = urlsplit(to)
    secure = url.scheme == "https"
    where = urlsplit(f"//{via}") if via else url
    reader, writer = await asyncio.open_connection(
        where.hostname, where.port or (443 if secure else 80), ssl=trust if secure else None,
        server_hostname=url.hostname if secure else None,
    )  # fmt: skip
    try:
        writer.write(request)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return int(head.split(b" ", 2)[1]), body.decode("utf-8", "replace")
    except IndexError:
        raise ConnectionResetError("closed without an answer") from None
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _request(probe: Probe, token: str = "") -> bytes:
    """A plain HTTP/1.1 request that asks for the connection to be closed; `token` stands in for
    TOKEN."""
    url = urlsplit(probe.url)
    lines = [
        f"{'POST' if probe.form else 'GET'} {url.path or '/'} HTTP/1.1",
        f"Host: {url.netloc}",
        "Connection: close",
        "Accept: application/json",
    ]
    if probe.bearer:
        lines.append(f"Authorization: Bearer {probe.bearer.replace(TOKEN, token)}")
    body = ""
    if probe.form:
        asked = {name: value.replace(TOKEN, token) for name, value in probe.form.items()}
        form, headers = authenticated(probe.client, asked, probe.audience)
        body = oidc.encoded(form).decode()
        lines += [f"{name}: {value}" for name, value in headers.items()]
        lines.append("Content-Type: application/x-www-form-urlencoded")
        lines.append(f"Content-Length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


async def probe_until_stopped(planned: Plan) -> None:
    """All probes of a plan until SIGTERM."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    writer = f"prober-{os.getpid()}"
    tell_clock(Path(planned.events), writer)
    with Journal(Path(planned.events) / f"{writer}.ndjson") as journal:
        await probe_all(planned, journal, stop)


async def probe_all(planned: Plan, journal: Journal, stop: asyncio.Event) -> None:
    """Each probe at its own cadence until `stop` is set."""
    clock, tokens = Clock(), _Tokens()
    await asyncio.gather(
        *(
            _cadence(probe, trusting(planned.ca_file, probe.client), journal, clock, stop, tokens)
            for probe in planned.probes
        )
    )


if __name__ == "__main__":
    gc.freeze()  # what was imported stays: to look through it again would put off a probe
    asyncio.run(probe_until_stopped(msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)))
