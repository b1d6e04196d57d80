"""Locust as a child process: started, seen flowing, told another rate, ended.

Room: load. Locust is never imported here: its monkey-patching breaks the Kubernetes client's TLS.
"""

import contextlib
import ctypes
import json
import math
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import msgspec

from acpchaos.errors import PreconditionUnmet
from acpchaos.load import settings
from acpchaos.record.events import Request
from acpchaos.record.journal import read_journal
from acpchaos.scenario import Load
from acpchaos.target.profile import PROJECT, Profile
from acpchaos.wait import eventually

USERS, MOST_USERS = 80, 1000
STALL_S = 5.0  # users are enough for flows that each take so long
FLOWING_S = 60.0
STOP_S = 20.0
LAST_STEP = {
    "client_credentials": "token",
    "authorization_code": "token",
    "refresh": "refresh",
    "introspect": "introspect",
    "revoke": "revoke",
    "userinfo": "userinfo",
}  # a flow whose first steps succeed does not work yet
_LIBC = ctypes.CDLL(None)  # loaded before any fork
PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """In a child: end when the parent does, however it ended."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


class Swarm:
    """One Locust process under the play's control."""

    def __init__(self, profile: Profile, load: Load, run_dir: Path, *, seed: int) -> None:
        self._mix = {flow: weight for flow, weight in load.mix.items() if weight > 0}
        planned = msgspec.structs.replace(load, mix=self._mix)
        self._settings = settings.from_profile(profile, planned, seed, run_dir)
        self._folder = run_dir / "locust"
        self._events = run_dir / "events"
        self._child: subprocess.Popen[bytes] | None = None
        self._handed: Path | None = None

    def start(self) -> None:
        """Start the child; it begins to offer load as soon as its users stand."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self.set_rate(self._settings.rate_per_s)
        self._handed = settings.hand_over(self._settings)
        environment = dict(os.environ) | {settings.PREFIX + "SETTINGS": str(self._handed)}
        with (self._folder / "output.log").open("wb") as out:
            self._child = subprocess.Popen(
                self._command(), stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                env=environment, cwd=PROJECT, start_new_session=True,
                preexec_fn=die_with_parent,
            )  # fmt: skip

    def wait_flowing(self) -> None:
        """Return once every flow of the mix has succeeded at least once."""

        def flowing() -> bool:
            self._alive()
            return not self._missing()

        eventually(
            f"one success of each flow: {', '.join(sorted(self._mix))}", flowing, FLOWING_S, 0.25
        )

    def set_rate(self, rate_per_s: float) -> None:
        """Offer flows at another rate from now on."""
        control = Path(self._settings.control)
        half = control.with_suffix(".tmp")
        half.write_text(json.dumps({"rate_per_s": rate_per_s}), encoding="utf-8")
        half.replace(control)

    def stop(self) -> None:
        """End the child gracefully, then hard; safe to repeat."""
        child, self._child = self._child, None
        if child is not None and child.poll() is None:
            child.send_signal(signal.SIGTERM)  # SIGINT may be ignored where we were started
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(STOP_S)
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        if self._handed is not None:
            self._handed.unlink(missing_ok=True)
            self._handed = None

    def _command(self) -> list[str]:
        users = str(min(MOST_USERS, max(USERS, math.ceil(self._settings.rate_per_s * STALL_S))))
        return [
            *(sys.executable, "-m", "locust", "-f", str(PROJECT / "loadtests/token_flows.py")),
            *("--headless", "--users", users, "--spawn-rate", users),
            *("--host", self._settings.issuer, "--stop-timeout", "5", "--only-summary"),
            *("--exit-code-on-error", "0", "--logfile", str(self._folder / "locust.log")),
            *("--csv", str(self._folder / "load")),  # its HTML is not written on SIGTERM
        ]

    def _missing(self) -> set[str]:
        good: Counter[str] = Counter()
        for file in self._events.glob("load-*.ndjson"):
            events = read_journal(file).events
            good.update(
                e.flow
                for e in events
                if isinstance(e, Request) and not e.error and e.step == LAST_STEP.get(e.flow)
            )
        return {flow for flow in self._mix if not good[flow]}

    def _alive(self) -> None:
        if self._child is not None and self._child.poll() is not None:
            last = (self._folder / "output.log").read_text(encoding="utf-8", errors="replace")
            raise PreconditionUnmet(
                "keep the load flowing",
                f"Locust ended with {self._child.returncode}: {last.strip()[-600:]}",
                f"see {self._folder}",
            )
