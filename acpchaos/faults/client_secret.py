"""The system client's secret rotated in ACP's configuration, while its users know the old one.

Room: faults. The Secret with ACP's configuration gets another system.secret and ACP's pods are
restarted one by one, since the chart restarts none by itself. Keys of the list `secrets` stay as
they are: what ACP encrypted with another first key while the fault lasts, nobody could read after
it. The Secret as it was lies sealed in an annotation of the Secret itself (see `objects`).
"""

import base64
import secrets
import time
from typing import Any, ClassVar

import yaml

from acpchaos.errors import AcpchaosError, PreconditionUnmet
from acpchaos.faults import blast, fields, health, objects, scaling, witness_tokens
from acpchaos.faults.fault import Act, Fault, Need, Sight, awaited
from acpchaos.faults.killing import node_zones
from acpchaos.faults.session import Session, current
from acpchaos.faults.workloads import of_workload, pods_of, settled
from acpchaos.target.cluster import Object
from acpchaos.target.profile import resolve
from acpchaos.wait import eventually, pause_until

SEEN_S = 60.0
KNOWN_S = 30.0  # before: connections that idled may have died, which their first users are told


class SecretRotated(Fault):
    """Who knows the system client's old secret only is turned away; all else goes on."""

    name: ClassVar[str] = "secret_rotated"
    disrupts: ClassVar[str] = "acp"

    def __init__(self, session: Session, effect_s: float, recover_s: float) -> None:
        super().__init__(session)
        self.effect_s, self.recover_s = effect_s, recover_s
        self.secret, _, self.key = session.profile.rotated.config.partition("/")
        self.where = of_workload(session, "acp")
        self.version = ""  # of the Secret at set-up
        self.found: Object = {}

    def available(self) -> str:
        if not self.secret or not self.key:
            return "not applicable: [rotated] config names no Secret with ACP's configuration"
        if self.session.profile.credentials.system is None:
            return "not applicable: the profile has no credentials.system to see a rotation by"
        if reason := super().available():
            return reason
        if self.cluster.find("Secret", self.secret, self.session.namespace) is None:
            return f"not applicable: there is no Secret {self.session.namespace}/{self.secret}"
        return ""

    def needs(self) -> tuple[Need, ...]:
        """This one Secret and a restart; nothing where none is named."""
        space = self.session.namespace
        changed = Need("update", "Secret", space, name=self.secret)
        return (changed, Need("patch", self.where.kind, space)) if self.secret else ()

    def reads(self) -> tuple[Need, ...]:
        if not self.secret:
            return ()
        space = self.session.namespace
        listed = tuple(Need("list", kind, space) for kind in ("Pod", "ReplicaSet"))
        own = Need("get", "Secret", space, name=self.secret)
        return (own, Need("get", self.where.kind, space), *listed)

    def setup(self) -> tuple[str, ...]:
        space = self.session.namespace
        secret = self.cluster.get("Secret", self.secret, space)
        with_another(secret, self.key)
        self.version = secret["metadata"]["resourceVersion"]
        self.found = self.cluster.get(self.where.kind, self.where.name, space)
        pods = pods_of(self.cluster, self.found)
        if not settled(self.found) or not pods:
            raise PreconditionUnmet(
                f"rotate a secret of {self.where.name}", "its pods are not all ready",
                "it must be whole before; look at it",
            )  # fmt: skip
        radius = blast.of_pods(pods[: scaling.at_once(self.found)], pods, node_zones(self.session))
        blast.require_allowed(radius, self.session.profile.experiments.may_lose)
        before = awaited("the secret of before taken", self._look, KNOWN_S, 2.0, ("not installed",))
        if before.outcome != "not installed":
            raise PreconditionUnmet(
                "rotate the system client's secret", f"before: {before.saw}",
                "credentials.system must be what ACP knows",
            )  # fmt: skip
        return (f"Secret {space}/{self.secret}", f"{self.where.kind} {space}/{self.where.name}")

    def inject(self) -> None:
        space = self.session.namespace
        secret = self.cluster.get("Secret", self.secret, space)
        if secret["metadata"]["resourceVersion"] != self.version:
            raise PreconditionUnmet(
                f"change Secret {space}/{self.secret}", "it changed since set-up",
                "something else disturbs the target; play again when it is quiet",
            )  # fmt: skip
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ours = f"{moment}-{self.session.run_id}"
        restart = fields.change_field(self.where.kind, self.found, fields.RESTARTED_AT, ours)
        change = objects.change_secret(secret)
        # newest first is the way back: pods may start again only when the Secret is as it was
        self.record(restart)
        self.record(change)
        objects.write_secret(self.cluster, change, with_another(secret, self.key))
        fields.write_field(self.cluster, restart)

    def effective(self) -> dict[str, Any]:
        def done() -> bool:
            return settled(self.cluster.get(self.where.kind, self.where.name, self.where.namespace))

        eventually(f"{self.where.name} restarted", done, self.effect_s, 1.0)
        return {}

    def witness(self) -> Sight:
        return awaited("the secret of before refused", self._look, SEEN_S, 2.0)

    def _look(self) -> Sight:
        """With the secret that the profile refers to, which everybody knows until now."""
        system = self.session.profile.credentials.system
        if system is None:
            return Sight("indeterminate", "nobody's secret is known")
        try:
            known = resolve(system.secret, self.cluster.read_secret)
        except AcpchaosError as error:
            return Sight("indeterminate", f"its secret could not be read: {error.attempted}")
        return witness_tokens.refused(self.session.profile.service, system.id, known)

    def recover(self) -> None:
        self.session.undo.revert(*reversed(self.recorded))

    def recovered(self) -> dict[str, Any]:
        def whole() -> str:
            found = self.cluster.get(self.where.kind, self.where.name, self.where.namespace)
            if not settled(found):
                return ""
            part, sight = health.look(self.cluster, self.session.profile, "acp"), self._look()
            return (
                f"{part.saw}; {sight.saw}" if part.ok and sight.outcome == "not installed" else ""
            )

        return {"saw": eventually("the old secret taken again", whole, self.recover_s, 2.0)}


def with_another(secret: Object, key: str) -> dict[str, str]:
    """The Secret's data (base64) with a new system.secret in its file `key`, nothing else changed;
    PreconditionUnmet when the file has none."""
    data: dict[str, str] = dict(secret.get("data") or {})
    attempted = f"rotate system.secret in {secret['metadata']['name']}/{key}"
    try:
        content = yaml.safe_load(base64.b64decode(data.get(key, "")))
    except (ValueError, yaml.YAMLError):  # whose words may quote the file
        content = None
    system = content.get("system") if isinstance(content, dict) else None
    if not isinstance(system, dict) or not system.get("secret"):
        raise PreconditionUnmet(
            attempted, "the file is no YAML with system.secret", "correct [rotated] config"
        )
    system["secret"] = secrets.token_urlsafe(32)
    text = yaml.safe_dump(content, sort_keys=False)
    return data | {key: base64.b64encode(text.encode()).decode()}


def rotate(
    hold_s: float = 20.0, effect_s: float = 240.0, recover_s: float = 240.0
) -> dict[str, Any]:
    """Experiment action: another system secret for `hold_s` seconds, then the one of before."""
    act = Act(SecretRotated(current(), float(effect_s), float(recover_s)))
    told = act.strike()
    pause_until(time.monotonic() + float(hold_s))
    return told | act.heal()
