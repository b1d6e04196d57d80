"""Raw Kubernetes objects with one secret in all the places where people put secrets."""

import base64
import gzip
import json
from typing import Any
from urllib.parse import quote

import yaml

from acpchaos.posture.wanted import CUSTOM
from acpchaos.record.snapshot import Object
from acpchaos.target.kinds import KINDS

NAMESPACE = "acp-system"


def encoded(text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    return base64.b64encode(data).decode()


def raw(kind: str, name: str, **content: Any) -> Object:
    """An object as a manifest has it."""
    meta = {"name": name, "namespace": NAMESPACE, "annotations": content.pop("annotations", {})}
    return {"apiVersion": _version(kind), "kind": kind, "metadata": meta, **content}


def _version(kind: str) -> str:
    if kind in CUSTOM:
        return f"{CUSTOM[kind][0]}/v1"
    return KINDS[kind].api.removeprefix("apis/").removeprefix("api/")


def release(config: Object, *, chart: str = "acp", defaults: Object | None = None) -> Object:
    """A Helm release Secret as Helm 3 stores it."""
    content = {
        "name": "acp", "version": 3, "config": config,
        "info": {"status": "deployed", "last_deployed": "2025-01-31T10:00:00Z"},
        "chart": {
            "metadata": {"name": chart, "version": "2.25.0", "appVersion": "2.25.0"},
            "values": defaults or {}, "templates": [],
        },
        "manifest": json.dumps(config),
    }  # fmt: skip
    packed = encoded(gzip.compress(json.dumps(content).encode()))
    labels = {"owner": "helm", "status": "deployed", "name": "acp", "version": "3"}
    made = raw("Secret", "sh.helm.release.v1.acp.v3", type="helm.sh/release.v1")
    made["metadata"]["labels"] = labels
    return made | {"data": {"release": encoded(packed)}}


def settings(secret: str) -> Object:
    """ACP's settings with the secret at every place of theirs."""
    return {
        "system": {"secret": secret},
        "secrets": [{"id": "one", "key": secret}],
        "sql": {"url": f"postgres://acp:{quote(secret, safe='')}@db:5432/acp?sslmode=disable"},
        "redis": {"password": secret, "addrs": ["redis:6379"]},
        "server": {"port": 8443},
    }


def secrets(secret: str) -> list[Object]:
    """Secrets that hold it: plain, in settings, in a URL, as stringData, in a release."""
    applied = json.dumps({"stringData": {"password": secret}})
    annotation = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    files = yaml.safe_dump(settings(secret), allow_unicode=True)
    return [
        raw("Secret", "plain", data={"password": encoded(secret)}, annotations=annotation),
        raw("Secret", "string", stringData={"any": secret}),
        raw("Secret", "acp-secret", data={"config.yaml": encoded(files)}),
        raw("Secret", "json", data={"x.json": encoded(json.dumps({"deep": [{"er": secret}]}))}),
        raw("Secret", "url", data={"dsn": encoded(settings(secret)["sql"]["url"])}),
        release({"redis": {"password": secret}}),
    ]


def others(secret: str) -> list[Object]:
    """Objects that should not hold it, and do."""
    url = settings(secret)["sql"]["url"]
    told = {
        "config.yaml": yaml.safe_dump(settings(secret), allow_unicode=True),
        "config.json": json.dumps(settings(secret)),
        "flow.yaml": f"a: {{token: {json.dumps(secret)}, b: 1}} # as before\n",
        "REDIS_PASSWORD": secret,
    }
    container = {
        "name": "acp", "image": "acp:2.25.0",
        "args": [f"--secret-key={secret}", "--secret.key", f"{secret}", f"--sql.url={url}"],
        "env": [{"name": "SYSTEM_SECRET", "value": secret}, {"name": "SQL_URL", "value": url}],
        "livenessProbe": {"httpGet": {"httpHeaders": [{"name": "Authorization", "value": secret}]}},
    }  # fmt: skip
    pods = {"metadata": {}, "spec": {"containers": [container]}}
    return [
        raw("ConfigMap", "acp", data=told, binaryData={"blob": encoded(secret)}),
        raw("Deployment", "acp", spec={"template": pods},
            annotations={"example.test/token": secret, "example.test/url": url}),
        raw("Pod", "acp-1", **pods),
        raw("HelmRelease", "acp", spec={"values": settings(secret)}),
    ]  # fmt: skip


def answer(secret: str) -> Object:
    """A client as the management API tells it."""
    return {"clients": [{"client_id": "a", "client_secret": secret, "secret": secret}]}
