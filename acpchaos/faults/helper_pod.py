"""A short-lived pod that the network takes for one of ACP's: what it may reach, ACP may.

Room: faults. It bears the labels of ACP's pods, which are all that a NetworkPolicy knows, less
those by which a controller would adopt it. No Service sends it traffic, since it is never ready; it
ends by itself, and its undo record lets any later process remove it.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from acpchaos.errors import DeadlinePassed, PreconditionUnmet
from acpchaos.faults import changes
from acpchaos.faults.session import Session
from acpchaos.target.cluster import Object
from acpchaos.wait import eventually

NEVER = "acpchaos.io/never-ready"
LIFE_S = 900
START_S = 60.0  # its image is that of a store, which most nodes have
_OWNED = re.compile(r"-hash$|^statefulset\.|^apps\.kubernetes\.io/|job-name$|controller-uid$")


def manifest(
    name: str, session: Session, like: Object, image: str, command: Sequence[str], *,
    env: Sequence[Object] = (), env_from: Sequence[Object] = (), life_s: int, memory: str = "64Mi",
) -> Object:  # fmt: skip
    """A pod that pod-security level "restricted" admits, with the labels of the pod `like`."""
    container: Object = {
        "name": "helper", "image": image, "imagePullPolicy": "IfNotPresent",
        "command": list(command), "env": list(env), "envFrom": list(env_from),
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": memory}},
        "securityContext": {
            "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }  # fmt: skip
    spec: Object = {
        "restartPolicy": "Never", "activeDeadlineSeconds": life_s,
        "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False,
        "enableServiceLinks": False, "readinessGates": [{"conditionType": NEVER}],
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 65534, "runAsGroup": 65534,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
    }  # fmt: skip
    labels = labels_of(like) | {changes.RUN_LABEL: session.run_id}
    # a mesh's proxy would answer in the place of every target
    unmeshed = {"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"}
    meta = {"name": name, "labels": labels, "annotations": unmeshed}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def send_idle(
    session: Session, record: Callable[[Object], None], name: str, like: Object, image: str
) -> None:
    """Create, recorded before, a pod that only waits to be told whom to reach."""
    idle = ("python3", "-c", f"import time; time.sleep({LIFE_S})")
    body = manifest(name, session, like, image, idle, life_s=LIFE_S)
    record(changes.create_object("Pod", session.namespace, name))
    session.cluster.create("Pod", body, session.namespace)


def python_image(session: Session, store: Object, container: str) -> str:
    """The profile's image for probes, else that of this container of a store, which has python3."""
    every = list(store["spec"]["containers"])
    own = [each for each in every if each["name"] == container] or every
    return session.profile.probes.image or str(own[0].get("image", ""))


def labels_of(pod: Object) -> dict[str, str]:
    """Labels by which policies know a pod, without those by which its owner does."""
    labels: Mapping[str, str] = pod["metadata"].get("labels") or {}
    return {key: value for key, value in labels.items() if not _OWNED.search(key)}


def why_not(session: Session, like: Object) -> str:
    """Why such a pod would not be harmless here; empty when it would be."""
    labels = labels_of(like)
    for service in session.cluster.list("Service", session.namespace):
        spec = service["spec"]
        selector = (spec.get("selector") or {}).items()
        if spec.get("publishNotReadyAddresses") and selector and selector <= labels.items():
            name = service["metadata"]["name"]
            return f"not applicable: Service {name} publishes pods that are not ready, a probe too"
    return ""


def running(session: Session, name: str) -> Object:
    """Wait until the pod runs and has an address; PreconditionUnmet when it does not come up."""

    def up() -> Any:
        found = session.cluster.find("Pod", name, session.namespace) or {}
        status = found.get("status") or {}
        if status.get("phase") in ("Failed", "Succeeded"):
            raise PreconditionUnmet(f"start pod {name}", "it ended at once", "look at its image")
        return found if status.get("phase") == "Running" and status.get("podIP") else None

    try:
        found: Object = eventually(f"pod {name} to run", up, START_S, 0.5)
    except DeadlinePassed as error:
        raise PreconditionUnmet(f"start pod {name}", error.seen, "look at its events") from None
    return found
