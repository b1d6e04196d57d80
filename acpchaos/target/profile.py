"""The target profile: which cluster and which ACP is under test, what is allowed, which numbers.

Room: target. Read by every room, so it imports no Kubernetes client. It never holds a secret, only
references to secrets. A profile NAME.toml is merged with NAME.local.toml beside it, which carries
what differs per machine: paths, ports, identity pins.
"""

import os
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from pydantic import (
    Field,
    InstanceOf,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from acpchaos.errors import UsageError
from acpchaos.scenario import Gaps, Stage
from acpchaos.target.budgets import Budgets
from acpchaos.target.client_auth import Account, Algorithm, Auth
from acpchaos.target.disruption import (
    ClusterService,
    Experiments,
    Extension,
    NodeAccess,
    Reaper,
    Rotated,
    Services,
    Signals,
    Stop,
)
from acpchaos.target.sections import Reference, Section, resolved

# sections that other rooms take from here
__all__ = ["ClusterService", "Extension", "NodeAccess", "Reaper", "Rotated", "Stop"]
PROJECT = Path(__file__).parents[2]

type ReadSecret = Callable[[str, str, str], str]


class ClusterSection(Section):
    """How to reach the cluster, and the two pins that prove it is the right one."""

    kubeconfig: Path | None = None
    context: str
    kube_system_uid: str = ""
    api_host: str = ""
    lab: str = ""  # name of the kind cluster where the lab made the target, else empty

    @field_validator("kubeconfig")
    @classmethod
    def _from_profile_folder(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        return resolved(path, info)


class Namespaces(Section):
    """Where things are; `deny` are patterns that no name of the target may match."""

    acp: str = "acp-system"
    ingress: str = "ingress"
    object_stores: str = "object-stores"
    faas: str = "acp-faas"
    deny: tuple[str, ...] = (r"(^|[^a-z])(prod|production|live)([^a-z]|$)",)


class Service(Section):
    """The outside of ACP. `issuers` are paths below `base_url` by access token format. `zone_paths`
    are ways in that lead through one zone each, as host:port by zone, e.g. a node port of a node
    there, or a load balancer of that zone; they are asked for the host of `base_url`."""

    base_url: str
    ca_file: Path | None = None
    issuers: dict[Literal["jwt", "opaque"], str] = {"jwt": "/acme/main", "opaque": "/acme/opaque"}
    zone_paths: dict[str, str] = {}

    @field_validator("zone_paths")
    @classmethod
    def _addresses(cls, paths: dict[str, str]) -> dict[str, str]:
        if wrong := [path for path in paths.values() if not re.fullmatch(r"[^\s/]+:\d+", path)]:
            raise ValueError(f"host:port is needed, not {wrong[0]!r}")
        return paths

    @field_validator("ca_file")
    @classmethod
    def _from_profile_folder(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        return resolved(path, info)

    @field_validator("base_url")
    @classmethod
    def _https(cls, url: str) -> str:
        if not re.match(r"https?://[^/]+", url):
            raise ValueError("an absolute URL such as https://acp.example.test is needed")
        return url.rstrip("/")

    def issuer(self, name: Literal["jwt", "opaque"]) -> str:
        """Full issuer URL of the workspace with this access token format."""
        return self.base_url + self.issuers[name]


class Client(Section):
    """An OAuth client and how it proves itself. `id` is plain, since it is public; `secret`, `key`
    and `certificate` (both PEM) are references. The key signs assertions (private_key_jwt, with
    `algorithm` and, where the issuer wants one, `kid`) or belongs to the certificate."""

    id: str
    secret: Reference = ""
    redirect_uri: str = ""
    auth: Auth = "client_secret_basic"
    key: Reference = ""
    certificate: Reference = ""
    algorithm: Algorithm = "ES256"
    kid: str = ""

    @model_validator(mode="after")
    def _can_prove_itself(self) -> "Client":
        needed = {
            "private_key_jwt": ("key",),
            "tls_client_auth": ("key", "certificate"),
        }.get(self.auth, ("secret",))
        if missing := [name for name in needed if not getattr(self, name)]:
            raise ValueError(f"{self.auth} needs {' and '.join(missing)}")
        return self

    def references(self) -> tuple[str, ...]:
        """All that are given."""
        return tuple(filter(None, (self.secret, self.key, self.certificate)))

    def account(self, read_secret: "ReadSecret | None" = None) -> Account:
        """The client with its secrets resolved."""

        def value(reference: str) -> str:
            return resolve(reference, read_secret) if reference else ""

        return Account(
            id=self.id, secret=value(self.secret), redirect_uri=self.redirect_uri, auth=self.auth,
            key=value(self.key), certificate=value(self.certificate), algorithm=self.algorithm,
            kid=self.kid,
        )  # fmt: skip


class Users(Section):
    """Test users named PREFIX-000, PREFIX-001, ..., all with the same password."""

    prefix: str
    count: int = Field(gt=0)
    password: Reference


class Credentials(Section):
    """Who the load and the probes act as; absent ones make the flows that need them unavailable."""

    m2m: Client | None = None
    web: Client | None = None
    introspect: Client | None = None
    system: Client | None = None
    users: Users | None = None


class Workload(Section):
    """One Kubernetes workload: what it is called and how its pods are found."""

    kind: Literal["Deployment", "StatefulSet"]
    name: str
    selector: str = Field(min_length=3)
    container: str


class Workloads(Section):
    """Names of the vendor's chart by default."""

    acp: Workload = Workload(
        kind="Deployment",
        name="acp",
        selector="app.kubernetes.io/name=acp,app.kubernetes.io/instance=acp",
        container="acp",
    )
    workers: Workload = Workload(
        kind="Deployment",
        name="acp-workers",
        selector="app.kubernetes.io/name=acp-workers",
        container="acp",
    )
    redis: Workload = Workload(
        kind="StatefulSet",
        name="redis-cluster",
        selector="app.kubernetes.io/name=redis-cluster,app.kubernetes.io/instance=acp",
        container="redis-cluster",
    )
    sql: Workload = Workload(
        kind="StatefulSet",
        name="postgresql",
        selector="app.kubernetes.io/name=postgresql",
        container="postgresql",
    )
    analytics: Workload = Workload(
        kind="StatefulSet",
        name="timescaledb",
        selector="app=timescaledb,cluster-name=timescaledb",
        container="timescaledb",
    )


class LoadSection(Section):
    """Offered load: relative weights of the flows, and flows per second. A surge begins at
    `surge_per_s` and is never raised beyond `surge_most_per_s`. `gaps` and `stages` as in
    scenario.Load; `sender` is the HTTP client, the lean one or Locust's FastHttpUser."""

    mix: dict[str, int] = {"client_credentials": 6, "authorization_code": 2, "refresh": 3}
    rate_per_s: float = Field(default=10.0, gt=0)
    surge_per_s: float = Field(default=60.0, gt=0)
    surge_most_per_s: float = Field(default=240.0, gt=0)
    gaps: Gaps = "constant"
    stages: tuple[InstanceOf[Stage], ...] = ()
    sender: Literal["lean", "fast"] = "lean"

    @field_validator("stages", mode="before")
    @classmethod
    def _as_stages(cls, given: object) -> tuple[Stage, ...]:
        try:
            stages = msgspec.convert(given, tuple[Stage, ...], strict=False)
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None
        if any(stage.for_s <= 0 or stage.times < 0 for stage in stages):
            raise ValueError("for_s must be above 0, times not below")
        if stages and stages[-1].times <= 0:
            raise ValueError("the last stage stays, so its times must be above 0")
        return stages

    @model_validator(mode="after")
    def _surge_has_room(self) -> "LoadSection":
        if self.surge_per_s > self.surge_most_per_s:
            raise ValueError("surge_per_s must not be above surge_most_per_s")
        return self


class Posture(Section):
    """What the hardening rows compare with; the same names as record.snapshot.Policy."""

    minimum_version: str = ""
    secret_readers: tuple[str, ...] = ()
    secret_writers: tuple[str, ...] = ()
    pod_creators: tuple[str, ...] = ()
    scraper_namespaces: tuple[str, ...] = ("monitoring",)
    outside_hosts: tuple[str, ...] = ()
    cluster_cidrs: tuple[str, ...] = ()
    certificate_days: int = Field(default=14, ge=0)
    pod_security: Literal["restricted", "baseline"] = "restricted"
    report_days: int = Field(default=90, gt=0)
    attesters: dict[str, str] = {}


class Probes(Section):
    """What active probes of posture need. `image`: one with python3 for probe pods; by default that
    of the analytics store, else of the SQL store, as far as they run in the cluster. `outside`: an
    address that pods may reach outside of the cluster, host:port, or a host that is this machine.
    """

    image: str = ""
    outside: str = ""


class Profile(Section):
    """A whole target profile."""

    name: str
    cluster: ClusterSection
    namespaces: Namespaces = Namespaces()
    service: Service
    credentials: Credentials = Credentials()
    workloads: Workloads = Workloads()
    load: LoadSection = LoadSection()
    budgets: Budgets = Budgets()
    experiments: Experiments = Experiments()
    services: Services = Services()
    signals: Signals = Signals()
    stop: Stop = Stop()
    nodes: NodeAccess = NodeAccess()
    rotated: Rotated = Rotated()
    posture: Posture = Posture()
    probes: Probes = Probes()
    reaper: Reaper = Reaper()


def load_profile(name_or_path: str | Path) -> Profile:
    """Read `targets/<name>.toml` or the file at a path, with its `.local.toml` laid over it."""
    path = _find(name_or_path)
    local = path.with_suffix(".local.toml")
    content = _read(path)
    if local.exists():
        content = _merged(content, _read(local))
    content.setdefault("name", path.stem)
    try:
        return Profile.model_validate(content, context={"folder": path.parent})
    except ValidationError as error:
        raise UsageError(f"read target profile {path}", *_explain(error, path, local)) from None


def resolve(reference: str, read_secret: Callable[[str, str, str], str] | None = None) -> str:
    """The value behind env:, file: or secret:NS/NAME/KEY. The value is never logged or stored.

    `read_secret(ns, name, key)` comes from the cluster; without it secret: cannot be read.
    """
    scheme, _, rest = reference.partition(":")
    attempted = f"read the secret behind {reference}"
    if not reference:
        raise UsageError("read a client's secret", "it has none", "use one that proves itself so")
    if scheme == "env":
        if rest not in os.environ:
            raise UsageError(attempted, "the variable is not set", f"export {rest}=...")
        return os.environ[rest]
    if scheme == "file":
        try:
            return Path(rest).expanduser().read_text(encoding="utf-8").rstrip("\n")
        except OSError as error:
            raise UsageError(
                attempted, str(error), "create the file or correct the profile; see acpchaos doctor"
            ) from None
    if read_secret is None:
        raise UsageError(attempted, "no cluster access here", "use env: or file: for this value")
    namespace, name, key = rest.split("/")
    return read_secret(namespace, name, key)


def _find(name_or_path: str | Path) -> Path:
    given = Path(name_or_path).expanduser()
    tried = [given] if given.suffix == ".toml" else []
    tried += [Path("targets") / f"{given}.toml", PROJECT / "targets" / f"{given}.toml"]
    for path in tried:
        if path.is_file():
            return path.absolute()
    known = sorted(
        path.stem for path in (PROJECT / "targets").glob("*.toml") if ".local" not in path.name
    )
    raise UsageError(
        f"find target profile {str(name_or_path)!r}",
        "no file at " + ", ".join(str(path) for path in tried),
        f"name one of {', '.join(known) or 'your profiles'} or give the path of a .toml file",
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"read target profile {path}", str(error), "correct the file") from None


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        below = result.get(key)
        both = isinstance(below, Mapping) and isinstance(value, Mapping)
        result[key] = _merged(below, value) if both else value  # type: ignore[arg-type]
    return result


def _explain(error: ValidationError, path: Path, local: Path) -> tuple[str, str]:
    """What was seen and what to do, naming each key; a rejected secret is not repeated."""
    seen = []
    for fault in error.errors(include_url=False, include_context=False):
        key = ".".join(str(part) for part in fault["loc"])
        secret = key.startswith("credentials")
        value = "" if secret or fault["type"] == "missing" else f" (found {fault['input']!r})"
        seen.append(f"{key}: {fault['msg']}{value}")
    overlay = f" or {local}" if local.exists() else f" (or add {local.name} beside it)"
    return "; ".join(seen), f"correct these keys in {path}{overlay}"
