"""Offers arrivals on schedule and records what came of them, within Locust's child process.

Room: load. For gevent's world; it knows no flow and no client. Arrivals wait in a queue for a free
user, so a stalled server delays sends, which are recorded late, and never the schedule.
"""

import json
import math
import os
import socket
import time
from pathlib import Path

import gevent
import gevent.queue

from acpchaos.load.arrivals import Schedule, flows
from acpchaos.load.settings import Settings
from acpchaos.record.anchors import tell_clock
from acpchaos.record.events import Clock, Event, Gap, Observation, Request
from acpchaos.record.journal import Journal
from acpchaos.target.client_auth import Account, assertions
from acpchaos.target.oidc import Endpoints

CONTROL_S = 0.2
FLUSH_S = 0.2  # what a kill loses at most
DOZE_S = 0.05  # the longest sleep: a changed rate and a starved process show soon
STALE_S = 10.0  # an arrival nobody could take for so long is told as never sent
BLIND_S = 1.0  # a dispatcher later than this was starved: the generator, not the target, was slow
AHEAD_S = 15.0  # assertions are ready for so long at the offered rate
MOST_AHEAD = 5000


class Offer:
    """The schedule, the queue and the journal of one process."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.writer = f"{socket.gethostname()}-{os.getpid()}"  # no other process's
        self._queue: gevent.queue.Queue = gevent.queue.Queue()
        self._journal: Journal | None = None
        self._parts: list[gevent.Greenlet] = []

    def begin(self, settings: Settings) -> None:
        """Offer and record from now on."""
        self.open(settings)
        self._parts.append(gevent.spawn(self._dispatch, settings))

    def open(self, settings: Settings) -> None:
        """A file of this process's own, if events are to be recorded."""
        if settings.events and self._journal is None:
            path = Path(settings.events) / f"load-{self.writer}.ndjson"
            self._journal = Journal(path, held=True)
            tell_clock(path.parent, f"load-{self.writer}")
            self._flushing = gevent.spawn(self._flush)

    def close(self) -> None:
        """Nothing is recorded any more; safe to repeat."""
        if self._journal is not None:
            self._flushing.kill()
            self._journal.close()
            self._journal = None

    def sign_ahead(self, ends: Endpoints, settings: Settings) -> None:
        """Have assertions ready before they are needed, signed while nothing else is to be done."""
        accounts = {settings.m2m, settings.web, settings.introspect}
        signing = [account for account in accounts if account.auth == "private_key_jwt"]
        if signing:
            self._parts.append(gevent.spawn(self._sign, signing, ends.token, settings))

    def end_arrivals(self) -> None:
        """No new arrivals while the users finish what they have."""
        for part in self._parts:
            part.kill()
        self._parts.clear()

    def tell_rest(self) -> None:
        """What nobody took is told."""
        while not self._queue.empty():
            self._never_sent(*self._queue.get())

    def take(self, wait_s: float) -> tuple[int, str] | None:
        """(intended moment, flow) of the next arrival that is not stale; None when none comes."""
        try:
            intended_ns, flow = self._queue.get(timeout=wait_s)
        except gevent.queue.Empty:
            return None
        if self.clock.now_ns() - intended_ns > STALE_S * 1e9:
            self._never_sent(intended_ns, flow)
            return None
        return intended_ns, flow

    def record(self, event: Event) -> None:
        """Write to this process's own file, when there is one."""
        if self._journal is not None:
            self._journal.write(event)

    def flush(self) -> None:
        """Write what is held."""
        if self._journal is not None:
            self._journal.flush()

    def _flush(self) -> None:
        while self._journal is not None:
            self.flush()
            gevent.sleep(FLUSH_S)

    def _dispatch(self, settings: Settings) -> None:
        """Hand out arrivals at the scheduled moments, at the rate of the control file."""
        now_s = wake_s = time.monotonic()
        asked_s = -math.inf
        names = flows(settings.mix, settings.seed)
        schedule = Schedule(
            settings.rate_per_s, now_s, settings.seed, gaps=settings.gaps, stages=settings.stages
        )
        while True:
            now_s = time.monotonic()
            if now_s - wake_s > BLIND_S:
                self._was_blind(now_s - wake_s)
            if settings.control and now_s - asked_s > CONTROL_S:
                asked_s = now_s
                schedule.set_rate(_controlled(settings), now_s)
            for due_s in schedule.due(now_s):
                self._queue.put((self.clock.ago_ns(now_s - due_s), next(names)))
            wake_s = max(now_s, min(schedule.next_s, now_s + DOZE_S))
            gevent.sleep(wake_s - now_s)

    def _was_blind(self, late_s: float) -> None:
        now_ns = self.clock.now_ns()
        why = "the load generator was starved or suspended"
        self.record(Gap(t_ns=now_ns, recorder="load", from_ns=now_ns - int(late_s * 1e9), why=why))

    def _never_sent(self, intended_ns: int, flow: str) -> None:
        """An arrival that found no free user in time."""
        now_ns = self.clock.now_ns()
        self.record(
            Request(
                t_ns=now_ns, source="load", flow=flow, step="begin", intended_ns=intended_ns,
                start_ns=now_ns, error="never_sent",
            )
        )  # fmt: skip

    def _sign(self, accounts: list[Account], audience: str, settings: Settings) -> None:
        """One assertion at a time, so that no send waits longer than a signature takes."""
        stocks = [assertions(account, audience) for account in accounts]
        told = [0] * len(stocks)
        while True:
            count = min(MOST_AHEAD, math.ceil(_controlled(settings) * AHEAD_S))
            for stock in stocks:
                for _ in range(stock.short_of(count)):
                    stock.make_one()
                    gevent.idle()
            if (late := [stock.late for stock in stocks]) != told:
                told = late
                self.record(
                    Observation(
                        t_ns=self.clock.now_ns(), when="during", name="assertions_signed_late",
                        value=sum(late),
                    )
                )  # fmt: skip
            gevent.sleep(CONTROL_S)


def _controlled(settings: Settings) -> float:
    if not settings.control:
        return settings.rate_per_s
    try:
        return float(json.loads(Path(settings.control).read_bytes())["rate_per_s"])
    except (OSError, ValueError, KeyError):
        return settings.rate_per_s
