"""A small installation in code, with every kind of workload: Flagger's copies, jobs, functions.

It passes all rows on life cycle, exposure, secrets, containers and flags, so that one change per
test can break one of them. The hardened lab (building_lab) has no functions, no Flagger, no Helm.
"""

import copy
import datetime as dt
from typing import Any

import pytest
import yaml

from acpchaos.check.posture.attestations import Attestation
from acpchaos.check.posture.view import View
from acpchaos.posture.wanted import CUSTOM
from acpchaos.record.snapshot import (
    LAST_CHANGE,
    PUBLISHED,
    PUBLISHED_PORTS,
    Answer,
    Object,
    Policy,
    Probe,
    Scope,
    Snapshot,
    WorkloadRef,
)

NOW = dt.datetime(2026, 11, 24, 12, tzinfo=dt.UTC)
ACP, FAAS = "acp-system", "acp-faas"
IMAGE = "registry.example.test/acp:2.25.0"
POD = "spec.template.spec"
CONTAINER = f"{POD}.containers[0]"
MAIN = f"Deployment {ACP}/acp"
SECRET = f"Secret {ACP}/acp-secret"
CONFIG = f"ConfigMap {ACP}/acp"
FILES = "/data/config.yaml,/data/extraconfig.yaml,/secret/config.yaml"
SETTINGS: Object = {
    "system": {"secret": "sealed:0123456789ab:43:-"},
    "secrets": [
        {"id": "sealed:1111111111aa:4:-", "key": "sealed:abcdefabcdef:32:-"},
        {"id": "sealed:2222222222bb:4:-", "key": "sealed:fedcbafedcba:32:-"},
    ],
    "redis": {"password": "sealed:00000000000a:32:-"},
    "sql": {"url": "postgres://acp:sealed:00000000000b:32:-@sql:5432/acp?sslmode=verify-full"},
}
CONFINED: Object = {
    "runAsNonRoot": True, "runAsUser": 65535, "runAsGroup": 65535,
    "readOnlyRootFilesystem": True, "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
}  # fmt: skip
ROGUE: Object = {
    "name": "rogue", "image": "registry.example.test/acp",
    "command": ["acp", "server", "start"],
    "args": ["--dev", "--swagger", "--demo", "--create-default-tenant",
             "--create-default-workspaces", "--insecure", "--config=/nowhere.yaml"],
    "env": [{"name": "FEATURES_DEV_MODE", "value": "true"},
            {"name": "SYSTEM_SECRET", "value": "sealed:0badc0de0000:8:docs-secret-1"},
            {"name": "SECRET_KEY", "value": "sealed:0badc0de0001:6:-"},
            {"name": "SERVER_DISABLE_CSRF", "value": "true"}],
    "ports": [{"containerPort": 9000, "hostPort": 9000}],
    "securityContext": {
        "privileged": True, "allowPrivilegeEscalation": True, "runAsUser": 0, "runAsGroup": 0,
        "runAsNonRoot": False, "readOnlyRootFilesystem": False, "capabilities": {"add": ["ALL"]},
        "seccompProfile": {"type": "Unconfined"},
    },
}  # fmt: skip
_POD_CONTEXT: Object = {"fsGroup": 65535, "seccompProfile": {"type": "RuntimeDefault"}}
STORES = {"redis": "redis-cluster", "sql": "postgresql", "analytics": "timescaledb"}


def installation() -> Snapshot:
    """A new one each time; a test may change it."""
    objects: dict[str, list[Object]] = {
        **{kind: [] for kind in CUSTOM}, "DaemonSet": [],
        "Deployment": [
            _workload("Deployment", "acp"), _workload("Deployment", "acp-primary"),
            _workload("Deployment", "acp-workers"), _workload("Deployment", "acp-workers-primary"),
            _function(),
        ],
        "StatefulSet": [_store(name) for name in STORES.values()],
        "Job": [_job()],
        "CronJob": [_cron_job()],
        "ConfigMap": [_config_map()],
        "Secret": [*_secrets(), release()],
        "Service": [_service()],
        "Ingress": [_ingress()],
        "HTTPProxy": [],
        "Namespace": [_namespace(ACP), _namespace(FAAS)],
        "Kustomization": [],
    }  # fmt: skip
    objects["Pod"] = [_pod_of(each) for each in objects["Deployment"]]
    told = dict.fromkeys(("dev_mode", "swagger_ui", "demo_app", "insecure_disable_csrf"), False)
    return Snapshot(
        source="live",
        taken_at=NOW.isoformat(),
        scope=_scope(),
        objects=objects,
        answers={"/acme/main/environment": Answer(status=200, body={**told, "version": "2.25.0"})},
        probes={
            "controller acp:8443": Probe(outcome="open"),
            **{f"{PUBLISHED}{port}": Probe(outcome="blocked") for port in PUBLISHED_PORTS},
        },
    )


def attest(monkeypatch: pytest.MonkeyPatch, date: str = "2026-11-24") -> None:
    """A valid attestation of every row, of this day."""
    made = Attestation(row="any", date=dt.date.fromisoformat(date), owner="sre", text="seen")
    monkeypatch.setattr(View, "attestation", lambda _view, _row: made)


def before(**past: int) -> str:
    """A time before the snapshot, as the API server writes it."""
    return f"{NOW - dt.timedelta(**past):%Y-%m-%dT%H:%M:%SZ}"


# places in it, to be changed


def pod_spec(snapshot: Snapshot, name: str = "acp", kind: str = "Deployment") -> Object:
    """The pod spec of a workload."""
    found = next(each for each in snapshot.objects[kind] if each["metadata"]["name"] == name)
    spec: Object = found["spec"]
    spec = spec["jobTemplate"]["spec"] if kind == "CronJob" else spec
    made: Object = spec["template"]["spec"]
    return made


def container(snapshot: Snapshot, name: str = "acp", kind: str = "Deployment") -> Object:
    """The first container of a workload."""
    found: Object = pod_spec(snapshot, name, kind)["containers"][0]
    return found


def configure(snapshot: Snapshot, settings: Any, key: str = "extraconfig.yaml") -> None:
    """Other settings, or text, in a file of the ConfigMap."""
    text = settings if isinstance(settings, str) else yaml.safe_dump(settings)
    snapshot.objects["ConfigMap"][0]["data"][key] = text


def seal(snapshot: Snapshot, **changes: Any) -> None:
    """Other sections in the settings file of the Secret; None removes one."""
    settings = {k: v for k, v in {**SETTINGS, **changes}.items() if v is not None}
    snapshot.objects["Secret"][0]["data"]["config.yaml"] = yaml.safe_dump(settings)


# what it is made of


def _scope() -> Scope:
    def ref(kind: str, name: str, holder: str = "") -> WorkloadRef:
        return WorkloadRef(kind=kind, name=name, selector=f"app={name}", container=holder or name)

    workloads = {role: ref("StatefulSet", name) for role, name in STORES.items()}
    workloads["acp"] = ref("Deployment", "acp")
    workloads["workers"] = ref("Deployment", "acp-workers", "acp")
    return Scope(profile="made", workloads=workloads, policy=Policy(minimum_version="2.24"))


def _acp_container(name: str, args: list[str]) -> Object:
    return {
        "name": name, "image": IMAGE, "args": [*args, "--config", FILES],
        "env": [{"name": "SQL_MIGRATIONS_DISABLE", "value": "true"}],
        "ports": [{"name": "http", "containerPort": 8443}],
        "securityContext": copy.deepcopy(CONFINED),
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"}, {"name": "secret", "mountPath": "/secret"},
            {"name": "tls", "mountPath": "/tls"},
        ],
    }  # fmt: skip


def _spec(*made: Object, init: tuple[Object, ...] = ()) -> Object:
    return {
        "securityContext": copy.deepcopy(_POD_CONTEXT),
        "initContainers": list(init),
        "containers": list(made),
        "volumes": [
            {"name": "data", "configMap": {"name": "acp"}},
            {"name": "secret", "secret": {"secretName": "acp-secret"}},
            {"name": "tls", "projected": {"sources": [{"secret": {"name": "acp-tls"}}]}},
        ],
    }


def _meta(name: str, namespace: str = ACP) -> Object:
    return {
        "name": name, "namespace": namespace, "labels": {},
        "annotations": {LAST_CHANGE: before(days=2)},
    }  # fmt: skip


def _controlled(kind: str, name: str, spec: Object, namespace: str = ACP) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": spec}
    whole = {"selector": {"matchLabels": labels}, "template": template}
    return {"kind": kind, "metadata": _meta(name, namespace), "spec": whole}


def _workload(kind: str, name: str) -> Object:
    wait = {"name": "wait", "image": "registry.example.test/wait:1.2", "command": ["wait"],
            "securityContext": copy.deepcopy(CONFINED)}  # fmt: skip
    main = _acp_container("acp", ["server", "start", "--metrics"])
    return _controlled(kind, name, _spec(main, init=(wait,)))


def _job() -> Object:
    migrate = _acp_container("migrate", ["sql", "migrate"])
    spec = _spec(_acp_container("configure", ["sql", "configure"]), init=(migrate,))
    return _controlled("Job", "acp-migrate", spec)


def _cron_job() -> Object:
    job = _controlled("Job", "acp-export", _spec(_acp_container("export", ["export"])))
    spec = {"schedule": "@daily", "jobTemplate": {"spec": job["spec"]}}
    return {"kind": "CronJob", "metadata": _meta("acp-export"), "spec": spec}


def _function() -> Object:
    node = {"name": "node", "image": "registry.example.test/faas-node:5.1",
            "securityContext": copy.deepcopy(CONFINED)}  # fmt: skip
    spec = {"securityContext": copy.deepcopy(_POD_CONTEXT), "containers": [node]}
    return _controlled("Deployment", "acp-faas-node-v5", spec, FAAS)


def _store(name: str) -> Object:
    main = {"name": name, "image": f"registry.example.test/{name}:1.0", "command": ["serve"],
            "securityContext": copy.deepcopy(CONFINED)}  # fmt: skip
    spec = {"securityContext": copy.deepcopy(_POD_CONTEXT), "containers": [main]}
    return _controlled("StatefulSet", name, spec)


def _config_map() -> Object:
    config = {"server": {"port": 8443}, "features": {"dev_mode": False, "swagger_ui": False}}
    data = {
        "config.yaml": yaml.safe_dump(config),
        "extraconfig.yaml": "redis: {redis_search: on}\n",
    }
    return {"kind": "ConfigMap", "metadata": _meta("acp"), "data": data}


def _secrets() -> list[Object]:
    tls = {"tls.crt": "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n",
           "tls.key": "sealed:00000000000c:1704:-"}  # fmt: skip
    files = {"config.yaml": yaml.safe_dump(SETTINGS)}
    return [
        {"kind": "Secret", "type": "Opaque", "metadata": _meta("acp-secret"), "data": files},
        {"kind": "Secret", "type": "kubernetes.io/tls", "metadata": _meta("acp-tls"), "data": tls},
    ]


def release(revision: int = 3, **facts: Any) -> Object:
    """The facts of a Helm release, as a snapshot keeps them."""
    told = {
        "chart": {"name": "acp", "version": "2.25.0"}, "app_version": "2.25.0",
        "status": "deployed", "revision": revision, "last_deployed": before(days=2),
        "values": {"secretConfig": {"create": False}}, **facts,
    }  # fmt: skip
    meta = _meta(f"sh.helm.release.v1.acp.v{revision}")
    data = {"derived": yaml.safe_dump(told)}
    return {"kind": "Secret", "type": "helm.sh/release.v1", "metadata": meta, "data": data}


def _service() -> Object:
    ports = [
        {"name": "http", "port": 8443, "targetPort": "http"},
        {"name": "metrics", "port": 9000, "targetPort": "metrics"},
    ]
    spec = {"type": "ClusterIP", "selector": {"app": "acp-primary"}, "ports": ports}
    return {"kind": "Service", "metadata": _meta("acp"), "spec": spec}


def _ingress() -> Object:
    path = {"path": "/", "backend": {"service": {"name": "acp", "port": {"name": "http"}}}}
    rules = [{"host": "acp.example.test", "http": {"paths": [path]}}]
    return {"kind": "Ingress", "metadata": _meta("acp"), "spec": {"rules": rules}}


def _namespace(name: str) -> Object:
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    return {"kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def _pod_of(deployment: Object) -> Object:
    meta, spec = deployment["metadata"], copy.deepcopy(deployment["spec"]["template"]["spec"])
    labels = dict(deployment["spec"]["template"]["metadata"]["labels"])
    ran = [{"name": each["name"], "imageID": f"sha256:{each['image']}"} for each in
           spec["containers"]]  # fmt: skip
    return {
        "kind": "Pod",
        "metadata": {
            "name": f"{meta['name']}-x",
            "namespace": meta["namespace"],
            "labels": labels,
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"{meta['name']}-1"}],
        },
        "spec": spec,
        "status": {"phase": "Running", "startTime": before(days=1), "containerStatuses": ran},
    }
