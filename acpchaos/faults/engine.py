"""The container engine beneath the nodes of a kind cluster: the one mechanism of node faults here.

Room: faults. The profile names binary, environment and how a node's container is called; nothing
is done to a container that does not carry the label of the profile's kind cluster, whatever its
name. Commands are told to the cluster's hook like calls to the API server, with the method ENGINE;
in a rehearsal they are noted and not run. It must not know faults.
"""

import json
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from acpchaos.errors import AcpchaosError, PreconditionUnmet
from acpchaos.target.cluster import Cluster
from acpchaos.target.profile import Profile

LABEL = "io.x-k8s.kind.cluster"  # kind puts it on each node's container, with the cluster's name
CALL_S = 60.0  # a loaded machine starts or stops a node's container within some seconds
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")


class EngineRefused(AcpchaosError):
    """The engine is not here, did not answer, or ended with an error."""


@dataclass(frozen=True)
class Container:
    """A node's container: `status` is the engine's word, e.g. running, paused or exited."""

    name: str
    id: str
    status: str
    address: str


def unsuited(profile: Profile) -> str:
    """Why no node can be reached beneath Kubernetes; empty where one can."""
    if profile.nodes.mechanism == "none":
        return (
            "not applicable: the profile names no mechanism that reaches nodes beneath Kubernetes "
            "([nodes] mechanism)"
        )
    if not profile.cluster.lab:
        return (
            "not applicable: [nodes] mechanism is a container engine, and [cluster] lab names no "
            "kind cluster whose containers it may touch"
        )
    return ""


class Engine:
    """The engine that the profile of a cluster names."""

    def __init__(self, cluster: Cluster) -> None:
        if cluster.profile is None:
            raise PreconditionUnmet(
                "reach a node beneath Kubernetes", "no profile says how",
                "connect with Cluster.from_profile",
            )  # fmt: skip
        if reason := unsuited(cluster.profile):
            raise PreconditionUnmet(
                "reach a node beneath Kubernetes", reason, "add it to the target's profile"
            )
        self._cluster, self._lab = cluster, cluster.profile.cluster.lab
        self._wanted = cluster.profile.nodes

    @property
    def network(self) -> str:
        """The engine's network that joins the nodes."""
        return self._wanted.network

    def environment(self) -> dict[str, str]:
        """What the profile adds to the environment of each call, `~` and `$NAME` replaced."""
        return {
            key: os.path.expanduser(os.path.expandvars(value))  # noqa: PTH111  # not only paths
            for key, value in self._wanted.environment.items()
        }

    def binary(self) -> str:
        """The engine's program."""
        return self._wanted.engine

    def container_of(self, node: str) -> str:
        """Name of a node's container by the profile's rule."""
        name = self._wanted.container.replace("{node}", node)
        if not _NAME.fullmatch(name):
            raise PreconditionUnmet(
                f"name the container of node {node!r}", f"{name!r} is no name of a container",
                "correct [nodes] container in the profile",
            )  # fmt: skip
        return name

    def look(self, name: str) -> Container:
        """A container of the pinned kind cluster; PreconditionUnmet for any other."""
        try:
            found = json.loads(self._run(("inspect", "--type", "container", name)))[0]
            labels = found["Config"].get("Labels") or {}
            networks = found.get("NetworkSettings", {}).get("Networks") or {}
            address = str((networks.get(self.network) or {}).get("IPAddress", ""))
            seen = Container(name, str(found["Id"]), str(found["State"]["Status"]), address)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
            raise EngineRefused(
                f"look at container {name}", f"an answer of an unknown shape ({error!r})",
                f"see {self.binary()} inspect {name}",
            ) from None  # fmt: skip
        if labels.get(LABEL) != self._lab:
            raise PreconditionUnmet(
                f"touch container {name}",
                f"its label {LABEL} is {labels.get(LABEL)!r}, not {self._lab!r}: it is no node of "
                "the pinned cluster",
                "correct [nodes] container or [cluster] lab in the profile",
            )
        return seen

    def change(self, name: str, words: Sequence[str]) -> str | None:
        """Run a command that changes something; its output, or None in a rehearsal.

        `name` is the container that it is about, for those who are told of it.
        """
        path, body = f"/engine/{name}", {"command": [self.binary(), *words]}
        if self._cluster.instead("ENGINE", path, body) is not None:
            return None
        with self._cluster.telling("ENGINE", path, body):
            return self._run(words)

    def inside(self, name: str, script: str, *words: str) -> str:
        """What a shell script says inside of a node. It must only look."""
        return self._run(script_inside(name, script, *words))

    def change_inside(self, name: str, script: str, *words: str) -> str | None:
        """As `change`, with a shell script inside of a node."""
        return self.change(name, script_inside(name, script, *words))

    def _run(self, words: Sequence[str]) -> str:
        argv = [self.binary(), *words]
        attempted = " ".join(argv[:4])
        try:
            done = subprocess.run(
                argv, env=dict(os.environ) | self.environment(), stdin=subprocess.DEVNULL,
                capture_output=True, text=True, timeout=CALL_S, check=False,
            )  # fmt: skip
        except (OSError, ValueError) as error:
            hint = "run where the engine of the nodes is, or correct [nodes] engine in the profile"
            raise EngineRefused(attempted, str(error), hint) from None
        except subprocess.TimeoutExpired:
            raise EngineRefused(
                attempted, f"no end within {CALL_S:g} s", "look at the engine"
            ) from None
        if done.returncode:
            seen = done.stderr.strip()[-300:] or f"exit code {done.returncode}"
            raise EngineRefused(attempted, seen, "see the engine's message")
        return done.stdout


def script_inside(name: str, script: str, *words: str) -> tuple[str, ...]:
    """The engine's words for a shell script inside of a container."""
    return ("exec", name, "sh", "-c", script, "sh", *words)
