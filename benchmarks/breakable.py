"""A server that can be broken at a known moment: frozen by SIGSTOP, or deaf by SIGUSR1.

`python -m benchmarks.breakable DELAY_S BACKLOG` prints its issuer, then "closed" or "open" each
time its listener was closed (SIGUSR1) or opened again on the same port (SIGUSR2), "on" once it has
taken in who waited while it was frozen, and serves until its input ends. An answer takes DELAY_S,
so that what a client ought to read is known.
"""

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import uvloop

from acpchaos.check.outage import Span
from acpchaos.record.events import Clock
from benchmarks.machine import PROJECT, pinned
from benchmarks.server import TOKEN, Server, answer

# Few may wait while it is frozen: those who gave up long ago would be served first, and the end of
# the outage would not be the moment it was let go on.
BACKLOG = 16
FREEZE, CLOSE = "freeze", "close"


class Breakable(Server):
    """One connection; closed after an answer when the client asks for that."""

    delay_s: ClassVar[float] = 0.0

    def on_message_complete(self) -> None:
        keeps, page = self._parser.should_keep_alive(), self._page
        if self.delay_s:
            loop = asyncio.get_running_loop()
            loop.call_later(self.delay_s, self._reply, page, keeps)
        else:
            self._reply(page, keeps)

    def _reply(self, page: bytes, keeps: bool) -> None:
        if self._transport.is_closing():  # whoever asked gave up meanwhile
            return
        self._transport.write(self.answers[page])
        if not keeps:
            self._transport.close()


async def serve(delay_s: float, backlog: int) -> None:
    """Until the input ends."""
    loop = asyncio.get_running_loop()
    opened = await loop.create_server(Breakable, "127.0.0.1", 0, backlog=backlog)
    port = opened.sockets[0].getsockname()[1]
    issuer = f"http://127.0.0.1:{port}/acme/main"
    found = {"issuer": issuer, "token_endpoint": f"{issuer}/token", "jwks_uri": f"{issuer}/jwks"}
    Breakable.delay_s = delay_s
    Breakable.answers = {
        b"token": answer(TOKEN),
        b"openid-configuration": answer(json.dumps(found).encode()),
    }
    listening = [opened]

    def say(word: str) -> None:
        """In the next round of the loop, when this one's work is done."""
        loop.call_soon(loop.call_soon, lambda: print(word, flush=True))

    def close() -> None:
        listening.pop().close()
        say("closed")

    async def reopen() -> None:
        listening.append(await loop.create_server(Breakable, "127.0.0.1", port, backlog=backlog))
        print("open", flush=True)

    loop.add_signal_handler(signal.SIGCONT, say, "on")
    opening: set[asyncio.Task[None]] = set()
    loop.add_signal_handler(signal.SIGUSR1, close)
    loop.add_signal_handler(signal.SIGUSR2, lambda: opening.add(asyncio.ensure_future(reopen())))
    gc.disable()  # it keeps nothing, and a collection would be an outage of its own
    print(issuer, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


class Broken(RuntimeError):
    """The server itself went away."""


class Served:
    """The child, and the ways to break it. Each is a span, since when a signal takes effect is
    known only from before it was sent until after its effect was seen."""

    def __init__(self, child: "subprocess.Popen[str]", clock: Clock) -> None:
        self._child, self._clock = child, clock
        self.issuer = self._said()

    def stop(self, how: str) -> Span:
        """Take the service away."""
        if how == FREEZE:
            return self._frozen()
        return self._told(signal.SIGUSR1, "closed")

    def go_on(self, how: str) -> Span:
        """Bring it back."""
        if how == FREEZE:  # until it has emptied its queue, a new connection may be dropped
            return self._told(signal.SIGCONT, "on")
        return self._told(signal.SIGUSR2, "open")

    def _frozen(self) -> Span:
        sent_ns = self._clock.now_ns()
        os.kill(self._child.pid, signal.SIGSTOP)
        _, status = os.waitpid(self._child.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            raise Broken(f"the server ended with {status}")
        return Span(sent_ns, self._clock.now_ns())

    def _told(self, number: int, word: str) -> Span:
        sent_ns = self._clock.now_ns()
        os.kill(self._child.pid, number)
        if (said := self._said()) != word:
            raise Broken(f"the server said {said!r} instead of {word!r}")
        return Span(sent_ns, self._clock.now_ns())

    def _said(self) -> str:
        assert self._child.stdout is not None
        return self._child.stdout.readline().strip()


@contextmanager
def breakable(clock: Clock, delay_s: float = 0.0, backlog: int = BACKLOG) -> Iterator[Served]:
    """A breakable server that lives as long as the block."""
    child = subprocess.Popen(
        [*pinned(1), sys.executable, "-m", "benchmarks.breakable", str(delay_s), str(backlog)],
        cwd=PROJECT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Served(child, clock)
    finally:
        os.kill(child.pid, signal.SIGCONT)
        child.communicate()


if __name__ == "__main__":
    uvloop.run(serve(float(sys.argv[1]), int(sys.argv[2])))
