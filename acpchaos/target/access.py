"""The way to the API server: one explicit context, flattened, and a client of our own.

Room: target. The current context of a kubeconfig is never used, no process-wide default of the
Kubernetes client is touched, and a child process gets one private file with one context.
"""

import base64
import os
from pathlib import Path
from typing import Any

import urllib3
import yaml
from kubernetes.client import ApiClient
from kubernetes.config import ConfigException, new_client_from_config_dict

from acpchaos.errors import UsageError
from acpchaos.target.profile import Profile

_FILES = {
    "certificate-authority": "certificate-authority-data",
    "client-certificate": "client-certificate-data",
    "client-key": "client-key-data",
}


def kubeconfig_path(profile: Profile) -> Path:
    """The profile's file, else KUBECONFIG (one file only), else ~/.kube/config."""
    if profile.cluster.kubeconfig is not None:
        return profile.cluster.kubeconfig
    return Path(os.environ.get("KUBECONFIG") or "~/.kube/config").expanduser()


def flattened(profile: Profile) -> dict[str, Any]:
    """A kubeconfig with the profile's context only, certificates inlined."""
    path, context = kubeconfig_path(profile), profile.cluster.context
    attempted = f"open kubeconfig {path}"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        chosen = _named(content, "contexts", context)["context"]
        cluster = _inlined(_named(content, "clusters", chosen["cluster"])["cluster"], path.parent)
        user = _inlined(_named(content, "users", chosen["user"])["user"], path.parent)
    except FileNotFoundError as error:
        raise UsageError(
            attempted, f"no such file: {error.filename}", "for the lab run: acpchaos lab up"
        ) from None
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise UsageError(
            attempted, f"{error!r}", f"it needs context {context!r} with its cluster and user"
        ) from None
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "contexts": [{"name": context, "context": chosen}],
        "clusters": [{"name": chosen["cluster"], "cluster": cluster}],
        "users": [{"name": chosen["user"], "user": user}],
    }


def write_kubeconfig(profile: Profile, path: Path) -> Path:
    """Write the flattened kubeconfig for a child process, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        yaml.safe_dump(flattened(profile), file)
    return path


def open_client(profile: Profile) -> ApiClient:
    """A client that repeats reads only: a repeated DELETE could hit a pod's successor."""
    config = flattened(profile)
    try:
        client = new_client_from_config_dict(
            config, context=profile.cluster.context, persist_config=False
        )
    except ConfigException as error:
        raise UsageError(
            f"use context {profile.cluster.context!r}", str(error), "correct the kubeconfig"
        ) from None
    settings = client.configuration
    settings.retries = urllib3.Retry(
        total=2, status=0, allowed_methods=["GET"], respect_retry_after_header=False
    )
    settings.connection_pool_maxsize = 32  # watches hold one connection each
    return ApiClient(configuration=settings)


def _named(content: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    for entry in content.get(section) or []:
        if entry["name"] == name:
            return dict(entry)
    raise KeyError(f"{section}: {name}")


def _inlined(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    result = dict(entry)
    for key, inline in _FILES.items():
        if key in result:
            raw = (folder / result.pop(key)).read_bytes()
            result[inline] = base64.b64encode(raw).decode("ascii")
    return result
