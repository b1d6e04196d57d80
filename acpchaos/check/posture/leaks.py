"""HARD-17: no secret stands where anybody may read it: ConfigMaps, arguments, plain variables.

Room: check. What gathers the evidence seals everything that a name or a form tells to be a secret,
so a sealed value in such a place is the finding; a reference to a variable is not sealed. Two forms
are looked for once more, since no name is needed to know them.
"""

import re
from collections.abc import Iterator
from functools import partial
from typing import Any

import yaml

from acpchaos.check.posture.doors import held
from acpchaos.check.posture.objects import leaves, parsed_yaml
from acpchaos.check.posture.parts import Part, joined
from acpchaos.check.posture.rule import Finding, Judgement, Unreadable, rule
from acpchaos.check.posture.view import View
from acpchaos.check.posture.workload import Container, Pods, containers, shown
from acpchaos.record.sealed import SEALED, opened

_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_VARIABLE = re.compile(r"env\[(\d+)\]\.value")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s/:@]*:(?!sealed:)[^\s/@${}]+@", re.IGNORECASE)


@rule(
    "HARD-17",
    evidence="ConfigMaps that ACP, its workers, jobs, functions and stores are given; command, "
    "args, plain variables, probes and all else of every container, init ones too",
    passes="no password, key, token or URL with a password in any of them",
    source="vendor document, hardening, secrets: never in code or ConfigMaps",
    remedy="move it into a Secret: a file of --config, or valueFrom: {secretKeyRef: ...}",
)
def no_leak(view: View) -> Judgement:
    workloads = [*view.acp, *view.jobs, *view.faas, *view.neighbours]
    maps = dict.fromkeys((pods.namespace, name) for pods in workloads for name in _maps(pods))
    every = [each for pods in workloads for each in containers(pods)]
    parts: list[Part] = [partial(_container, each) for each in every]
    return joined([*parts, *(partial(_config_map, view, *each) for each in maps)])


def _maps(pods: Pods) -> Iterator[str]:
    """Names of the ConfigMaps that a workload is given."""
    for volume in pods.spec.get("volumes") or []:
        yield from (each.name for each in shown(volume) if each.kind == "ConfigMap")
    for container in containers(pods):
        for source in container.spec.get("envFrom") or []:
            if "configMapRef" in source:
                yield source["configMapRef"].get("name", "")
        for entry in container.spec.get("env") or []:
            if "configMapKeyRef" in (entry.get("valueFrom") or {}):
                yield entry["valueFrom"]["configMapKeyRef"].get("name", "")


def _container(container: Container) -> Judgement:
    owner, findings = str(container.owner), []
    for place, value in leaves(container.spec):
        if not (saw := _secret(value)):
            continue
        remedy = "take it out; the last file of --config, from a Secret, sets it"
        if found := _VARIABLE.fullmatch(place):
            name = container.spec["env"][int(found[1])].get("name", "NAME")
            remedy = f"{{name: {name}, valueFrom: {{secretKeyRef: {{name: SECRET, key: {name}}}}}}}"
        findings.append(_finding(owner, f"{container.path}.{place}", saw, remedy))
    read = (f"{owner} container {container.name}",)
    return Judgement(findings=tuple(findings), read=read)


def _config_map(view: View, namespace: str, name: str) -> Judgement:
    where, findings = f"ConfigMap {namespace}/{name}", []
    data = held(view, namespace, "ConfigMap", name)
    for key, text in (data or {}).items():
        for field, saw in _secrets_in(key, str(text)):
            remedy = "move it into the Secret whose file --config names last"
            findings.append(_finding(where, field, saw, remedy))
    binary = (view.find("ConfigMap", namespace, name) or {}).get("binaryData")
    if binary and not findings:
        raise Unreadable(f"{where} has binaryData, which cannot be looked into")
    return Judgement(findings=tuple(findings), read=(where,) if data is not None else ())


def _secrets_in(key: str, text: str) -> Iterator[tuple[str, str]]:
    """Where in one value a secret stands; the place in a settings file, else the line."""
    if saw := _secret(text.strip()) if "\n" not in text.strip() else "":
        yield f"data[{key}]", saw
        return
    found = 0
    for place, value in leaves(_parsed(text)):
        if place and (saw := _secret(value)):
            found += 1
            yield f"data[{key}].{place}", saw
    if not found:  # in a comment, a script, or text that is no mapping
        for at, line in enumerate(text.splitlines(), 1):
            if saw := _secret(line):
                yield f"data[{key}] line {at}", saw


def _parsed(text: str) -> Any:
    try:
        return parsed_yaml(text)
    except (yaml.YAMLError, ValueError):
        return None


def _secret(text: Any) -> str:
    """What secret stands in a text, in words that do not tell it; empty when none does."""
    if (found := SEALED.search(str(text or ""))) is not None:
        secret = opened(found[0])
        known = f", the published value {secret.published}" if secret and secret.published else ""
        return f"a secret of {found[2]} characters{known}"
    if _KEY.search(str(text)):
        return "a private key"
    return "a URL with a password" if _URL.search(str(text)) else ""


def _finding(where: str, field: str, saw: str, remedy: str) -> Finding:
    return Finding(object=where, field=field, saw=saw, want="no secret", remedy=remedy)
