"""The first process of a container killed (SIGKILL) or stopped (SIGSTOP), its pod left alone.

Room: faults. The kernel shields process 1 of a PID namespace from signals sent inside of it, so an
exec into the container, or an ephemeral container beside it, reaches a first process only in pods
that share their process namespace. Everywhere else a short-lived pod on the same node sends the
signal, if the profile lets it: it sees the node's processes and may do nothing but kill.
"""

import random
import time
from pathlib import Path
from typing import Any, ClassVar, Literal

from acpchaos.errors import AcpchaosError, DeadlinePassed, PreconditionUnmet
from acpchaos.faults import blast, changes, frozen, health, witness_process
from acpchaos.faults.fault import Act, Fault, Need, Sight, awaited
from acpchaos.faults.killing import node_zones
from acpchaos.faults.session import Session, current
from acpchaos.stores.exec import inside
from acpchaos.target import guard
from acpchaos.target.cluster import Object
from acpchaos.wait import eventually, pause_until

SCRIPT = Path(__file__).with_name("signal_process.sh")
SENT_S = 60.0  # the helper's image may have to be fetched first
NEW_S = 60.0  # a killed container starts again at once, unless it was killed a moment ago
LONGEST_S = 600


class ProcessSignal(Fault):
    """Send one signal to the first process of `count` pods; a stop lasts `hold_s` at most."""

    def __init__(
        self, session: Session, signal: Literal["KILL", "STOP"],
        workload: Literal["acp", "workers"], count: int, seed: int, hold_s: int, recover_s: float,
    ) -> None:  # fmt: skip
        super().__init__(session)
        self.signal, self.what, self.count, self.seed = signal, workload, count, seed
        self.hold_s, self.recover_s = hold_s, recover_s
        self.workload = session.workload(workload, ("acp", "workers"))
        self.victims: list[Object] = []
        self.began_s = 0.0

    def available(self) -> str:
        if reason := super().available():
            return reason
        pods = self._pods()
        if self.signal == "KILL" and pods and _shares(pods[0]):
            return self._no_shell(pods[0])
        signals = self.session.profile.signals
        if not signals.node_pods:
            return (
                "not applicable: process 1 of a container takes no SIGKILL or SIGSTOP from inside: "
                "pods that share their process namespace, or node pods ([signals] node_pods = "
                "true), are needed"
            )
        return "" if self._image() else "not applicable: no [signals] image for a pod on the node"

    def needs(self) -> tuple[Need, ...]:
        space, helpers = self.session.namespace, self.session.profile.signals.namespace
        if self.signal == "KILL" and not self.session.profile.signals.node_pods:
            return (Need("create", "Pod", space, "exec"),)
        sending = (Need("create", "Pod", helpers), Need("delete", "Pod", helpers))
        if self.signal == "KILL":
            return sending
        return (*sending, Need("create", "Pod", helpers, "exec"), Need("delete", "Pod", space))

    def reads(self) -> tuple[Need, ...]:
        helpers = self.session.profile.signals.namespace
        return (Need("get", "Pod", self.session.namespace), Need("get", "Pod", helpers))

    def _no_shell(self, pod: Object) -> str:
        run = inside(self.cluster, self.session.namespace, reads=True)
        try:
            run(pod["metadata"]["name"], self.workload.container, ("sh", "-c", ":"))
        except AcpchaosError as error:
            name = self.workload.container
            return f"not applicable: container {name} has no shell that answers: {error.seen}"
        return ""

    def setup(self) -> tuple[str, ...]:
        ready = self._pods()
        if not 0 < self.count <= len(ready):
            raise PreconditionUnmet(
                f"choose {self.count} of {self.what}", f"{len(ready)} pods are ready",
                "wait for the workload to be whole, or ask for fewer",
            )  # fmt: skip
        if self.signal == "STOP" and not self._notice_s(ready[0]) < self.hold_s <= LONGEST_S:
            raise PreconditionUnmet(
                f"stop {self.what} for {self.hold_s} s",
                f"its readiness tells after {self._notice_s(ready[0])} s",
                f"stop it longer than that, and {LONGEST_S} s at most",
            )  # fmt: skip
        self.victims = random.Random(self.seed).sample(ready, self.count)
        radius = blast.of_pods(self.victims, ready, node_zones(self.session))
        blast.require_allowed(radius, self.session.profile.experiments.may_lose)
        if not self._from_inside():
            names = {pod["spec"]["nodeName"] for pod in self.victims}
            nodes = self.cluster.list("Node")
            guard.require_nodes([node for node in nodes if node["metadata"]["name"] in names])
        return tuple(pod["metadata"]["name"] for pod in self.victims)

    def inject(self) -> None:
        self.began_s = time.monotonic()
        for pod in self.victims:
            self._require_alive(pod)
            if self._from_inside():
                run = inside(self.cluster, self.session.namespace)
                words = ("env", "SIGNAL=KILL", "SAID=/dev/null", "sh", "-c", _script())
                run(pod["metadata"]["name"], self.workload.container, words)
            else:
                self._send(pod)

    def _require_alive(self, pod: Object) -> None:
        meta, container = pod["metadata"], self.workload.container
        now = self.cluster.find("Pod", meta["name"], meta["namespace"])
        same = now is not None and now["metadata"]["uid"] == meta["uid"]
        if not same or frozen.container_id(now or {}, container) != self._id(pod):
            raise PreconditionUnmet(
                f"signal {meta['name']}", "its container is no longer the one that was chosen",
                "something else disturbs the target; play again when it is quiet",
            )  # fmt: skip

    def _send(self, pod: Object) -> None:
        namespace = self.session.profile.signals.namespace
        body = self.manifest(pod)
        name = body["metadata"]["name"]
        self.record(changes.create_object("Pod", namespace, name))
        if self.signal == "STOP":
            self.record(frozen.stop_process(pod, self.workload.container, name, namespace))
        self.cluster.create("Pod", body, namespace)

    def manifest(self, pod: Object) -> Object:
        """The pod that sends the signal: root with CAP_KILL alone, on the victim's node."""
        words = {
            "SIGNAL": self.signal, "HOLD_S": str(self.hold_s), "FLAG": frozen.FLAG,
            "CONTAINER": self._id(pod),
        }  # fmt: skip
        container = {
            "name": frozen.HELPER, "image": self._image(), "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", _script()],
            "env": [{"name": key, "value": value} for key, value in words.items()],
            "securityContext": {
                "runAsUser": 0, "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"], "add": ["KILL"]},
            },
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            "resources": {"requests": {"cpu": "5m"}, "limits": {"memory": "32Mi"}},
        }  # fmt: skip
        meta = {
            "name": f"acpchaos-signal-{pod['metadata']['uid'][:13]}",
            "labels": {changes.RUN_LABEL: self.session.run_id},
        }
        spec = {
            "nodeName": pod["spec"]["nodeName"], "hostPID": True, "restartPolicy": "Never",
            "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 5,
            "activeDeadlineSeconds": LONGEST_S + 120, "tolerations": [{"operator": "Exists"}],
            "containers": [container], "volumes": [{"name": "tmp", "emptyDir": {}}],
        }  # fmt: skip
        return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}

    def effective(self) -> dict[str, Any]:
        if not self._from_inside():
            eventually(f"SIG{self.signal} to be sent", self._sent, SENT_S, 0.5)
        return {"signal": self.signal, "by": "exec" if self._from_inside() else "node pod"}

    def _sent(self) -> bool:
        signals = self.session.profile.signals
        done = []
        for pod in self.victims:
            name = self.manifest(pod)["metadata"]["name"]
            helper = self.cluster.find("Pod", name, signals.namespace) or {}
            phase = helper.get("status", {}).get("phase")
            if phase == "Failed":
                raise DeadlinePassed(
                    f"send SIG{self.signal} to {pod['metadata']['name']}",
                    frozen.last_word(helper) or "its helper failed without a word",
                    f"look at pod {signals.namespace}/{name}",
                )
            done.append(phase == "Succeeded" or (self.signal == "STOP" and phase == "Running"))
        return all(done)

    def witness(self) -> Sight:
        container = self.workload.container
        before = {
            pod["metadata"]["uid"]: witness_process.identity(pod, container) for pod in self.victims
        }
        look = witness_process.killed if self.signal == "KILL" else witness_process.stopped
        budget_s = NEW_S if self.signal == "KILL" else self._notice_s(self.victims[0])
        return awaited(
            f"the effect of SIG{self.signal}",
            lambda: look(self.cluster, self.session.namespace, container, before),
            budget_s,
        )

    def recover(self) -> None:
        """Continue first, then remove who continued: newest record first."""
        self.session.undo.revert(*reversed(self.recorded))

    def recovered(self) -> dict[str, Any]:
        target, told = (self.cluster, self.session.profile), f"all {self.what} pods ready"
        return {"saw": health.awaited(*target, self.what, told, self.recover_s)}

    def _pods(self) -> list[Object]:
        selector = guard.require_selector(self.workload.selector)
        pods = self.cluster.list("Pod", self.session.namespace, selector)
        return sorted(filter(health.is_ready, pods), key=lambda pod: pod["metadata"]["name"])

    def _from_inside(self) -> bool:
        return self.signal == "KILL" and bool(self.victims) and _shares(self.victims[0])

    def _id(self, pod: Object) -> str:
        return frozen.container_id(pod, self.workload.container)

    def _image(self) -> str:
        if image := self.session.profile.signals.image:
            return image
        redis = self.session.profile.workloads.redis
        found = self.cluster.find(redis.kind, redis.name, self.session.namespace) or {}
        spec = found.get("spec", {}).get("template", {}).get("spec", {})
        images = [str(each.get("image", "")) for each in spec.get("containers") or []]
        return images[0] if images else ""

    def _notice_s(self, pod: Object) -> int:
        """How long the kubelet may take to tell that a container does not answer."""
        for container in pod["spec"].get("containers") or []:
            probe = container.get("readinessProbe")
            if container["name"] == self.workload.container and probe:
                period, timeout = probe.get("periodSeconds", 10), probe.get("timeoutSeconds", 1)
                return int((probe.get("failureThreshold", 3) + 1) * max(period, timeout) + timeout)
        raise PreconditionUnmet(
            f"stop {self.what}", "it has no readiness probe, so nobody would notice",
            "give it one, or play another fault",
        )  # fmt: skip


class ProcessKill(ProcessSignal):
    """SIGKILL: the container starts again in the same pod."""

    name: ClassVar[str] = "process_kill"
    disrupts: ClassVar[str] = "acp"

    def __init__(
        self, session: Session, workload: Literal["acp", "workers"], count: int, seed: int,
        recover_s: float,
    ) -> None:  # fmt: skip
        super().__init__(session, "KILL", workload, count, seed, 0, recover_s)


class ProcessFreeze(ProcessSignal):
    """SIGSTOP: sockets stay open and nobody answers, until SIGCONT."""

    name: ClassVar[str] = "process_freeze"
    disrupts: ClassVar[str] = "acp"

    def __init__(
        self, session: Session, workload: Literal["acp", "workers"], count: int, seed: int,
        hold_s: int, recover_s: float,
    ) -> None:  # fmt: skip
        super().__init__(session, "STOP", workload, count, seed, hold_s, recover_s)


def _shares(pod: Object) -> bool:
    return bool(pod["spec"].get("shareProcessNamespace"))


def _script() -> str:
    return SCRIPT.read_text(encoding="utf-8")


def kill(
    workload: Literal["acp", "workers"] = "acp", count: int = 1, seed: int = 0,
    recover_s: float = 120.0,
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: SIGKILL to the first process of some pods, until all are ready again."""
    act = Act(ProcessKill(current(), workload, int(count), int(seed), float(recover_s)))
    return act.strike() | act.heal()


def freeze(
    workload: Literal["acp", "workers"] = "acp", count: int = 1, seed: int = 0, hold_s: int = 75,
    recover_s: float = 120.0,
) -> dict[str, Any]:  # fmt: skip
    """Experiment action: SIGSTOP for `hold_s` seconds, SIGCONT, until all pods are ready again."""
    fault = ProcessFreeze(current(), workload, int(count), int(seed), int(hold_s), float(recover_s))
    act = Act(fault)
    told = act.strike()
    pause_until(fault.began_s + float(hold_s))
    return told | act.heal()
