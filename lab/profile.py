"""The target profile that a lab hands over: what differs per machine, laid over the committed
targets/kind.toml.

Secrets are named by file, never written here. Knows the words of the profile, not the code that
reads it.
"""

from collections.abc import Mapping
from pathlib import Path

from lab.paths import PROJECT_DIR, State
from lab.podman import config_file

LOCAL_PROFILE = PROJECT_DIR / "targets" / "kind.local.toml"
_CLIENTS = {
    "m2m": ("load-m2m", "load-m2m-secret", ""),
    "web": ("load-web", "load-web-secret", "https://localhost/callback"),
    "introspect": ("load-introspect", "load-introspect-secret", ""),
    "system": ("system", "system-client-secret", ""),
}


ISSUERS = {"jwt": "/acme/main", "opaque": "/acme/opaque"}
NO_REAPER: Mapping[str, str] = {}  # a bare lab has no image with Python
DEFAULT_ISSUERS = {"jwt": "/default/default", "opaque": "/default/default"}  # nothing is imported


def render(
    state: State,
    identity: Mapping[str, str],
    context: str,
    base_url: str,
    issuers: Mapping[str, str] = ISSUERS,
    reaper: Mapping[str, str] = NO_REAPER,
) -> str:
    """TOML text; every path absolute, since profiles resolve relative ones from their own
    folder.
    """
    sections: dict[str, dict[str, str | int]] = {
        "cluster": {"kubeconfig": str(state.kubeconfig), "context": context, **identity},
        "service": {"base_url": base_url, "ca_file": str(state.ca_file)},
        "service.issuers": dict(issuers),
    }
    for name, (client, secret, redirect) in _CLIENTS.items():
        section: dict[str, str | int] = {"id": client, "secret": f"file:{state.secrets / secret}"}
        if redirect:
            section["redirect_uri"] = redirect
        sections[f"credentials.{name}"] = section
    sections["credentials.users"] = {
        "prefix": "load-user",
        "count": 50,
        "password": f"file:{state.secrets / 'user-password'}",
    }
    if reaper:
        sections["reaper"] = dict(reaper)
    sections["nodes.environment"] = {"CONTAINERS_CONF": str(config_file())}
    blocks = ["# written by `acpchaos lab up`; goes with `acpchaos lab down`"]
    for title, values in sections.items():
        blocks.append("\n".join([f"[{title}]", *(_line(k, v) for k, v in values.items())]))
    return "\n\n".join(blocks) + "\n"


def _line(key: str, value: str | int) -> str:
    return f"{key} = {value}" if isinstance(value, int) else f'{key} = "{value}"'


def write(text: str, path: Path = LOCAL_PROFILE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
