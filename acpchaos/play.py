"""One play: guard, lock, recorders, load, the experiment, and the judgement of what was recorded.

Room: above all rooms but the doors. It puts the parts in order and waits; it decides nothing. Every
part is ended in reverse order, whatever happened, and the undo log has the last word.
"""

import datetime as dt
import random
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from acpchaos.check.judge import rejudge
from acpchaos.check.verdict import JudgedClaim
from acpchaos.errors import PreconditionUnmet, TargetLeftDirty
from acpchaos.faults import arming, health, load_surge, rights, toolkit
from acpchaos.faults.undo import require_undone
from acpchaos.load import surge
from acpchaos.load.ledger import Ledger
from acpchaos.load.observe import observe
from acpchaos.load.prober import Prober
from acpchaos.load.swarm import Swarm
from acpchaos.plan import resolved
from acpchaos.record.anchors import tell_clock
from acpchaos.record.events import STOPPED, Clock, ClockOffset, Observation, Phase, Rate
from acpchaos.record.journal import Journal
from acpchaos.record.mutations import FILE, Mutations
from acpchaos.record.run import RunFolder, RunMeta, origin
from acpchaos.record.seal import seal, write_history
from acpchaos.record.timeline import HEARTBEATS, Timeline
from acpchaos.report.evidence import write_evidence
from acpchaos.scenario import Scenario
from acpchaos.stopping import PlayStopped, Reason, Stopper, require_quiet
from acpchaos.stores.exec import following
from acpchaos.stores.redis_observer import RedisObserver
from acpchaos.target import clock_faces, guard
from acpchaos.target.cluster import Cluster
from acpchaos.target.lock import Lock
from acpchaos.target.profile import PROJECT, Profile
from acpchaos.target.watching import Change, Shape, follow

COMPARE_S = 15.0  # for the comparison of clocks, which takes 3 to 7 s
GATE_S = 90.0  # the target may still be settling from the play before
WATCHED = {
    "nodes": "Node",
    "pods": "Pod",
    "endpointslices": "EndpointSlice",
    "horizontalpodautoscalers": "HorizontalPodAutoscaler",
    "poddisruptionbudgets": "PodDisruptionBudget",
    "statefulsets": "StatefulSet",
    "events": "Event",
}


class Told(Protocol):
    """Where progress goes."""

    def begin(self, title: str) -> None: ...
    def say(self, text: str) -> None: ...


@dataclass(frozen=True)
class Played:
    """A finished play: its folder and the judged claims."""

    folder: Path
    judged: tuple[JudgedClaim, ...]


class _Interrupted(KeyboardInterrupt):
    """Ctrl-C, SIGTERM or SIGHUP."""


def play(
    scenario: Scenario, profile: Profile, *, target: str, reports: Path, seed: int | None,
    progress: Told,
) -> Played:  # fmt: skip
    """Play `scenario` once on the target and judge it. Raises what keeps it from being judged."""
    progress.begin(f"{scenario.name}: {scenario.experiment}")
    cluster = Cluster.from_profile(profile)
    guard.require(cluster, profile)
    require_quiet(profile.stop)
    experiment = PROJECT / "experiments" / scenario.experiment
    rights.require(cluster, rights.of_experiment(experiment, profile))
    seed = random.SystemRandom().randrange(2**31) if seed is None else seed
    meta = _meta(resolved(scenario, profile), profile, cluster, seed)
    home = Path(reports).absolute() / meta.run_id
    with ExitStack() as parts:
        parts.enter_context(_signals(progress))
        cluster = cluster.hooked(parts.enter_context(Mutations(home / FILE)))
        lock = parts.enter_context(Lock(cluster, profile.namespaces.acp, meta.run_id))
        require_undone(cluster, profile.namespaces.acp)
        folder = RunFolder.create(home, meta)
        progress.say(f"run {meta.run_id}, seed {seed}")
        progress.say(parts.enter_context(arming.armed(cluster, profile, meta.run_id)))
        stops = Stopper(profile.stop, meta.scenario, home / "events", lock.lost)
        parts.enter_context(stops.looking())
        _Play(meta, folder, profile, target, cluster, progress, stops).run()
    write_history(folder)  # first, so that what is judged is what an auditor will read
    judged = rejudge(folder.path)
    write_evidence([folder.path], folder.evidence)
    seal(folder.path)
    for claim in judged:
        progress.say(f"{claim.verdict.outcome.upper():<12} {claim.says}")
    return Played(folder.path, tuple(judged))


class _Play:
    """The steps of one play, sharing folder, journal and parts."""

    def __init__(
        self, meta: RunMeta, folder: RunFolder, profile: Profile, target: str, cluster: Cluster,
        progress: Told, stops: Stopper,
    ) -> None:  # fmt: skip
        self._stops, self._stopped = stops, False
        self._meta, self._scenario, self._folder = meta, meta.scenario, folder
        self._profile, self._target, self._cluster = profile, target, cluster
        self._progress, self._clock = progress, Clock()
        self._journal = folder.journal("play")
        self._swarm = Swarm(profile, meta.scenario.load, folder.path, seed=meta.seed)

    def run(self) -> None:
        """All phases in order; an interruption ends the record early, which no claim survives."""
        with ExitStack() as parts:
            parts.callback(self._journal.close)
            self._phase("gate")
            tell_clock(self._folder.events, "play")
            self._recorders(parts)
            compared = self._compare_clocks("start")
            self._gate("before")
            ledger = self._ledger(parts)
            self._remember("before", ledger)
            parts.callback(self._swarm.stop)
            self._swarm.start()
            self._swarm.wait_flowing()
            compared.join(COMPARE_S)
            self._phase("steady")
            self._stops.pause(self._scenario.steady_s)
            self._go_on_or_end()
            self._fault()
            self._phase("recovery")
            if self._scenario.load.surge:
                self._offer(self._scenario.load.rate_per_s)
            self._stops.pause(self._scenario.recovery_s)
            self._tell_stop()
            self._phase("after")
            self._swarm.stop()
            compared = self._compare_clocks("end")
            self._gate("after")
            self._remember("after", ledger)
            compared.join(COMPARE_S)
            self._phase("end")

    def _go_on_or_end(self) -> None:
        """Before the fault a stop ends the play at once."""
        if reason := self._stops.reason:
            self._tell_stop()
            raise PlayStopped(
                f"play {self._scenario.name}", reason.why,
                "nothing was changed; clear it, then play again",
            )  # fmt: skip

    def _tell_stop(self, reason: Reason | None = None) -> None:
        """Put on record why the play, or its experiment, ended early; such a one proves nothing."""
        reason = self._stops.reason or reason
        if self._stopped or reason is None:
            return
        self._stopped = True
        value = {"by": reason.by, "why": reason.why}
        now_ns = self._clock.now_ns()
        self._journal.write(Observation(t_ns=now_ns, when="during", name=STOPPED, value=value))
        self._progress.say(f"STOPPED: {reason.why}")

    def _fault(self) -> None:
        self._phase("fault")
        self._stops.fault_begins()
        with self._surging():
            played = toolkit.run(
                PROJECT / "experiments" / self._scenario.experiment,
                self._folder.path,
                self._profile,
                {"seed": self._meta.seed, **self._scenario.configuration},
                target=self._target,
                deadline_s=self._scenario.fault_s,
                stop=self._stops,
                say=self._progress.say,
            )
        self._tell_stop(_cut_short(played))
        self._progress.say(f"experiment: {played.outcome}. {played.why}")
        if played.dirty:
            raise TargetLeftDirty(
                f"undo run {self._meta.run_id}",
                played.dirty,
                f"remove the cause, then: acpchaos undo {self._meta.run_id}",
            )

    @contextmanager
    def _surging(self) -> Iterator[None]:
        """For scenarios with a surge: load climbs meanwhile until the autoscaler is asked."""
        load, hpa = self._scenario.load, self._profile.workloads.acp.name
        if not load.surge:
            yield
            return

        def asked() -> float:
            found = self._cluster.get("HorizontalPodAutoscaler", hpa, self._profile.namespaces.acp)
            return load_surge.asked(found)

        with surge.climbing(load.surge_per_s, load.surge_most_per_s, self._offer, asked):
            yield

    def _offer(self, rate_per_s: float) -> None:
        """Have flows offered at another rate, and put it on record first."""
        self._journal.write(Rate(t_ns=self._clock.now_ns(), per_s=rate_per_s))
        self._swarm.set_rate(rate_per_s)
        self._progress.say(f"{rate_per_s:.0f} flows/s")

    def _recorders(self, parts: ExitStack) -> None:
        """Timeline, Redis and prober, each with a journal of its own."""
        namespace = self._profile.namespaces.acp

        def watch(
            kind: str, where: str, stop: threading.Event, shape: type[Shape]
        ) -> Iterator[Change[Shape]]:
            new = kind == "events"  # an hour of them is kept, and nobody asks for those of before
            return follow(
                self._cluster, WATCHED.get(kind, "Lease"), where, stop, shape, only_new=new
            )

        verbs = ("list", "watch")
        seen = all(self._cluster.may(verb, "Lease", HEARTBEATS) for verb in verbs)
        journal = self._own_journal(parts, "cluster")
        timeline = Timeline(watch, namespace, journal, heartbeats=seen)
        parts.callback(timeline.stop)
        timeline.start()
        redis = self._profile.workloads.redis
        if self._profile.experiments.redis_cluster:
            observer = RedisObserver(
                following(self._cluster, namespace),
                lambda: [
                    pod["metadata"]["name"]
                    for pod in self._cluster.list("Pod", namespace, redis.selector)
                ],
                redis.container,
                self._own_journal(parts, "redis"),
            )
            parts.callback(observer.stop)
            observer.start()
        prober = Prober(self._profile, self._folder.path)
        parts.callback(prober.stop)
        prober.start()

    def _compare_clocks(self, when: str) -> threading.Thread:
        """Beside whatever else is done, as it waits for seconds to turn."""
        thread = threading.Thread(target=self._clocks_compared, args=(when,), daemon=True)
        thread.start()
        return thread

    def _clocks_compared(self, when: str) -> None:
        """The API server's clock against ours, on record; a play that was cut short has none."""
        seen = clock_faces.api_server(self._cluster, lambda: self._clock.now_ns() / 1e9)
        low_ms, high_ms = (None if s is None else round(s * 1e3, 3) for s in seen[:2])
        offset = ClockOffset(
            t_ns=self._clock.now_ns(), clock="api server", when=when, low_ms=low_ms,
            high_ms=high_ms, how=seen.how,
        )  # fmt: skip
        with suppress(OSError):
            self._journal.write(offset)

    def _own_journal(self, parts: ExitStack, writer: str) -> Journal:
        journal = self._folder.journal(writer)
        parts.callback(journal.close)
        return journal

    def _gate(self, when: str) -> None:
        """All parts healthy within the gate's budget; told part by part either way."""
        seen = health.settle(self._cluster, self._profile, self._parts(), GATE_S)
        health.tell(seen, dict.fromkeys(seen, when), self._journal, self._clock)
        unwell = "; ".join(f"{name}: {part.saw}" for name, part in seen.items() if not part.ok)
        if unwell and when == "before":
            raise PreconditionUnmet(
                f"waited {GATE_S:g} s for a healthy target before the fault",
                unwell,
                f"repair it; see acpchaos doctor --target {self._target}",
            )
        self._progress.say(f"healthy {when}: {', '.join(n for n, p in seen.items() if p.ok)}")

    def _parts(self) -> list[str]:
        may = self._profile.experiments
        parts = ["nodes", "acp", "workers", "redis"]
        parts += ["sql", "analytics"] if may.sql_manager == "patroni" else []
        return [*parts, *self._scenario.requires]

    def _ledger(self, parts: ExitStack) -> Ledger | None:
        """A minted token ledger, for scenarios that follow tokens."""
        if not self._scenario.ledger:
            return None
        journal = self._own_journal(parts, "ledger")
        ledger = Ledger(self._profile, journal, seed=self._meta.seed)
        ledger.mint()
        parts.callback(ledger.rest)
        return ledger

    def _remember(self, when: str, ledger: Ledger | None) -> None:
        """What must be the same before and after: configuration, keys, and the token ledger, which
        is looked at meanwhile, too."""
        observe(self._profile, self._journal, when)
        if ledger is None:
            return
        ledger.rest()
        ledger.probe(when)
        self._progress.say(f"token ledger looked at {when}")
        if when == "before":
            ledger.follow()

    def _phase(self, name: str) -> None:
        self._journal.write(Phase(t_ns=self._clock.now_ns(), name=name))
        self._progress.say(f"phase {name}")


def _cut_short(played: toolkit.Played) -> Reason | None:
    """Why an experiment did not come to its own end; None for one that did."""
    return Reason("experiment", played.why) if played.outcome in toolkit.CUT_SHORT else None


def _meta(scenario: Scenario, profile: Profile, cluster: Cluster, seed: int) -> RunMeta:
    moment = dt.datetime.now(dt.UTC)
    made_by = origin(PROJECT)
    return RunMeta(
        run_id=f"{moment:%Y%m%dt%H%M%S}-{scenario.name}-{seed % 0xFFFF:04x}",
        seed=seed,
        started_ns=Clock().now_ns(),
        commit=made_by.commit,
        dirty=made_by.dirty,
        argv=made_by.argv,
        target={
            "profile": profile.name,
            "kube_system_uid": profile.cluster.kube_system_uid,
            "api_host": cluster.api_host,
            "base_url": profile.service.base_url,
            "namespace": profile.namespaces.acp,
        },
        versions=made_by.versions,
        scenario=scenario,
    )


@contextmanager
def _signals(progress: Told) -> Iterator[None]:
    """SIGTERM and a closed terminal end a play as Ctrl-C does: through every clean-up, each told
    at once."""

    def interrupt(number: int, frame: object) -> None:
        name = signal.Signals(number).name
        with suppress(Exception):  # the terminal is gone, or in the middle of a word
            progress.say(f"{name}: ending the play; changes are taken back, load and recorders end")
        raise _Interrupted(name)

    heeded = [each for each in toolkit.ENDING if signal.getsignal(each) is not signal.SIG_IGN]
    with toolkit.handled(interrupt, *{*heeded, signal.SIGTERM, signal.SIGHUP}):
        yield
