"""Sections of the profile on what may be disturbed: consents, by which mechanism, stop, way back.

Room: target. Part of profile.py, through which other rooms import it.
"""

import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from acpchaos.target.sections import Section, resolved


class Experiments(Section):
    """What the target can do, and what may be disrupted on it at all."""

    zones: bool = False
    zone_key: str = "topology.kubernetes.io/zone"
    hpa: bool = False
    redis_cluster: bool = False
    backup: bool = False
    sql_manager: Literal["patroni", "none"] = "none"  # who elects leaders of the SQL stores
    may_disrupt: tuple[
        Literal[
            "acp", "nodes", "redis", "sql", "analytics", "dns", "metrics", "ingress",
            "control-plane", "logs", "prometheus",
        ], ...
    ] = ()  # fmt: skip
    # more than single pods at once: every pod of a workload, a majority, all copies of some slots
    may_lose: tuple[Literal["workload", "quorum", "shard"], ...] = ()


class ClusterService(Section):
    """A service of the cluster itself; `service` is the Service whose endpoints its pods are."""

    kind: Literal["Deployment", "StatefulSet", "DaemonSet"] = "Deployment"
    namespace: str
    name: str
    service: str = ""


class Services(Section):
    """Where services of the cluster live; the names that kubeadm and upstream manifests use."""

    dns: ClusterService = ClusterService(
        namespace="kube-system", name="coredns", service="kube-dns"
    )
    metrics: ClusterService = ClusterService(
        namespace="kube-system", name="metrics-server", service="metrics-server"
    )
    ingress: ClusterService = ClusterService(namespace="ingress", name="ingress")
    logs: ClusterService | None = None  # the log agent
    prometheus: ClusterService | None = None


class Signals(Section):
    """How SIGKILL and SIGSTOP reach process 1 of a container, which the kernel shields from inside.

    `node_pods` allows pods that see the processes of a node (hostPID, CAP_KILL), in a namespace
    whose pod security lets them in. `image`: one with sh and sed; empty is that of the Redis store.
    """

    node_pods: bool = False
    namespace: str = "kube-system"
    image: str = ""


class Extension(Section):
    """Functions of a Chaos Toolkit extension that switch a node's machine off and on.

    `module` holds them, e.g. chaosaws.ec2.actions with stop_instances and start_instances. Both get
    `arguments`, `off` those of `off_arguments`, too. `provider_id` is a pattern with named groups
    that must match a node's whole spec.providerID; {GROUP} in an argument, however deep, is what
    it found. Credentials are the extension's own matter: environment, file or workload identity.
    """

    module: str = Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")
    off: str = Field(pattern=r"^[A-Za-z]\w*$")
    on: str = Field(pattern=r"^[A-Za-z]\w*$")
    provider_id: str
    arguments: dict[str, Any]
    off_arguments: dict[str, Any] = {}

    @model_validator(mode="after")
    def _one_machine_each(self) -> "Extension":
        if "secrets" in self.arguments or "secrets" in self.off_arguments:
            raise ValueError("a profile holds no secrets; let the extension find credentials")
        try:
            groups = list(re.compile(self.provider_id).groupindex)
        except re.error as error:
            raise ValueError(f"provider_id is no pattern: {error}") from None
        if not any(f"{{{group}}}" in str(self.arguments) for group in groups):
            raise ValueError("without a {GROUP} of provider_id in arguments, any machine is meant")
        return self


class NodeAccess(Section):
    """How nodes are reached beneath Kubernetes; without a mechanism their faults do not apply.

    `mechanism` engine: nodes are containers of the kind cluster that [cluster] lab names, of this
    `engine` binary with this `environment` added; `container` is how a node's container is called,
    and `network` what joins them. `power` and `cut` name another one for these two: an `extension`
    of the Chaos Toolkit, or policies that cut the workloads of the nodes, not the nodes.
    """

    mechanism: Literal["none", "engine"] = "none"
    power: Literal["mechanism", "extension"] = "mechanism"
    cut: Literal["mechanism", "network-policy"] = "mechanism"
    engine: str = "podman"
    environment: dict[str, str] = {}
    container: str = "{node}"
    network: str = "kind"
    extension: Extension | None = None

    @model_validator(mode="after")
    def _has_its_extension(self) -> "NodeAccess":
        if self.power == "extension" and self.extension is None:
            raise ValueError('power = "extension" needs a section [nodes.extension]')
        return self


class Stop(Section):
    """What ends a play early, undone, besides people. `file`: that it exists. `url`: alarms that
    fire there, in the words of Alertmanager (/api/v2/alerts) or Prometheus. `burn`: failures of the
    running load beyond so many times the error budget of the whole play; 0 never.
    """

    file: Path | None = None
    url: str = Field(default="", pattern="^(https?://.+)?$")
    burn: float = Field(default=0.0, ge=0)

    @field_validator("file")
    @classmethod
    def _from_profile_folder(cls, path: Path | None, info: ValidationInfo) -> Path | None:
        return resolved(path, info)


class Rotated(Section):
    """Secrets of ACP's namespace that may hold something else for a while; left out, their faults
    do not apply. `certificate`: the Secret that `base_url` is served with, by a server that takes
    its changes without a restart. `config`: NAME/KEY of ACP's configuration file, with
    system.secret in it.
    """

    certificate: str = ""
    config: str = Field(default="", pattern="^([a-z0-9.-]+/[A-Za-z0-9._-]+)?$")


class Reaper(Section):
    """The Job that takes back what a run left when it died. Without an `account` there is none.

    `account` is a service account of `namespace` (by default ACP's) with the roles that
    `acpchaos rbac --reaper` prints; `image`: one with python3 that nodes spared from faults run.
    """

    account: str = ""
    namespace: str = ""
    image: str = ""

    @model_validator(mode="after")
    def _has_an_image(self) -> "Reaper":
        if self.account and not self.image:
            raise ValueError("a reaper with an account needs an image with python3")
        return self
