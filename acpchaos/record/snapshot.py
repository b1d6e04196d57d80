"""A snapshot: all that a posture row is judged from, in one folder that holds no secret.

Room: record. Live cluster, dump and rendered manifests all become this, so that a reviewer without
access gets the verdicts of one with access. It must not know rules or how evidence is gathered.

    snapshot.json           scope, what could not be read, answers, served certificates, probes
    objects/<Kind>.json     a list of Kubernetes objects without managedFields
"""

import os
from pathlib import Path
from typing import Any, Literal

import msgspec

from acpchaos.errors import UsageError

Object = dict[str, Any]
FORMAT = 1
CONTROL, DENY = "cni control", "cni deny"  # probes: a pair of pods before and under a deny policy
PUBLISHED = "outside port "  # probes: a port, tried from outside at all addresses of the target
# of ACP beside its own: gRPC, metrics, plain HTTP; of CockroachDB; of Patroni (vendor's charts)
PUBLISHED_PORTS = (9443, 9000, 8080, 8008)
LAST_CHANGE = "acpchaos.io/last-change"  # annotation: RFC 3339 time of the last write of an object


class WorkloadRef(msgspec.Struct, frozen=True, kw_only=True):
    """One workload of the profile: what it is called and how its pods are found."""

    kind: str
    name: str
    selector: str
    container: str


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What this installation allows; the rules compare with it. Defaults are the strict ones.

    Subjects are written Kind:name, a service account ServiceAccount:namespace/name; `*` matches any
    part. `outside_hosts` are host names or CIDRs that ACP may talk to besides its stores.
    """

    minimum_version: str = ""
    secret_readers: tuple[str, ...] = ()
    secret_writers: tuple[str, ...] = ()
    pod_creators: tuple[str, ...] = ()
    scraper_namespaces: tuple[str, ...] = ("monitoring",)
    outside_hosts: tuple[str, ...] = ()
    cluster_cidrs: tuple[str, ...] = ()  # pod, service and node ranges, where the API tells none
    certificate_days: int = 14
    pod_security: str = "restricted"
    report_days: int = 90  # how old an attestation may be
    attesters: dict[str, str] = {}  # public keys (PEM or its base64) of those who may attest


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """Which installation this is about: names from the target profile."""

    profile: str
    namespace: str = "acp-system"
    ingress_namespace: str = "ingress"
    faas_namespace: str = "acp-faas"
    base_url: str = ""
    workloads: dict[str, WorkloadRef] = {}  # acp, workers, redis, sql, analytics
    policy: Policy = Policy()


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What ACP answered to one request. `status` 0 is no answer, with `error` saying why."""

    status: int
    body: Any = None
    error: str = ""


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """Certificates served at one place; the leaf comes first. No chain: `error` says why."""

    where: str  # "ingress https://host:port" or "pod namespace/name:8443"
    chain: tuple[str, ...] = ()  # PEM
    protocol: str = ""
    verified: str = ""  # "" when the chain verifies against the profile's CA, else why not
    error: str = ""


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """Outcome of one active probe. `outcome`: what `says` in plain word, e.g. blocked, open,
    refused, accepted; `unknown` proves nothing."""

    outcome: str
    saw: str = ""

    def __str__(self) -> str:
        return f"{self.outcome} {self.saw}".strip()


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything gathered. What is missing was not gathered; `unread` says why where it was tried.

    Keys of `unread`: a kind ("Secret"), "answer <path>", "served <where>" or "probe <name>".
    """

    source: Literal["live", "manifests"]
    taken_at: str  # RFC 3339, UTC
    scope: Scope
    objects: dict[str, list[Object]] = {}
    unread: dict[str, str] = {}
    answers: dict[str, Answer] = {}  # by path, e.g. /api/admin/default/servers
    served: list[Served] = []
    probes: dict[str, Probe] = {}
    format: int = FORMAT


def require_unused(folder: Path) -> None:
    """UsageError unless a snapshot may be written there; asked before anything is gathered."""
    attempted = f"write a snapshot to {folder}"
    if folder.exists() and not folder.is_dir():
        raise UsageError(attempted, "it is a file", "name a new folder")
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(attempted, "it is not empty", "name a new folder")


def write(snapshot: Snapshot, folder: Path) -> Path:
    """Write into a new or empty folder, readable by its owner only; UsageError when in use."""
    require_unused(folder)
    (folder / "objects").mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    for kind, objects in sorted(snapshot.objects.items()):
        _write(folder / "objects" / f"{kind}.json", objects)
    _write(folder / "snapshot.json", msgspec.structs.replace(snapshot, objects={}))
    return folder


def read(folder: Path) -> Snapshot:
    """Read a folder written by `write`; UsageError when it is none, or of another format."""
    return _read(folder, list[Object])


def outline(folder: Path) -> Snapshot:
    """The same with an empty object for each, for those who count them: a tenth of the work."""
    found = _read(folder, list[msgspec.Raw])
    counted = {kind: [Object() for _ in objects] for kind, objects in found.objects.items()}
    return msgspec.structs.replace(found, objects=counted)


def _read(folder: Path, objects_as: Any) -> Snapshot:
    attempted = f"read the snapshot {folder}"
    try:
        snapshot = msgspec.json.decode((folder / "snapshot.json").read_bytes(), type=Snapshot)
        objects = {
            path.stem: msgspec.json.decode(path.read_bytes(), type=objects_as)
            for path in sorted((folder / "objects").glob("*.json"))
        }
    except (OSError, msgspec.DecodeError) as error:
        next_step = "name a folder made by: acpchaos snapshot"
        raise UsageError(attempted, str(error), next_step) from error
    if snapshot.format != FORMAT:
        seen = f"format {snapshot.format}, this version reads {FORMAT}"
        raise UsageError(attempted, seen, "take it again with this version")
    return msgspec.structs.replace(snapshot, objects=objects)


def _write(path: Path, value: object) -> None:
    data = msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=1)
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(opened, "wb") as file:
        file.write(data)
