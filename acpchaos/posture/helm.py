"""What a Helm release Secret tells about an installation, without the release in it.

Room: posture. A release holds every rendered Secret in plain text, so only facts leave this module:
chart, versions, status, dates, and the few values that rows ask for. Shape of `derived`:

    chart: {name: acp, version: 2.25.0}
    app_version: 2.25.0
    status: deployed
    revision: 3
    last_deployed: 2025-01-31T10:00:00Z
    values:                 # the user's over the chart's; a key that neither has is left out
      secretConfig: {create: false}
      certificate: {create: true, cert: true, key: true}    # cert and key: set or not
      certManager: {enabled: false}
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from typing import Any

import yaml

RELEASE = "helm.sh/release.v1"
CHART = "acp"
_GZIP = 31  # zlib's word for a gzip header and the largest window
_MOST_BYTES = 64 * 2**20  # etcd allows 1.5 MB packed; more than this unpacked is no release


def derived(data: bytes) -> str:
    """YAML of the facts in the value of key `release`; what cannot be read says so in `unread`."""
    try:
        release = json.loads(_unpacked(base64.b64decode(data, validate=True)))
        facts = _facts(release)
    except (ValueError, zlib.error, binascii.Error, TypeError, AttributeError) as error:
        facts = {"unread": f"no Helm release: {type(error).__name__}"}
    return yaml.safe_dump(facts, sort_keys=False)


def _unpacked(data: bytes) -> bytes:
    if data[:2] != b"\x1f\x8b":
        return data  # releases of Helm's first years were not packed
    unpacker = zlib.decompressobj(_GZIP)
    found = unpacker.decompress(data, _MOST_BYTES)
    if unpacker.unconsumed_tail:
        raise ValueError("too large")
    return found


def _facts(release: Mapping[str, Any]) -> dict[str, Any]:
    chart, info = release.get("chart") or {}, release.get("info") or {}
    about = chart.get("metadata") or {}
    return {
        "chart": {"name": about.get("name", ""), "version": about.get("version", "")},
        "app_version": about.get("appVersion", ""),
        "status": info.get("status", ""),
        "revision": release.get("version", 0),
        "last_deployed": info.get("last_deployed", ""),
        "values": _values(about, chart.get("values") or {}, release.get("config") or {}),
    }


def _values(
    about: Mapping[str, Any], defaults: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """ACP's values; in a chart that has ACP's as a dependency they stand under its name."""
    if about.get("name") != CHART:
        defaults, given = _section(defaults, CHART), _section(given, CHART)
    wanted = {
        "secretConfig": ("create",),
        "certificate": ("create", "cert", "key"),
        "certManager": ("enabled",),
    }
    found: dict[str, Any] = {}
    for section, keys in wanted.items():
        both = {**_section(defaults, section), **_section(given, section)}
        told = {key: _told(key, both[key]) for key in keys if key in both}
        if told:
            found[section] = told
    return found


def _section(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = values.get(name)
    return found if isinstance(found, Mapping) else {}


def _told(key: str, value: Any) -> bool:
    """Switches as they are, contents as set or not: never a text."""
    return bool(value) if key in ("cert", "key") else value in (True, "true")
