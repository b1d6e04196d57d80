"""Which containers run ACP, and which Secrets they are given.

Room: check. Certificates and pull secrets are Secrets, too, but they have rows of their own: what
counts here is known by its content, not by its type, since the type is what one row is about.
"""

import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import yaml

from acpchaos.check.posture.doors import Elsewhere
from acpchaos.check.posture.objects import parsed_yaml
from acpchaos.check.posture.view import View
from acpchaos.check.posture.workload import Container, Pods, containers, repository, shown
from acpchaos.record.sealed import SEALED
from acpchaos.record.snapshot import Object

_TLS = {"tls.crt", "tls.key", "ca.crt"}
_PULL = {".dockerconfigjson", ".dockercfg"}
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----")


class Given(NamedTuple):
    """A Secret that a workload is given by volume or variable."""

    pods: Pods
    object: Object

    def __str__(self) -> str:
        return f"Secret {self.pods.namespace}/{self.object['metadata']['name']}"


def running_acp(view: View) -> list[Container]:
    """Containers of ACP's workloads and jobs that run ACP's image, init ones too."""
    images = {repository(each.image) for each in serving(view)}
    every = [each for pods in [*view.acp, *view.jobs] for each in containers(pods)]
    return [each for each in every if repository(each.image) in images]


def serving(view: View) -> list[Container]:
    """The containers that serve: those that the profile names; where it names none, all but init
    containers."""
    found = []
    for pods in view.acp:
        mine = [each for each in containers(pods) if not each.init]
        name = view.scope.workloads[pods.role].container
        found += [each for each in mine if each.name == name] or mine
    return found


def given(view: View, workloads: Iterable[Pods], elsewhere: list[str] | None = None) -> list[Given]:
    """Secrets with something secret in them that workloads are given. One that does not exist is
    left out, since only an optional one may be missing; one that manifests lack is Elsewhere, or
    told in `elsewhere`."""
    found = []
    for pods in workloads:
        for name in dict.fromkeys(_named(pods)):
            secret = view.find("Secret", pods.namespace, name)
            if secret is not None and not _has_own_row(secret):
                found.append(Given(pods, secret))
            elif secret is None and view.snapshot.source == "manifests":
                why = f"Secret {pods.namespace}/{name} is not among the manifests"
                if elsewhere is None:
                    raise Elsewhere(why)
                elsewhere.append(why)
    return found


def settings_in(secret: Object) -> bool:
    """Whether a Secret holds a file of settings."""
    return any(isinstance(_parsed(text), dict) for text in (secret.get("data") or {}).values())


def _parsed(text: str) -> object:
    try:
        return parsed_yaml(text)
    except (yaml.YAMLError, ValueError):
        return None


def _named(pods: Pods) -> Iterator[str]:
    for volume in pods.spec.get("volumes") or []:
        yield from (each.name for each in shown(volume) if each.kind == "Secret")
    for container in containers(pods):
        for source in container.spec.get("envFrom") or []:
            if "secretRef" in source:
                yield source["secretRef"].get("name", "")
        for entry in container.spec.get("env") or []:
            if "secretKeyRef" in (entry.get("valueFrom") or {}):
                yield entry["valueFrom"]["secretKeyRef"].get("name", "")


def _has_own_row(secret: Object) -> bool:
    """A certificate with its key, certificates alone, or what pulls images."""
    data = secret.get("data") or {}
    if not data:
        return False
    only_public = all(_CERTIFICATE.search(v) and not SEALED.search(v) for v in data.values())
    return data.keys() <= _TLS or data.keys() <= _PULL or only_public
