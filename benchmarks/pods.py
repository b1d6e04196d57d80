"""Pods as a busy cluster has them, 5 kB of JSON each, the same bytes every time."""

import json
from typing import Any

NAMESPACE = "acp-system"


def pod(number: int, version: int, restarts: int = 0) -> dict[str, Any]:
    """With labels, environment, probes, volumes, conditions and managedFields."""
    name, moment = f"acp-{number // 7:05d}-{number % 9973:05x}", "2026-11-28T10:00:00Z"
    labels = {"app.kubernetes.io/name": f"app-{number % 40}", "pod-template-hash": f"{number:x}"}
    probe = {"httpGet": {"path": "/alive", "port": "http", "scheme": "HTTPS"},
             "initialDelaySeconds": 5, "periodSeconds": 10, "timeoutSeconds": 3}  # fmt: skip
    return {
        "metadata": {
            "name": name, "generateName": "acp-", "namespace": NAMESPACE,
            "uid": f"5f0c{number:08x}-0000-4000-8000-000000000000",
            "resourceVersion": str(version), "creationTimestamp": moment, "labels": labels,
            "annotations": {"checksum/config": "ab" * 32, "prometheus.io/scrape": "true"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "acp-7",
                                 "uid": "b" * 36, "controller": True}],
            "managedFields": [_managed(who, moment) for who in ("kube-controller", "kubelet")],
        },
        "spec": {
            "volumes": [{"name": "config", "configMap": {"name": "acp", "defaultMode": 420}}],
            "containers": [{
                "name": "acp", "image": "registry.example/acp:2.25.0", "args": ["server", "start"],
                "ports": [{"name": "http", "containerPort": 8443, "protocol": "TCP"}],
                "env": [{"name": f"ACP_{n}", "value": "x" * 12} for n in range(8)],
                "resources": {"limits": {"memory": "2Gi"}, "requests": {"cpu": "1"}},
                "livenessProbe": probe, "readinessProbe": probe,
                "volumeMounts": [{"name": "config", "mountPath": "/data", "readOnly": True}],
            }],
            "restartPolicy": "Always", "nodeName": f"worker-{number % 200}",
            "serviceAccountName": "acp", "schedulerName": "default-scheduler",
            "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists",
                             "effect": "NoExecute", "tolerationSeconds": 300}],
        },
        "status": {
            "phase": "Running", "hostIP": "10.9.0.7", "podIP": "10.244.1.9", "startTime": moment,
            "conditions": [{"type": kind, "status": "True", "lastProbeTime": None,
                            "lastTransitionTime": moment} for kind in
                           ("Initialized", "Ready", "ContainersReady", "PodScheduled")],
            "containerStatuses": [{
                "name": "acp", "ready": True, "restartCount": restarts, "started": True,
                "image": "registry.example/acp:2.25.0", "imageID": "sha256:" + "c" * 64,
                "containerID": "containerd://" + "d" * 64,
                "state": {"running": {"startedAt": moment}}, "lastState": {},
            }],
            "qosClass": "Burstable",
        },
    }  # fmt: skip


def body(count: int) -> bytes:
    """The answer to a list of `count` pods."""
    items = [pod(number, number + 1) for number in range(count)]
    metadata = {"resourceVersion": str(count)}
    return json.dumps(
        {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items},
        separators=(",", ":"),
    ).encode()


def _managed(manager: str, moment: str) -> dict[str, Any]:
    """Who set which field, as server-side apply keeps it."""
    names = ("containers", "dnsPolicy", "restartPolicy", "volumes", "conditions", "hostIP",
             "phase", "podIP", "startTime", "tolerations", "affinity")  # fmt: skip
    fields = {f"f:{name}": {".": {}, "f:name": {}, "f:value": {}} for name in names}
    return {
        "manager": manager, "operation": "Update", "apiVersion": "v1", "time": moment,
        "fieldsType": "FieldsV1", "fieldsV1": {"f:metadata": fields, "f:spec": fields},
    }  # fmt: skip
