"""HARD-11, HARD-12 and HARD-14 to HARD-16: ACP's Secret is one's own, sound, and really read.

Room: check. Values are sealed: their length, equality and whether vendor material publishes them is
all that is known, and all that is needed. The last door decides what is in force.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from acpchaos.check.posture import doors
from acpchaos.check.posture.doors import told
from acpchaos.check.posture.given import given, running_acp, serving, settings_in
from acpchaos.check.posture.objects import dig, label, parsed_yaml
from acpchaos.check.posture.parts import Part, joined
from acpchaos.check.posture.rule import Finding, Judgement, NotHere, Unreadable, broken, rule
from acpchaos.check.posture.view import View
from acpchaos.check.posture.workload import Container, Door, shown
from acpchaos.record.sealed import opened, published
from acpchaos.record.snapshot import Object

SOURCE = "vendor document, hardening, secrets"
LEAST_LENGTH = 32  # of the vendor's own generated secrets; too long to be guessed
KEY_LENGTH = 32  # an AES-256 key
RELEASE = "helm.sh/release.v1"
_MANAGED, _RELEASED = "app.kubernetes.io/managed-by", "meta.helm.sh/release-name"
_OWN = "chart values secretConfig: {create: false, name: acp-secret}, and a Secret made outside"
_NOTHING = "no Secret is given to ACP's pods"


# where it comes from


@rule(
    "HARD-11",
    evidence="labels, annotations and owners of the Secrets given to ACP; values of the Helm "
    "release",
    passes="none is managed by Helm, and the release says secretConfig.create: false",
    source=SOURCE,
    remedy=_OWN,
)
def not_of_the_chart(view: View) -> Judgement:
    return joined([partial(_unmanaged, view), partial(_released, view)])


def _unmanaged(view: View) -> Judgement:
    absent: list[str] = []  # from the manifests of the chart, so it does not make them
    found = given(view, view.acp, absent)
    if not found and not absent:
        raise NotHere(_NOTHING)
    findings = []
    for each in found:
        meta = each.object["metadata"]
        for place, key in (("labels", _MANAGED), ("annotations", _RELEASED)):
            value = (meta.get(place) or {}).get(key)
            if not _has_owner(each.object) and (value == "Helm" or (value and key == _RELEASED)):
                field = f"metadata.{place}[{key}]"
                want = "a Secret that the chart does not make"
                findings.append(broken(str(each), field, value, want, _OWN))
                break
    return Judgement(findings=tuple(findings), read=(*(str(each) for each in found), *absent))


def _has_owner(secret: Object) -> bool:
    """An operator made it, and copied its labels from the object it was told by."""
    owners = secret["metadata"].get("ownerReferences") or []
    return any(each.get("kind") in ("ExternalSecret", "SealedSecret") for each in owners)


def _released(view: View) -> Judgement:
    findings, read = [], []
    for where, facts in releases(view):
        create = dig(facts, "values.secretConfig.create")
        if create is None:
            continue
        read.append(where)
        if create:
            field = "values.secretConfig.create"
            findings.append(broken(where, field, "true", "false", _OWN))
    if not read:
        raise NotHere("no Helm release tells secretConfig.create")
    return Judgement(findings=tuple(findings), read=tuple(read))


def releases(view: View) -> Iterator[tuple[str, Object]]:
    """("Secret namespace/name", facts) of the newest revision of each Helm release; Unreadable
    for one that could not be opened."""
    newest: dict[str, tuple[int, str, Object]] = {}
    for secret in view.objects("Secret", view.scope.namespace):
        if secret.get("type") != RELEASE:
            continue
        where, facts = label("Secret", secret), parsed_yaml(secret["data"]["derived"]) or {}
        if facts.get("unread"):
            raise Unreadable(f"{where}: {facts['unread']}")
        name = where.rpartition(".v")[0]
        revision = int(facts.get("revision") or 0)
        if revision >= newest.get(name, (0, "", {}))[0]:
            newest[name] = (revision, where, facts)
    yield from ((where, facts) for _, where, facts in newest.values())


# what it holds


@rule(
    "HARD-12",
    evidence="system.secret as the last of files, variable and flag sets it, in each container "
    "that runs ACP",
    passes=f"set, {LEAST_LENGTH} or more characters, and on no published list",
    source=SOURCE,
    remedy="in the Secret's config.yaml: system: {secret: OUTPUT}, from: openssl rand -hex 32; "
    "then restart the pods",
)
def system_secret(view: View) -> Judgement:
    must = serving(view)
    return joined(partial(_system, view, each, each in must) for each in running_acp(view))


def _system(view: View, container: Container, must: bool) -> Judgement:
    door = doors.effective(view, container, "system.secret")
    read = (_of(container),)
    want = f"a secret of {LEAST_LENGTH} or more characters that nobody published"
    remedy = "system: {secret: OUTPUT}  # openssl rand -hex 32"
    if door is None or door.value in ("", None, False):
        saw = "not set, so the built-in secret is in force"
        where = (_of(container), "system.secret") if door is None else (door.object, door.field)
        found = [broken(*where, saw, want, remedy)] if must else []
        return Judgement(findings=tuple(found), read=read)
    fault = _weakness(door.value, LEAST_LENGTH, 10**6)
    found = [broken(door.object, door.field, fault, want, remedy)] if fault else []
    return Judgement(findings=tuple(found), read=(*read, f"{door.object} {door.field}"))


def _of(container: Container) -> str:
    return f"{container.owner} container {container.name}"


def _weakness(value: Any, least: int, most: int) -> str:
    """What is wrong with a secret; empty when it is sound."""
    sealed = opened(value)
    length = sealed.length if sealed else len(str(value))
    known = sealed.published if sealed else published(str(value))
    if known:
        return f"the published value {known}"
    return "" if least <= length <= most else f"a secret of {length} characters"


@rule(
    "HARD-14",
    evidence="list `secrets` of the last file that has one, secret.key as flag and variable, in "
    "each container that runs ACP",
    passes=f"at least one key, each with an id of its own and {KEY_LENGTH} characters, none "
    "published",
    source="vendor document, hardening, secrets; its page on encryption",
    remedy="in the Secret's config.yaml: secrets: [{id: NAME, key: OUTPUT}], from: openssl rand "
    "-hex 16; put a new key first and keep the old ones, which decrypt",
)
def data_keys(view: View) -> Judgement:
    must = serving(view)
    return joined(partial(_keys, view, each, each in must) for each in running_acp(view))


def _keys(view: View, container: Container, must: bool) -> Judgement:
    lists = [d for f in doors.files(view, container) for d in doors.from_file(f, "secrets")][-1:]
    single = doors.effective(view, container, "secret.key", "secret-key")
    keyed = [each for each in lists if each.value] + [single] * bool(single and single.value)
    findings = [fault for each in lists for fault in _listed(each)]
    if single is not None and single.value:
        findings += _key(single)
    if must and not keyed:
        saw, want = "not set, so the built-in key is in force", "a key of one's own"
        findings.append(broken(_of(container), "secrets", saw, want, _KEY))
    read = dict.fromkeys([_of(container), *(each.object for each in lists)])
    return Judgement(findings=tuple(findings), read=tuple(read))


_KEY = "secrets: [{id: NAME, key: OUTPUT}]  # openssl rand -hex 16"


def _key(door: Door) -> list[Finding]:
    fault = _weakness(door.value, KEY_LENGTH, KEY_LENGTH)
    want = f"{KEY_LENGTH} characters that nobody published"
    return [broken(door.object, door.field, fault, want, _KEY)] if fault else []


def _listed(door: Door) -> list[Finding]:
    """Faults of a list of {id, key}."""
    if not isinstance(door.value, list):
        return [broken(door.object, door.field, told(door.value), "a list of {id, key}", _KEY)]
    findings, ids = [], set[str]()
    for at, entry in enumerate(door.value):
        place, known = f"{door.field}[{at}]", entry if isinstance(entry, dict) else {}
        name, key = known.get("id"), known.get("key")
        if not key:
            findings.append(broken(door.object, f"{place}.key", "not set", "a key", _KEY))
        else:
            findings += _key(Door(door.object, f"{place}.key", key))
        if not name or str(name) in ids:
            saw = "the id of another key" if name else "not set"
            findings.append(broken(door.object, f"{place}.id", saw, "an id of its own", _KEY))
        ids.add(str(name))
    return findings


@rule(
    "HARD-15",
    evidence="type of the Secrets given to ACP",
    passes="Opaque",
    source=SOURCE,
    remedy="delete the Secret and make it again: the type of one that exists cannot be changed",
)
def opaque(view: View) -> Judgement:
    found = given(view, view.acp)
    if not found:
        raise NotHere(_NOTHING)
    wrong = {str(each): each.object.get("type") for each in found}
    findings = tuple(
        broken(where, "type", str(kind), "Opaque", "type: Opaque")
        for where, kind in wrong.items()
        if kind != "Opaque"
    )
    return Judgement(findings=findings, read=tuple(wrong))


# whether it is read


@rule(
    "HARD-16",
    evidence="paths of --config against what is mounted, in each container that runs ACP",
    passes="a file is mounted at each path, and each mounted Secret with settings is among them",
    source=SOURCE,
    remedy="--config=/data/config.yaml,/data/extraconfig.yaml,/secret/config.yaml, the Secret last",
)
def really_read(view: View) -> Judgement:
    parts: list[Part] = []
    for container in running_acp(view):
        for place in doors.paths(view, container):
            parts.append(partial(_there, view, container, place))
    return joined([*parts, *(partial(_secret_read, view, each) for each in serving(view))])


def _there(view: View, container: Container, place: doors.Word) -> Judgement:
    source = doors.mounted(view, container, place.text)
    if source is not None:
        where = f"{source.kind} {container.owner.namespace}/{source.name}[{source.key}]"
        return Judgement(read=(f"{place.text} of {_of(container)}: {where}",))
    found = doors.mount(container, place.text)
    shows = "nothing is mounted there"
    if found is not None:
        names = shown(doors.volume(container, found))
        shows = " and ".join(f"{kind} {name}" for kind, name, _ in names) + " has no such file"
    finding = broken(
        str(container.owner), place.field, f"{place.text}, but {shows}", "a file that is mounted",
        f"volumeMounts: [{{name: secret, mountPath: {place.text.rpartition('/')[0] or '/'}}}]",
    )  # fmt: skip
    return Judgement(findings=(finding,), read=(_of(container),))


def _secret_read(view: View, container: Container) -> Judgement:
    """A mounted Secret that no path of --config leads to changes nothing."""
    read = {p.text: doors.mounted(view, container, p.text) for p in doors.paths(view, container)}
    used = {source.name for source in read.values() if source and source.kind == "Secret"}
    findings, seen = [], []
    mine = given(view, [container.owner])
    names = {each.object["metadata"]["name"] for each in mine if settings_in(each.object)}
    for at, mount in enumerate(container.spec.get("volumeMounts") or []):
        for source in shown(doors.volume(container, mount)):
            if source.kind != "Secret" or source.name not in names:
                continue
            seen.append(f"Secret {container.owner.namespace}/{source.name}")
            if source.name not in used:
                where = f"{container.path}.volumeMounts[{at}]"
                saw = f"Secret {source.name} at {mount.get('mountPath')}, which --config does not"
                want = "a file of it among the paths of --config"
                remedy = f"--config=...,{mount.get('mountPath')}/config.yaml"
                findings.append(broken(str(container.owner), where, f"{saw} name", want, remedy))
    if not seen and not read:
        raise NotHere(f"{_of(container)} has no Secret mounted and reads no file")
    return Judgement(findings=tuple(findings), read=tuple(seen))
