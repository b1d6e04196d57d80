"""Kubernetes objects made fit for a snapshot: no secret in them, and nothing that no rule reads.

Room: posture. Pure: a raw object in, a small one out. Secrets must be sealed first, so that the
values they hold are found wherever else they stand. It must not know where objects come from.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from functools import partial
from typing import Any

import yaml

from acpchaos.posture import helm
from acpchaos.posture.documents import (
    LOADER,
    Change,
    expands,
    sealed_document,
    sealed_tree,
    sealed_value,
)
from acpchaos.posture.redaction import Sealer, names_a_secret
from acpchaos.record.snapshot import LAST_CHANGE, Object

_DROPPED_ANNOTATIONS = {"kubectl.kubernetes.io/last-applied-configuration"}
_META = ("name", "namespace", "labels", "creationTimestamp", "deletionTimestamp", "generation")
_OWNER = ("kind", "name", "controller")
_STATUS = {
    "Node": ("addresses", "nodeInfo"),
    "Service": ("loadBalancer",),
    "Ingress": ("loadBalancer",),
    "Certificate": ("conditions", "notBefore", "notAfter", "renewalTime", "revision"),
    "HTTPProxy": ("currentStatus", "description", "loadBalancer"),
    "SealedSecret": ("conditions",),
    "ExternalSecret": ("conditions",),
    "Kustomization": ("conditions",),
    "HelmRelease": ("conditions",),
}
_POD_STATUS = ("phase", "startTime", "podIP", "podIPs", "hostIP")
_CONTAINER_STATUS = ("name", "image", "imageID", "ready", "restartCount")
# of a pod only; the workload that made it keeps them
_POD_SCHEDULING = (
    "affinity", "dnsPolicy", "enableServiceLinks", "preemptionPolicy", "priority", "restartPolicy",
    "schedulerName", "terminationGracePeriodSeconds", "tolerations", "topologySpreadConstraints",
)  # fmt: skip
_POD_CONTAINER = (
    "imagePullPolicy", "livenessProbe", "readinessProbe", "resources", "startupProbe",
    "terminationMessagePath", "terminationMessagePolicy",
)  # fmt: skip
_DOCUMENT_KEY = re.compile(r"\.(ya?ml|json)$|^\.dockerconfigjson$", re.IGNORECASE)
# sections of ACP's configuration: a Secret with one of them is a settings file under any key
_SECTIONS = {
    "client", "docker", "faas", "features", "internal_spicedb", "redis", "secrets", "server",
    "spicedb", "sql", "storage", "system", "timescale",
}  # fmt: skip
_KEY = re.compile(r"[\w.$*/{}-]{1,64}")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)
_SMALL_NUMBER = 100_000  # ports and limits stay; a longer number in a Secret may be the secret


def sealed_objects(kind: str, raw: Iterable[Object], sealer: Sealer) -> list[Object]:
    """Objects of one kind as the snapshot keeps them."""
    return [sealed_object(kind, each, sealer) for each in raw]


def sealed_object(kind: str, raw: Object, sealer: Sealer) -> Object:
    """One object as the snapshot keeps it; `raw` stays as it is."""
    kept: Object = {"metadata": _metadata(raw["metadata"], sealer)}
    if kind == "Secret":
        return kept | _secret(raw, sealer)
    content = {k: v for k, v in raw.items() if k not in ("apiVersion", "kind", "metadata")}
    status = content.pop("status", None) or {}
    if kind == "ConfigMap":
        return kept | _config_map(content, sealer)
    if kind == "Pod":
        content, status = _pod(content), _pod_status(status)
    else:
        status = {key: status[key] for key in _STATUS.get(kind, ()) if key in status}
    change: Change = partial(sealed_value, sealer)
    if kind == "ExternalSecret":  # its secretKey is the name of a key
        change = partial(_not_a_secret, change)
    kept |= sealed_tree(content, change)
    return kept | ({"status": sealed_tree(status, change)} if status else {})


def _not_a_secret(change: Change, name: str, text: str) -> str:
    return text if name == "secretKey" else change(name, text)


def _metadata(raw: Object, sealer: Sealer) -> Object:
    kept = {key: raw[key] for key in _META if raw.get(key)}
    annotations = {
        str(key): sealed_value(sealer, _annotation_name(str(key)), str(text))
        for key, text in (raw.get("annotations") or {}).items()
        if key not in _DROPPED_ANNOTATIONS
    }
    if changed := _last_change(raw):
        annotations[LAST_CHANGE] = changed
    if annotations:
        kept["annotations"] = annotations
    if owners := raw.get("ownerReferences"):
        kept["ownerReferences"] = [{k: o[k] for k in _OWNER if k in o} for o in owners]
    return kept


def _annotation_name(key: str) -> str:
    """Ingress controllers are told Secrets by name there: `auth-secret: namespace/name`."""
    domain, _, name = key.rpartition("/")
    return "" if domain.endswith("ingress.kubernetes.io") else name


def _last_change(raw: Object) -> str:
    """Latest write in managedFields; a write of the status alone changes nothing asked for."""
    writes = raw.get("managedFields") or []
    return max((w.get("time") or "" for w in writes if not w.get("subresource")), default="")


def _config_map(content: Object, sealer: Sealer) -> Object:
    texts = {str(key): str(text) for key, text in (content.get("data") or {}).items()}
    data = {
        key: sealer.value(key, text)
        if names_a_secret(key)
        else sealed_document(sealer, text, key.partition(".")[0])
        for key, text in texts.items()
    }
    binary = content.get("binaryData") or {}
    sealed = {str(key): sealer.close(str(text)) for key, text in binary.items()}
    return {"data": data} | ({"binaryData": sealed} if sealed else {})


def _pod(content: Object) -> Object:
    spec = {k: v for k, v in (content.get("spec") or {}).items() if k not in _POD_SCHEDULING}
    for key in ("containers", "initContainers", "ephemeralContainers"):
        if spec.get(key):
            spec[key] = [
                {k: v for k, v in each.items() if k not in _POD_CONTAINER} for each in spec[key]
            ]
    return content | {"spec": spec}


def _pod_status(raw: Object) -> Object:
    kept: Object = {key: raw[key] for key in _POD_STATUS if key in raw}
    for key in ("containerStatuses", "initContainerStatuses"):
        if key in raw:
            kept[key] = [_container_status(each) for each in raw[key]]
    return kept


def _container_status(raw: Object) -> Object:
    kept = {key: raw[key] for key in _CONTAINER_STATUS if key in raw}
    if running := (raw.get("state") or {}).get("running"):
        kept["state"] = {"running": running}
    return kept


def _secret(raw: Object, sealer: Sealer) -> Object:
    """Type and data in plain text, sealed; `stringData` of a manifest wins over `data`."""
    kept: Object = {"type": raw.get("type") or "Opaque"}
    if "immutable" in raw:
        kept["immutable"] = raw["immutable"]
    data = {str(key): _decoded(text) for key, text in (raw.get("data") or {}).items()}
    plain = raw.get("stringData") or {}
    data |= {str(key): str(text).encode(errors="replace") for key, text in plain.items()}
    if kept["type"] == helm.RELEASE:
        return kept | {"data": {"derived": helm.derived(data.get("release", b""))}}
    if "sops" in raw:  # tells that the values are encrypted, and for whom
        kept["sops"] = sealed_tree(raw["sops"], partial(sealed_value, sealer))
    return kept | {"data": {k: secret_value(sealer, k, value) for k, value in data.items()}}


def _decoded(text: object) -> bytes:
    """The bytes behind base64; a manifest's text that is none stands for itself."""
    plain = "" if text is None else str(text)
    try:
        return base64.b64decode(plain, validate=True)
    except (binascii.Error, ValueError):
        return plain.encode(errors="replace")


def secret_value(sealer: Sealer, key: str, value: bytes) -> str:
    """One value of a Secret: settings keep their structure, certificates stay, all else is one
    sealed value. What is sealed here is looked for in all that comes later."""
    sealer = sealer.learning()
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return sealer.close(value.decode("latin-1"))
    if not text.strip():
        return ""
    if "-----BEGIN" in text:
        return _pem(sealer, text)
    settings = _settings(key, text)
    if settings is not None:
        sealed = _sealed_settings(sealer, settings)
        return yaml.safe_dump(sealed, sort_keys=False, allow_unicode=True, width=2**31)
    return _leaf(sealer, "", text)


def _pem(sealer: Sealer, text: str) -> str:
    """The certificates, which are public, and one sealed value for all that is not."""
    certificates = _CERTIFICATE.findall(text)
    rest = _CERTIFICATE.sub("", text).strip()
    return "\n".join([*certificates, *([sealer.close(rest)] if rest else [])]) + (
        "\n" if certificates else ""
    )


def _settings(key: str, text: str) -> Object | None:
    """The mapping that a settings file holds; None for a text that only looks like one."""
    try:
        if expands(text):
            return None
        found = yaml.load(text, Loader=LOADER)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found):
        return None
    return found if _DOCUMENT_KEY.search(key) or _SECTIONS & found.keys() else None


def _sealed_settings(sealer: Sealer, value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {
            k if isinstance(k, str) and _KEY.fullmatch(k) else _leaf(sealer, "", str(k)):
            _sealed_settings(sealer, v, str(k))
            for k, v in value.items()
        }  # fmt: skip
    if isinstance(value, list):
        return [_sealed_settings(sealer, each, name) for each in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) < _SMALL_NUMBER and not names_a_secret(name):
        return value
    return _leaf(sealer, name, value.decode("latin-1") if isinstance(value, bytes) else str(value))


def _leaf(sealer: Sealer, name: str, text: str) -> str:
    """A text in a Secret: URLs keep what is no secret, all else is sealed."""
    if text.strip().lower() in ("", "true", "false"):
        return text
    if "-----BEGIN" in text:
        return _pem(sealer, text)
    if (url := _url(sealer, text)) is not None and not names_a_secret(name):
        return url
    return sealer.close(text)


def _url(sealer: Sealer, text: str) -> str | None:
    """The URL with its credentials sealed. The path of a web hook is its secret, so a path of
    http is sealed; a database's path and query say which one and how."""
    if (found := sealer.url(text)) is None:
        return None
    if re.match(r"(?i)https?://", found):
        scheme, _, rest = found.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}://{host}{slash}{sealer.close(path) if path else ''}"
    return found
