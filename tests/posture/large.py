"""A large cluster as a snapshot folder: thousands of pods, hundreds of NetworkPolicies.

What is small is recorded from the lab; each ninth pod more is one of ACP's, with its handshake, so
that no row gives up early. `make bench` judges it (benchmarks/review.py); by hand:
python -m tests.posture.large FOLDER, then acpchaos posture --snapshot FOLDER.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from acpchaos.posture.redaction import Sealer
from acpchaos.posture.sealing import sealed_object
from acpchaos.posture.wanted import CUSTOM, KINDS
from acpchaos.record import snapshot
from acpchaos.record.snapshot import Object, Served, Snapshot

RECORDED = Path(__file__).parent / "hardened"
PODS, POLICIES = 5_000, 500
NAMESPACE = "acp-system"


def pod(number: int) -> Object:
    """A pod as the API server tells it, with the usual clutter; each ninth is one of ACP's."""
    app = "acp" if number % 9 == 0 else f"team-{number % 40}"
    labels = {"app.kubernetes.io/name": app, "app.kubernetes.io/instance": app}
    name = f"{app}-7d9c6b5f4-{number:05}"
    container = {
        "name": app, "image": f"registry.test/{app}:2.25.0", "imagePullPolicy": "IfNotPresent",
        "args": ["server", "start", "--metrics", "--config", "/data/config.yaml"],
        "env": [{"name": f"SETTING_{each}", "value": f"value-{each}"} for each in range(8)]
        + [{"name": "REDIS_PASSWORD", "value": f"Pa55-{number}-word"}],
        "ports": [{"name": "http", "containerPort": 8443, "protocol": "TCP"}],
        "resources": {"requests": {"cpu": "100m"}},
        "livenessProbe": {"httpGet": {"path": "/alive", "port": "http"}},
        "securityContext": {"runAsNonRoot": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
        "terminationMessagePath": "/dev/termination-log",
    }  # fmt: skip
    volume = {"name": "data", "configMap": {"name": app, "defaultMode": 420}}
    status = {
        "name": app, "image": container["image"], "imageID": f"sha256:{number:064x}",
        "ready": True, "restartCount": 0, "containerID": f"containerd://{number:064x}",
        "state": {"running": {"startedAt": "2025-01-01T00:00:00Z"}},
    }  # fmt: skip
    return {
        "metadata": {
            "name": name, "namespace": NAMESPACE, "uid": f"{number:036}", "labels": labels,
            "creationTimestamp": "2025-01-01T00:00:00Z",
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"{app}-7d9c6b5f4", "uid": "u"}],
            "managedFields": [{"time": "2025-01-01T00:00:00Z", "fieldsV1": {"f:x": {}}}],
        },
        "spec": {
            "containers": [container, {**container, "name": "sidecar"}],
            "initContainers": [{**container, "name": "init"}], "volumes": [volume],
            "nodeName": f"node-{number % 200}", "serviceAccountName": app,
            "tolerations": [{"key": "a", "operator": "Exists"}] * 3, "priority": 0,
            "securityContext": {"fsGroup": 65535},
        },
        "status": {
            "phase": "Running", "startTime": "2025-01-01T00:00:00Z",
            "podIP": f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}",
            "hostIP": f"10.200.0.{number % 200}",
            "conditions": [{"type": "Ready", "status": "True"}] * 4,
            "containerStatuses": [status, status],
        },
    }  # fmt: skip


def policy(number: int) -> Object:
    """A policy of one team; a tenth select ACP's pods."""
    app = "acp" if number % 10 == 0 else f"team-{number % 40}"
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": f"ns-{number}"}},
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["a"]}]},
    }
    block = {"ipBlock": {"cidr": f"10.{number % 250}.0.0/16", "except": ["10.1.1.0/24"]}}
    ports = [{"port": 8443, "protocol": "TCP"}, {"port": 9000}]
    return {
        "metadata": {"name": f"policy-{number}", "namespace": NAMESPACE},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": app}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [peer, block], "ports": ports}] * 3,
            "egress": [{"to": [peer, block], "ports": ports}] * 3,
        },
    }


def objects(pods: int, policies: int) -> Iterator[tuple[str, Object]]:
    """(kind, raw object), one at a time."""
    yield from (("Pod", pod(number)) for number in range(pods))
    yield from (("NetworkPolicy", policy(number)) for number in range(policies))


def write(small: Snapshot, folder: Path, pods: int = PODS, policies: int = POLICIES) -> Path:
    """`small` with that many pods and policies more, written as a snapshot folder."""
    sealer = Sealer()
    every: dict[str, list[Object]] = {kind: [] for kind in CUSTOM}  # that the lab had none of
    every |= {kind: list(found) for kind, found in small.objects.items()}
    for kind, each in objects(pods, policies):
        every.setdefault(kind, []).append(sealed_object(kind, each, sealer))
    served = [*small.served, *_handshakes(small, pods)]
    return snapshot.write(msgspec.structs.replace(small, objects=every, served=served), folder)


def _handshakes(small: Snapshot, pods: int) -> list[Served]:
    """What ACP's pods more serve: the same as one that was recorded."""
    model = next((each for each in small.served if each.where.startswith("pod ")), None)
    names = [pod(number)["metadata"]["name"] for number in range(0, pods, 9)] if model else []
    place = f"pod {NAMESPACE}/{{}}:8443".format
    return [msgspec.structs.replace(model, where=place(name)) for name in names if model]


def bare() -> Snapshot:
    """Nothing but the kinds."""
    return Snapshot(
        source="live", taken_at="2025-01-01T00:00:00Z", scope=snapshot.Scope(profile="large"),
        objects={kind: [] for kind in ("Secret", *KINDS, *CUSTOM)},
    )  # fmt: skip


if __name__ == "__main__":
    write(snapshot.read(RECORDED), Path(sys.argv[1]))
