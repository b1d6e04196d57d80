"""When a play is to end early: a file appears, an alarm fires, the error budget is burnt.

Room: below play, which asks here while it waits and then undoes and ends. It reads the running
load's records and a file or URL that the profile names; it knows neither faults nor judgement.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import urllib3

from acpchaos.errors import AcpchaosError, PreconditionUnmet, UsageError
from acpchaos.record.events import AnyEvent, Clock, Request
from acpchaos.scenario import Scenario
from acpchaos.target.profile import Profile, Stop
from acpchaos.wait import pause_until

type Way = Literal["file", "alarm", "burn", "lease", "watch", "experiment"]

EVERY_S = 0.5
ASK_S = 2.0  # between two questions for alarms
ANSWER_S = 5.0  # an answer takes no longer
BLIND_S = 15.0  # without any answer: nobody watching is no reason to go on
BUDGET_CHECK = "availability.error_ratio"  # the claim that declares an error budget


class PlayStopped(AcpchaosError):
    """A play was told to end before its fault; nothing was changed, nothing is decided."""


class Reason(NamedTuple):
    """Why a play is to end."""

    by: Way
    why: str


def asked(profile: Profile, file: str | None, url: str | None, burn: float | None) -> Profile:
    """The profile with what the command line says of stopping instead of its own."""
    given = {"file": Path(file).absolute() if file else None, "url": url, "burn": burn}
    changed = {key: value for key, value in given.items() if value is not None}
    if not changed:
        return profile
    try:
        stop = Stop.model_validate(profile.stop.model_dump() | changed)
    except ValueError as error:
        raise UsageError("use the stop options", str(error), "see pytest --help") from None
    return profile.model_copy(update={"stop": stop})


def told(stop: Stop, planned: Scenario) -> list[str]:
    """What ends a play of this scenario early, for plans."""
    lines = [f"when {stop.file} exists"] if stop.file else []
    lines += [f"when an alarm fires at {stop.url}"] if stop.url else []
    if stop.burn and (ratio := budget_of(planned)):
        lines.append(f"when the error budget of {ratio:g} is burnt {stop.burn:g} times")
    return lines


def budget_of(planned: Scenario) -> float:
    """The failed share that a scenario, its budgets resolved, allows over all flows; 0 for none."""
    ratios = [
        float(claim.params["max_ratio"])
        for claim in planned.claims
        if claim.check == BUDGET_CHECK and not claim.params.get("flow")
    ]
    return min(ratios, default=0.0)


def firing(body: bytes) -> list[str]:
    """Alarms in an answer: of Alertmanager's /api/v2/alerts (silenced ones do not count), or of
    Prometheus' /api/v1/alerts or /api/v1/query. ValueError for anything else."""
    answer = json.loads(body)
    if isinstance(answer, list):
        states = [(each, each.get("status", {}).get("state", "active")) for each in answer]
        return [_name(each) for each, state in states if state == "active"]
    data = answer.get("data") if isinstance(answer, dict) else None
    if isinstance(data, dict) and isinstance(data.get("alerts"), list):
        return [_name(each) for each in data["alerts"] if each.get("state") == "firing"]
    if isinstance(data, dict) and isinstance(data.get("result"), list):
        return [_name(each) for each in data["result"]]
    raise ValueError("neither a list of alerts nor an answer of Prometheus")


def _name(alert: Mapping[str, Any]) -> str:
    words = alert.get("labels") or alert.get("metric") or {}
    return str(words.get("alertname") or words or "unnamed")


class Alarm:
    """A URL that tells which alarms fire."""

    def __init__(self, url: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.url, self._clock = url, clock
        self._http = urllib3.PoolManager(retries=False, timeout=ANSWER_S)
        self._answered_s = clock()

    def look(self) -> str:
        """Why to stop; empty where nothing fires, or where it was silent for a moment only."""
        try:
            names = self.ask()
        except (urllib3.exceptions.HTTPError, ValueError, AttributeError) as error:
            if self._clock() - self._answered_s < BLIND_S:
                return ""
            return f"{self.url} gave no answer for {BLIND_S:g} s: {error}"
        self._answered_s = self._clock()
        return f"alarm {', '.join(names)} at {self.url}" if names else ""

    def ask(self) -> list[str]:
        """Alarms that fire now; an error where the answer is none."""
        answer = self._http.request("GET", self.url)
        if answer.status != 200:
            raise ValueError(f"HTTP {answer.status}")
        return firing(answer.data)


class Burn:
    """How much of the error budget the running load has burnt, from its records as they grow.

    The budget is that of the whole play: the allowed share of all requests that fault and recovery
    would bring at their longest, at the rate of the steady phase.
    """

    def __init__(self, events: Path, planned: Scenario) -> None:
        self._events, self._ratio = events, budget_of(planned)
        self._longest_s = planned.fault_s + planned.recovery_s
        self._steady_s = planned.steady_s
        self._read: dict[Path, int] = {}  # bytes
        self._decoder = msgspec.json.Decoder(AnyEvent)
        self._begin_ns = 0  # of the fault; 0 before it
        self._before = self.due = self.failed = 0
        self._lock = threading.Lock()  # one thread plays, another looks

    def fault_begins(self, now_ns: int) -> None:
        """From here on failures count."""
        with self._lock:
            for request in self._fresh():
                self._before += now_ns - self._steady_s * 1e9 <= request.intended_ns < now_ns
            self._begin_ns = now_ns

    def burnt(self) -> float:
        """Failures so far as a multiple of those the budget allows; 0 where none is declared."""
        if not self._begin_ns or not self._ratio:
            return 0.0
        with self._lock:
            for request in self._fresh():
                if request.intended_ns >= self._begin_ns:
                    self.due += 1
                    self.failed += bool(request.error)
        return self.failed / self.allowed if self.allowed else 0.0

    @property
    def allowed(self) -> float:
        """Failures that the whole play may have."""
        expected = self._before / self._steady_s * self._longest_s if self._steady_s else 0.0
        return self._ratio * max(expected, self.due)

    def _fresh(self) -> Iterator[Request]:
        """Requests of the load that were written since the last look; a line still being written
        waits for the next one."""
        for path in sorted(self._events.glob("load-*.ndjson")):
            at = self._read.get(path, 0)
            with path.open("rb") as file:
                file.seek(at)
                data = file.read()
            whole = data[: data.rfind(b"\n") + 1]
            self._read[path] = at + len(whole)
            for line in whole.splitlines():
                try:
                    event = self._decoder.decode(line)
                except (msgspec.DecodeError, UnicodeDecodeError):
                    continue  # torn; the judge tells it
                if isinstance(event, Request):
                    yield event


def require_quiet(stop: Stop) -> None:
    """Return only where nothing says stop already, and the alarm can be asked at all."""
    seen = f"{stop.file} exists" if stop.file and stop.file.exists() else ""
    if stop.url and not seen:
        try:
            names = Alarm(stop.url).ask()
            seen = f"alarm {', '.join(names)} at {stop.url}" if names else ""
        except (urllib3.exceptions.HTTPError, ValueError, AttributeError) as error:
            seen = f"{stop.url} cannot be asked for alarms: {error}"
    if seen:
        raise PreconditionUnmet("begin a play", seen, "clear it, then play again")


class Stopper:
    """Looks while a play goes on; `is_set` once it is to end, `reason` then says why.

    `lost` is the Lease's: another run holds the target, and nothing of this one may go on.
    """

    def __init__(
        self, stop: Stop, planned: Scenario, events: Path, lost: threading.Event,
        every_s: float = EVERY_S, ask_s: float = ASK_S,
    ) -> None:  # fmt: skip
        self._stop, self._lost, self._every_s, self._ask_s = stop, lost, every_s, ask_s
        self._burn = Burn(events, planned)
        self._alarm = Alarm(stop.url) if stop.url else None
        self._asked_s = 0.0
        self._reason: Reason | None = None
        self._over = threading.Event()

    @contextmanager
    def looking(self) -> Iterator["Stopper"]:
        """Within the block it looks, in a thread of its own."""
        thread = threading.Thread(target=self._run, name="stopper", daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._over.set()
            thread.join(ANSWER_S + 1)

    def fault_begins(self) -> None:
        """Failures of the load count against the error budget from here on."""
        self._burn.fault_begins(Clock().now_ns())

    def is_set(self) -> bool:
        """Whether the play is to end."""
        return self.reason is not None

    @property
    def reason(self) -> Reason | None:
        """Why the play is to end; None while it may go on."""
        if self._reason is None and self._lost.is_set():
            self._reason = Reason("lease", "another run has taken the target over")
        return self._reason

    def pause(self, for_s: float) -> None:
        """A phase's length, or until the play is to end."""
        end_s = time.monotonic() + for_s
        while not self.is_set() and (now_s := time.monotonic()) < end_s:
            pause_until(min(end_s, now_s + self._every_s))

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            try:
                found = self.look()
            except Exception as error:  # nobody watching is no reason to go on
                found = Reason("watch", f"the look for a stop failed: {error!r}")
            if found:
                self._reason = found
                return

    def look(self) -> Reason | None:
        """One look at all of it."""
        if self._stop.file and self._stop.file.exists():
            return Reason("file", f"{self._stop.file} appeared")
        if self._alarm and time.monotonic() - self._asked_s >= self._ask_s:
            self._asked_s = time.monotonic()
            if why := self._alarm.look():
                return Reason("alarm", why)
        burn = self._burn
        if self._stop.burn and (times := burn.burnt()) > self._stop.burn:
            return Reason(
                "burn",
                f"{burn.failed} requests failed, {burn.allowed:.0f} may in the whole play: the "
                f"error budget is burnt {times:.1f} times, the stop is at {self._stop.burn:g}",
            )
        return None
