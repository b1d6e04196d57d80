"""The three doors of a setting: flags, configuration files in their order, environment variables.

Room: check. Each container is asked for itself, since one container's variable changes nothing in
another. A file or variable whose source was not gathered is Unreadable, and only when asked for, so
that what can be read is judged first. It must not know which settings matter.
"""

import re
import shlex
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from acpchaos.check.posture.objects import boolean, parsed_yaml, settings
from acpchaos.check.posture.rule import Unreadable
from acpchaos.check.posture.workload import Container, Door, shown
from acpchaos.record.sealed import opened
from acpchaos.record.snapshot import Object

if TYPE_CHECKING:
    from acpchaos.check.posture.view import View

CONFIG = "config"
_REFERENCE = re.compile(r"\$\$|\$\(([\w.-]+)\)")  # the kubelet's; $$ is a plain dollar
_SCRIPT = re.compile(r"-[a-z]*c")  # the next word is a script: sh -c, sh -ec
_SHELL = re.compile(r"(?:^|/)(?:ba|da|a|z|k)?sh$")
_VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
_UNFILLED = re.compile(r"\$(?:[\w{(@*]|$)|`")  # what a shell would put here is not known
ANY = "*"  # name of variables that a source which was not gathered may set


class Elsewhere(Unreadable):
    """What is asked for comes from a place that this evidence cannot show."""


class Word(NamedTuple):
    """One word of a command line and where it stands. `hidden`: it is not known whole."""

    field: str
    text: str
    hidden: bool = False


class Variable(NamedTuple):
    """One environment variable. `unread` says why its value is not known."""

    name: str
    field: str
    value: str = ""
    unread: str = ""


class Key(NamedTuple):
    """One key of a ConfigMap or Secret."""

    kind: str
    name: str
    key: str


class File(NamedTuple):
    """One configuration file: its path, "Kind namespace/name", its key and content there."""

    path: str
    object: str
    key: str
    content: Object


def held(view: "View", namespace: str, kind: str, name: str) -> Object | None:
    """Data of a ConfigMap or Secret; None where the cluster has none of this name."""
    found = view.find(kind, namespace, name)
    if found is None and view.snapshot.source == "manifests":
        raise Elsewhere(f"{kind} {namespace}/{name} is not among the manifests")
    return None if found is None else dict(found.get("data") or {})


# environment


def environment(view: "View", container: Container) -> list[Variable]:
    """All variables in rising precedence: envFrom in its order, then env."""
    found: list[Variable] = []
    for at, source in enumerate(container.spec.get("envFrom") or []):
        found += _all_of(view, container, f"{container.path}.envFrom[{at}]", source)
    for at, entry in enumerate(container.spec.get("env") or []):
        field = f"{container.path}.env[{at}]"
        name = str(entry.get("name", ""))
        try:
            text = _value(view, container, entry)
        except Unreadable as reason:
            found.append(Variable(name, field, unread=str(reason)))
            continue
        if text is not None:
            found.append(Variable(name, field, _filled(text, found)))
    return found


def _all_of(view: "View", container: Container, field: str, source: Object) -> list[Variable]:
    """Variables of one envFrom entry; one of any name when its source was not gathered."""
    prefix = str(source.get("prefix") or "")
    for kind, key in (("ConfigMap", "configMapRef"), ("Secret", "secretRef")):
        if key in source:
            name = source[key].get("name", "")
            try:
                data = held(view, container.owner.namespace, kind, name)
            except Unreadable as reason:
                return [Variable(ANY, field, unread=str(reason))]
            return [Variable(f"{prefix}{k}", field, str(v)) for k, v in (data or {}).items()]
    return []


def _value(view: "View", container: Container, entry: Object) -> str | None:
    """A variable's text before references are filled in; None when it is not set after all."""
    source = entry.get("valueFrom") or {}
    for kind, key in (("Secret", "secretKeyRef"), ("ConfigMap", "configMapKeyRef")):
        if key in source:
            data = held(view, container.owner.namespace, kind, source[key].get("name", ""))
            text = (data or {}).get(source[key].get("key"))
            return None if text is None else str(text)
    if source:
        return f"from {next(iter(source))}"  # of the pod itself: a name, an address, a limit
    return str(entry.get("value") or "")


def _filled(text: str, known: list[Variable]) -> str:
    """$(NAME) replaced by what is known of NAME; else it stays, as the kubelet leaves it."""
    values = {each.name: each.value for each in known if not each.unread}

    def fill(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else values.get(found[1], found[0])

    return _REFERENCE.sub(fill, text)


def variable_of(path: str) -> str:
    """The variable that sets `path`: FEATURES_DEV_MODE for features.dev_mode."""
    return path.upper().replace(".", "_")


def variable(view: "View", container: Container, name: str) -> Door | None:
    """The variable of this name as the container sees it; Unreadable when its value is hidden."""
    every = environment(view, container)
    mine = [each for each in every if each.name in (name, ANY)]
    if not mine:
        return None
    named = [each for each in mine if each.name == name]
    last = named[-1] if named else mine[-1]
    if last.unread:
        raise Unreadable(f"{name} of {container.owner}: {last.unread}")
    return Door(str(container.owner), last.field, boolean(last.value))


# flags


def words(view: "View", container: Container) -> list[Word]:
    """Command and args with references filled in; a shell's script is split into its words, also
    one that stands in a ConfigMap."""
    raw = [
        Word(f"{container.path}.{key}[{at}]", str(text))
        for key in ("command", "args")
        for at, text in enumerate(container.spec.get(key) or [])
    ]
    known = environment(view, container) if any("$" in each.text for each in raw) else []
    found: list[Word] = []
    for each in raw:
        text, hidden = _filled(each.text, known), _hides(each.text, known)
        if found and _SCRIPT.fullmatch(found[-1].text):
            found += _shell_words(each.field, text, hidden, known)
            continue
        found.append(Word(each.field, text, hidden or bool(opened(text))))
        if len(found) == 1 or _SHELL.search(found[-2].text):
            found += _script_words(view, container, found[-1])
    return found


def _script_words(view: "View", container: Container, place: Word) -> list[Word]:
    """Words of a script at a path that is run, where a volume holds it; a hidden one where it
    cannot be seen."""
    if not place.text.startswith("/"):
        return []
    try:
        source = mounted(view, container, place.text)
        if source is None:
            return []
        data = held(view, container.owner.namespace, source.kind, source.name) or {}
    except Unreadable:
        return [Word(place.field, "", hidden=True)]
    if source.kind == "Secret":
        return [Word(place.field, "", hidden=True)]
    lines = str(data[source.key]).splitlines()
    script = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    return _shell_words(place.field, script, place.hidden, environment(view, container))


def _shell_words(field: str, script: str, hidden: bool, known: list[Variable]) -> list[Word]:
    """A script's words with the shell's own references filled in; one that stays is hidden."""
    values = {each.name: each.value for each in known if not each.unread}
    text = _VARIABLE.sub(lambda m: values.get(m[1] or m[2], m[0]), script)
    return [
        Word(field, word, hidden or bool(opened(word) or _UNFILLED.match(word)))
        for word in _split(text.replace("\\\n", " "))
    ]


def _hides(text: str, known: list[Variable]) -> bool:
    """Whether a word has a reference to a variable whose value is not known."""
    unread = {each.name for each in known if each.unread}
    told = {each.name for each in known if not each.unread}
    names = {found[1] for found in _REFERENCE.finditer(text) if found[1]}
    return bool(names & unread) or (ANY in unread and not names <= told)


def _split(script: str) -> list[str]:
    lexer = shlex.shlex(script, posix=True, punctuation_chars=";&|()")
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return list(lexer)
    except ValueError:  # a quote without its end
        return [word for word in re.split(r"[\s;&|()]+", script) if word]


def flags(view: "View", container: Container, name: str, *, valued: bool = False) -> list[Door]:
    """Where `--name` or `--name=value` stands. A bare flag is True; one that is `valued` takes the
    next word."""
    every, doors = words(view, container), []
    for at, (field, text, _) in enumerate(every):
        key, eq, value = text.partition("=")
        if key != f"--{name}":
            continue
        if not eq and valued and at + 1 < len(every):
            field, value, _ = every[at + 1]
        doors.append(Door(str(container.owner), field, boolean(value) if eq or valued else True))
    return doors


def legible(view: "View", container: Container) -> None:
    """Unreadable when a word that may be a flag is not seen: it stands in a variable or script
    that is hidden, or the image brings all words itself."""
    if not (container.spec.get("command") or container.spec.get("args")):
        raise Unreadable(f"{container.owner} container {container.name} runs what its image says")
    before = ""
    for _, text, hidden in words(view, container):
        after_flag = before.startswith("-") and "=" not in before
        if hidden and not text.startswith("-") and not after_flag:
            raise Unreadable(f"a word of {container.owner} is hidden in a variable or script")
        before = text


# configuration files


def paths(view: "View", container: Container) -> list[Word]:
    """The files of `--config`, in rising precedence."""
    return [
        Word(door.field, path.strip())
        for door in flags(view, container, CONFIG, valued=True)
        for path in str(door.value).split(",")
        if path.strip()
    ]


def settings_files(view: "View", container: Container) -> list[str]:
    """The files of `--config`, and every other word or variable that names a mounted file of
    settings: whoever names it may read it."""
    found = [each.text for each in paths(view, container)]
    told = [each.value for each in environment(view, container) if not each.unread]
    for text in dict.fromkeys([*(each.text for each in words(view, container)), *told]):
        if text.startswith("/") and text not in found:
            with suppress(Unreadable):
                other = file(view, container, text)
                found += [text] if other and other.content else []
    return found


def mount(container: Container, path: str) -> Object | None:
    """The volume mount that a path lies in; the innermost one counts."""
    mounts = container.spec.get("volumeMounts") or []
    around = [m for m in mounts if _within(path, str(m.get("mountPath", "")))]
    return max(around, key=lambda m: len(str(m["mountPath"])), default=None)


def _within(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder.rstrip('/')}/")


def volume(container: Container, found: Object) -> Object:
    """The volume of a mount; empty when the pod has none of this name."""
    every = container.owner.spec.get("volumes") or []
    return next((v for v in every if v.get("name") == found.get("name")), {})


def mounted(view: "View", container: Container, path: str) -> Key | None:
    """The key whose value stands at `path`; None when no file is there.

    Elsewhere for a volume that Kubernetes objects do not fill, or an object that is not shown.
    """
    found = mount(container, path)
    if found is None:
        return None
    sources = shown(volume(container, found))
    if not sources or found.get("subPathExpr"):
        where = f"volume {found.get('name')} of {container.owner}"
        raise Elsewhere(f"{path} lies in {where}, which no ConfigMap or Secret fills")
    inner = path[len(str(found["mountPath"]).rstrip("/")) :].strip("/")
    wanted = "/".join(part for part in (str(found.get("subPath") or ""), inner) if part)
    for kind, name, items in sources:
        key = wanted if items is None else items.get(wanted, "")
        if key and key in (held(view, container.owner.namespace, kind, name) or {}):
            return Key(kind, name, key)
    return None


def file(view: "View", container: Container, path: str) -> File | None:
    """One configuration file with its content; None when no file is there."""
    source = mounted(view, container, path)
    if source is None:
        return None
    kind, name, key = source
    namespace = container.owner.namespace
    where = f"{kind} {namespace}/{name}"
    try:
        content = _parsed(str((held(view, namespace, kind, name) or {})[key]))
    except (yaml.YAMLError, ValueError) as error:
        raise Unreadable(f"{where}[{key}] is no YAML: {error}") from None
    if not isinstance(content, dict | None):
        raise Unreadable(f"{where}[{key}] is no mapping of settings")
    return File(path, where, key, content or {})


@lru_cache(maxsize=64)
def _parsed(text: str) -> Any:
    """Shared by all who ask, so nobody may change it."""
    return parsed_yaml(text)


def files(view: "View", container: Container, *, partly: bool = False) -> list[File]:
    """All configuration files, the deciding one last; `partly` leaves out those that are
    Elsewhere."""
    found = []
    for _, path, _ in paths(view, container):
        try:
            found.append(file(view, container, path))
        except Elsewhere:
            if not partly:
                raise
    return [each for each in found if each is not None]


def from_file(found: File, path: str) -> list[Door]:
    """Where a file sets `path` ("features.dev_mode")."""
    every = settings(found.content, path)
    field = f"data[{found.key}].{path}"
    return [Door(found.object, field, value) for value in every if value is not None]


def setting(view: "View", container: Container, path: str, *, partly: bool = False) -> list[Door]:
    """Everything but flags that sets `path`, the deciding one last: files, then the variable."""
    every = files(view, container, partly=partly)
    named = variable(view, container, variable_of(path))
    return [
        *(door for each in every for door in from_file(each, path)),
        *([named] if named else []),
    ]


def effective(view: "View", container: Container, path: str, *names: str) -> Door | None:
    """What decides `path` in the end; `names` are flags that set it, too."""
    doors = setting(view, container, path)
    for name in (path, *names):
        doors += flags(view, container, name, valued=True)
    return doors[-1] if doors else None


def told(value: Any) -> str:
    """A value as findings show it: never a secret, and words for what is sealed."""
    if (secret := opened(value)) is not None:
        known = f", the published value {secret.published}" if secret.published else ""
        return f"a secret of {secret.length} characters{known}"
    return repr(value)
