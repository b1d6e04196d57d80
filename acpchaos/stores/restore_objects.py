"""Objects of a restore drill, made from the live ones: same image, settings and keys, new place.

Room: stores. Pure: live objects in, objects of the drill's namespace out. Nothing but the namespace
is invented, so that what the drill proves is true of the installation it was copied from.
"""

import base64
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

Object = dict[str, Any]
Edit = Callable[[str, str], str]  # key and text of one value to the text to use

DATA = "/data/pg"
RESTORE_LABEL = "acpchaos.io/restore"
REDIS = "redis-cluster"
# The leader's file settings come back with the backup; these would make a single server wait for
# partners, or archive into the repository it was restored from.
_STANDALONE = (
    "archive_mode=off", "synchronous_standby_names=", "primary_conninfo=", "primary_slot_name=",
)  # fmt: skip


def namespace_object(name: str, run_id: str) -> Object:
    """The namespace that holds the whole drill; deleting it is the clean-up."""
    labels = {RESTORE_LABEL: "true", "acpchaos.io/allowed": "true", "acpchaos.io/run": run_id}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels},
    }


def references(pod_spec: Object) -> set[tuple[str, str]]:
    """Secrets and ConfigMaps that a pod needs, as (kind, name)."""
    found = set()
    for volume in pod_spec.get("volumes") or []:
        if "secret" in volume:
            found.add(("Secret", volume["secret"]["secretName"]))
        if "configMap" in volume:
            found.add(("ConfigMap", volume["configMap"]["name"]))
        # ACP's chart mounts its certificate this way; without it the pod waits for ever
        for source in (volume.get("projected") or {}).get("sources") or []:
            for kind, key in (("Secret", "secret"), ("ConfigMap", "configMap")):
                found |= {(kind, source[key]["name"])} if key in source else set()
    for container in _containers(pod_spec):
        sources = [*(container.get("envFrom") or [])]
        sources += [each.get("valueFrom") or {} for each in container.get("env") or []]
        for source in sources:
            for kind, keys in (
                ("Secret", ("secretRef", "secretKeyRef")),
                ("ConfigMap", ("configMapRef", "configMapKeyRef")),
            ):
                found |= {(kind, source[key]["name"]) for key in keys if key in source}
    return found


def _containers(pod_spec: Object) -> Iterator[Object]:
    yield from pod_spec.get("initContainers") or []
    yield from pod_spec["containers"]


def copied(kind: str, live: Object, namespace: str, edit: Edit) -> Object:
    """A Secret or ConfigMap in another namespace, each text value passed through `edit`."""
    copy: Object = {
        "apiVersion": "v1",
        "kind": kind,
        "metadata": {"name": live["metadata"]["name"], "namespace": namespace},
    }
    if kind == "Secret":
        copy["type"] = live.get("type", "Opaque")
    for key, value in (live.get("data") or {}).items():
        text = base64.b64decode(value).decode() if kind == "Secret" else value
        edited = edit(key, text)
        if kind == "Secret":
            edited = base64.b64encode(edited.encode()).decode()
        copy.setdefault("data", {})[key] = edited
    return copy


def at_home(source: str) -> Edit:
    """Names of services in namespace `source` become short, so that the copy finds its own."""

    def edit(_: str, text: str) -> str:
        for suffix in (f".{source}.svc.cluster.local", f".{source}.svc", f".{source}:"):
            text = text.replace(suffix, ":" if suffix.endswith(":") else "")
        return text

    return edit


def service(name: str, namespace: str, port: int) -> Object:
    """A Service for the drill's pods of this name."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "selector": {"drill": name},
            "publishNotReadyAddresses": True,
            "ports": [{"port": port, "targetPort": port}],
        },
    }


def database_pod(
    live: Object, container: str, namespace: str, name: str, repo: int, label: str
) -> Object:
    """A pod that restores one backup and then serves it, from the live StatefulSet.

    It never restarts, so a restore that fails stays visible as a failed pod.
    """
    template = live["spec"]["template"]["spec"]
    base = deepcopy(next(each for each in template["containers"] if each["name"] == container))
    volumes, mounts = _volumes(template, base, live)
    kept = {key: base[key] for key in ("image", "imagePullPolicy", "envFrom") if key in base}
    kept |= {"volumeMounts": mounts, "securityContext": base.get("securityContext", {})}
    kept["env"] = [e for e in base.get("env") or [] if e["name"].startswith("PGBACKREST")]
    kept["terminationMessagePolicy"] = "FallbackToLogsOnError"
    restore = [
        "pgbackrest", "--stanza=acp", f"--repo={repo}", f"--set={label}",
        "--type=immediate", "--target-action=promote", "restore",
    ]  # fmt: skip
    serve = ["/usr/lib/postgresql/17/bin/postgres", "-D", DATA]
    serve += [word for setting in _STANDALONE for word in ("-c", setting)]
    probe = {
        "exec": {"command": ["psql", "-U", "postgres", "-tAc", "SELECT NOT pg_is_in_recovery()"]},
        "periodSeconds": 2,
        "timeoutSeconds": 5,
        "failureThreshold": 300,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"drill": name}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 5,
            "securityContext": template.get("securityContext", {}),
            "volumes": volumes,
            "initContainers": [{"name": "restore", "command": restore, **kept}],
            "containers": [
                {"name": container, "command": serve, "readinessProbe": probe, **deepcopy(kept)}
            ],
        },
    }


def _volumes(template: Object, base: Object, live: Object) -> tuple[list[Object], list[Object]]:
    """Claims become scratch space; what only Patroni needs is left out."""
    claims = {c["metadata"]["name"] for c in live["spec"].get("volumeClaimTemplates") or []}
    volumes = [
        volume
        for volume in template.get("volumes") or []
        if "patroni" not in volume.get("configMap", {}).get("name", "")
    ]
    volumes += [{"name": name, "emptyDir": {}} for name in sorted(claims)]
    names = {volume["name"] for volume in volumes}
    return deepcopy(volumes), [m for m in base.get("volumeMounts") or [] if m["name"] in names]


def redis_pod(live: Object, container: str, namespace: str) -> Object:
    """An empty Redis Cluster of one node, so that the drill shares no session with the live one."""
    template = live["spec"]["template"]["spec"]
    base = deepcopy(next(each for each in template["containers"] if each["name"] == container))
    claims = {c["metadata"]["name"] for c in live["spec"].get("volumeClaimTemplates") or []}
    volumes = deepcopy(template.get("volumes") or [])
    volumes += [{"name": name, "emptyDir": {}} for name in sorted(claims)]
    own = {key: base[key] for key in ("name", "image", "env", "volumeMounts") if key in base}
    own["securityContext"] = base.get("securityContext", {})
    own["command"] = ["sh", "-c", _ONE_NODE]
    own["readinessProbe"] = {
        "exec": {"command": ["sh", "-c", f"{_ASK} CLUSTER INFO | grep -q cluster_state:ok"]},
        "periodSeconds": 2,
        "timeoutSeconds": 5,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": REDIS, "namespace": namespace, "labels": {"drill": REDIS}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 5,
            "securityContext": template.get("securityContext", {}),
            "volumes": volumes,
            "containers": [own],
        },
    }


_ASK = "redis-cli -e --tls --cacert /tls/ca.crt"
_ONE_NODE = f"""umask 077; cd /data
cat >/tmp/drill.conf <<CONF
port 0
tls-port 6379
tls-cert-file /tls/tls.crt
tls-key-file /tls/tls.key
tls-ca-cert-file /tls/ca.crt
tls-auth-clients no
tls-cluster yes
requirepass $REDISCLI_AUTH
cluster-enabled yes
cluster-announce-ip $POD_IP
CONF
(until {_ASK} CLUSTER ADDSLOTSRANGE 0 16383; do sleep 1; done) &
exec redis-server /tmp/drill.conf
"""


def acp_deployment(live: Object, namespace: str) -> Object:
    """One replica of the live ACP: its image, arguments and mounts, free to run on any node."""
    pod = deepcopy(live["spec"]["template"]["spec"])
    for key in (
        "affinity", "topologySpreadConstraints", "nodeSelector", "serviceAccountName",
        "serviceAccount", "priorityClassName",
    ):  # fmt: skip
        pod.pop(key, None)
    pod["automountServiceAccountToken"] = False
    labels = {"drill": "acp"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "acp", "namespace": namespace, "labels": labels},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
