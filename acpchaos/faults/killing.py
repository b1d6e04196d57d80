"""Pods killed by UID: what all faults that kill pods share; each of them only chooses its victims.

Room: faults. Nothing has to be undone, since a controller replaces the pods; a name-only delete
could hit the successor, hence the UID in every call. A victim that died before the injector came
was not killed by it, and nothing is claimed then.
"""

from abc import abstractmethod
from typing import Any, NoReturn

from acpchaos.errors import PreconditionUnmet
from acpchaos.faults import blast, health, witness
from acpchaos.faults.blast import Blast
from acpchaos.faults.fault import Fault, Need, Sight, awaited
from acpchaos.faults.session import Session
from acpchaos.target.cluster import Object
from acpchaos.wait import eventually

GONE_S = 30.0
NEW_S = 30.0  # the controller makes successors within seconds


class PodKill(Fault):
    """Delete chosen pods, each by its UID, with `grace_s` seconds to end."""

    part: str = ""  # of health.PARTS

    def __init__(self, session: Session, grace_s: int, recover_s: float) -> None:
        super().__init__(session)
        self.space, self.grace_s, self.recover_s = session.namespace, grace_s, recover_s
        self.victims: list[Object] = []
        self.before: set[str] = set()
        self.blast: Blast | None = None

    def needs(self) -> tuple[Need, ...]:
        return (Need("delete", "Pod", self.space),)

    def reads(self) -> tuple[Need, ...]:
        return (Need("list", "Pod", self.space),)

    @abstractmethod
    def choose(self) -> tuple[list[Object], Blast]:
        """The pods to kill, all of them alive, and what their loss takes away."""

    def setup(self) -> tuple[str, ...]:
        self.victims, self.blast = self.choose()
        blast.require_allowed(self.blast, self.session.profile.experiments.may_lose)
        self.before = {pod["metadata"]["uid"] for pod in self.cluster.list("Pod", self.space)}
        return tuple(pod["metadata"]["name"] for pod in self.victims)

    def inject(self) -> None:
        wanted = {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in self.victims}
        alive = {pod["metadata"]["name"]: pod for pod in self.cluster.list("Pod", self.space)}
        for name, uid in wanted.items():
            found = alive.get(name, {"metadata": {"uid": ""}})["metadata"]
            if found["uid"] != uid or "deletionTimestamp" in found:
                self._not_ours(name)
        for name, uid in wanted.items():
            if not self.cluster.delete("Pod", name, self.space, uid=uid, grace_s=self.grace_s):
                self._not_ours(name)

    def _not_ours(self, name: str) -> NoReturn:
        raise PreconditionUnmet(
            f"kill pod {name}", "it was gone or going before this fault came",
            "something else disturbs the target; play again when it is quiet",
        )  # fmt: skip

    def effective(self) -> dict[str, Any]:
        uids = {pod["metadata"]["uid"] for pod in self.victims}

        def gone() -> bool:
            pods = self.cluster.list("Pod", self.space)
            return not uids & {pod["metadata"]["uid"] for pod in pods}

        eventually("the killed pods to be gone", gone, GONE_S + self.grace_s, 0.2)
        return {"uids": sorted(uids)} | ({"blast": self.blast.told()} if self.blast else {})

    def witness(self) -> Sight:
        killed = {pod["metadata"]["uid"]: _owner(pod) for pod in self.victims}
        return awaited(  # absence is what the last sight says
            "successors of the killed pods",
            lambda: witness.pods_killed(self.cluster, self.space, killed, self.before),
            NEW_S, 0.5, ("installed", "not installed"),
        )  # fmt: skip

    def recovered(self) -> dict[str, Any]:
        return self.whole(self.part, self.recover_s)

    def whole(self, part: str, budget_s: float) -> dict[str, Any]:
        """Wait until a part is healthy; what was seen then."""
        target, told = (self.cluster, self.session.profile), f"all of {part} to be well"
        return {"saw": health.awaited(*target, part, told, budget_s, 0.5)}


def _owner(pod: Object) -> str:
    references = pod["metadata"].get("ownerReferences") or []
    return str(references[0]["uid"]) if references else ""


def node_zones(session: Session) -> dict[str, str]:
    """Zone of every node, by the label that the profile names; empty where it has none."""
    key = session.profile.experiments.zone_key
    return {
        node["metadata"]["name"]: (node["metadata"].get("labels") or {}).get(key, "")
        for node in session.cluster.list("Node")
    }
