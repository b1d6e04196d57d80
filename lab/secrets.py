"""Passwords and certificates of one lab: made once per cluster, kept in its state folder, handed
over as Kubernetes Secrets.

Why here and not in manifests: nothing secret may be committed, and two labs must not share a
secret. One lab CA signs every server certificate, so that each client can verify its server. Knows
names, not how the servers use them.
"""

import secrets as randomness
import string
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab.certificates import Issued, issue, load_or_make_ca
from lab.paths import LAB_DIR, State
from lab.standin.settings import BUILT_IN_SYSTEM_SECRET

SEED_TEMPLATE = LAB_DIR / "manifests" / "acp" / "seed.yaml.tmpl"
ACP, STORES = "acp-system", "object-stores"
_ALPHABET = string.ascii_letters + string.digits
_STORE_ROLES = ("superuser", "replication", "acp")

# name of the file in the state folder -> length
GENERATED: dict[str, int] = {
    "system-client-secret": 43,
    "load-m2m-secret": 43,
    "load-web-secret": 43,
    "load-introspect-secret": 43,
    "user-password": 24,
    "redis-password": 32,
    **{
        f"{store}-{role}-password": 32
        for store in ("postgresql", "timescaledb")
        for role in _STORE_ROLES
    },
    **{f"s3-{region}-access-key": 20 for region in ("east", "west")},
    **{f"s3-{region}-secret-key": 40 for region in ("east", "west")},
    "repo1-cipher": 48,
    "repo2-cipher": 48,
    "data-key-id": 20,
    "data-key": 32,
}

# Secret name -> (namespace, service names); each service is signed under all its DNS suffixes
SERVERS: dict[str, tuple[str, tuple[str, ...]]] = {
    "acp-tls": (ACP, ("acp", "acp-workers")),
    "acp-ingress-tls": (ACP, ()),
    "redis-cluster-tls": (
        ACP,
        ("redis-cluster", "redis-cluster-headless", "*.redis-cluster-headless"),
    ),
    "postgresql-tls": (
        ACP,
        ("postgresql", "postgresql-replica", "postgresql-restore", "*.postgresql-headless"),
    ),
    "timescaledb-tls": (
        ACP,
        ("timescaledb", "timescaledb-replica", "timescaledb-restore", "*.timescaledb-headless"),
    ),
    "s3-east-tls": (STORES, ("s3-east",)),
    "s3-west-tls": (STORES, ("s3-west",)),
}


def generate(state: State) -> dict[str, str]:
    """Every secret value by name; what the state folder already holds is kept."""
    state.secrets.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {name: _kept(state.secrets / name, length) for name, length in GENERATED.items()}


def _kept(path: Path, length: int) -> str:
    if not path.exists() or not path.read_text():
        draft = path.with_suffix(".draft")
        draft.touch(mode=0o600)
        draft.write_text("".join(randomness.choice(_ALPHABET) for _ in range(length)))
        draft.rename(path)
    return path.read_text()


def names_of(services: tuple[str, ...], namespace: str) -> list[str]:
    """All DNS names a service answers to inside the cluster."""
    suffixes = ("", f".{namespace}", f".{namespace}.svc", f".{namespace}.svc.cluster.local")
    return [service + suffix for service in services for suffix in suffixes]


def objects(state: State, base_url: str, published: Path | None = None) -> list[dict[str, object]]:
    """Kubernetes objects of all secrets, ready to be applied; `base_url` is where clients reach
    ACP. `published` is a folder with the chart's certificate: then ACP gets that one, and no system
    secret and no data keys of its own, as when the chart is installed without values.
    """
    values = generate(state)
    authority = load_or_make_ca(state.root)
    config = _acp_config(values, base_url)
    if published:
        (state.secrets / "system-client-secret").write_text(BUILT_IN_SYSTEM_SECRET)
        config = {key: value for key, value in config.items() if key not in ("system", "secrets")}
    acp_secret = _secret(ACP, "acp-secret", {"config.yaml": yaml.safe_dump(config)})
    if published:
        acp_secret["metadata"] |= {"labels": {"app.kubernetes.io/managed-by": "Helm"}}
    made = [
        acp_secret,
        _secret(ACP, "redis-cluster", {"redis-password": values["redis-password"]}),
        *(
            _secret(ACP, store, _store_passwords(values, store))
            for store in ("postgresql", "timescaledb")
        ),
        _secret(ACP, "pgbackrest", _pgbackrest(values, authority.certificate)),
        *(_secret(STORES, f"s3-{region}", _s3(values, region)) for region in ("east", "west")),
    ]
    if SEED_TEMPLATE.exists():
        made.append(_secret(ACP, "acp-import", {"seed.yaml": _seed(values, base_url)}))
    for name, (namespace, services) in SERVERS.items():
        leaf = issue(authority, state.root / "tls" / name, names_of(services, namespace))
        if published and name == "acp-tls":
            words = ((published / each).read_text() for each in ("cert.pem", "cert-key.pem"))
            leaf = Issued(*words)
        made.append(_secret(namespace, name, _tls(leaf, authority), kind="kubernetes.io/tls"))
    made.append(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "lab", "namespace": ACP},
            "data": {"base-url": base_url},
        }
    )
    return made


def _secret(
    namespace: str, name: str, data: Mapping[str, str], kind: str = "Opaque"
) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"name": name, "namespace": namespace},
        "stringData": dict(data),
    }


def _tls(leaf: Issued, authority: Issued) -> dict[str, str]:
    return {
        "tls.crt": leaf.certificate.rstrip() + "\n" + authority.certificate,
        "tls.key": leaf.key,
        "ca.crt": authority.certificate,
    }


def _store_passwords(values: Mapping[str, str], store: str) -> dict[str, str]:
    return {f"{role}-password": values[f"{store}-{role}-password"] for role in _STORE_ROLES}


def _s3(values: Mapping[str, str], region: str) -> dict[str, str]:
    return {
        "ROOT_ACCESS_KEY": values[f"s3-{region}-access-key"],
        "ROOT_SECRET_KEY": values[f"s3-{region}-secret-key"],
    }


def _pgbackrest(values: Mapping[str, str], ca: str) -> dict[str, str]:
    made = {"ca.crt": ca}
    for number, region in ((1, "east"), (2, "west")):
        prefix = f"PGBACKREST_REPO{number}"
        made[f"{prefix}_CIPHER_PASS"] = values[f"repo{number}-cipher"]
        made[f"{prefix}_S3_KEY"] = values[f"s3-{region}-access-key"]
        made[f"{prefix}_S3_KEY_SECRET"] = values[f"s3-{region}-secret-key"]
    return made


def _acp_config(values: Mapping[str, str], base_url: str) -> dict[str, object]:
    """The last of ACP's configuration files, so that its settings win over the ConfigMap's."""
    return {
        "server": {"url": base_url},
        "system": {"secret": values["system-client-secret"]},
        "secrets": [{"id": values["data-key-id"], "key": values["data-key"]}],
        "redis": {"password": values["redis-password"]},
        "sql": {"url": _database_url(values, "postgresql")},
        "timescale": {"url": _database_url(values, "timescaledb")},
    }


def _database_url(values: Mapping[str, str], store: str) -> str:
    password = values[f"{store}-acp-password"]
    host = f"{store}.{ACP}.svc.cluster.local"
    return f"postgres://acp:{password}@{host}:5432/acp?sslmode=verify-full&sslrootcert=/tls/ca.crt"


def _seed(values: Mapping[str, str], base_url: str) -> str:
    words = {name.replace("-", "_"): value for name, value in values.items()}
    return string.Template(SEED_TEMPLATE.read_text()).substitute(words, base_url=base_url)
