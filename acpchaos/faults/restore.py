"""Restore: two encrypted backups of the SQL store, a harm, and a restore proven elsewhere.

Room: faults. The harm is a lost row in a table of our own, so ACP never feels it; the restored copy
is served in a namespace of its own, which is deleted at the end. What was seen is told as
observations (named in check/restore.py), never judged.
"""

from contextlib import suppress
from typing import Any, ClassVar

import msgspec

from acpchaos.errors import DeadlinePassed, PreconditionUnmet
from acpchaos.faults import changes
from acpchaos.faults.fault import Act, Fault, Need, Sight
from acpchaos.faults.session import Session, current
from acpchaos.record.events import Observation
from acpchaos.stores import backup, postgres
from acpchaos.stores.exec import inside
from acpchaos.stores.restore import Drill, Served
from acpchaos.target.profile import resolve
from acpchaos.wait import eventually

REPLICATED_S = 10.0  # streaming replicas are some milliseconds behind


class Restore(Fault):
    """Back up to every repository, lose a row, restore from `repo` into a fresh database."""

    name: ClassVar[str] = "restore"
    disrupts: ClassVar[str] = "sql"

    def __init__(
        self, session: Session, repo: int, budget_s: float, *, start_s: float = 90.0,
        verify: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(session)
        self.sql, self.repo, self.budget_s = session.profile.workloads.sql, repo, budget_s
        self.start_s, self.verify = start_s, verify
        self.run = inside(session.cluster, session.namespace)
        self.mark = marker_of(session.run_id)
        self.backups: list[backup.Backup] = []
        self.drill = Drill(session.cluster, session.profile, session.run_id)
        self.wrong = Drill(session.cluster, session.profile, session.run_id, "cipher")

    def available(self) -> str:
        if not self.session.profile.experiments.backup:
            return "not applicable: the profile says that no backup of the SQL store can be driven"
        if self.session.profile.credentials.m2m is None:
            return "not applicable: the profile has no credentials.m2m to ask the restored ACP with"
        if self.session.profile.credentials.m2m.auth != "client_secret_basic":
            return "not applicable: credentials.m2m is not for client_secret_basic"
        return super().available()

    def needs(self) -> tuple[Need, ...]:
        """The drill's namespaces do not exist yet, so these are asked for in all of them."""
        copied = [Need("patch", kind) for kind in ("Secret", "ConfigMap")]
        made = [Need("create", kind) for kind in ("Namespace", "Service", "Pod", "Deployment")]
        gone = [Need("delete", kind) for kind in ("Namespace", "Deployment")]
        return (*copied, *made, *gone, Need("create", "Pod", "", "exec"))

    def reads(self) -> tuple[Need, ...]:
        kinds = ("Secret", "ConfigMap", "Namespace", "Pod", "Service")
        return (*(Need("get", kind) for kind in kinds), Need("list", "Pod"))

    def setup(self) -> tuple[str, ...]:
        """The state that the harm is to be measured against: a marker, and a backup of it."""
        leader, container = self._leader(), self.sql.container
        places = backup.places(self.run, leader, container)
        if self.repo not in [place.repo for place in places]:
            raise PreconditionUnmet(
                f"restore from repository {self.repo}", f"the settings name {places}",
                "choose one of these",
            )  # fmt: skip
        self.record(changes.add_markers(self.session.namespace, self.sql))
        postgres.write_marker(self.run, leader, container, self.mark)
        self._observe("fingerprints_backup", self._fingerprints())
        made = [backup.back_up(self.run, leader, container, place.repo) for place in places]
        self.backups = made
        told = [
            {"place": f"repo{place.repo}"} | msgspec.to_builtins(place) | msgspec.to_builtins(one)
            for place, one in zip(places, made, strict=True)
        ]
        self._observe("backups", told)
        raw = [backup.read_raw(self.run, leader, container, one) for one in made]
        self._observe("unencrypted_read", msgspec.to_builtins(raw))
        if self.verify:  # reads every stored file again: 80 s per place on a small lab
            said = {
                f"repo{one.repo}": backup.verify(self.run, leader, container, one.repo)
                for one in made
            }
            self._observe("backup_verify", said)
        return tuple(one.label for one in made)

    def rehearse(self, act: Act) -> None:
        """Nothing is tried, since a backup cannot be pretended: what is done is told in `later`."""
        run = inside(self.cluster, self.session.namespace, reads=True)
        table = postgres.members(run, self._pods(), self.sql.container)
        places = backup.places(run, postgres.leader(table), self.sql.container)
        act.targets = tuple(f"repo{place.repo} in {place.bucket}" for place in places)
        self.record(changes.add_markers(self.session.namespace, self.sql))
        for drill in (self.drill, self.wrong):
            self.record(changes.create_object("Namespace", "", drill.namespace))

    def later(self) -> tuple[str, ...]:
        drills = f"{self.drill.namespace} and {self.wrong.namespace}"
        return (
            "a row of our own is written, a full backup made in each place, and the row lost",
            f"repository {self.repo} is restored in namespaces {drills}, which are deleted again",
        )

    def inject(self) -> None:
        postgres.damage_marker(self.run, self._leader(), self.sql.container, self.mark)

    def effective(self) -> dict[str, Any]:
        self._observe("fingerprints_damaged", self._fingerprints())
        return {}

    def witness(self) -> Sight:
        """Asked of each member for itself, so that the leader's word alone is not enough."""
        pods = self._pods()
        kept = list(pods)

        def lost() -> bool:
            kept[:] = [pod for pod in pods if self._holds_mark(pod)]
            return not kept

        with suppress(DeadlinePassed):  # what still keeps it is told below
            eventually("the loss to reach every member", lost, REPLICATED_S)
        saw = f"the row is lost in {len(pods) - len(kept)} of {len(pods)} members"
        if not kept:
            return Sight("installed", saw)
        return Sight("partial" if len(kept) < len(pods) else "not installed", saw, {"kept": kept})

    def _holds_mark(self, pod: str) -> bool:
        return self.mark in postgres.markers(self.run, pod, self.sql.container)

    def recover(self) -> None:
        """Restore into a fresh place; the live store gets back its prior state, without markers."""
        label = next(one.label for one in self.backups if one.repo == self.repo)
        self._begin(self.drill)
        restored = self.drill.restore(self.repo, label, self.budget_s)
        if restored.restored:
            prints = self.drill.fingerprints()
            self._observe("fingerprints_restored", msgspec.to_builtins(prints))
            self._serve(restored.took_s)
        self._observe("restored", msgspec.to_builtins(restored))
        self._begin(self.wrong)
        refused = self.wrong.restore(self.repo, label, self.budget_s, wrong_cipher=True)
        self._observe("wrong_cipher", msgspec.to_builtins(refused))
        super().recover()

    def _serve(self, restore_s: float) -> None:
        begin_ns = self.session.clock.now_ns()
        old = self._ask(wrong_key=False)
        start_s = (self.session.clock.now_ns() - begin_ns) / 1e9
        self._observe("old_client", msgspec.to_builtins(old))
        self._observe("restore_s", round(restore_s + start_s, 1))
        self._observe("wrong_key", msgspec.to_builtins(self._ask(wrong_key=True)))

    def _ask(self, *, wrong_key: bool) -> Served:
        client = self.session.profile.credentials.m2m
        assert client is not None  # `available` asked
        if why := self.drill.start_acp(self.start_s, wrong_key=wrong_key):
            # ACP that gives up on its data answers the question; one that is late does not
            return Served(served=False if why.startswith("it does not start") else None, saw=why)
        secret = resolve(client.secret, self.cluster.read_secret)
        return self.drill.ask_token(client.id, secret)

    def _begin(self, drill: Drill) -> None:
        self.record(changes.create_object("Namespace", "", drill.namespace))
        drill.begin()

    def _fingerprints(self) -> Any:
        prints = postgres.fingerprints(self.run, self._leader(), self.sql.container)
        return msgspec.to_builtins(prints)

    def _pods(self) -> list[str]:
        pods = self.cluster.list("Pod", self.session.namespace, self.sql.selector)
        return sorted(pod["metadata"]["name"] for pod in pods)

    def _leader(self) -> str:
        return postgres.leader(postgres.members(self.run, self._pods(), self.sql.container))

    def _observe(self, name: str, value: Any) -> None:
        now_ns = self.session.clock.now_ns()
        self.session.journal.write(Observation(t_ns=now_ns, when="during", name=name, value=value))


def marker_of(run_id: str) -> str:
    """A marker value from a run id: letters, digits, - and _ only."""
    return "".join(char if char.isalnum() or char in "-_" else "-" for char in run_id)


_act: Act | None = None


def damage(
    repo: int = 1, budget_s: float = 300.0, start_s: float = 90.0, verify: bool = False
) -> dict[str, Any]:
    """Experiment action: back up the SQL store to every repository, then lose a row.

    `budget_s` is for the database, `start_s` for each start of ACP on it. `verify` also checks
    every stored file of every place.
    """
    global _act
    fault = Restore(current(), int(repo), float(budget_s), start_s=float(start_s), verify=verify)
    _act = Act(fault)
    return _act.strike()


def restore() -> dict[str, Any]:
    """Experiment action: restore into a fresh database, serve from it, try wrong keys, clean up."""
    if _act is None:
        raise PreconditionUnmet("restore", "nothing was backed up", "see action damage")
    return _act.heal()
