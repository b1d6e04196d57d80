"""HARD-01, HARD-02, HARD-18 and HARD-24: what runs is what was reviewed, patched, kept and applied.

Room: check. Times come from the API server: the last write of an object, the start of a pod.
"""

import datetime as dt
import re
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

from packaging.version import InvalidVersion, Version

from acpchaos.check.posture.attestations import Attestation
from acpchaos.check.posture.flags import environments
from acpchaos.check.posture.given import given, running_acp, serving
from acpchaos.check.posture.objects import dig, label, selects
from acpchaos.check.posture.parts import Part, joined
from acpchaos.check.posture.rule import Judgement, NotHere, Unreadable, broken, rule
from acpchaos.check.posture.secrets import releases
from acpchaos.check.posture.view import View
from acpchaos.check.posture.workload import Container, Pods, containers, repository
from acpchaos.record.snapshot import LAST_CHANGE, Object

MOVING = frozenset(
    {"latest", "stable", "main", "master", "edge", "nightly", "develop", "dev", "head", "current"}
)
_VERSION = re.compile(r"v?(\d+(?:\.\d+)*)")
_RESTART = "kubectl -n {} rollout restart {}/{}"


class Change(NamedTuple):
    """The last change of one object."""

    object: str
    field: str
    at: dt.datetime


def _time(text: str, where: str) -> dt.datetime:
    try:
        found = dt.datetime.fromisoformat(text)
    except ValueError:
        raise Unreadable(f"{where} has no time that can be read: {text!r}") from None
    return found if found.tzinfo else found.replace(tzinfo=dt.UTC)


def _last_change(kind: str, found: Object) -> Change:
    """Last write of an object; Unreadable where it was not kept."""
    where, notes = label(kind, found), found["metadata"].get("annotations") or {}
    if LAST_CHANGE not in notes:
        raise Unreadable(f"{where} does not tell when it was changed last")
    return Change(where, f"metadata.annotations[{LAST_CHANGE}]", _time(notes[LAST_CHANGE], where))


# HARD-01


@rule(
    "HARD-01",
    evidence="last change of ACP's workloads and functions, last deployment of Helm releases; "
    "attestation HARD-01: when the last review of all rows was green",
    passes="no change is newer than the day of that review",
    source="vendor document, hardening: apply it in every phase of the life cycle",
    remedy="review again: acpchaos posture, then acpchaos attest HARD-01",
)
def reviewed_since(view: View) -> Judgement:
    if view.snapshot.source == "manifests":
        raise Unreadable("rendered manifests do not tell when they were applied")
    attested = view.attestation("HARD-01")
    workloads = [*view.acp, *view.faas]
    parts: list[Part] = [partial(_changed_since, view, attested, each) for each in workloads]
    return joined([*parts, partial(_released_since, view, attested)])


def _changed_since(view: View, attested: Attestation, pods: Pods) -> Judgement:
    return _compared(view, attested, _last_change(pods.kind, pods.object))


def _compared(view: View, attested: Attestation, change: Change) -> Judgement:
    """One change against the last green review; days, since an attestation has no hour."""
    said = f"attestation HARD-01 of {attested.date} by {attested.owner}"
    read = (change.object, said)
    if change.at.astimezone(dt.UTC).date() <= attested.date:
        return Judgement(read=read)
    finding = broken(
        change.object, change.field, f"changed on {change.at:%Y-%m-%d}, after the {said}",
        "a green review since the last change",
        f"acpchaos attest HARD-01 --target {view.scope.profile} --owner NAME --key FILE "
        f'--text "all rows reviewed"',
    )  # fmt: skip
    return Judgement(findings=(finding,), read=read)


def _released_since(view: View, attested: Attestation) -> Judgement:
    return joined(partial(_compared, view, attested, each) for each in _deployed(view))


def _deployed(view: View) -> Iterator[Change]:
    for where, facts in releases(view):
        if when := str(facts.get("last_deployed") or ""):
            yield Change(where, "last_deployed", _time(when, where))


# HARD-02


@rule(
    "HARD-02",
    evidence="images of ACP, its workers, jobs and functions; image ids of their pods; the version "
    "in GET /environment, else in ACP's tag, labels or Helm release, against "
    "posture.minimum_version",
    passes="each image has a digest or a tag that stays, pods of one image run the same, and ACP "
    "is not older than posture.minimum_version; a profile without one leaves the row undecided",
    source="vendor document, hardening: patch vulnerabilities",
    remedy="image: {repository: ..., tag: VERSION}, or better name@sha256:DIGEST",
)
def patched(view: View) -> Judgement:
    every = [
        each for pods in [*view.acp, *view.jobs, *view.faas] for each in containers(pods)
    ]  # fmt: skip
    parts: list[Part] = [partial(_stays, each) for each in every]
    parts += [partial(_new_enough, view, each) for each in running_acp(view)]
    return joined([*parts, partial(_same_everywhere, view)])


def _tag(image: str) -> str:
    """The tag of an image; empty without one."""
    return image.partition("@")[0].removeprefix(repository(image)).removeprefix(":")


def _stays(container: Container) -> Judgement:
    tag, digest = _tag(container.image), "@" in container.image
    where, findings = str(container.owner), []
    if not digest and (tag.lower() in MOVING or not re.search(r"\d", tag)):
        field = f"{container.path}.image"
        want = "a digest, or the tag of one version"
        findings.append(
            broken(where, field, container.image or "not set", want, "image: NAME:VERSION")
        )
    return Judgement(findings=tuple(findings), read=(f"{where} container {container.name}",))


def _new_enough(view: View, container: Container) -> Judgement:
    least, where = _least(view), str(container.owner)
    field = f"{container.path}.image"
    found = (
        view.once(_answered).get(container.image)
        or _parsed(_tag(container.image))
        or _labelled(container)
        or _in_release(view)
    )
    if found is None:
        raise Unreadable(f"{where} does not tell its version: image {container.image}")
    if found >= least:
        return Judgement(read=(f"{where} {field}",))
    want = f"{least} or newer, as posture.minimum_version says"
    finding = broken(where, field, f"version {found}", want, f"image: NAME:{least}")
    return Judgement(findings=(finding,), read=(f"{where} {field}",))


def _least(view: View) -> Version:
    """The policy's minimum. Nothing stands in for it: what is patched today is not tomorrow."""
    try:
        return Version(view.policy.minimum_version)
    except InvalidVersion:
        said = view.policy.minimum_version or "not set"
        raise Unreadable(f"no version is too old: posture.minimum_version is {said}") from None


def _answered(view: View) -> dict[str, Version]:
    """By image what the running ACP says of itself, the oldest of several answers. Empty when those
    that serve have different images: nobody knows then which of them has answered."""
    images = {each.image for each in serving(view) if _answers(each)}
    try:
        told = [_parsed(str(each.get("version") or "")) for each in environments(view).values()]
    except Unreadable:
        return {}
    known = [each for each in told if each]
    return {images.pop(): min(known)} if len(images) == 1 and known else {}


def _answers(container: Container) -> bool:
    owner = container.owner
    return owner.role == "acp" and dig(owner.object, "spec.replicas") != 0


def _parsed(text: str) -> Version | None:
    """A version of two numbers or more, or the one that a text such as 2.25.0-alpine begins with. A
    single number may be the count of a build, or a tag that moves with each release below it."""
    try:
        found = Version(text)
    except InvalidVersion:
        begins = _VERSION.match(text)
        found = Version(begins[1]) if begins else Version("0")
    return found if len(found.release) > 1 else None


def _labelled(container: Container) -> Version | None:
    own = container.owner.object["metadata"].get("labels") or {}
    labels = {**own, **container.owner.labels}
    return _parsed(str(labels.get("app.kubernetes.io/version") or ""))


def _in_release(view: View) -> Version | None:
    """The application's version of the Helm release of ACP's chart."""
    for _, facts in releases(view):
        if dig(facts, "chart.name") == "acp":
            return _parsed(str(facts.get("app_version") or ""))
    return None


def _same_everywhere(view: View) -> Judgement:
    """Two contents under one tag: the tag has moved between the starts of two pods."""
    if view.snapshot.source == "manifests":
        return Judgement()
    ids: dict[tuple[str, str, str], set[str]] = {}
    for pods in [*view.acp, *view.faas]:
        for pod in running(view, pods):
            status = {each.get("name"): each for each in dig(pod, "status.containerStatuses") or []}
            for container in containers(pods):
                if image_id := (status.get(container.name) or {}).get("imageID"):
                    key = (str(pods), f"{container.path}.image", container.image)
                    ids.setdefault(key, set()).add(image_id)
    findings = tuple(
        broken(
            where, field, f"{len(found)} different images under {image}", "one content per tag",
            "image: NAME@sha256:DIGEST",
        )
        for (where, field, image), found in ids.items()
        if len(found) > 1
    )  # fmt: skip
    return Judgement(findings=findings)


# HARD-24


@rule(
    "HARD-24",
    evidence="last change of each Secret given to ACP, start of each of its pods",
    passes="every pod started after it: the chart restarts none when a Secret changes",
    source="vendor document, hardening, secrets: apply the new Secret",
    remedy="kubectl -n NAMESPACE rollout restart deployment/NAME",
)
def in_force(view: View) -> Judgement:
    if view.snapshot.source == "manifests":
        raise Unreadable("rendered manifests do not tell when pods started")
    parts = [partial(_started_after, view, each, secret) for each, secret in given(view, view.acp)]
    if not parts:
        raise NotHere("no Secret is given to ACP's pods")
    return joined(parts)


def _started_after(view: View, pods: Pods, secret: Object) -> Judgement:
    change, here = _last_change("Secret", secret), running(view, pods)
    if not here and dig(pods.object, "spec.replicas") == 0:
        return Judgement(read=(str(pods),))  # Flagger keeps what it does not serve from at none
    if not here:
        raise Unreadable(f"no pod of {pods} is in the evidence")
    return joined(partial(_started, pods, pod, change) for pod in here)


def _started(pods: Pods, pod: Object, change: Change) -> Judgement:
    where = label("Pod", pod)
    start = _time(str(dig(pod, "status.startTime") or ""), where)
    if start >= change.at:
        return Judgement(read=(where, change.object))
    finding = broken(
        where, "status.startTime", f"{start:%Y-%m-%d %H:%M:%S}",
        f"after the change of {change.object} at {change.at:%Y-%m-%d %H:%M:%S}",
        _RESTART.format(pods.namespace, pods.kind.lower(), pods.name),
    )  # fmt: skip
    return Judgement(findings=(finding,), read=(where, change.object))


def running(view: View, pods: Pods) -> list[Object]:
    """Pods of a workload that are not on their way out."""
    selector = dig(pods.object, "spec.selector")
    return [
        pod
        for pod in view.objects("Pod", pods.namespace)
        if selects(selector, pod["metadata"].get("labels") or {})
        and not pod["metadata"].get("deletionTimestamp")
        and dig(pod, "status.phase") in ("Running", "Pending", None)
    ]
