"""Six verbs for every fault, in one legal order, with an independent witness and a sure way back.

Room: faults.

    new -- setup --> ready -- inject --> injected -- effective --> struck
                                                                     |
               clean <-- cleanup -- healed <-- recovered -- recover --

Whatever goes wrong between inject and healed, the witness still looks and the recorded changes are
reverted before the error is passed on. Verbs only act or observe; they never judge.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple

from acpchaos.errors import AcpchaosError, DeadlinePassed, PreconditionUnmet
from acpchaos.faults.changes import Change
from acpchaos.faults.session import Session
from acpchaos.record.events import Fault as FaultEvent
from acpchaos.record.events import Witness as WitnessEvent
from acpchaos.wait import eventually


class Rehearsed(Exception):
    """The end of an act in a rehearsal: the fault is known, or its injection is noted."""

    def __init__(self, act: "Act") -> None:
        super().__init__(act.fault.name)
        self.act = act


@dataclass(frozen=True)
class Sight:
    """What a witness saw: installed, partial, not installed or indeterminate."""

    outcome: str
    saw: str
    detail: dict[str, Any] = field(default_factory=dict)


def awaited(
    what: str, look: Callable[[], Sight], budget_s: float, every_s: float = 1.0,
    outcomes: tuple[str, ...] = ("installed",),
) -> Sight:  # fmt: skip
    """The first sight with one of these outcomes within `budget_s` seconds; else the last one,
    which says what is missing."""
    sights: list[Sight] = []

    def seen() -> bool:
        sights.append(look())
        return sights[-1].outcome in outcomes

    with suppress(DeadlinePassed):
        eventually(what, seen, budget_s, every_s)
    return sights[-1]


class Need(NamedTuple):
    """Something that the account must be allowed to do; an empty namespace is the whole cluster,
    a name is one object."""

    verb: str
    kind: str
    namespace: str = ""
    sub: str = ""
    name: str = ""

    def __str__(self) -> str:
        what = "/".join(each for each in (self.kind, self.sub) if each)
        where = f" in {self.namespace}" if self.namespace else ""
        return f"{self.verb} {what}{f' {self.name}' if self.name else ''}{where}"


class Fault(ABC):
    """One fault on frozen targets."""

    name: ClassVar[str]
    disrupts: ClassVar[str]  # what the profile's experiments.may_disrupt must list

    def __init__(self, session: Session) -> None:
        self.session, self.cluster = session, session.cluster
        self.recorded: list[str] = []

    def record(self, change: Change) -> None:
        """Write the way back of one change into the cluster; only then make the change."""
        self.recorded.append(self.session.undo.record(change))

    def available(self) -> str:
        """Why this fault cannot run on this target; empty when it can. Reads only."""
        if self.disrupts not in self.session.profile.experiments.may_disrupt:
            return f"the profile's experiments.may_disrupt has no {self.disrupts!r}"
        denied = [str(need) for need in self.needs() if not self.cluster.may(*need)]
        return f"the account may not {', '.join(denied)}" if denied else ""

    def needs(self) -> tuple[Need, ...]:
        """What the account must be allowed to do beyond reading and the undo record."""
        return ()

    def reads(self) -> tuple[Need, ...]:
        """What it and its witness read beyond what every play reads."""
        return ()

    def ends(self) -> tuple[Need, ...]:
        """What the reaper reads to see the end of changes that end by themselves."""
        return ()

    @abstractmethod
    def setup(self) -> tuple[str, ...]:
        """Choose and freeze the targets by UID; return their names, never none."""

    @abstractmethod
    def inject(self) -> None:
        """Make the change, each one recorded for undo before."""

    @abstractmethod
    def effective(self) -> dict[str, Any]:
        """Wait until the change is in force; return what was observed."""

    @abstractmethod
    def witness(self) -> Sight:
        """Look independently of `inject`; must not raise for an absent effect."""

    def rehearse(self, act: "Act") -> None:
        """For plans: set-up and injection on a cluster that notes what would change."""
        act.targets = self.setup()
        self.inject()

    def later(self) -> tuple[str, ...]:
        """For plans: what changes beyond `inject`, as far as it can be told beforehand. Reads."""
        return ()

    def expects(self) -> str:
        """For plans: the effect, in one line; by default how the fault's class begins."""
        return (inspect.getdoc(type(self)) or self.name).split("\n\n")[0].replace("\n", " ")

    def recover(self) -> None:
        """Take the recorded changes back."""
        self.session.undo.revert(*self.recorded)

    def recovered(self) -> dict[str, Any]:
        """Wait until the target is whole again."""
        return {}

    def witness_after(self) -> Sight | None:
        """A second look after recovery, for faults whose mark shows only then."""
        return None

    def cleanup(self) -> None:
        """Forget what is settled."""
        self.recorded.clear()


class Act:
    """A fault being carried out; enforces the order of the verbs and records each."""

    def __init__(self, fault: Fault) -> None:
        self.fault, self.session = fault, fault.session
        self.state = "new"
        self.targets: tuple[str, ...] = ()

    def strike(self) -> dict[str, Any]:
        """setup, inject, effective, witness. On any failure the changes are reverted first."""
        self._expect("new")
        if self.session.rehearsal == "name":
            raise Rehearsed(self)
        if reason := self.fault.available():
            raise PreconditionUnmet(
                f"plan {self.fault.name}", reason, "choose another target or change its profile"
            )
        if self.session.rehearsal:
            self.fault.rehearse(self)
            raise Rehearsed(self)
        try:
            self._verb("setup", self._setup)
        except BaseException:
            self._abandon()  # a set-up may already have left something, e.g. a marker
            raise
        try:
            self._verb("inject", self.fault.inject)
            seen = self._verb("effective", self.fault.effective)
            sight = self._look()
        except AcpchaosError:
            try:
                self._look(failed=True)
            finally:
                self._abandon()
            raise
        except BaseException:
            self._abandon()  # a signal, or a full disk: no time for looking
            raise
        self.state = "struck"
        return {"targets": list(self.targets), "witness": sight.outcome, "saw": sight.saw} | seen

    def heal(self) -> dict[str, Any]:
        """recover, recovered, cleanup."""
        self._expect("struck")
        try:
            self._verb("recover", self.fault.recover)
            seen = self._verb("recovered", self.fault.recovered)
            if (sight := self.fault.witness_after()) is not None:
                self._witnessed(sight)
            self._verb("cleanup", self.fault.cleanup)
        except BaseException:
            self._abandon()
            raise
        self.state = "clean"
        return seen

    def _expect(self, state: str) -> None:
        if self.state != state:
            raise PreconditionUnmet(
                f"go on with {self.fault.name}",
                f"it is {self.state}, not {state}",
                "see why the step before it did not succeed",
            )

    def _setup(self) -> dict[str, Any]:
        self.targets = self.fault.setup()
        if not self.targets:
            raise PreconditionUnmet(
                f"choose targets of {self.fault.name}", "there is none", "check the selector"
            )
        return {}

    def _verb(self, verb: str, act: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
        try:
            detail = act() or {}
        except BaseException as error:
            self._tell(verb, False, {"error": str(error)})
            raise
        self._tell(verb, True, detail)
        return detail

    def _look(self, *, failed: bool = False) -> Sight:
        """After an injector that `failed`, an effect that is there is not known to be its own."""
        try:
            sight = self.fault.witness()
        except AcpchaosError as error:
            sight = Sight("indeterminate", f"the witness could not look: {error.seen}")
        if failed and sight.outcome == "installed":
            sight = replace(sight, outcome="partial", saw=f"{sight.saw}; but the injector failed")
        self._witnessed(sight)
        return sight

    def _witnessed(self, sight: Sight) -> None:
        event = WitnessEvent(
            t_ns=self.session.clock.now_ns(),
            fault=self.fault.name,
            outcome=sight.outcome,
            saw=sight.saw,
            detail=sight.detail,
        )
        self.session.journal.write(event)

    def _abandon(self) -> None:
        self.state = "invalid"
        if self.fault.recorded:
            self.session.undo.revert_all()

    def _tell(self, verb: str, ok: bool, detail: dict[str, Any]) -> None:
        event = FaultEvent(
            t_ns=self.session.clock.now_ns(),
            fault=self.fault.name,
            verb=verb,
            ok=ok,
            targets=self.targets,
            detail=detail,
        )
        self.session.journal.write(event)
