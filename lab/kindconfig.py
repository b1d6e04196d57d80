"""What the cluster looks like, as kind's configuration document: nodes, zones, ports, audit log,
encryption at rest.

Pure: facts in, document out. Zones are labels on workers only; the control plane stands outside of
every zone.
"""

import base64
import secrets
from pathlib import Path

import yaml

ZONES = ("zone-a", "zone-b", "zone-c")
INGRESS_NODE_PORT = 8443
_INSIDE = "/etc/kubernetes/acpchaos"

_CHANGES = ["create", "update", "patch", "delete", "deletecollection"]
# accounts whose every call is evidence: that of `make safety-lab`, and the reaper's
ACCOUNTS = ("acpchaos", "acpchaos-reaper")
ACCOUNTS_NAMESPACE = "acpchaos"
_AUDIT_POLICY: dict[str, object] = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {
            "level": "Metadata",
            "users": [f"system:serviceaccount:{ACCOUNTS_NAMESPACE}:{name}" for name in ACCOUNTS],
        },
        {  # who holds the target
            "level": "Metadata",
            "verbs": _CHANGES,
            "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
            "namespaces": ["acp-system"],
        },
        # other leases and events are the cluster's heart-beat: many, and no evidence of anything
        {"level": "None", "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
        {
            "level": "None",
            "resources": [
                {"group": group, "resources": ["events"]} for group in ("", "events.k8s.io")
            ],
        },
        {"level": "Metadata", "verbs": _CHANGES},
        {"level": "None"},
    ],
}
_AUDIT_ARGS = {
    "audit-policy-file": f"{_INSIDE}/audit-policy.yaml",
    "audit-log-path": "/var/log/kubernetes/audit.log",
    "audit-log-maxsize": "50",
    "audit-log-maxbackup": "2",
    "encryption-provider-config": f"{_INSIDE}/encryption.yaml",
    # the file is read again within a minute: HARD-19 is broken and mended without a new start
    "encryption-provider-config-automatic-reload": "true",
}


def write_control_plane_files(folder: Path) -> None:
    """Audit policy and encryption key that the API server mounts; the key is kept while the folder
    lives.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "audit-policy.yaml").write_text(yaml.safe_dump(_AUDIT_POLICY))
    encryption = folder / "encryption.yaml"
    if not encryption.exists():
        encryption.touch(mode=0o600)
        encryption.write_text(yaml.safe_dump(_encryption(secrets.token_bytes(32))))


def _encryption(key: bytes) -> dict[str, object]:
    keys = [{"name": "lab", "secret": base64.b64encode(key).decode()}]
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [
            {
                "resources": ["secrets"],
                "providers": [{"secretbox": {"keys": keys}}, {"identity": {}}],
            }
        ],
    }


CONTROL_PLANES = {"default": 1, "full": 3}


def node_count(size: str) -> int:
    """Node containers of a lab; more than one control plane needs a balancer, a container, too."""
    control_planes = CONTROL_PLANES[size]
    return control_planes + len(ZONES) + (control_planes > 1)


def render(*, size: str, ingress_port: int, control_plane_files: Path) -> dict[str, object]:
    """kind's document for a size (`default` or `full`: three control-plane nodes)."""
    nodes: list[dict[str, object]] = [
        _control_plane(control_plane_files) for _ in range(CONTROL_PLANES[size])
    ]
    nodes[0]["extraPortMappings"] = [
        {
            "containerPort": INGRESS_NODE_PORT,
            "hostPort": ingress_port,
            "listenAddress": "127.0.0.1",
            "protocol": "TCP",
        }
    ]
    nodes[0]["labels"] = {"acpchaos.io/ingress": "true"}
    for zone in ZONES:
        labels = {"topology.kubernetes.io/zone": zone, "topology.kubernetes.io/region": "local"}
        nodes.append({"role": "worker", "labels": labels})
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {
            "disableDefaultCNI": True,
            "kubeProxyMode": "nftables",
            "apiServerAddress": "127.0.0.1",
        },
        "nodes": nodes,
        "kubeadmConfigPatches": [yaml.safe_dump(patch) for patch in _patches()],
    }


def _control_plane(files: Path) -> dict[str, object]:
    mount = {"hostPath": str(files), "containerPath": _INSIDE, "readOnly": True}
    return {"role": "control-plane", "extraMounts": [mount]}


def _patches() -> list[dict[str, object]]:
    volumes = [
        {"name": "acpchaos", "hostPath": _INSIDE, "mountPath": _INSIDE, "readOnly": True},
        {"name": "audit", "hostPath": "/var/log/kubernetes", "mountPath": "/var/log/kubernetes"},
    ]
    arguments = [{"name": name, "value": value} for name, value in _AUDIT_ARGS.items()]
    # the host may still have version 1 control groups; node limits may not be raised by kube-proxy
    untouched = {
        "maxPerCore": 0,
        "min": 0,
        "tcpEstablishedTimeout": "0s",
        "tcpCloseWaitTimeout": "0s",
    }
    return [
        {
            "kind": "ClusterConfiguration",
            "apiServer": {"extraArgs": arguments, "extraVolumes": volumes},
        },
        {"kind": "KubeletConfiguration", "failCgroupV1": False},
        {"kind": "KubeProxyConfiguration", "conntrack": untouched},
    ]
